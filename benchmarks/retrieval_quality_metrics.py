"""How good snippets are for a task: whether they define what is used, and hold what is written."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from rapidfuzz import fuzz

from benchmarks.retrieval_quality_identifiers import words
from benchmarks.retrieval_tasks import MIN_NUM_LINE_CHARS, RetrievalTask
from benchmarks.traces.hunks import lines_of
from retrieval.snippet import Snippet

NUM_SNIPPETS = 20  # asked for: enough to fill the characters with lines
MAX_NUM_CHARS = 4_000  # of context, about 1,000 tokens
NUM_NOVID_SNIPPETS = 5
NEAR = 0.9  # a line so similar needs hardly an edit
MAX_NUM_TRUTH_LINES = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """What one method found for one task.

    ``definition_rank`` is the first snippet, from 0, that shows a line which defines what the truth
    uses; ``num_snippets`` if none does, and ``None`` where nothing is used. ``has_definition`` says
    it of ``MAX_NUM_CHARS``. ``novid`` is the share of the task's unseen identifiers that are found
    in the first five snippets, or in the characters; ``None`` without such identifiers.
    ``line_similarity`` is the mean, over lines of the truth, of the best similarity with a line in
    the characters, 0 to 1; ``near_lines`` the share of these lines that have one of at least
    ``NEAR``. Both are ``None`` if no line of the truth is long enough.
    """

    task_id: str
    kind: str
    package: str
    language_id: str
    method: str
    num_snippets: int
    num_chars: int
    definition_rank: int | None
    has_definition: bool | None
    novid_5: float | None
    novid_chars: float | None
    line_similarity: float | None
    near_lines: float | None


def measure(task: RetrievalTask, method: str, snippets: Sequence[Snippet]) -> Measured:
    """Return how good ``snippets``, the best first, are for ``task``."""
    packed = packed_snippets(snippets, MAX_NUM_CHARS)
    shown = [text for _, text in packed]
    similarities = _similarities(task, shown)
    first_5 = [each.text for each in snippets[:NUM_NOVID_SNIPPETS]]
    has_none = not task.definitions
    return Measured(
        task_id=task.task_id,
        kind=task.kind,
        package=task.package,
        language_id=task.language_id,
        method=method,
        num_snippets=len(snippets),
        num_chars=sum(map(len, shown)),
        definition_rank=None if has_none else _definition_rank(task, snippets),
        has_definition=None if has_none else any(_defines(task, *each) for each in packed),
        novid_5=_novid(task, first_5),
        novid_chars=_novid(task, shown),
        line_similarity=statistics.fmean(similarities) if similarities else None,
        near_lines=statistics.fmean(each >= NEAR for each in similarities)
        if similarities
        else None,
    )


def packed_snippets(snippets: Sequence[Snippet], max_num_chars: int) -> list[tuple[str, str]]:
    """Return path and text of the best snippets that fit: the last is cut after a whole line."""
    packed: list[tuple[str, str]] = []
    left = max_num_chars
    for snippet in snippets:
        shown = 0
        for line in lines_of(snippet.text):
            if shown + len(line) > left:
                break
            shown += len(line)
        packed.append((snippet.path, snippet.text[:shown]))
        left -= shown
        if shown < len(snippet.text):
            break
    return packed


def _definition_rank(task: RetrievalTask, snippets: Sequence[Snippet]) -> int:
    ranks = (rank for rank, each in enumerate(snippets) if _defines(task, each.path, each.text))
    return next(ranks, len(snippets))


def _defines(task: RetrievalTask, path: str, text: str) -> bool:
    """Whether ``text`` of the file at ``path`` shows a line that defines what the truth uses.

    An outline has in one line what a file may have in several, so the beginning of it counts.
    """
    signatures = tuple(
        "".join(lines_of(task.files[path])[line].split())
        for definition in task.definitions
        if definition.path == path
        for line in definition.lines
    )
    return bool(signatures) and any(
        "".join(line.split()).startswith(signatures) for line in lines_of(text)
    )


def _novid(task: RetrievalTask, texts: Sequence[str]) -> float | None:
    if not task.unseen:
        return None
    shown = frozenset[str]().union(*map(words, texts))
    return len(task.unseen & shown) / len(task.unseen)


def _similarities(task: RetrievalTask, texts: Sequence[str]) -> list[float]:
    """Return for each line of the truth how similar the most similar line of ``texts`` is."""
    line_start = task.text.rfind("\n", 0, task.offset) + 1
    wanted = lines_of(task.text[line_start : task.offset] + task.truth)
    long_enough = (
        line.strip() for line in wanted if len("".join(line.split())) >= MIN_NUM_LINE_CHARS
    )
    lines = {line.strip() for text in texts for line in lines_of(text)}
    return [_best_similarity(line, lines) for line in islice(long_enough, MAX_NUM_TRUTH_LINES)]


def _best_similarity(wanted: str, lines: Collection[str]) -> float:
    return max((fuzz.ratio(wanted, line) / 100 for line in lines), default=0.0)
