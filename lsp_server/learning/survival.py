"""Which characters of an insertion are still in the document, whatever was edited since.

No text is kept: spans of surviving characters move with the edits, as marks would. Where an edit
writes text in the place of survivors, what both have in common survives, token by token, so that a
formatter, which replaces whole lines or files, takes away no more than it changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rapidfuzz.distance import LCSseq

from completion.differences import num_common
from completion.types import TextEdit

_TOKEN = re.compile(r"\w+|\s|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
# Of the two texts' tokens; the comparison takes a bit for each, and a millisecond for so many.
_MAX_NUM_CELLS = 16_000_000

Span = tuple[int, int]


class Survivors:
    """The characters of one insertion that nobody has removed, as spans of the document."""

    def __init__(self, start: int, end: int) -> None:
        """Begin with ``[start, end)``, which has just been inserted."""
        self._spans: list[Span] = [(start, end)] if end > start else []
        self.num_inserted = max(0, end - start)

    @property
    def spans(self) -> Sequence[Span]:
        """What is left, in the order of the document."""
        return self._spans

    @property
    def ratio(self) -> float:
        """The part of the inserted characters that is left, 0 to 1."""
        left = sum(end - start for start, end in self._spans)
        return left / self.num_inserted if self.num_inserted else 0.0

    def add(self, start: int, end: int) -> None:
        """Count ``[start, end)`` in, which has been inserted too."""
        if end > start:
            self._spans = _joined(sorted([*self._spans, (start, end)]))
            self.num_inserted += end - start

    def apply(self, edit: TextEdit, removed: str) -> None:
        """Follow the document through ``edit``, which took ``removed`` out of it."""
        delta = len(edit.inserted) - (edit.end - edit.start)
        blocks: list[tuple[int, int, int]] | None = None
        moved: list[Span] = []
        for start, end in self._spans:
            if end <= edit.start:
                moved.append((start, end))
                continue
            if start >= edit.end:
                moved.append((start + delta, end + delta))
                continue
            if start < edit.start:
                moved.append((start, edit.start))
            if blocks is None:
                blocks = list(_common_blocks(removed, edit.inserted))
            for old, new, length in blocks:
                first = max(start, edit.start + old)
                last = min(end, edit.start + old + length)
                if first < last:
                    shift = new - old
                    moved.append((first + shift, last + shift))
            if end > edit.end:
                moved.append((edit.end + delta, end + delta))
        self._spans = _joined(moved)


def shortened(edit: TextEdit, removed: str) -> tuple[TextEdit, str]:
    """Return the same change without what ``edit`` takes out and puts back at either end."""
    inserted = edit.inserted
    before = num_common(removed, inserted)
    removed, inserted = removed[before:], inserted[before:]
    behind = num_common(removed[::-1], inserted[::-1])
    removed = removed[: len(removed) - behind]
    inserted = inserted[: len(inserted) - behind]
    start = edit.start + before
    return TextEdit(start, start + len(removed), inserted), removed


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Return ``spans``, which are in order, with those that touch made one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _common_blocks(old: str, new: str) -> Iterator[tuple[int, int, int]]:
    """Yield (start in ``old``, start in ``new``, length) of what both have, in order."""
    if not old or not new:
        return
    for pattern in (_TOKEN, _LINE):
        ours, theirs = pattern.findall(old), pattern.findall(new)
        if len(ours) * len(theirs) <= _MAX_NUM_CELLS:
            yield from _equal_parts(ours, theirs)
            return


def _equal_parts(ours: list[str], theirs: list[str]) -> Iterator[tuple[int, int, int]]:
    our_starts, their_starts = _starts(ours), _starts(theirs)
    for operation in LCSseq.opcodes(ours, theirs):
        if operation.tag == "equal":
            old = our_starts[operation.src_start]
            length = our_starts[operation.src_end] - old
            yield old, their_starts[operation.dest_start], length


def _starts(parts: list[str]) -> list[int]:
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + len(part))
    return starts
