"""Reading a history: which keys were typed, where the person stayed, what a line became."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.traces.case import rest_of_line
from benchmarks.traces.recordings import Trace, TraceEvent, minimal_edit, shifted
from completion.types import TextEdit, apply_edits

MIN_NUM_LINES_JUMPED = 5
MAX_NUM_EVENTS_IN_LINE = 400  # nobody stays longer; a recording that never leaves has no truth

_KEY = re.compile(r"[^\r\n]|\r?\n[ \t]*")


@dataclass(frozen=True, slots=True)
class Stay:
    """Events ``[first_idx, end_idx)``, whose edits lie within a few lines of each other.

    ``cursor`` is where the first edit set in, in ``before``; ``last_cursor`` is in ``after``.
    """

    first_idx: int
    end_idx: int
    before: str
    after: str
    cursor: int
    last_cursor: int


@dataclass(frozen=True, slots=True)
class Change:
    """``new`` stands in ``[start, end)`` of a text, where there was ``old``."""

    start: int
    end: int
    old: str
    new: str

    def moved(self, edits: Sequence[TextEdit]) -> Change:
        """Return where it stands after ``edits``."""
        start, end = self.start, self.end
        for edit in edits:
            start, end = shifted(start, edit), shifted(end, edit)
        return replace(self, start=start, end=end)


def typed_key(event: TraceEvent, cursor: int) -> str | None:
    """Return what a key typed at ``cursor``, ``None`` if the event was anything else.

    A line break brings the blanks with which an editor indents.
    """
    if len(event.edits) != 1:
        return None
    (edit,) = event.edits
    is_typed = edit.start == edit.end == cursor and event.cursor == cursor + len(edit.inserted)
    return edit.inserted if is_typed and _KEY.fullmatch(edit.inserted) else None


def rest_as_left(text: str, offset: int, events: Sequence[TraceEvent]) -> str | None:
    """Return what stood from ``offset`` to the end of its line when the person left the line.

    ``events`` follow ``text``. ``None`` if the line's beginning was changed before, so that
    ``offset`` became meaningless, or if the person never left.
    """
    line_start = text.rfind("\n", 0, offset) + 1
    for event in events[:MAX_NUM_EVENTS_IN_LINE]:
        line_end = offset + len(rest_of_line(text, offset))
        if any(edit.end < line_start or edit.start > line_end for edit in event.edits):
            return text[offset:line_end]
        if any(edit.start < offset for edit in event.edits):
            return None
        text = apply_edits(text, event.edits)
        rest = rest_of_line(text, offset)
        if not line_start <= event.cursor <= offset + len(rest):
            return rest
    return None


def stays(trace: Trace) -> Iterator[Stay]:
    """Yield the stretches of a history in which the person worked at one place."""
    first_idx, cursor, last_cursor, started = 0, None, 0, trace.start_text
    texts = trace.texts()
    text = next(texts)
    for event_idx, (event, text_after) in enumerate(zip(trace.events, texts, strict=True)):
        if event.edits:
            place = event.edits[0].end  # the cursor stands right of what it erases
            num_lines = text.count("\n", min(last_cursor, place), max(last_cursor, place))
            if cursor is not None and num_lines >= MIN_NUM_LINES_JUMPED:
                yield Stay(first_idx, event_idx, started, text, cursor, last_cursor)
                cursor = None
            if cursor is None:
                first_idx, cursor, started = event_idx, place, text
            last_cursor = event.cursor
        text = text_after
    if cursor is not None:
        yield Stay(first_idx, len(trace.events), started, text, cursor, last_cursor)


def changes_of(several: Sequence[Stay]) -> list[Change]:
    """Return what each of successive stays changed in all, where it is after the last of them."""
    changes: list[Change] = []
    for stay in several:
        edit = minimal_edit(stay.before, stay.after)
        changes = [change.moved([edit]) for change in changes]
        old = stay.before[edit.start : edit.end]
        changes.append(Change(edit.start, edit.start + len(edit.inserted), old, edit.inserted))
    return changes
