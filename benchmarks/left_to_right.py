"""The paper's own setting: contexts from left to right that are edited, and the line after them.

    python -m benchmarks.left_to_right --cache FOLDER --work FOLDER
    python -m benchmarks.left_to_right --work FOLDER --device cuda --random-weights SHAPE
    python -m benchmarks.left_to_right --work FOLDER --report

The paper is "Let the Code LLM Edit Itself When You Edit the Code" (PIE); the cases are those of
``benchmarks.left_to_right_cases``. A finished case is a line per policy in the work folder, so that a
run can be interrupted, resumed, and split over machines with ``--shard``. ``--report`` makes the
result of what is there, of all precisions, sizes and shapes on one kind of device.
"""

from __future__ import annotations

import argparse
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks.figures import Figure
from benchmarks.kv_policies import use_threads
from benchmarks.left_to_right_cases import (
    MAX_NUM_LINE_TOKENS,
    ContextSize,
    NextLineCase,
    next_line_cases,
)
from benchmarks.left_to_right_edits import EditKind
from benchmarks.left_to_right_imports import Repository
from benchmarks.left_to_right_policies import (
    FULL,
    EditBench,
    TokenCase,
    Updated,
    costs_of,
    measured,
)
from benchmarks.left_to_right_random import SHAPES, random_cases, random_decoder, spell
from benchmarks.left_to_right_report import answer_figures, cost_figures
from benchmarks.left_to_right_rows import Cost, Measured, append_rows, read_rows
from benchmarks.results import write_result
from benchmarks.traces.case import in_turn
from benchmarks.traces.packages import RELEASE_PAIRS, read_release
from kvedit.patch import PatchTarget
from models.decoder import Decoder
from models.loader import load_model
from models.registry import DEFAULT_MODEL
from models.tokenizer import Tokenizer

T = TypeVar("T")

NUM_ROWS = {"cpu": 256, "cuda": 1024}  # of a pass; more gain a CPU nothing and fill a GPU's memory
ANSWERS, COSTS = "answers", "costs"


def main() -> None:
    """Run what is missing, or report what is there."""
    arguments = _parse()
    num_threads = use_threads(arguments.threads)
    if arguments.report:
        report(arguments, num_threads)
    elif arguments.random_weights:
        run_random(arguments)
    else:
        run_real(arguments)


def run_real(arguments: argparse.Namespace) -> None:
    """Measure what is missing with a model's weights: costs and answers."""
    model = load_model(arguments.model, device=arguments.device, precision=arguments.precision)
    model.decoder.pack()
    is_default = arguments.model == DEFAULT_MODEL
    network = str(model.precision) if is_default else f"{model.name}-{model.precision}"
    path = _path(arguments, ANSWERS, network)
    done = {
        (row.num_context, row.case_id)
        for row in read_rows(Measured, _finished(arguments, ANSWERS, network))
    }
    tokenizer, repositories = model.tokenizer, load_repositories(arguments.cache)
    for num_context in arguments.contexts:
        cases = {
            case.case_id: case
            for case in _cases(arguments, repositories, tokenizer, num_context)
            if (num_context, case.case_id) not in done
        }
        texts = [token_case(tokenizer, case, num_context) for case in cases.values()]
        spelled = tokenizer.token_bytes
        for text, found in _answers(arguments, model.decoder, spelled, texts, MAX_NUM_LINE_TOKENS):
            costs = costs_of(network, _device_name(arguments.device), text, found)
            append_rows(path, list(measured(cases[text.case_id], costs, found, spelled)))


def run_random(arguments: argparse.Namespace) -> None:
    """Measure what is missing with random weights: costs only."""
    network = arguments.random_weights
    path = _path(arguments, COSTS, network)
    done = {
        (row.num_context, row.case_id)
        for row in read_rows(Cost, _finished(arguments, COSTS, network))
    }
    decoder = random_decoder(network)
    for num_context in arguments.contexts:
        of_kinds = [
            iter(random_cases(kind, arguments.seed, arguments.count, num_context))
            for kind in EditKind
        ]
        texts = [
            text
            for text in _shard_of(arguments, list(in_turn(of_kinds)))
            if (num_context, text.case_id) not in done
        ]
        for text, found in _answers(arguments, decoder, spell, texts, 0):
            costs = costs_of(network, _device_name(arguments.device), text, found)
            append_rows(path, list(costs.values()))


def report(arguments: argparse.Namespace, num_threads: int) -> None:
    """Print the figures of all finished cases, and write them unless it is a dry run."""
    answers = read_rows(Measured, _finished(arguments, ANSWERS))
    costs = read_rows(Cost, _finished(arguments, COSTS))
    figures = [*cost_figures([*answers, *costs]), *answer_figures(answers)]
    for figure in figures:
        _show(figure)
    if arguments.dry_run:
        return
    full = [row for row in [*answers, *costs] if row.policy == FULL]
    write_result(
        "left_to_right" if arguments.device == "cpu" else "left_to_right_on_cuda",
        figures,
        num_threads=num_threads,
        settings={
            "model": arguments.model,
            "devices": sorted({row.device for row in full}),
            "seed": arguments.seed,
            "num_cases": Counter(f"{row.network} {row.num_context}" for row in full),
            "settings": Counter(row.setting for row in answers if row.policy == FULL),
            "languages": Counter(row.language for row in answers if row.policy == FULL),
        },
        notes=[
            "time_saved is 1 - time / time of full recomputation, case by case, up to the logits "
            "of the first token; losses are those of exact matches and edit similarity with the "
            "true line against full recomputation, negative where the policy gains.",
            "conflict leaves kept keys unrotated, pie rotates them, fimble is the default policy "
            "before healing, exact_again is full recomputation in passes of another size.",
        ],
    )


def load_repositories(cache_folder: Path) -> list[Repository]:
    """Return the latest release of each package."""
    latest = {pair.package: pair for pair in RELEASE_PAIRS}
    releases = (read_release(pair, cache_folder) for pair in latest.values())
    return [Repository(release.name, release.sources) for release in releases]


def token_case(tokenizer: Tokenizer, case: NextLineCase, num_context: int) -> TokenCase:
    """Return the texts of ``case`` as prompts of a model."""
    head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    before, after = (
        PatchTarget([*head, *tokenizer.encode("".join(lines))], num_fixed=len(head))
        for lines in (case.before, case.after)
    )
    return TokenCase(case.case_id, case.kind, num_context, before, after)


def _cases(
    arguments: argparse.Namespace,
    repositories: Sequence[Repository],
    tokenizer: Tokenizer,
    num_context: int,
) -> list[NextLineCase]:
    """Return this shard's cases, the kinds of edits in turn, so that any part of a run is balanced."""

    @functools.lru_cache(maxsize=100_000)
    def num_tokens(line: str) -> int:
        return len(tokenizer.encode(line))

    size = ContextSize(num_context, num_tokens)
    of_kinds = [
        iter(next_line_cases(repositories, kind, arguments.seed, arguments.count, size))
        for kind in EditKind
    ]
    return _shard_of(arguments, list(in_turn(of_kinds)))


def _shard_of(arguments: argparse.Namespace, cases: Sequence[T]) -> list[T]:
    index, count = arguments.shard
    return list(cases[index::count])


def _answers(
    arguments: argparse.Namespace,
    decoder: Decoder,
    spelled: Callable[[int], bytes],
    texts: Sequence[TokenCase],
    max_num_line_tokens: int,
) -> Iterator[tuple[TokenCase, dict[str, Updated]]]:
    """Yield what the policies do with each of ``texts``; the first run only warms up."""
    if not texts:
        return
    bench = EditBench(
        decoder,
        spelled,
        num_slots=max(text.num_slots for text in texts),
        num_rows=NUM_ROWS[arguments.device],
        max_num_line_tokens=max_num_line_tokens,
    )
    bench.run(texts[0])
    for number, text in enumerate(texts, start=1):
        yield text, bench.run(text)
        print(f"{text.num_context}: {number} of {len(texts)}", flush=True)


def _path(arguments: argparse.Namespace, what: str, network: str) -> Path:
    index, count = arguments.shard
    name = f"left_to_right-{what}-{network}-{arguments.device}-{index}-of-{count}.jsonl"
    return Path(arguments.work / name)


def _finished(arguments: argparse.Namespace, what: str, network: str = "*") -> list[Path]:
    name = f"left_to_right-{what}-{network}-{arguments.device}-*.jsonl"
    return sorted(arguments.work.glob(name))


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def _show(figure: Figure) -> None:
    print(
        f"{figure.name:60} {figure.value:10.3f} {figure.unit}  "
        f"[{figure.low:.3f}, {figure.high:.3f}] n={figure.n}"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="folder for archives of releases")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished cases")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", choices=list(NUM_ROWS), default="cpu")
    parser.add_argument("--contexts", type=int, nargs="+", default=[2048])
    parser.add_argument("--count", type=int, default=90, help="cases of each kind of edit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="INDEX/COUNT")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--random-weights", choices=list(SHAPES), metavar="SHAPE")
    parser.add_argument("--report", action="store_true", help="only make the result")
    parser.add_argument("--dry-run", action="store_true", help="report, write no result")
    arguments = parser.parse_args()
    if arguments.random_weights and arguments.device != "cuda":
        parser.error("--random-weights needs --device cuda: a CPU has no memory for these shapes")
    if not (arguments.report or arguments.random_weights or arguments.cache):
        parser.error("--cache is needed: the cases are made of releases")
    return arguments


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    return int(index), int(count)


if __name__ == "__main__":
    main()
