"""What several candidates cost beside one, whether they differ, and whether they help.

    python -m benchmarks.candidates --work FOLDER
    python -m benchmarks.candidates --work FOLDER --report

Lines and blocks that are missing from held-out files are asked for with 1, 3 and 5 candidates, with
all drafts and without any, in random order. Finished tasks are kept in the work folder, so that a run
can be interrupted and resumed; ``--report`` makes the result of what is there.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Collection, Iterator
from pathlib import Path

from benchmarks.candidates_asking import OpenPrompt, PromptBench, passes_ms, way_name
from benchmarks.candidates_report import NUM_CANDIDATES, WAYS, figures_of
from benchmarks.candidates_rows import (
    Asking,
    compared_text,
    normalised,
    read_rows,
    right_at,
    run_tasks,
    truths,
)
from benchmarks.kv_policies import use_threads
from benchmarks.results import write_result
from benchmarks.speculation_asking import BenchSettings
from benchmarks.speculation_report import table_of
from benchmarks.speculation_tasks import (
    MAX_NUM_TOKENS,
    WARM_UP,
    SpeculationTask,
    Workload,
    file_tasks,
    spread,
)
from completion.types import Suggestion
from models.loader import load_model
from models.registry import DEFAULT_MODEL
from models.threads import in_own_thread

WORKLOADS = (Workload.LINES, Workload.BLOCKS)
NOTES = (
    "cost is the time of the passes for so many candidates over that for one with the same drafts, "
    "all tasks together; cost_in_passes counts passes instead, and cost_over_plain_1 is over one "
    "candidate without drafts. The prompt is in the cache but for its last token.",
    "later_right: tasks in which a candidate behind the first equals what the file says and the "
    "first does not. Texts are compared without regard to blanks; of a line only the line.",
    "distinct counts candidates that differ by more than blanks; repeating counts answers in which "
    "two do not.",
    "Each way of asking drafts from what it has written itself.",
)


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    num_threads = use_threads(arguments.threads)
    path = Path(arguments.work) / f"candidates-{arguments.model}.jsonl"
    if arguments.report:
        report(arguments, num_threads, path)
    else:
        run(arguments, path)


def run(arguments: argparse.Namespace, path: Path) -> None:
    """Measure what is missing from ``path``, all ways of a task in turn."""
    groups = [file_tasks(Workload(kind), arguments.count, arguments.seed) for kind in WORKLOADS]
    tasks = [task for task in spread(groups) if task.workload in arguments.workloads]
    done = {(row.task_id, row.way) for row in read_rows(Asking, path)}
    missing = [task for task in tasks if any((task.task_id, way) not in done for way in WAYS)]
    if not missing:
        return
    model = in_own_thread(lambda: load_model(arguments.model))
    folder = Path(arguments.work) / "costs"
    bench = PromptBench(model, BenchSettings(arguments.prompt_tokens, MAX_NUM_TOKENS, folder), WAYS)
    known = truths(tasks, arguments.seed)
    list(measure_task(bench, WARM_UP, "", frozenset()))
    finished = run_tasks(
        missing,
        lambda task: measure_task(bench, task, known[task.task_id], done),
        path,
        arguments.seconds,
    )
    for number, rows in enumerate(finished, start=1):
        shown = (f"{row.way} {row.passes_ms:.0f} ms/{row.num_passes}" for row in rows)
        print(f"{number} of {len(missing)}: {rows[0].task_id}", *shown, flush=True)


def measure_task(
    bench: PromptBench, task: SpeculationTask, truth: str, done: Collection[tuple[str, str]]
) -> Iterator[Asking]:
    """Yield what each way of asking that is not ``done`` gets for ``task``, which lacks ``truth``."""
    ways = [(num, is_drafted) for num in NUM_CANDIDATES for is_drafted in (False, True)]
    with bench.opened(task) as opened:
        for num, is_drafted in random.Random(task.task_id).sample(ways, len(ways)):
            if (task.task_id, way_name(num, is_drafted=is_drafted)) not in done:
                yield _measured(bench, task, opened, truth, num, is_drafted=is_drafted)


def _measured(
    bench: PromptBench,
    task: SpeculationTask,
    opened: OpenPrompt,
    truth: str,
    num_candidates: int,
    *,
    is_drafted: bool,
) -> Asking:
    way = way_name(num_candidates, is_drafted=is_drafted)
    outcome, found = bench.complete(opened, way, num_candidates, is_drafted=is_drafted)
    candidates = outcome.candidates if isinstance(outcome, Suggestion) else ()
    texts = [candidate.text for candidate in candidates]
    return Asking(
        task_id=task.task_id,
        way=way,
        workload=task.workload,
        num_found=len(texts),
        num_distinct=len(set(map(normalised, texts))),
        right_at=right_at([compared_text(text, task.workload) for text in texts], truth),
        num_passes=found.speculation.num_forward_passes + 1,
        num_tokens=sum(candidate.num_tokens for candidate in found.candidates),
        num_prompt_tokens=found.prompt.num_tokens,
        passes_ms=passes_ms(found),
    )


def report(arguments: argparse.Namespace, num_threads: int, path: Path) -> None:
    """Print the figures of the rows in ``path``, and write the result."""
    figures = figures_of(read_rows(Asking, path))
    print(*table_of(figures), sep="\n")
    if not arguments.dry_run:
        write_result(
            "candidates",
            figures,
            num_threads=num_threads,
            settings={
                "model": arguments.model,
                "seed": arguments.seed,
                "max_num_tasks_of_each_workload": arguments.count,
                "max_num_prompt_tokens": arguments.prompt_tokens,
                "max_num_new_tokens": MAX_NUM_TOKENS,
                "num_candidates": NUM_CANDIDATES,
            },
            notes=NOTES,
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for finished tasks")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--count", type=int, default=24, help="tasks of each workload")
    parser.add_argument("--prompt-tokens", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=86_400.0, help="begin no task after these")
    parser.add_argument("--report", action="store_true", help="only make the result")
    parser.add_argument("--dry-run", action="store_true", help="report, write no result")
    return parser.parse_args()


if __name__ == "__main__":
    main()
