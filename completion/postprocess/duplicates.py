"""Filters against text that stands in the document already."""

from __future__ import annotations

import re
from dataclasses import replace

from completion.postprocess.draft import Draft
from completion.stop_rules import SuffixMatcher, is_closing, is_loop_line
from completion.types import NoSuggestionReason

_MAX_DISTANCE_SHARE = 0.05
_NUM_COMPARED_LINES = 3
_MIN_COMPARED_CHARS = 16
_MIN_OVERLAP_CHARS = 3
_WORD_HEAD = re.compile(r"\w*")
_WORD_TAIL = re.compile(r"\w+\Z")


def reject_repeated_lines_above(draft: Draft) -> Draft | NoSuggestionReason:
    """Reject text that says the lines directly above the cursor again, and no more."""
    cursor = draft.cursor
    if cursor.left.strip() and not draft.text.startswith("\n"):
        return draft
    head = "" if draft.text.startswith("\n") else cursor.left
    lines = [line.rstrip() for line in (head + draft.text).split("\n") if line.strip()]
    above = list(cursor.above)
    if cursor.left.strip():
        above.append(cursor.left.rstrip())
    if not lines or above[-len(lines) :] != lines or not any(is_loop_line(line) for line in lines):
        return draft
    return NoSuggestionReason.REPEATS_PREFIX


def remove_suffix_lines(draft: Draft) -> Draft | NoSuggestionReason:
    """Cut last lines that the suffix begins with; reject if nothing else is left."""
    cursor = draft.cursor
    if not cursor.right_is_closed and not cursor.opens_lines:
        return draft
    lines = draft.text.rstrip().split("\n")
    behind = list(cursor.lines_behind)
    whole = [line.rstrip() for line in (cursor.left + lines[0], *lines[1:])]
    for count in range(min(len(lines), len(behind)), 0, -1):
        if whole[-count:] != behind[:count] or all(is_closing(line) for line in behind[:count]):
            continue
        # A short line may well stand twice, but nobody is helped by a copy of the next one alone.
        if count == 1 and len(lines) > 1 and not SuffixMatcher(cursor).one_line_settles:
            continue
        kept = "\n".join(lines[:-count])
        return draft.with_text(kept) if kept.strip() else NoSuggestionReason.REPEATS_SUFFIX
    return draft


def reject_near_copy_of_suffix(draft: Draft) -> Draft | NoSuggestionReason:
    """Reject text within 5 % edit distance of what follows, compared over three lines."""
    if not draft.cursor.right_is_closed:
        return draft
    lines = [line.strip() for line in draft.text.split("\n") if line.strip()]
    below = [line.strip() for line in draft.cursor.below if not is_closing(line)]
    count = min(len(lines), len(below), _NUM_COMPARED_LINES)
    if count < len(lines) and count < _NUM_COMPARED_LINES:
        return draft
    one, other = "\n".join(lines[:count]), "\n".join(below[:count])
    if len(one) < _MIN_COMPARED_CHARS or (one == draft.text.strip() == other and count == 1):
        return draft
    limit = int(max(len(one), len(other)) * _MAX_DISTANCE_SHARE)
    if edit_distance(one, other, limit) > limit:
        return draft
    return NoSuggestionReason.REPEATS_SUFFIX


def remove_overlap_with_right(draft: Draft) -> Draft | NoSuggestionReason:
    """Cut the end of the text that the code right of the cursor begins with."""
    right = draft.right.rstrip()
    if draft.cursor.right_is_closed or draft.cursor.opens_lines or not right:
        return draft
    text = draft.text.rstrip("\n")
    for size in range(min(len(text), len(right)), 0, -1):
        if not text.endswith(right[:size]):
            continue
        if size < len(right) and not _is_clear_overlap(right, size):
            continue
        kept = text[:-size]
        return draft.with_text(kept) if kept.strip() else NoSuggestionReason.REPEATS_SUFFIX
    return draft


def avoid_word_remainder(draft: Draft) -> Draft | NoSuggestionReason:
    """Keep the letters of a word right of the cursor from standing there twice.

    The text may write the whole rest of the word and go on, in which case it replaces the letters
    that are there, or it may end with them, in which case it leaves them to the document.
    """
    remainder = _WORD_HEAD.match(draft.right)
    letters = remainder.group() if remainder else ""
    if not letters or not _WORD_TAIL.search(draft.cursor.left):
        return draft
    if draft.text == letters:
        return NoSuggestionReason.REPEATS_SUFFIX
    if draft.text.endswith(letters):
        return draft.with_text(draft.text[: -len(letters)])
    if draft.text.startswith(letters):
        return replace(draft, num_replaced=draft.num_replaced + len(letters))
    return draft


def edit_distance(one: str, other: str, limit: int) -> int:
    """Return the Levenshtein distance, or ``limit + 1`` as soon as it must be greater."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    previous = list(range(len(other) + 1))
    for row, char in enumerate(one, 1):
        current = [row]
        for column, candidate in enumerate(other, 1):
            cost = previous[column - 1] + (char != candidate)
            current.append(min(cost, previous[column] + 1, current[-1] + 1))
        if min(current) > limit:
            return limit + 1
        previous = current
    return previous[-1]


def _is_clear_overlap(right: str, size: int) -> bool:
    """Whether ``right[:size]`` is long enough, and whole words, to be no accident."""
    cuts_word = right[size - 1].isalnum() and right[size].isalnum()
    return size >= _MIN_OVERLAP_CHARS and not cuts_word and any(map(str.isalnum, right[:size]))
