"""Filters that keep brackets in balance with those the editor or the author closed already."""

from __future__ import annotations

from dataclasses import replace

from completion.brackets import (
    CLOSERS,
    depth,
    ends_inside_string,
    find_surplus_closer,
    scan_brackets,
)
from completion.postprocess.draft import Draft
from completion.stop_rules import is_closing
from completion.types import NoSuggestionReason

_QUOTES = ("'", '"', "`")


def remove_duplicated_block_closing_line(draft: Draft) -> Draft | NoSuggestionReason:
    """Cut a last line that closes a block which the next line of the document closes too."""
    text = draft.text.rstrip()
    head, newline, last = text.rpartition("\n")
    below = draft.cursor.below
    if not newline or not below or not is_closing(last) or draft.cursor.right_closers:
        return draft
    if last.rstrip() != below[0] or not is_closing(below[0]):
        return draft
    if draft.cursor.num_missing_closers or not _closes_more_than_it_opens(draft):
        return draft
    return draft.with_text(head)


def balance_closing_brackets(draft: Draft) -> Draft | NoSuggestionReason:
    """Let closers in the text take the place of the same closers right of the cursor.

    With ``print(|)`` and ``x)`` the text replaces the ``)``, so that a caret behind the suggestion
    stands behind the bracket too. A surplus closer that nothing can pair with is cut off if it
    ends the text.
    """
    cursor = draft.cursor
    surplus = _surplus_closers(draft)
    if not surplus or not cursor.right_closers:
        return draft
    num_replaced = draft.num_replaced
    for closer in surplus:
        ahead = draft.cursor.right[num_replaced:]
        blanks = len(ahead) - len(ahead.lstrip(" \t"))
        if not ahead[blanks:].startswith(closer):
            break
        num_replaced += blanks + 1
    remaining = surplus[_num_closers(draft, num_replaced) :]
    if remaining and not cursor.num_missing_closers:
        return replace(draft, text=_cut_closers(draft.text, remaining), num_replaced=num_replaced)
    return replace(draft, num_replaced=num_replaced)


def avoid_doubled_quote(draft: Draft) -> Draft | NoSuggestionReason:
    """Let text that ends the string at the cursor replace the quote that ends it already."""
    cursor = draft.cursor
    right = draft.right.rstrip()
    quote = right.lstrip(CLOSERS)[:1]  # a template's hole closes before its quote does
    if not quote or quote not in _QUOTES or quote not in draft.text:
        return draft
    if not ends_inside_string(cursor.left, cursor.language, cursor.brackets):
        return draft
    text = draft.text.rstrip()
    sizes = range(min(len(text), len(right)), 0, -1)
    size = next((size for size in sizes if text.endswith(right[:size])), 0)
    return replace(draft, num_replaced=draft.num_replaced + size)


def avoid_doubled_separator(draft: Draft) -> Draft | NoSuggestionReason:
    """Let a separator that ends the text replace the same one right of the cursor."""
    ahead = draft.right
    blanks = len(ahead) - len(ahead.lstrip(" \t"))
    separator = ahead[blanks : blanks + 1]
    if separator not in (";", ",") or not draft.text.rstrip().endswith(separator):
        return draft
    return replace(draft, num_replaced=draft.num_replaced + blanks + 1)


def _num_closers(draft: Draft, num_replaced: int) -> int:
    taken = draft.cursor.right[draft.num_replaced : num_replaced]
    return sum(char in CLOSERS for char in taken)


def _cut_closers(text: str, closers: str) -> str:
    stripped = text.rstrip(" \t\n;")
    return stripped[: -len(closers)] if stripped.endswith(closers) else text


def _surplus_closers(draft: Draft) -> str:
    """Return the closers of the text that close something opened before the cursor, in order."""
    cursor = draft.cursor
    at_cursor = scan_brackets(cursor.left, cursor.language, cursor.brackets)
    if at_cursor.inside:
        return ""
    found = ""
    position = 0
    state = replace(at_cursor, open="", unmatched="")
    while True:
        index = find_surplus_closer(draft.text[position:], cursor.language, state, -len(found))
        if index is None or len(found) > 8:
            return found
        found += draft.text[position + index]
        state = scan_brackets(draft.text[position : position + index + 1], cursor.language, state)
        position += index + 1


def _closes_more_than_it_opens(draft: Draft) -> bool:
    cursor = draft.cursor
    start = scan_brackets(cursor.left, cursor.language, cursor.brackets)
    return depth(scan_brackets(draft.text, cursor.language, start)) < depth(start)
