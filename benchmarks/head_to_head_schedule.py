"""A stretch of typing as both sides replay it: what is done when, and what it led to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.traces.recordings import Origin, Trace, TraceEvent
from benchmarks.traces.stays import rest_as_left
from completion.types import TextEdit, apply_edits

MIN_PAUSE_MS, MAX_PAUSE_MS = 30.0, 2_000.0


class Language(StrEnum):
    """What is typed; dialects count as the language."""

    PYTHON = "python"
    TYPESCRIPT = "typescript"
    RUST = "rust"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a person does ``at_ms`` after the stretch began, and nothing for ``pause_ms`` then.

    ``text`` and ``cursor`` are as it leaves them. ``truth`` is what stood between the cursor and the
    end of the line when the person left the line; ``None`` if nobody can tell. A mere move has no
    edits.
    """

    at_ms: float
    pause_ms: float
    edits: tuple[TextEdit, ...]
    text: str
    cursor: int
    truth: str | None

    @property
    def is_key(self) -> bool:
        """Whether it changes the text, so that a suggestion is wanted."""
        return bool(self.edits)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps that follow upon ``start_text``; with ``has_jump`` some lie far from the one before."""

    stretch_id: str
    language: Language
    language_id: str
    path: str
    origin: Origin
    has_jump: bool
    start_text: str
    start_cursor: int
    steps: tuple[Step, ...]

    @property
    def num_keys(self) -> int:
        """How many steps change the text."""
        return sum(step.is_key for step in self.steps)


def steps_of(trace: Trace, first_idx: int, end_idx: int, text: str, cursor: int) -> Iterator[Step]:
    """Yield the steps that events ``[first_idx, end_idx)`` make of ``text``."""
    done = list(_with_moves(trace, first_idx, end_idx, cursor))
    # A release is finished where its history ends; a person's may have been cut there.
    end = [TraceEvent(math.inf, (), 0)] if trace.origin is Origin.RELEASE else []
    waits_ms = [wait_ms for wait_ms, _, _ in done]
    at_ms = 0.0
    for (_, event, num_left), pause_ms in zip(done, [*waits_ms[1:], MAX_PAUSE_MS], strict=True):
        text = apply_edits(text, event.edits)
        later = [*trace.events[len(trace.events) - num_left :], *end]
        truth = rest_as_left(text, event.cursor, later) if event.edits else None
        yield Step(at_ms, pause_ms, event.edits, text, event.cursor, truth)
        at_ms += pause_ms


def _with_moves(
    trace: Trace, first_idx: int, end_idx: int, cursor: int
) -> Iterator[tuple[float, TraceEvent, int]]:
    """Yield each event with the wait before it and the number of those after it.

    Where a history does not tell how the cursor came to an edit, it moves halfway through the wait.
    """
    time_ms = trace.events[first_idx].time_ms
    for event_idx, event in enumerate(trace.events[first_idx:end_idx], start=first_idx):
        num_left = len(trace.events) - event_idx - 1
        wait_ms = clipped_ms(event.time_ms - time_ms)
        place = place_of(event, cursor)
        if event.edits and place != cursor:
            wait_ms /= 2
            yield wait_ms, TraceEvent(event.time_ms, (), place), num_left + 1
        yield wait_ms, event, num_left
        cursor, time_ms = event.cursor, event.time_ms


def clipped_ms(pause_ms: float) -> float:
    """Return a pause as the replay makes it."""
    return min(max(pause_ms, MIN_PAUSE_MS), MAX_PAUSE_MS)


def place_of(event: TraceEvent, cursor: int) -> int:
    """Return where an event's work begins: ``cursor`` if one of its edits touches that."""
    if not event.edits:
        return event.cursor
    if any(edit.start <= cursor <= edit.end for edit in event.edits):
        return cursor
    return event.edits[0].end
