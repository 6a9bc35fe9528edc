"""How well retrieval finds what is about to be written, beside what others retrieve.

    python -m benchmarks.retrieval_quality --cache FOLDER --work FOLDER; then --work FOLDER --report

Every finished task is a line of its method's file in the work folder, so that a run can be
interrupted and resumed; whoever changes a method deletes its file. ``--report`` makes the result of
what is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.results import write_result
from benchmarks.retrieval_quality_baselines import Baselines, Retrieve
from benchmarks.retrieval_quality_dense import DENSE_METHODS, dense_methods
from benchmarks.retrieval_quality_fimble import FimbleRetrieval
from benchmarks.retrieval_quality_metrics import MAX_NUM_CHARS, NUM_SNIPPETS, Measured, measure
from benchmarks.retrieval_quality_report import figures_of, table_of
from benchmarks.retrieval_tasks import RetrievalTask, retrieval_tasks

NOTES = (
    "Repositories are the earlier of two releases; the file at the cursor of an edit is the later "
    "one without the hunk. Snippets of the file itself hold no unseen identifier.",
    "def_K: a line that defines what the wanted line uses is in the first K snippets; jaccard_60 "
    "returns four, as Copilot does. def_chars, novid_chars and all of lines: in 4,000 characters.",
    "novid: share of the identifiers of the truth that its file does not hold and another does; "
    "tasks without any are left out of it.",
    "Definitions are found by syntax trees in Python and by rules elsewhere; the baseline imports "
    "follows the same rules, so that outside of Python it cannot miss one. bm25_oracle knows the truth.",
)


def methods() -> dict[str, Retrieve]:
    """Return everything that is compared, by its name in the figures."""
    return {**Baselines().methods(), "fimble": FimbleRetrieval()}


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    if arguments.report:
        report(read_rows(arguments.work), arguments.seed)
        return
    known = {**methods(), **dense_methods()}
    chosen = {name: known[name] for name in arguments.methods or methods()}
    tasks = retrieval_tasks(arguments.cache, arguments.seed, arguments.count)
    run(tasks, chosen, arguments.work)


def run(tasks: Sequence[RetrievalTask], chosen: dict[str, Retrieve], work: Path) -> None:
    """Measure each method on each task of which the work folder has no line yet."""
    done = {(row.task_id, row.method) for row in read_rows(work)}
    work.mkdir(parents=True, exist_ok=True)
    for number, task in enumerate(tasks):
        for name, retrieve in chosen.items():
            if (task.task_id, name) not in done:
                row = measure(task, name, retrieve(task, NUM_SNIPPETS))
                with (work / f"retrieval_quality-{name}.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
        print(f"{number + 1} of {len(tasks)}", flush=True)


def read_rows(work: Path) -> list[Measured]:
    """Return every finished measurement in the work folder."""
    return [
        Measured(**json.loads(line))
        for path in sorted(work.glob("retrieval_quality-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def report(rows: Sequence[Measured], seed: int) -> Path:
    """Print the table and write the result; return where it is."""
    for line in table_of(rows):
        print(line)
    tasks = {row.task_id for row in rows}
    return write_result(
        "retrieval_quality",
        figures_of(rows),
        num_threads=1,
        settings={
            "seed": seed,
            "num_tasks": len(tasks),
            "max_num_chars": MAX_NUM_CHARS,
            "packages": sorted({row.package for row in rows}),
        },
        notes=NOTES,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="folder for archives of releases")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished tasks")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=[*methods(), *DENSE_METHODS],
        help=f"by default all but {', '.join(DENSE_METHODS)}, which load the model",
    )
    parser.add_argument("--count", type=int, default=600, help="tasks of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only make the result")
    arguments = parser.parse_args()
    if arguments.cache is None and not arguments.report:
        parser.error("--cache FOLDER is needed to run; it is filled if it is empty")
    return arguments


if __name__ == "__main__":
    main()
