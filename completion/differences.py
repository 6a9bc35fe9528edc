"""The change between two texts, for whoever has whole texts instead of changes."""

from __future__ import annotations

from collections.abc import Sequence

from completion.types import TextEdit


def edit_between(old: str, new: str) -> TextEdit:
    """Return one edit that leads from ``old`` to ``new``, as short as one edit can be."""
    start = num_common(old, new)
    num_behind = num_common(old[start:][::-1], new[start:][::-1])
    return TextEdit(start, len(old) - num_behind, new[start : len(new) - num_behind])


def num_common(one: Sequence[object], other: Sequence[object]) -> int:
    """Return how many leading characters or tokens two texts share.

    Halving compares slices, which is a matter of microseconds where a loop would take milliseconds.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
