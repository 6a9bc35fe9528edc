"""Which snippets stand in the prompt, and in which order: chosen anew seldom, changed little.

The keys and values of a prompt are cached, so a list that is shuffled at each keystroke costs more
than it gives. What is shown stays, in its order, while it ranks well enough. What is new goes to
the end: the text that changes least stands in front, and the newest is nearest to the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from retrieval.cutting import best_part
from retrieval.duplicates import Window, is_verbatim, normalised_lines, num_shared_lines
from retrieval.fusion import Candidate
from retrieval.query import Query
from retrieval.snippet import Snippet

CountTokens = Callable[[Snippet], int]
_LENIENCE = 0.8  # of the threshold, for what is shown: a value near it would make all flicker


@dataclass(frozen=True, slots=True)
class AssemblyRules:
    """When snippets are shown and when they change.

    ``min_similarity`` is what the best snippet must reach for any to be shown, as a share of the
    query's score for itself; 0 asks for nothing. What is shown stays while it is among the first
    ``num_ranks_kept``; others must have a score that is higher by the share ``margin``, and take
    the place of ``max_num_replaced`` at once at most. Behind a jump of more than
    ``max_num_lines_moved`` the ranking alone decides. What is cut keeps ``min_num_lines``.
    """

    max_num_snippets: int = 5
    num_ranks_kept: int = 15
    margin: float = 0.05
    max_num_replaced: int = 2
    max_num_lines_moved: int = 50
    min_similarity: float = 0.0
    min_num_lines: int = 3
    stays_within_line: bool = True


DEFAULT_RULES = AssemblyRules()


@dataclass(frozen=True, slots=True)
class Moment:
    """What of a request decides whether the choice stands.

    ``line`` is the cursor's. ``draft`` is the suggestion that the query was made with. ``focus``
    is the name at the cursor that resolves to a definition, empty if none does. ``has_rested``:
    nothing was typed for a while, so a change costs nobody time.
    """

    window: Window
    line: int
    query: Query
    draft: str = ""
    focus: str = ""
    has_rested: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """What may take one place: the first of ``versions`` that fits.

    ``place`` is where it is shown, None if it is new. ``may_be_cut``: a part of the last version
    will do.
    """

    versions: tuple[Snippet, ...]
    score: float
    place: int | None
    may_be_cut: bool


class Assembler:
    """The snippets of one document's prompts. One thread at a time."""

    def __init__(
        self, locate: Callable[[Snippet], int | None], rules: AssemblyRules = DEFAULT_RULES
    ) -> None:
        """Choose by ``rules``.

        ``locate`` returns the line at which the snippet's file holds its text now, the nearest to
        where it was; None if it is not there any more.
        """
        self._locate = locate
        self._rules = rules
        self._shown: tuple[Snippet, ...] = ()
        self._last: Moment | None = None

    def stands(self, moment: Moment) -> bool:
        """Whether the last choice is still the answer, so that no search is needed."""
        last = self._last
        return (
            last is not None
            and self._rules.stays_within_line
            and not moment.has_rested
            and (last.window.path, last.line) == (moment.window.path, moment.line)
            and (last.draft, last.focus) == (moment.draft, moment.focus)
        )

    def choose(
        self,
        ranked: Sequence[Candidate],
        budget: int,
        count_tokens: CountTokens,
        moment: Moment,
        explain: Callable[[Snippet], Snippet] | None = None,
    ) -> tuple[Snippet, ...]:
        """Return what to show, in the order it is to stand, the cursor behind the last.

        Args:
            ranked: The candidates, best first; not looked at while the last choice stands.
            budget: Tokens for all snippets together; never exceeded.
            count_tokens: What a snippet takes up in the prompt, its heading included.
            moment: The request.
            explain: Adds reasons to a snippet, whose text it leaves alone. Called for what is
                chosen anew, so that candidates need no reasons.
        """
        if self.stands(moment):
            return _last_within(self._shown, budget, count_tokens)
        entries = self._entries(ranked, moment)
        packed = _packed(entries, budget, count_tokens, moment.query, self._rules)
        self._shown = _in_order(packed)
        if explain is not None:
            self._shown = tuple(map(explain, self._shown))
        self._last = moment
        return self._shown

    def _entries(self, ranked: Sequence[Candidate], moment: Moment) -> list[_Entry]:
        """Return what may be shown in the order in which it gets tokens."""
        rules, has_jumped = self._rules, self._has_jumped(moment)
        is_worthy = self._is_worthy(ranked)
        pool = [each for each in ranked if is_worthy or each.is_pinned][: rules.num_ranks_kept]
        margin = 0.0 if has_jumped else rules.margin
        shown, num_meeting = self._survivors(pool, moment.window, margin)
        if has_jumped or not is_worthy:
            shown = [entry for entry in shown if entry.score > 0]
        newcomers = [
            _Entry((each.snippet,), each.score, None, may_be_cut=True)
            for each, num_met in zip(pool, num_meeting, strict=True)
            if not num_met
        ]
        limit = len(newcomers) if has_jumped else rules.max_num_replaced
        contest = sorted((*shown, *newcomers[:limit]), key=lambda entry: -entry.score)
        return [*contest, *newcomers[limit:]]

    def _survivors(
        self, pool: Sequence[Candidate], window: Window, margin: float
    ) -> tuple[list[_Entry], list[int]]:
        """Return what is left of the shown snippets, and how many of them each candidate meets.

        Those that no ranking has score 0. A candidate that meets several was merged out of them, and
        they stay as they are.
        """
        currents = [self._current(snippet, window) for snippet in self._shown]
        met = [
            [at for at, each in enumerate(pool) if _is_same_place(current or old, each.snippet)]
            for old, current in zip(self._shown, currents, strict=True)
        ]
        num_meeting = [sum(at in places for places in met) for at in range(len(pool))]
        entries: list[_Entry] = []
        for place, (current, places) in enumerate(zip(currents, met, strict=True)):
            best = pool[places[0]] if places else None
            score = best.score * (1 + margin) if best else 0.0
            if best and num_meeting[places[0]] == 1:
                entries.append(_kept(current, best.snippet, score, place))
            elif current and (best or is_verbatim(current)):
                entries.append(_Entry((current,), score, place, may_be_cut=False))
        return entries, num_meeting

    def _current(self, snippet: Snippet, window: Window) -> Snippet | None:
        """Return the snippet with the lines it has now.

        None if its text is not there any more, or if the prompt shows it without.
        """
        if is_verbatim(snippet):
            line = self._locate(snippet)
            if line is None:
                return None
            end_line = line + snippet.end_line - snippet.start_line
            snippet = replace(snippet, start_line=line, end_line=end_line)
        return None if window.shows(snippet, normalised_lines(snippet.text)) else snippet

    def _has_jumped(self, moment: Moment) -> bool:
        last = self._last
        return (
            last is None
            or last.window.path != moment.window.path
            or abs(last.line - moment.line) > self._rules.max_num_lines_moved
        )

    def _is_worthy(self, ranked: Iterable[Candidate]) -> bool:
        """Whether anything is similar enough for the rest to be worth its tokens."""
        threshold = self._rules.min_similarity * (_LENIENCE if self._shown else 1.0)
        return max((each.similarity for each in ranked), default=0.0) >= threshold


def _is_same_place(shown: Snippet, ranked: Snippet) -> bool:
    """Whether the two show the same lines of a file, or are versions of one outline."""
    if num_shared_lines(shown, ranked) > 0:
        return True
    if shown.path != ranked.path or shown.source is not ranked.source or is_verbatim(shown):
        return False
    return shown.start_line == ranked.start_line or shown.text == ranked.text


def _kept(current: Snippet | None, ranked: Snippet, score: float, place: int) -> _Entry:
    """Return what has become of a shown snippet: it grows at once, and never shrinks by itself."""
    if current is None or not is_verbatim(current):
        return _Entry((ranked,), score, place, may_be_cut=True)
    if current.text in ranked.text:
        return _Entry((ranked, current), score, place, may_be_cut=False)
    others = (ranked,) if ranked.text in current.text else ()
    return _Entry((current, *others), score, place, may_be_cut=False)


def _packed(
    entries: Iterable[_Entry],
    budget: int,
    count_tokens: CountTokens,
    query: Query,
    rules: AssemblyRules,
) -> list[tuple[_Entry, Snippet]]:
    """Return those of ``entries`` that fit, earlier ones first served, and as what they fit."""
    packed: list[tuple[_Entry, Snippet]] = []
    for entry in entries:
        if len(packed) == rules.max_num_snippets:
            break
        fitting = next((each for each in entry.versions if count_tokens(each) <= budget), None)
        if fitting is None and entry.may_be_cut:
            whole = entry.versions[-1]
            fitting = best_part(whole, budget, count_tokens, query, rules.min_num_lines)
        if fitting is not None:
            packed.append((entry, fitting))
            budget -= count_tokens(fitting)
    return packed


def _in_order(packed: Sequence[tuple[_Entry, Snippet]]) -> tuple[Snippet, ...]:
    """Return what was shown in its order, then what is new, the best last."""
    shown = sorted(
        ((entry.place, snippet) for entry, snippet in packed if entry.place is not None),
        key=lambda placed: placed[0],
    )
    new = [snippet for entry, snippet in packed if entry.place is None]
    return (*(snippet for _, snippet in shown), *reversed(new))


def _last_within(
    shown: Sequence[Snippet], budget: int, count_tokens: CountTokens
) -> tuple[Snippet, ...]:
    """Return as many of the last snippets as fit: a request in a hurry has less room."""
    for start, snippet in reversed([*enumerate(shown)]):
        budget -= count_tokens(snippet)
        if budget < 0:
            return tuple(shown[start + 1 :])
    return tuple(shown)
