"""Filters against text that goes round in circles."""

from __future__ import annotations

from collections.abc import Sequence

from completion.postprocess.draft import Draft
from completion.stop_rules import is_loop_line
from completion.types import NoSuggestionReason

_MAX_NUM_SAME_LINES = 2
_MAX_NUM_BLOCK_LINES = 8


def remove_repetitive_lines(draft: Draft) -> Draft | NoSuggestionReason:
    """Keep the first of three or more equal telling lines in a row.

    If the first of them already repeats the line above the cursor, nothing is left worth showing.
    """
    lines = draft.text.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip()]
    for place in range(len(filled) - _MAX_NUM_SAME_LINES):
        run = {lines[index].strip() for index in filled[place : place + _MAX_NUM_SAME_LINES + 1]}
        if len(run) > 1 or not is_loop_line(lines[filled[place]]):
            continue
        above = draft.cursor.above
        if place == 0 and above and above[-1].strip() in run:
            return NoSuggestionReason.REPETITIVE_OUTPUT
        return draft.with_text("\n".join(lines[: filled[place] + 1]))
    return draft


def remove_repetitive_blocks(draft: Draft) -> Draft | NoSuggestionReason:
    """Keep the first round when the text ends in the same block of lines over and over."""
    lines = draft.text.rstrip().split("\n")
    for size in range(2, min(_MAX_NUM_BLOCK_LINES, len(lines) // 2) + 1):
        num_rounds = _num_rounds_at_end(lines, size)
        needed = 3 if size < 4 else 2
        if num_rounds >= needed and any(is_loop_line(line) for line in lines[-size:]):
            return draft.with_text("\n".join(lines[: len(lines) - size * (num_rounds - 1)]))
    return draft


def _num_rounds_at_end(lines: Sequence[str], size: int) -> int:
    block = [line.rstrip() for line in lines[-size:]]
    count = 1
    while [line.rstrip() for line in lines[-size * (count + 1) : -size * count]] == block:
        count += 1
    return count
