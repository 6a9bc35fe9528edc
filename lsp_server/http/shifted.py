"""The changes between two stretches of one text, of which the later may begin or end elsewhere."""

from __future__ import annotations

from completion.differences import edit_between
from completion.types import TextEdit

_ANCHOR_CHARS = 64  # that many are not found at another place by chance


def num_dropped(old: str, new: str) -> int:
    """Return how many characters of ``old`` stand before the beginning of ``new``; 0 if unknown."""
    anchor = new[:_ANCHOR_CHARS]
    if len(anchor) < _ANCHOR_CHARS or old.startswith(anchor):
        return 0
    return max(0, old.find(anchor))


def num_cut(old: str, new: str) -> int:
    """Return how many characters of ``old`` stand behind the end of ``new``; 0 if unknown."""
    anchor = new[-_ANCHOR_CHARS:]
    if len(anchor) < _ANCHOR_CHARS or old.endswith(anchor):
        return 0
    at = old.rfind(anchor)
    return 0 if at < 0 else len(old) - at - len(anchor)


def edits_between(old: str, new: str) -> tuple[TextEdit, ...]:
    """Return edits that lead from ``old`` to ``new``, each seen from its predecessor's text.

    What was dropped from or added to either end is an edit of its own: one edit for all would
    reach from the first line to the last, and nothing between them would be known as kept.
    """
    dropped, added = num_dropped(old, new), num_dropped(new, old)
    cut, grown = num_cut(old, new), num_cut(new, old)
    is_possible = dropped + cut <= len(old) and added + grown <= len(new)
    if not is_possible:
        return (edit_between(old, new),)
    middle = edit_between(old[dropped : len(old) - cut], new[added : len(new) - grown])
    begin = TextEdit(0, dropped, new[:added])
    change = TextEdit(middle.start + added, middle.end + added, middle.inserted)
    last = len(new) - grown
    end = TextEdit(last, last + cut, new[last:])
    return tuple(edit for edit in (begin, change, end) if edit.start < edit.end or edit.inserted)
