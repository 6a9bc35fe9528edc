"""How much faster drafts make decoding, and whether they change what is written.

    python -m benchmarks.speculation --data FOLDER --cache FOLDER --work FOLDER
    python -m benchmarks.speculation --work FOLDER --exactness --precision float32
    python -m benchmarks.speculation --work FOLDER --transformers
    python -m benchmarks.speculation --work FOLDER --report

``--data`` has the recorded edits and ``humaneval_infilling``. Every finished task is kept in the
work folder, so that each of the three runs can be interrupted and resumed; ``--report`` makes the
results of what is there. Plain decoding, each source alone and all merged are asked the same
questions in random order. Time is that of the passes of a request: its prompt is in the cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.kv_policies import use_threads
from benchmarks.results import JsonValue, write_result
from benchmarks.speculation_asking import BenchSettings, SpeculationBench, all_variants
from benchmarks.speculation_exactness import exactness_tasks, read_exactness, run_exactness
from benchmarks.speculation_report import (
    exactness_figures,
    figures_of,
    rival_figures,
    table_of,
)
from benchmarks.speculation_rows import MERGED, PLAIN, Measured, append, by_task, read_lines
from benchmarks.speculation_tasks import (
    MAX_NUM_TOKENS,
    MIN_PAUSE_MS,
    WARM_UP,
    SpeculationTask,
    Workload,
    file_tasks,
    humaneval_tasks,
    spread,
    typing_tasks,
)
from benchmarks.speculation_transformers import RivalBench, read_rivals, run_transformers
from benchmarks.traces.sources import load_sources
from models.loader import load_model
from models.quantize import Precision
from models.registry import DEFAULT_MODEL

TYPED = (Workload.REPLAY, Workload.KEYS)
NUM_EXACT_PROMPT, NUM_EXACT_NEW = 300, 24  # tokens: hundreds of prompts in float32 take minutes
NUM_RIVAL_PROMPT = 512
NOTES = (
    "speed is the time per token of plain decoding over that of the variant, of all tasks together; "
    "task_speed is the median over tasks. Per token, as rounding of int8 makes some texts end "
    "elsewhere (same_text). Time is that of all passes of a request, the one over "
    "the prompt's last token among them; the rest of the prompt is in the cache.",
    "replay asks where a person pauses, keys after each key; what was suggested before drafts, and "
    "what is remembered is answered without a pass under every variant and is not timed. "
    "Suggestions are not accepted, caches are patched and not healed, nothing is prefetched.",
    "Each variant has its own service, which learns from its own passes alone; costs of passes were "
    "measured on the idle machine before.",
    "drafted_of_all: the share of tokens that were drafts and were accepted.",
)
EXACTNESS_NOTES = (
    "different: completions of which a token is not that of plain decoding, greedy, from the same "
    "keys and values of the prompt; drafted: how many tokens were drafted for them. In float32 "
    "passes over two and three rows take this CPU two and three times as long, so most sources alone "
    "would not draft; they draft as if a pass took the same time whatever its size. "
    "flips_of_tokens: first differences among all tokens that were chosen behind the same ones.",
)
RIVAL_NOTES = (
    "transformers with the dequantised weights; speed is over its own plain decoding, the time of "
    "the prompt and first token taken off.",
)


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    num_threads = use_threads(arguments.threads)
    if arguments.report:
        report(arguments, num_threads)
    elif arguments.exactness:
        model = load_model(arguments.model, precision=arguments.precision)
        tasks = exactness_tasks(arguments.count or 300, arguments.seed)
        settings = _settings(arguments, NUM_EXACT_PROMPT, NUM_EXACT_NEW)
        path = _exactness_path(arguments, arguments.precision)
        run_exactness(model, tasks, arguments.chosen, settings, path)
    elif arguments.transformers:
        tokenizer = load_model(arguments.model, precision=Precision.INT8).tokenizer
        names = (arguments.model, arguments.draft_model, arguments.dtype)
        bench = RivalBench(*names, tokenizer, NUM_RIVAL_PROMPT)
        tasks = file_tasks(Workload.BLOCKS, arguments.count or 12, arguments.seed)
        run_transformers(bench, tasks, _rivals_path(arguments))
    else:
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Measure every task of which the work folder lacks a variant, all variants of it in turn."""
    names = {variant.name for variant in arguments.chosen}
    done = by_task(read_measured(arguments))
    missing = [
        task for task in tasks_of(arguments) if not done.get(task.task_id, {}).keys() >= names
    ]
    if not missing:
        return
    model = load_model(arguments.model, precision=arguments.precision)
    settings = _settings(arguments, arguments.prompt_tokens, MAX_NUM_TOKENS)
    bench = SpeculationBench(model, arguments.chosen, settings)
    try:
        bench.measure(WARM_UP)
        for number, task in enumerate(missing, start=1):
            rows = bench.measure(task)
            append(_rows_path(arguments), rows)
            print(f"{number} of {len(missing)}: {task.task_id}", *_progress(rows), flush=True)
    finally:
        bench.close()


def _progress(rows: Sequence[Measured]) -> list[str]:
    return [f"{row.variant} {row.passes_ms:.0f} ms/{row.num_passes}" for row in rows]


def tasks_of(arguments: argparse.Namespace) -> list[SpeculationTask]:
    """Return the tasks of the wanted workloads, in turn."""
    groups: list[list[SpeculationTask]] = []
    wanted = [Workload(name) for name in arguments.workloads]
    sources = load_sources(arguments.data, arguments.cache) if {*wanted} & {*TYPED} else None
    for workload in wanted:
        count = arguments.count or (12 if workload in TYPED else 40)
        if workload in TYPED:
            assert sources is not None
            num_keys = arguments.keys
            groups.append(typing_tasks(sources, workload, count, num_keys, arguments.seed))
        elif workload is Workload.HUMANEVAL:
            groups.append(humaneval_tasks(arguments.data / "humaneval_infilling", count))
        else:
            groups.append(file_tasks(workload, count, arguments.seed))
    return spread(groups)


def read_measured(arguments: argparse.Namespace) -> list[Measured]:
    """Return the rows of the model."""
    return [Measured(**row) for row in read_lines(_rows_path(arguments))]


def report(arguments: argparse.Namespace, num_threads: int) -> None:
    """Print the figures of each kind there are rows of, and write its result."""
    names = [variant.name for variant in arguments.chosen]
    exact = [
        row
        for precision in Precision
        for row in read_exactness(_exactness_path(arguments, precision))
    ]
    rivals = read_rivals(_rivals_path(arguments))
    measured = read_measured(arguments)
    for suffix, figures, notes in (
        ("", figures_of(measured, names) if measured else [], NOTES),
        ("_exactness", exactness_figures(exact), EXACTNESS_NOTES),
        ("_transformers", rival_figures(rivals) if rivals else [], RIVAL_NOTES),
    ):
        if figures:
            _write(arguments, num_threads, arguments.name + suffix, figures, notes)


def _write(
    arguments: argparse.Namespace,
    num_threads: int,
    name: str,
    figures: Sequence[Figure],
    notes: Sequence[str],
) -> None:
    print(name, *table_of(figures), sep="\n")
    if arguments.dry_run:
        return
    settings: dict[str, JsonValue] = {
        "model": arguments.model,
        "draft_model": arguments.draft_model,
        "seed": arguments.seed,
        "max_num_prompt_tokens": arguments.prompt_tokens,
        "max_num_new_tokens": MAX_NUM_TOKENS,
        "exactness_tokens": [NUM_EXACT_PROMPT, NUM_EXACT_NEW],
        "transformers_prompt_tokens": NUM_RIVAL_PROMPT,
        "min_pause_ms": MIN_PAUSE_MS,
        "keys": arguments.keys,
        "variants": {each.name: sorted(each.sources) for each in arguments.chosen},
    }
    write_result(name, figures, num_threads=num_threads, settings=settings, notes=notes)


def _settings(arguments: argparse.Namespace, num_prompt: int, num_new: int) -> BenchSettings:
    name = arguments.draft_model
    precision = Precision.INT8 if arguments.exactness else arguments.precision  # it may be wrong
    draft = None if name is None else load_model(name, precision=precision)
    return BenchSettings(num_prompt, num_new, arguments.work / "costs", draft)


def _rows_path(arguments: argparse.Namespace) -> Path:
    return Path(arguments.work) / f"speculation-{arguments.model}.jsonl"


def _exactness_path(arguments: argparse.Namespace, precision: str) -> Path:
    return Path(arguments.work) / f"exactness-{arguments.model}-{precision}.jsonl"


def _rivals_path(arguments: argparse.Namespace) -> Path:
    return Path(arguments.work) / f"transformers-{arguments.model}.jsonl"


def _parse() -> argparse.Namespace:
    variants = {variant.name: variant for variant in all_variants(has_draft_model=True)}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, help="folder of recorded edits and humaneval_infilling"
    )
    parser.add_argument("--cache", type=Path, help="folder for archives of releases")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished tasks")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--draft-model", help="a smaller model that drafts")
    parser.add_argument("--precision", choices=list(Precision), default=Precision.INT8)
    parser.add_argument("--dtype", choices=["float32", "bf16"], default="bf16", help="of the rival")
    parser.add_argument("--workloads", nargs="+", choices=list(Workload), default=list(Workload))
    parser.add_argument("--variants", nargs="+", choices=list(variants))
    parser.add_argument("--count", type=int, help="tasks of each workload")
    parser.add_argument("--keys", type=int, default=40, help="of each stretch of typing")
    parser.add_argument("--prompt-tokens", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--name", default="speculation", help="of the result")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--exactness", action="store_true", help="compare tokens instead of times")
    kind.add_argument("--transformers", action="store_true", help="measure transformers instead")
    kind.add_argument("--report", action="store_true", help="only make the results")
    parser.add_argument("--dry-run", action="store_true", help="report, write no result")
    arguments = parser.parse_args()
    usual = all_variants(has_draft_model=arguments.draft_model is not None)
    arguments.variants = arguments.variants or [variant.name for variant in usual]
    needed = {PLAIN, MERGED} - {*arguments.variants}
    if needed:
        parser.error(f"--variants lacks {', '.join(sorted(needed))}")
    needs_folders = not (arguments.report or arguments.exactness or arguments.transformers)
    if needs_folders and None in (arguments.data, arguments.cache):
        parser.error("--data FOLDER and --cache FOLDER are needed to run")
    arguments.chosen = [variants[name] for name in arguments.variants]
    return arguments


if __name__ == "__main__":
    main()
