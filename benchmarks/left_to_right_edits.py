"""Edits of whole lines, and made-up ones that lead to a given text."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

NUM_LINES = (1, 20)  # of one stretch
NUM_PLACES = (2, 5)
MIN_NUM_CHARS = 4  # of a stretch, not counting blanks
_MAX_NUM_TRIES = 100


class EditKind(StrEnum):
    """What is done to a context."""

    INSERTION = "insertion"  # a stretch of lines comes
    DELETION = "deletion"  # a stretch of lines goes
    MULTI_PLACE = "multi_place"  # either, at two to five places


@dataclass(frozen=True, slots=True)
class LineEdit:
    """The lines ``deleted``, which begin at ``start``, give way to ``inserted``.

    ``start`` counts in the text that the edits before left behind. Edits go down the text, so it
    counts in the final text just as well.
    """

    start: int
    deleted: tuple[str, ...]
    inserted: tuple[str, ...]

    @property
    def stop(self) -> int:
        """Behind the last inserted line, in the final text."""
        return self.start + len(self.inserted)


def applied(lines: Sequence[str], edits: Sequence[LineEdit]) -> tuple[str, ...]:
    """Return ``lines`` after ``edits``.

    Raises:
        ValueError: If an edit deletes other lines than those that are there.
    """
    found = list(lines)
    for edit in edits:
        stop = edit.start + len(edit.deleted)
        if tuple(found[edit.start : stop]) != edit.deleted:
            raise ValueError(f"the lines from {edit.start} on are not those that the edit deletes")
        found[edit.start : stop] = edit.inserted
    return tuple(found)


def undone(lines: Sequence[str], edits: Sequence[LineEdit]) -> tuple[str, ...]:
    """Return the lines that ``edits`` turn into ``lines``."""
    found = list(lines)
    for edit in reversed(edits):
        found[edit.start : edit.stop] = edit.deleted
    return tuple(found)


def edits_towards(
    lines: Sequence[str],
    kind: EditKind,
    elsewhere: Callable[[int], Sequence[str]],
    rng: random.Random,
) -> tuple[LineEdit, ...]:
    """Return edits that end in a text that begins with ``lines``, and touch nothing behind them.

    The first line stays: it names a file. Places lie anywhere else, with an unchanged line between
    any two. Empty if ``lines`` are too few for that.

    Args:
        lines: Where edits may be.
        kind: What they do.
        elsewhere: Returns about that many lines that were there and are deleted.
        rng: Decides on places and sizes.
    """
    num_places = rng.randint(*NUM_PLACES) if kind is EditKind.MULTI_PLACE else 1
    chosen: list[LineEdit] = []
    for _ in range(_MAX_NUM_TRIES):
        edit = _edit(lines, kind, elsewhere, rng)
        if edit and all(edit.stop < other.start or other.stop < edit.start for other in chosen):
            chosen.append(edit)
        if len(chosen) == num_places:
            return tuple(sorted(chosen, key=lambda edit: edit.start))
    return ()


def _edit(
    lines: Sequence[str],
    kind: EditKind,
    elsewhere: Callable[[int], Sequence[str]],
    rng: random.Random,
) -> LineEdit | None:
    """Return one edit, None if it would do next to nothing or does not fit."""
    num_lines = rng.randint(*NUM_LINES)
    is_insertion = kind is EditKind.INSERTION
    if kind is EditKind.MULTI_PLACE:
        is_insertion = rng.random() < 0.5
    num_staying = len(lines) - (num_lines if is_insertion else 0)
    if num_staying < 1:
        return None
    start = rng.randint(1, num_staying)
    stretch = tuple(lines[start : start + num_lines] if is_insertion else elsewhere(num_lines))
    if len("".join("".join(stretch).split())) < MIN_NUM_CHARS:
        return None
    return LineEdit(start, () if is_insertion else stretch, stretch if is_insertion else ())
