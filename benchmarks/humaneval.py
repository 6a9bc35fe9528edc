"""Completion quality on HumanEval-Infilling, through the pipeline that editors use.

    python -m benchmarks.humaneval --data FOLDER --work FOLDER

Exact match: the inserted text equals what stood in the hole, blank text at its right end aside.
Pass@1: prompt + inserted text + suffix, followed by the task's checks, runs to its end in the
sandbox. One greedy suggestion per task; no suggestion is a failure of both. SingleLine ends at the
first line break, as every reader of its figures assumes; the other sets end where fimble ends.

Finished tasks are kept in the work folder, so that a run can be interrupted and resumed; they
are used again only by the same code, model and settings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.figures import Figure, share_figure, timing_figure
from benchmarks.humaneval_tasks import (
    Hole,
    HoleLayout,
    Task,
    is_exact_match,
    load_tasks,
    program_with,
    sample_tasks,
)
from benchmarks.results import code_fingerprints, write_result
from benchmarks.sandbox import Verdict, run_program
from completion.types import Suggestion
from lsp_server.api import Completer
from models.registry import DEFAULT_MODEL

MAX_NEW_TOKENS = 256


@dataclass(frozen=True, slots=True)
class TaskSet:
    """A file of the data set, how much of it is used, and how its holes are shown."""

    name: str
    file_name: str
    num_tasks: int | None
    layout: HoleLayout = HoleLayout.EDITOR
    stop: tuple[str, ...] = ()

    @property
    def shard_name(self) -> str:
        """What sets have in common that may share their finished tasks."""
        return f"{self.file_name.split('.')[0]}-{self.layout}"


@dataclass(frozen=True, slots=True)
class Row:
    """One finished task. ``text`` is what was inserted; ``reason`` says why it ended."""

    task_id: str
    text: str
    reason: str
    is_exact: bool
    is_passed: bool
    total_ms: float


SINGLE_LINE = "HumanEval-SingleLineInfilling.jsonl.gz"
TASK_SETS = (
    TaskSet("single_line_150", SINGLE_LINE, 150, stop=("\n",)),
    TaskSet("single_line_150_as_given", SINGLE_LINE, 150, HoleLayout.AS_GIVEN, ("\n",)),
    TaskSet("random_span_light_164", "HumanEval-RandomSpanInfillingLight.jsonl.gz", None),
    TaskSet("multi_line_200", "HumanEval-MultiLineInfilling.jsonl.gz", 200),
    TaskSet("single_line_1033", SINGLE_LINE, None, stop=("\n",)),
)


def solve(completer: Completer, task: Task, task_set: TaskSet) -> Row:
    """Complete one task and judge the result."""
    hole = task.hole(task_set.layout)
    started = time.perf_counter()
    outcome = completer.complete_text(
        hole.prefix,
        hole.suffix,
        language_id="python",
        max_new_tokens=MAX_NEW_TOKENS,
        stop=task_set.stop,
    )
    total_ms = (time.perf_counter() - started) * 1000
    if not isinstance(outcome, Suggestion):
        reason = getattr(outcome, "reason", "cancelled")
        return Row(task.task_id, "", str(reason), False, False, total_ms)
    text = inserted_text(outcome, hole)
    verdict = run_program(program_with(task, hole, text)).verdict
    is_exact = is_exact_match(text, hole)
    passed = verdict is Verdict.PASSED
    return Row(task.task_id, text, str(outcome.finish_reason), is_exact, passed, total_ms)


def inserted_text(suggestion: Suggestion, hole: Hole) -> str:
    """Return what stands between prefix and suffix once ``suggestion`` is accepted.

    A suggestion may replace brackets right of the cursor; the data set has no way to say that, so
    what it changed of the suffix is dropped.
    """
    offset = len(hole.prefix)
    before = hole.prefix[suggestion.replace_start :]
    after = hole.suffix[: suggestion.replace_end - offset]
    return suggestion.text.removeprefix(before).removesuffix(after)


class Shard:
    """Finished tasks of one set on disk, a JSON object a line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole_lines = text[: text.rfind("\n") + 1]
        if whole_lines != text:  # the run was killed while it wrote
            path.write_text(whole_lines, encoding="utf-8")
        rows = [Row(**json.loads(line)) for line in whole_lines.splitlines()]
        self.rows = {row.task_id: row for row in rows}

    def add(self, row: Row) -> None:
        """Keep ``row``, on disk before it counts."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        self.rows[row.task_id] = row


def run_set(
    completer: Completer, task_set: TaskSet, tasks: Sequence[Task], shard: Shard
) -> Iterator[Row]:
    """Yield the row of every task, computing those the shard lacks."""
    for number, task in enumerate(tasks, start=1):
        if task.task_id not in shard.rows:
            shard.add(solve(completer, task, task_set))
            if number % 25 == 0:
                print(f"{task_set.name}: {number} of {len(tasks)}", file=sys.stderr)
        yield shard.rows[task.task_id]


def figures_of(name: str, rows: Sequence[Row]) -> list[Figure]:
    """Return exact match, pass@1, the share without suggestion, and time per task."""
    n = len(rows)
    return [
        share_figure(f"{name}_exact_match", sum(row.is_exact for row in rows), n),
        share_figure(f"{name}_pass_at_1", sum(row.is_passed for row in rows), n),
        share_figure(f"{name}_no_suggestion", sum(not row.text for row in rows), n),
        timing_figure(f"{name}_task_ms", [row.total_ms for row in rows]),
    ]


def run_key(model: str) -> str:
    """Return 12 hex digits that change with the code and the model under test."""
    what = json.dumps([model, code_fingerprints("humaneval")], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:12]


def parse_options() -> argparse.Namespace:
    """Return the command line."""
    names = [task_set.name for task_set in TASK_SETS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.humaneval", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .jsonl.gz files")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished tasks")
    parser.add_argument("--model", help="the default model if left out")
    parser.add_argument("--sets", nargs="+", choices=names, default=names)
    parser.add_argument("--limit", type=int, help="only the first tasks of each set; no result")
    return parser.parse_args()


def main() -> None:
    """Run the sets and write ``humaneval.json``."""
    options = parse_options()
    figures: list[Figure] = []
    key = run_key(options.model or DEFAULT_MODEL)
    with Completer(options.model) as completer:
        completer.load()
        for task_set in TASK_SETS:
            if task_set.name not in options.sets:
                continue
            tasks = sample_tasks(load_tasks(options.data / task_set.file_name), task_set.num_tasks)
            shard = Shard(options.work / f"{task_set.shard_name}-{key}.jsonl")
            rows = list(run_set(completer, task_set, tasks[: options.limit], shard))
            figures += figures_of(task_set.name, rows)
            _show(figures[-4:], rows)
    if options.limit is not None:
        print("a part of the tasks: no result written", file=sys.stderr)
        return
    write_result(
        "humaneval",
        figures,
        num_threads=torch.get_num_threads(),
        settings={
            "model": options.model or DEFAULT_MODEL,
            "max_new_tokens": MAX_NEW_TOKENS,
            "seed": 0,
        },
        notes=[
            "Greedy, one suggestion a task.",
            "Holes of whole lines are shown as an empty line with the cursor on it, as an editor "
            "does; the sets called as_given keep the cut of the data set.",
            "Quality is what this measures: other work may have shared the machine, so task_ms is "
            "no figure of speed.",
        ],
    )


def _show(figures: Sequence[Figure], rows: Sequence[Row]) -> None:
    for figure in figures:
        print(
            f"{figure.name:40} {figure.value:9.1f} {figure.unit} [{figure.low:.1f}, {figure.high:.1f}] n={figure.n}"
        )
    reasons = statistics.multimode(row.reason for row in rows)
    print(f"most frequent end: {', '.join(reasons)}")


if __name__ == "__main__":
    main()
