"""Places where a typist may stop: documents as they are while a line is written, and its rest.

What is typed last has nothing behind it: the rest of the line is missing, and often the lines that
will follow it are as well. Some editors have closed a bracket already.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from completion.brackets import CLOSERS
from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind

PLACES_PER_LINE = 3
_MIN_NUM_LINES = 20
_MAX_LINE_CHARS = 120
_PAUSES = re.compile(r"(?<=[.(\[=,: ])(?=\S)|(?<=\b\w)(?=\w)|(?<=\b\w\w)(?=\w)")
_SHARE_WITH_LINES_BELOW = 0.5
_MAX_NUM_MISSING_LINES = 8
_SHARE_CLOSED = 0.5  # of places behind a bracket whose partner ends the line
_PARTNERS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class StopPlace:
    """One cursor: ``request`` asks there, and ``truth`` is what will stand up to the line's end."""

    request: CompletionRequest
    truth: str


def stop_places(files: Sequence[Path], count: int, seed: int) -> list[list[StopPlace]]:
    """Return up to ``count`` places in ``files``, grouped by line; the same for the same seed."""
    groups: list[list[StopPlace]] = []
    for number, path in enumerate(files):
        if sum(map(len, groups)) >= count:
            break
        group = _places_in(path, random.Random(f"{seed} {number}"), f"{seed}-{number}")
        if group:
            groups.append(group)
    return groups


def _places_in(path: Path, chance: random.Random, name: str) -> list[StopPlace]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []
    usable = [at for at in range(1, len(lines) - 1) if _is_usable(lines[at])]
    if len(lines) < _MIN_NUM_LINES or not usable:
        return []
    at = chance.choice(usable)
    missing = 0
    if chance.random() >= _SHARE_WITH_LINES_BELOW:
        missing = chance.randint(1, _MAX_NUM_MISSING_LINES)
    above, below = lines[:at], lines[at + 1 + missing :]
    return [
        _place(path, above, lines[at], column, below, chance, f"{name}-{column}")
        for column in _columns(lines[at], chance)
    ]


def _is_usable(line: str) -> bool:
    return len(line.strip()) >= 4 and len(line) <= _MAX_LINE_CHARS and "\r" not in line


def _columns(line: str, chance: random.Random) -> list[int]:
    """Return where the typist rests: before the line, and where words and arguments begin."""
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    pauses = [match.start() for match in _PAUSES.finditer(line, start + 1, end - 1)]
    return [start, *sorted(chance.sample(pauses, min(len(pauses), PLACES_PER_LINE - 1)))]


def _place(
    path: Path,
    above: Sequence[str],
    line: str,
    column: int,
    below: Sequence[str],
    chance: random.Random,
    name: str,
) -> StopPlace:
    left, truth = line[:column], line[column:].rstrip()
    right = ""
    partner = _PARTNERS.get(left[-1:], "")
    is_closed = partner and truth[-1] == partner and sum(map(truth.count, CLOSERS)) == 1
    if is_closed and chance.random() < _SHARE_CLOSED:
        truth, right = truth[:-1], partner
    before = "\n".join([*above, left])
    text = "\n".join([before + right, *below])
    document = DocumentSnapshot(f"file:///{name}.py", 1, "python", text, path=path.name)
    return StopPlace(CompletionRequest(name, document, len(before), TriggerKind.AUTOMATIC), truth)
