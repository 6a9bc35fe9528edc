"""What one key brought on one side, and what a whole stretch cost there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

import psutil

from benchmarks.head_to_head_schedule import Step
from benchmarks.traces.case import rest_of_line

PAUSED_MS = 250.0  # long enough to see a suggestion
LATE = "late"  # not there before the next key


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion ``ms`` after the key: ``inserted`` in place of ``[start, end)`` of the text."""

    ms: float
    start: int
    end: int
    inserted: str
    is_from_cache: bool


@dataclass(frozen=True, slots=True)
class Key:
    """One key, the pause behind it, and what was shown within that pause, if anything.

    ``line`` is the line of the cursor as the suggestion would leave it and ``truth`` as the person
    left it, ``None`` if nobody can tell. Of what the suggestion adds to the line, ``num_correct``
    code points are right before the first wrong one. A key is telling if the person went on to
    write something in the line. ``reason`` is why nothing was shown, as far as the side says so:
    fimble's own word, or ``LATE``.
    """

    pause_ms: float
    ms: float | None
    is_from_cache: bool
    line: str
    truth: str | None
    is_telling: bool
    num_correct: int
    reason: str = ""

    @property
    def is_paused(self) -> bool:
        """Whether the person waited long enough to see something."""
        return self.pause_ms >= PAUSED_MS

    @property
    def is_match(self) -> bool:
        """Whether the line shown is the one that the person wrote."""
        return self.ms is not None and self.truth == self.line


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared, and by what it is served: a version, or how it is started."""

    name: str
    served_by: str
    num_threads: int


@dataclass(frozen=True, slots=True)
class Replay:
    """One stretch on one side.

    ``num_asked_tokens`` are those of prompts computed for questions about the cursor that were
    answered; ``num_computed_tokens`` are all that were computed, ahead of questions and for those
    taken back too, ``None`` where the server does not tell.
    """

    stretch_id: str
    language: str
    has_jump: bool
    side: Side
    cpu_s: float
    num_asked_tokens: int
    num_computed_tokens: int | None
    keys: tuple[Key, ...]


def scored(step: Step, shown: Shown | None, reason: str = "") -> Key:
    """Return what ``step`` brought; what came after the next key, or is blank, was not shown.

    ``reason`` is why there was nothing to show, if that is known.
    """
    line_start = step.text.rfind("\n", 0, step.cursor) + 1
    typed, rest = step.text[line_start : step.cursor], rest_of_line(step.text, step.cursor)
    truth = None if step.truth is None else (typed + step.truth).rstrip()
    is_telling = step.truth is not None and bool(step.truth.strip()) and step.truth != rest
    if shown is None or shown.ms > step.pause_ms or not shown.inserted.strip():
        reason = LATE if shown is not None and shown.ms > step.pause_ms else reason
        return Key(step.pause_ms, None, False, "", truth, is_telling, 0, reason)
    text = step.text[: shown.start] + shown.inserted + step.text[shown.end :]
    line = rest_of_line(text, line_start).rstrip()
    pairs = zip(line, truth or "", strict=False)
    num_common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return Key(
        pause_ms=step.pause_ms,
        ms=shown.ms,
        is_from_cache=shown.is_from_cache,
        line=line,
        truth=truth,
        is_telling=is_telling,
        num_correct=max(0, num_common - len(typed)),
    )


def cpu_s(process_ids: Sequence[int]) -> float:
    """Return the seconds of CPU that processes and their children have used."""
    roots = [psutil.Process(process_id) for process_id in process_ids]
    processes = {found for root in roots for found in (root, *root.children(recursive=True))}
    times = [process.cpu_times() for process in processes]
    return float(sum(spent.user + spent.system for spent in times))


def read_replays(work: Path) -> list[Replay]:
    """Return every finished replay in the work folder."""
    return [
        _replay(line)
        for path in sorted(work.glob("head_to_head*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def append_replay(work: Path, replay: Replay) -> None:
    """Add a finished replay to the work folder."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "head_to_head.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(replay)) + "\n")


def _replay(line: str) -> Replay:
    fields = json.loads(line)
    keys = tuple(Key(**key) for key in fields.pop("keys"))
    return Replay(side=Side(**fields.pop("side")), keys=keys, **fields)
