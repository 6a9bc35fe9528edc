"""One ranking out of many: weighted reciprocal rank fusion, without what would be shown twice.

    score = sum over the rankings of  weight / (60 + rank)          Cormack et al., SIGIR 2009

The curve is flat, so weights matter more than ranks, and there are two kinds of them. A weight near
1 lets a source that finds other things take part: 0.97 puts its first behind the second of
``SIMILAR``. A small one lifts what ``SIMILAR`` has found anyway: 0.05 makes up for three ranks.
Definitions are short outlines, so three of them and two chunks make the first five: that way the
definition that is needed is among them in 61 % of cases instead of 37, and no less of what is
similar is found (benchmarks/results/retrieval_quality.json).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from retrieval.duplicates import (
    Window,
    adds_nothing,
    normalised_lines,
    num_lines,
    num_shared_lines,
    union,
)
from retrieval.snippet import Snippet, SnippetSource

_RANK_CONSTANT = 60
_NUM_SURE = 2  # of what is similar: they nearly always find room
_PINNED_WEIGHT = 100.0  # more than all others together can reach

_WEIGHTS: Mapping[SnippetSource, float] = MappingProxyType(
    {
        SnippetSource.DEFINITION: 1.02,  # three outlines and two chunks among the first five
        SnippetSource.SIMILAR: 1.0,
        SnippetSource.CLIPBOARD: 0.98,
        SnippetSource.RECENT_EDIT: 0.96,
        SnippetSource.MEANING: 0.05,
        SnippetSource.SAME_FILE: 0.05,
        SnippetSource.OPEN_FILE: 0.05,
        SnippetSource.CHANGED_FILE: 0.03,
    }
)
_LIMITS: Mapping[SnippetSource, int] = MappingProxyType(
    {
        SnippetSource.CLIPBOARD: 1,
        SnippetSource.DEFINITION: 3,
        SnippetSource.RECENT_EDIT: 2,
    }
)


@dataclass(frozen=True, slots=True)
class FusionRules:
    """How much each source counts; one without a weight, or of weight 0, does not.

    ``limits`` are the most snippets a source may have in the result. ``max_num`` limits all of
    them. The first ``num_merged`` take in lines that stand next to theirs, up to
    ``max_num_merged_lines``.
    """

    weights: Mapping[SnippetSource, float] = field(default_factory=lambda: _WEIGHTS)
    limits: Mapping[SnippetSource, int] = field(default_factory=lambda: _LIMITS)
    max_num: int = 20
    num_merged: int = 5
    max_num_merged_lines: int = 30

    def __post_init__(self) -> None:
        """Refuse weights that would turn a ranking around."""
        for source, weight in self.weights.items():
            if weight < 0:
                raise ValueError(f"the weight of {source} is {weight}; it must be 0 or more")


DEFAULT_RULES = FusionRules()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A snippet that may be shown, comparable with those of other sources.

    ``score`` is the fused one. ``similarity`` is what ``SIMILAR`` gave it, 0 if it is not from
    there. ``is_pinned``: what stands at the cursor resolves to it.
    """

    snippet: Snippet
    score: float
    similarity: float = 0.0
    is_pinned: bool = False


def fuse(
    rankings: Mapping[SnippetSource, Sequence[Snippet]],
    window: Window,
    *,
    pinned: Sequence[Snippet] = (),
    rules: FusionRules = DEFAULT_RULES,
) -> list[Candidate]:
    """Return the candidates, best first; none repeats lines that an earlier one shows.

    Args:
        rankings: What each source found, best first.
        window: What the prompt shows without them; nothing of it is returned.
        pinned: Definitions that the partial name or the receiver at the cursor resolves to, best
            first. They head the result.
        rules: Weights and limits.
    """
    rankings = {**rankings, **_without_shown(rankings)}
    selection = _Selection(window, rules)
    for candidate in sorted(_scored(rankings, pinned, rules), key=lambda each: -each.score):
        if len(selection.kept) == rules.max_num:
            break
        selection.offer(candidate)
    return selection.kept


def _without_shown(
    rankings: Mapping[SnippetSource, Sequence[Snippet]],
) -> Mapping[SnippetSource, Sequence[Snippet]]:
    """Return the definitions that the first of what is similar does not show in full anyway."""
    first = rankings.get(SnippetSource.SIMILAR, ())[:_NUM_SURE]
    definitions = [
        each
        for each in rankings.get(SnippetSource.DEFINITION, ())
        if not any(_holds(whole, each) for whole in first)
    ]
    return {SnippetSource.DEFINITION: definitions}


def _holds(whole: Snippet, part: Snippet) -> bool:
    is_inside = whole.start_line <= part.start_line and part.end_line <= whole.end_line
    return whole.path == part.path and is_inside


@dataclass(slots=True)
class _Group:
    """The same lines, as several sources found them."""

    snippet: Snippet
    largest_share: float
    score: float = 0.0
    similarity: float = 0.0
    is_pinned: bool = False

    def add(self, snippet: Snippet, share: float) -> None:
        self.score += share
        if snippet.source is SnippetSource.SIMILAR:
            self.similarity = max(self.similarity, snippet.score)
        if share > self.largest_share:
            self.snippet, self.largest_share = snippet, share


def _scored(
    rankings: Mapping[SnippetSource, Sequence[Snippet]],
    pinned: Sequence[Snippet],
    rules: FusionRules,
) -> list[Candidate]:
    groups: dict[tuple[str, int, str], _Group] = {}

    def add(ranking: Sequence[Snippet], weight: float, *, is_pinned: bool) -> None:
        for rank, snippet in enumerate(ranking if weight else (), start=1):
            key = snippet.path, snippet.start_line, snippet.text
            group = groups.setdefault(key, _Group(snippet, 0.0))
            group.add(snippet, weight / (_RANK_CONSTANT + rank))
            group.is_pinned |= is_pinned

    add(pinned, _PINNED_WEIGHT, is_pinned=True)
    for source, ranking in rankings.items():
        add(ranking, rules.weights.get(source, 0.0), is_pinned=False)
    return [
        Candidate(group.snippet, group.score, group.similarity, group.is_pinned)
        for group in groups.values()
    ]


class _Selection:
    """What is kept of candidates that are offered best first."""

    def __init__(self, window: Window, rules: FusionRules) -> None:
        self.kept: list[Candidate] = []
        self._lines: list[frozenset[str]] = []
        self._window = window
        self._rules = rules

    def offer(self, candidate: Candidate) -> None:
        """Keep the candidate, or merge it with one that is kept, or drop it."""
        snippet = candidate.snippet
        lines = normalised_lines(snippet.text)
        if self._window.shows(snippet, lines) or self._is_over_limit(candidate):
            return
        if any(adds_nothing(lines, other) for other in self._lines):
            return
        num_shared = [num_shared_lines(other.snippet, snippet) for other in self.kept]
        met = [at for at, num in enumerate(num_shared) if num >= 0]
        if (len(met) == 1 and self._merge(met[0], snippet)) or max(num_shared, default=0) > 0:
            return
        self.kept.append(candidate)
        self._lines.append(lines)

    def _is_over_limit(self, candidate: Candidate) -> bool:
        source = candidate.snippet.source
        limit = self._rules.limits.get(source)
        if limit is None or candidate.is_pinned:
            return False
        return sum(other.snippet.source is source for other in self.kept) >= limit

    def _merge(self, at: int, snippet: Snippet) -> bool:
        """Add the lines of ``snippet`` to what is kept; whether that was possible and is allowed.

        What ranks low does not get in beside what ranks high, and only the first few take in more.
        """
        if len(self.kept) >= self._rules.num_merged:
            return False
        merged = union(self.kept[at].snippet, snippet)
        if merged is None or num_lines(merged.text) > self._rules.max_num_merged_lines:
            return False
        self.kept[at] = replace(self.kept[at], snippet=merged)
        self._lines[at] = normalised_lines(merged.text)
        return True
