"""A person at the keyboard who turns one release of a file into the next.

What was changed is real; when and in which order is this model:

- Hunks are visited from the top down. Before each, with probability ``JUMP_SHARE``, the person
  goes to any hunk that is left. Every visit begins with a move of the cursor.
- The time between two keys is log-normal. Its parameters are fitted to the 1,536 successive
  single insertions of the recording EditSourceTracker (gaps of 20 to 2,000 ms: mean of the logs
  4.67, deviation 0.68). So are the pause before a move (median 3.1 s of 91) and the time between
  two deletions (108 gaps).
- More than ``MAX_NUM_TAPS`` characters are erased by holding the key: 500 ms until it repeats,
  then 30 a second, which is what desktops are set to.
- Whole lines are deleted one at a time, many lines at once, as a selection.
- An editor indents: a line break brings the blanks of its line with it. Blocks of more than
  ``MAX_NUM_TYPED_LINES`` lines are pasted with probability ``PASTE_SHARE``, long ones always.
"""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

from benchmarks.traces.hunks import FileDiff, Part, PartKind, diff_of, lines_of
from benchmarks.traces.packages import ChangedFile, ReleasePair, read_release
from benchmarks.traces.recordings import Origin, Trace, TraceEvent, minimal_edit
from completion.types import TextEdit

JUMP_SHARE = 0.15
PASTE_SHARE = 0.3
MAX_NUM_TYPED_LINES = 3
ALWAYS_PASTED_LINES = 40
MAX_NUM_TAPS = 5
MAX_NUM_ERASED = 30  # more is selected and deleted at once
MAX_NUM_DELETED_LINES = 5

# Means and deviations of the logs of milliseconds.
KEY_MS = (4.67, 0.68)
ERASE_MS = (5.26, 0.48)
MOVE_MS = (math.log(3_100), 1.3)
REPEAT_DELAY_MS = 500.0
REPEAT_MS = 1_000 / 30

_KEYSTROKE = re.compile(r"\n[ \t]*|.", re.DOTALL)


def release_traces(pair: ReleasePair, cache_folder: Path, seed: int) -> list[Trace]:
    """Return one trace for each file that changed between the two releases."""
    release = read_release(pair, cache_folder)
    return [typed_trace(file, seed) for file in release.changed]


def typed_trace(file: ChangedFile, seed: int) -> Trace:
    """Return the events of a person typing what changed; they end in exactly ``file.after``."""
    diff = diff_of(file.before, file.after)
    typist = _Typist(random.Random(f"{seed}/{file.name}"))
    shown = [part.old for part in diff.parts]
    for part_idx in _visits(diff, typist.rng):
        part = diff.parts[part_idx]
        _type_part(typist, part, diff.offsets(shown)[part_idx])
        shown[part_idx] = part.new
    return Trace(
        name=file.name,
        path=file.path,
        language_id=file.language_id,
        origin=Origin.RELEASE,
        start_text=file.before,
        start_cursor=0,
        events=tuple(typist.events),
    )


def _visits(diff: FileDiff, rng: random.Random) -> list[int]:
    left = list(range(diff.num_hunks))
    visits: list[int] = []
    while left:
        hunk_idx = left.pop(rng.randrange(len(left)) if rng.random() < JUMP_SHARE else 0)
        visits += diff.parts_of(hunk_idx)
    return visits


def _type_part(typist: _Typist, part: Part, offset: int) -> None:
    old_lines, new_lines = lines_of(part.old), lines_of(part.new)
    if part.kind is PartKind.INSERTION and offset > 0 and part.new.endswith("\n"):
        # One goes to the end of the line above and presses Enter.
        typist.insert(offset - 1, "\n" + part.new[:-1])
    elif part.kind is PartKind.REPLACEMENT and len(old_lines) == len(new_lines):
        for old, new in zip(old_lines, new_lines, strict=True):
            _retype(typist, old, new, offset)
            offset += len(new)
    else:
        _retype(typist, part.old, part.new, offset)


def _retype(typist: _Typist, old: str, new: str, offset: int) -> None:
    edit = minimal_edit(old, new, offset)
    typist.delete(edit.start, old[edit.start - offset : edit.end - offset])
    typist.insert(edit.start, edit.inserted)


class _Typist:
    """Keeps the clock and the cursor, and writes down what is done."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.events: list[TraceEvent] = []
        self._time_ms = 0.0
        self._cursor = 0

    def insert(self, offset: int, text: str) -> None:
        """Type or paste ``text``."""
        if not text:
            return
        self._go(offset)
        num_lines = text.count("\n")
        is_pasted = num_lines > MAX_NUM_TYPED_LINES and self.rng.random() < PASTE_SHARE
        if is_pasted or num_lines > ALWAYS_PASTED_LINES:
            self._edit(self._draw(KEY_MS), TextEdit(offset, offset, text))
            return
        for keystroke in _KEYSTROKE.findall(text):
            self._edit(self._draw(KEY_MS), TextEdit(self._cursor, self._cursor, keystroke))

    def delete(self, offset: int, text: str) -> None:
        """Delete ``text``, which begins at ``offset``."""
        lines = lines_of(text)
        if len(lines) > MAX_NUM_DELETED_LINES or (len(lines) == 1 and len(text) > MAX_NUM_ERASED):
            lines = [text]
        if len(lines) == 1 and "\n" not in text and len(text) <= MAX_NUM_ERASED:
            self._erase(offset, len(text))
            return
        for line in lines:
            self._go(offset)
            self._edit(self._draw(ERASE_MS), TextEdit(offset, offset + len(line), ""))

    def _erase(self, offset: int, num_chars: int) -> None:
        self._go(offset + num_chars)
        for num_erased in range(num_chars):
            is_held = num_chars > MAX_NUM_TAPS and num_erased > 0
            held_ms = REPEAT_DELAY_MS if num_erased == 1 else REPEAT_MS
            passed_ms = held_ms if is_held else self._draw(ERASE_MS)
            self._edit(passed_ms, TextEdit(self._cursor - 1, self._cursor, ""))

    def _go(self, offset: int) -> None:
        if offset != self._cursor:
            self._add(self._draw(MOVE_MS), (), offset)

    def _edit(self, passed_ms: float, edit: TextEdit) -> None:
        self._add(passed_ms, (edit,), edit.start + len(edit.inserted))

    def _add(self, passed_ms: float, edits: tuple[TextEdit, ...], cursor: int) -> None:
        self._time_ms += passed_ms
        self._cursor = cursor
        self.events.append(TraceEvent(self._time_ms, edits, cursor))

    def _draw(self, log_ms: tuple[float, float]) -> float:
        return self.rng.lognormvariate(*log_ms)
