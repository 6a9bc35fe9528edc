"""What is shown of a snippet that is too large: a run of whole lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from retrieval.duplicates import is_verbatim, lines_of
from retrieval.query import Query
from retrieval.snippet import Snippet
from retrieval.terms import terms_of


def best_part(
    snippet: Snippet,
    budget: int,
    count_tokens: Callable[[Snippet], int],
    query: Query,
    min_num_lines: int,
) -> Snippet | None:
    """Return the lines in a row that share most with ``query`` among those that fit the budget.

    Of an outline the beginning is kept, because the rest says little without it. None if fewer
    than ``min_num_lines`` fit.
    """
    lines = lines_of(snippet.text)
    weights = _line_weights(lines, query) if is_verbatim(snippet) else [0.0] * len(lines)
    num_kept, num_tokens = len(lines), count_tokens(snippet)
    while num_tokens > budget:
        # In proportion, and one fewer each time at least.
        num_kept = min(num_kept - 1, num_kept * budget // num_tokens)
        if num_kept < max(1, min_num_lines):
            return None
        part = _part(snippet, lines, _best_start(weights, num_kept), num_kept)
        num_tokens = count_tokens(part)
        if num_tokens <= budget:
            return part
    return snippet


def _part(snippet: Snippet, lines: Sequence[str], start: int, num_kept: int) -> Snippet:
    text = "".join(lines[start : start + num_kept])
    if not is_verbatim(snippet):
        return replace(snippet, text=text)
    start_line = snippet.start_line + start
    return replace(snippet, start_line=start_line, end_line=start_line + num_kept, text=text)


def _line_weights(lines: Sequence[str], query: Query) -> list[float]:
    return [sum(query.weights.get(term, 0.0) for term in {*terms_of(line)}) for line in lines]


def _best_start(weights: Sequence[float], num_kept: int) -> int:
    """Return the first line of the ``num_kept`` lines that weigh most; the earliest of equals."""
    sums = [0.0, *itertools.accumulate(weights)]
    return max(
        range(len(weights) - num_kept + 1), key=lambda start: sums[start + num_kept] - sums[start]
    )
