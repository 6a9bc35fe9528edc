"""What a run keeps of each task and way of asking, as lines of a file that a later run goes on with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.speculation_tasks import SpeculationTask, Workload
from completion.training.corpus import held_out_files


@dataclass(frozen=True, slots=True)
class Asked:
    """One task under one way of asking.

    ``num_found`` texts came out, ``num_distinct`` of them differ by more than blanks. ``right_at`` is
    the index of the first one that equals what the file says, None if none does.
    """

    task_id: str
    way: str
    num_found: int
    num_distinct: int
    right_at: int | None
    num_passes: int
    passes_ms: float


@dataclass(frozen=True, slots=True)
class Asking(Asked):
    """A number of candidates of one task, with all drafts or without any."""

    workload: str
    num_tokens: int
    num_prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Superposing(Asked):
    """The lines of one task.

    ``num_alternatives`` of them are among those that decoding branch by branch finds, the first not
    counted ``num_later_alternatives``; ``num_parsing`` leave a document that parses. ``is_first_greedy`` says whether the first one is
    what greedy decoding writes.
    """

    num_alternatives: int
    num_later_alternatives: int
    num_parsing: int
    is_first_greedy: bool


Row = TypeVar("Row", bound=Asked)


def normalised(text: str) -> str:
    """Return ``text`` with each run of blanks as one space and none at its ends."""
    return " ".join(text.split())


def right_at(texts: Sequence[str], truth: str) -> int | None:
    """Return the index of the first text that equals ``truth`` but for blanks, None if none does."""
    wanted = normalised(truth)
    return next((at for at, text in enumerate(texts) if normalised(text) == wanted), None)


def truths(tasks: Sequence[SpeculationTask], seed: int) -> dict[str, str]:
    """Return, by task, what stands in its file where the question leaves it out.

    Raises:
        RuntimeError: A task is of none of the files.
    """
    found: dict[str, str] = {}
    for path in held_out_files(seed):
        name, text = f"{path.parent.name}/{path.name}", None
        for task in tasks:
            if task.path == name and task.task_id not in found:
                text = text or path.read_text(encoding="utf-8", errors="replace")
                missing = missing_text(task, text)
                if missing is not None:
                    found[task.task_id] = missing
    lost = [task.task_id for task in tasks if task.task_id not in found]
    if lost:
        raise RuntimeError(f"no held-out file of seed {seed} has the text of {lost}")
    return found


def missing_text(task: SpeculationTask, text: str) -> str | None:
    """Return what ``text`` has at the cursor of the task's first question, None for another file."""
    question = task.questions[0]
    before, after = question.text[: question.offset], question.text[question.offset :]
    if len(text) < len(question.text) or not text.startswith(before) or not text.endswith(after):
        return None
    return text[len(before) : len(text) - len(after)]


def compared_text(text: str, workload: str) -> str:
    """Return what of a suggestion is compared with the truth: of a line, no lines behind it."""
    return text.partition("\n")[0] if workload == Workload.LINES else text


def read_rows(kind: type[Row], path: Path) -> list[Row]:
    """Return the rows of a file, none if there is none; an unfinished last line is missing."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [kind(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]


def append_rows(path: Path, rows: Sequence[Asked]) -> None:
    """Add rows to a file; what a killed run left unfinished is dropped first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        text = file.read()
        file.truncate(len(text[: text.rfind("\n") + 1].encode()))
        file.write("".join(f"{json.dumps(asdict(row))}\n" for row in rows))


def by_task(rows: Sequence[Row], ways: Sequence[str]) -> list[Mapping[str, Row]]:
    """Return, for each task that every one of ``ways`` has finished, its newest rows by way."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row.task_id, {})[row.way] = row
    return [task for task in found.values() if task.keys() >= {*ways}]


def run_tasks(
    tasks: Sequence[SpeculationTask],
    measure: Callable[[SpeculationTask], Iterable[Asked]],
    path: Path,
    max_s: float,
) -> Iterator[list[Asked]]:
    """Measure tasks for up to ``max_s`` and yield the rows of each; ``path`` keeps them as they come."""
    give_up_at = time.monotonic() + max_s
    for task in tasks:
        if time.monotonic() > give_up_at:
            return
        rows = []
        for row in measure(task):
            append_rows(path, [row])
            rows.append(row)
        yield rows
