"""What people did in their editors, event by event.

Data: ``keystroke_traces/rustcode.json.gz`` of josephg/editing-traces, CC BY 4.0, and
``vscode_recordings/*.json`` of microsoft/vscode-copilot-chat, MIT. The files are given by the
caller, not kept in this repository.
"""

from __future__ import annotations

import datetime
import gzip
import itertools
import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from completion.types import TextEdit, apply_edits
from retrieval.languages import language_for

Json = Any  # whatever the file holds


class Origin(StrEnum):
    """How an edit is known."""

    KEYSTROKES = "keystrokes"  # every key of a person, to the second
    RECORDING = "recording"  # an editor's own log, to the millisecond
    RELEASE = "release"  # two releases of a package; when and in which order is modelled
    SYNTHETIC = "synthetic"  # a made-up edit of real code


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One thing a person did, ``time_ms`` after the trace began.

    ``cursor`` is where it left the cursor, in the text after ``edits``. A mere move has no edits.
    """

    time_ms: float
    edits: tuple[TextEdit, ...]
    cursor: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The history of one document; ``events`` applied in order to ``start_text`` are its end."""

    name: str
    path: str
    language_id: str
    origin: Origin
    start_text: str
    start_cursor: int
    events: tuple[TraceEvent, ...]

    def texts(self) -> Iterator[str]:
        """Yield the text before the first event and after each one."""
        text = self.start_text
        yield text
        for event in self.events:
            text = apply_edits(text, event.edits)
            yield text

    def cursors(self) -> Iterator[int]:
        """Yield the cursor before the first event and after each one."""
        yield self.start_cursor
        yield from (event.cursor for event in self.events)


def language_id_of(path: str) -> str:
    """Return the name that editors use for the language of ``path``."""
    language = language_for("", path)
    return language.language_ids[0] if language else "plaintext"


def minimal_edit(before: str, after: str, offset: int = 0) -> TextEdit:
    """Return the shortest single edit from ``before`` to ``after``, which begin at ``offset``."""
    longest = min(len(before), len(after))
    num_head = _num_equal(longest, lambda n: before[:n] == after[:n])
    rest = longest - num_head
    num_tail = _num_equal(rest, lambda n: before[len(before) - n :] == after[len(after) - n :])
    inserted = after[num_head : len(after) - num_tail]
    return TextEdit(offset + num_head, offset + len(before) - num_tail, inserted)


def _num_equal(longest: int, is_equal: Callable[[int], bool]) -> int:
    return bisect_left(range(1, longest + 1), True, key=lambda n: not is_equal(n))


def shifted(offset: int, edit: TextEdit) -> int:
    """Return where the text at ``offset`` is after ``edit``; its start if ``edit`` deleted it."""
    if edit.end <= offset:
        return offset + len(edit.inserted) - (edit.end - edit.start)
    return min(offset, edit.start)


def rust_trace(folder: Path) -> Trace:
    """Return the history of a Rust file over eighteen days.

    The first transaction of the file is the text as the person found it. Only seconds were
    recorded: the events of one second are spread evenly over it. No move of the cursor was
    recorded, so an event may start anywhere.
    """
    raw = (folder / "keystroke_traces" / "rustcode.json.gz").read_bytes()
    transactions: list[Json] = json.loads(gzip.decompress(raw))["txns"]
    start_text = transactions[0]["patches"][0][2]
    edits = [
        tuple(TextEdit(at, at + num_deleted, text) for at, num_deleted, text in found["patches"])
        for found in transactions[1:]
    ]
    times_ms = _spread_within_seconds([found["time"] for found in transactions[1:]])
    events = tuple(
        TraceEvent(time_ms, some, _cursor_after(some))
        for time_ms, some in zip(times_ms, edits, strict=True)
    )
    return Trace(
        name="rustcode",
        path="rustcode.rs",
        language_id="rust",
        origin=Origin.KEYSTROKES,
        start_text=start_text,
        start_cursor=edits[0][0].start,
        events=events,
    )


def _spread_within_seconds(times: Sequence[str]) -> list[float]:
    seconds = [datetime.datetime.fromisoformat(time).timestamp() for time in times]
    spread: list[float] = []
    for second, group in itertools.groupby(seconds):
        num_events = len(list(group))
        spread += [
            1000 * (second - seconds[0] + event_idx / num_events) for event_idx in range(num_events)
        ]
    return spread


def _cursor_after(edits: Sequence[TextEdit]) -> int:
    # What follows the first insertion is tidying, such as the blanks of the line that was left.
    main_idx = next((idx for idx, edit in enumerate(edits) if edit.inserted), 0)
    cursor = edits[main_idx].start + len(edits[main_idx].inserted)
    for edit in edits[main_idx + 1 :]:
        cursor = shifted(cursor, edit)
    return cursor


def vscode_traces(folder: Path) -> list[Trace]:
    """Return the history of each document of the VS Code recordings that was edited."""
    paths = sorted((folder / "vscode_recordings").glob("*.json"))
    return [trace for path in paths for trace in _traces_of_recording(path)]


def _traces_of_recording(path: Path) -> Iterator[Trace]:
    log: list[Json] = json.loads(path.read_text(encoding="utf-8"))["log"]
    documents: dict[int, _Document] = {}
    stored: dict[str, str] = {}
    start_ms = min(entry["time"] for entry in log if "time" in entry)
    for entry in log:
        match entry["kind"]:
            case "documentEncountered":
                documents[entry["id"]] = _Document(entry["relativePath"].replace("\\", "/"))
            case "setContent":
                documents[entry["id"]].replace(entry["content"], entry["time"] - start_ms)
            case "storeContent":
                stored[entry["contentId"]] = documents[entry["id"]].text
            case "restoreContent":
                content = stored[entry["contentId"]]
                documents[entry["id"]].replace(content, entry["time"] - start_ms)
            case "changed" if entry["edit"]:
                documents[entry["id"]].change(entry["edit"], entry["time"] - start_ms)
            case "selectionChanged" if entry["selection"]:
                cursor = entry["selection"][0][1]
                documents[entry["id"]].move(cursor, entry["time"] - start_ms)
    name = path.name.split(".")[0]
    yield from (found for document in documents.values() if (found := document.trace(name)))


class _Document:
    """One document while a recording is read; what comes in counts UTF-16 code units."""

    def __init__(self, path: str) -> None:
        self.text = ""
        self._path = path
        self._start_text: str | None = None
        self._cursor = 0
        self._time_ms = 0.0
        self._events: list[TraceEvent] = []

    def replace(self, content: str, time_ms: float) -> None:
        """Take a text that came from outside: it is opened, or was changed on disk."""
        if self._start_text is None:
            self.text = self._start_text = content
        elif content != self.text:
            edit = minimal_edit(self.text, content)
            self._add(time_ms, (edit,), edit.start + len(edit.inserted))

    def change(self, replacements: Sequence[tuple[int, int, str]], time_ms: float) -> None:
        """Take changes that all count in the text before the first of them."""
        # From the end of the text to its start, no change moves the offsets of the next.
        edits = tuple(
            TextEdit(_code_points(self.text, start), _code_points(self.text, end), inserted)
            for start, end, inserted in sorted(replacements, reverse=True)
        )
        self._add(time_ms, edits, edits[-1].start + len(edits[-1].inserted))

    def move(self, utf16_cursor: int, time_ms: float) -> None:
        """Take a new place of the cursor, which may be the one it has."""
        cursor = _code_points(self.text, utf16_cursor)
        if cursor != self._cursor:
            self._add(time_ms, (), cursor)

    def trace(self, recording: str) -> Trace | None:
        """Return the history, ``None`` if the document was only looked at."""
        if self._start_text is None or not any(event.edits for event in self._events):
            return None
        return Trace(
            name=f"{recording}/{self._path}",
            path=self._path,
            language_id=language_id_of(self._path),
            origin=Origin.RECORDING,
            start_text=self._start_text,
            start_cursor=0,
            events=tuple(self._events),
        )

    def _add(self, time_ms: float, edits: tuple[TextEdit, ...], cursor: int) -> None:
        self._time_ms = max(self._time_ms, time_ms)  # a few entries were written late
        self.text = apply_edits(self.text, edits)
        self._cursor = cursor
        self._events.append(TraceEvent(self._time_ms, edits, cursor))


def _code_points(text: str, num_utf16: int) -> int:
    if text.isascii():
        return num_utf16
    encoded = text.encode("utf-16-le")[: 2 * num_utf16]
    return len(encoded.decode("utf-16-le"))
