"""What context from the repository does to completions: quality with it and without, and its cost.

    python -m benchmarks.retrieval_completions --cache FOLDER --work FOLDER --kinds symbol --unseen --count 1300
    python -m benchmarks.retrieval_completions --cache FOLDER --work FOLDER --kinds in_file --count 50
    python -m benchmarks.retrieval_completions --work FOLDER --unseen --report

The tasks are those of ``benchmarks.retrieval_tasks`` in the middle of a line: some use a name of
another file, some need none. A line is kept for every finished task and variant, so that a run can
be interrupted and resumed; whoever changes retrieval deletes the files of all variants but
``alone``. ``--report`` makes the result of what is there, of tasks that all variants have finished.
``--rules`` adds variants to try settings on the same tasks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.kv_policies import use_threads
from benchmarks.results import write_result
from benchmarks.retrieval_completions_asking import MAX_NUM_NEW_TOKENS, CompletionBench
from benchmarks.retrieval_completions_report import figures_of, table_of
from benchmarks.retrieval_completions_rows import Measured, append_row, read_rows, rows_path
from benchmarks.retrieval_completions_variants import (
    ALONE,
    CONTEXT,
    VARIANTS,
    Variant,
    variant_of,
)
from benchmarks.retrieval_tasks import RetrievalTask, TaskKind, retrieval_tasks
from models.loader import load_model
from models.quantize import Precision
from models.registry import DEFAULT_MODEL

NOTES = (
    "Requests are those of an editor whose user asked; what is compared is the first line, with the "
    "rest of the line that stood there. similarity is 0 to 100, as RepoBench counts it.",
    "symbol: the first use of another file's name in a file (XF-F of RepoBench) where only unseen "
    "symbols were chosen: the line holds a name that stands in other files and not in its own.",
    "Every request computes its whole prompt anew, so total_ms is that of a cold document; in an "
    "editor most of the prompt is cached. Other work may have shared the machine.",
    "tenth_N: the tasks in ten parts by the score of the most similar chunk, as a share of the "
    "query's score for itself; the least similar are in part 0.",
)

Measure = Callable[[RetrievalTask, Variant], Measured]


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    num_threads = use_threads(arguments.threads)
    if arguments.report:
        report(arguments, num_threads)
        return
    tasks = [
        task
        for task in retrieval_tasks(arguments.cache, arguments.seed, arguments.count)
        if _is_chosen(arguments, task.kind, bool(task.unseen))
    ]
    missing = missing_of(tasks, arguments.chosen, arguments.work, arguments.prompt_tokens)
    if not missing:
        return
    model = load_model(DEFAULT_MODEL, precision=Precision.INT8)
    bench = CompletionBench(model, arguments.chosen, arguments.prompt_tokens)
    try:
        bench.measure(*missing[0])  # only warms up
        run(missing, bench.measure, arguments.work)
    finally:
        bench.close()


def missing_of(
    tasks: Sequence[RetrievalTask],
    variants: Sequence[Variant],
    work: Path,
    max_num_prompt_tokens: int,
) -> list[tuple[RetrievalTask, Variant]]:
    """Return what the work folder has no line of, task by task.

    Another variant comes first each time, since the first has to read what the others find read.
    """
    done = {
        (row.task_id, row.variant)
        for variant in variants
        for row in read_rows(rows_path(work, variant.name, max_num_prompt_tokens))
    }
    found: list[tuple[RetrievalTask, Variant]] = []
    for number, task in enumerate(tasks):
        first = number % len(variants)
        for variant in [*variants[first:], *variants[:first]]:
            if (task.task_id, variant.name) not in done:
                found.append((task, variant))
    return found


def run(missing: Sequence[tuple[RetrievalTask, Variant]], measure: Measure, work: Path) -> None:
    """Measure each, and keep it at once."""
    for number, (task, variant) in enumerate(missing, start=1):
        row = measure(task, variant)
        append_row(rows_path(work, variant.name, row.max_num_prompt_tokens), row)
        print(f"{number} of {len(missing)}: {variant.name} {row.edit_similarity:.0f}", flush=True)


def report(arguments: argparse.Namespace, num_threads: int) -> None:
    """Print the tables, and write the result unless it is a dry run."""
    rows = [
        row
        for variant in arguments.chosen
        for row in read_rows(rows_path(arguments.work, variant.name, arguments.prompt_tokens))
        if _is_chosen(arguments, row.kind, row.num_unseen > 0)
    ]
    for line in table_of(rows):
        print(line)
    if arguments.dry_run:
        return
    write_result(
        "retrieval_completions",
        figures_of(rows),
        num_threads=num_threads,
        settings={
            "model": DEFAULT_MODEL,
            "precision": Precision.INT8,
            "seed": arguments.seed,
            "max_num_prompt_tokens": arguments.prompt_tokens,
            "max_num_new_tokens": MAX_NUM_NEW_TOKENS,
            "variants": {variant.name: variant.what for variant in arguments.chosen},
            "only_unseen_symbols": arguments.unseen,
            "packages": sorted({row.package for row in rows}),
        },
        notes=NOTES,
    )


def _is_chosen(arguments: argparse.Namespace, kind: str, has_unseen: bool) -> bool:
    if kind == TaskKind.SYMBOL and arguments.unseen and not has_unseen:
        return False
    return kind in arguments.kinds


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="folder for archives of releases")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished tasks")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=[ALONE, CONTEXT])
    parser.add_argument(
        "--unseen",
        action="store_true",
        help="of the places before a name, only those whose line holds one that its file lacks",
    )
    parser.add_argument(
        "--rules",
        nargs="+",
        default=[],
        metavar="NAME=NUMBER[,...]",
        help="further variants: AssemblyRules or context_share, changed",
    )
    parser.add_argument("--prompt-tokens", type=int, default=2048)
    parser.add_argument(
        "--kinds", nargs="+", choices=list(TaskKind), default=[TaskKind.SYMBOL, TaskKind.IN_FILE]
    )
    parser.add_argument("--count", type=int, default=240, help="tasks of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only make the result")
    parser.add_argument("--dry-run", action="store_true", help="report, write no result")
    arguments = parser.parse_args()
    if arguments.cache is None and not arguments.report:
        parser.error("--cache FOLDER is needed to run; it is filled if it is empty")
    try:
        others = [variant_of(each) for each in arguments.rules]
    except ValueError as error:
        parser.error(str(error))
    arguments.chosen = [*(VARIANTS[name] for name in arguments.variants), *others]
    return arguments


if __name__ == "__main__":
    main()
