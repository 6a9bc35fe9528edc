"""What the early exit is worth: as a drafter, how often it is right; unverified, what it costs.

    python -m benchmarks.early_exit --data FOLDER --work FOLDER
    python -m benchmarks.early_exit --data FOLDER --work FOLDER --report

Single lines of HumanEval-Infilling are completed with the whole network and with exits at several
probabilities, as an editor would show them and in random order. Finished holes are kept in the work
folder, and so are the states on which the head is judged: held-out files, against the tokens that
the whole network finds likeliest. ``--report`` makes the result of what is there.
"""

from __future__ import annotations

import argparse
import functools
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.figures import Figure, ratio_figure, share_figure
from benchmarks.humaneval_tasks import HoleLayout, Task, is_exact_match, load_tasks, sample_tasks
from benchmarks.kv_policies import use_threads
from benchmarks.results import JsonValue, write_result
from benchmarks.speculation_asking import (
    BenchSettings,
    all_variants,
    ask,
    checked,
    wait_idle,
)
from benchmarks.speculation_rows import append_lines, read_lines
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.scheduler import EngineThread
from completion.service import CompletionService
from completion.training.exit_quality import judge_exit
from completion.types import CompletionRequest, DocumentSnapshot, Suggestion, TriggerKind
from kvedit.policy import PatchMode
from models.exit_head import EXIT
from models.loader import LoadedModel, load_model
from models.progress import ignore_progress
from models.registry import DEFAULT_MODEL
from models.threads import in_own_thread
from models.trained import find_trained

NAME = "early_exit"
SINGLE_LINE = "HumanEval-SingleLineInfilling.jsonl.gz"
NUM_HOLES = 300
EXITS = (0.0, 0.99, 0.95, 0.9, 0.8)  # 0: none
NOTES = (
    "exact: the text equals what stood in the hole. same: it equals what the whole network writes. "
    "speed: the time of the passes with the whole network over that with exits; both verify drafts.",
    "told: the head is given the whole network's state of the token before, as it is where that is "
    "known.",
)


@dataclass(frozen=True, slots=True)
class Filled:
    """One hole, filled with exits at ``exit_at``; ``passes_ms`` is the time of its passes."""

    task_id: str
    exit_at: float
    text: str
    is_exact: bool
    passes_ms: float


class ExitBench:
    """A service for each exit, on one thread."""

    def __init__(self, model: LoadedModel, calibration_folder: Path) -> None:
        engine = EngineThread()
        self._services = {
            exit_at: CompletionService(
                model, _config(exit_at, calibration_folder), None, None, engine
            )
            for exit_at in EXITS
        }
        for service in self._services.values():
            wait_idle(service)

    def fill(self, task: Task) -> list[Filled]:
        """Return what each exit makes of ``task``."""
        order = random.Random(task.task_id).sample(EXITS, len(EXITS))
        return [self._fill(task, exit_at) for exit_at in order]

    def close(self) -> None:
        """End the engine."""
        for service in self._services.values():
            service.close()

    def _fill(self, task: Task, exit_at: float) -> Filled:
        hole = task.hole(HoleLayout.EDITOR)
        service = self._services[exit_at]
        document = DocumentSnapshot(
            f"file:///{task.task_id}", 1, "python", hole.prefix + hole.suffix, "hole.py"
        )
        request = CompletionRequest(
            f"{task.task_id}@{exit_at}",
            document,
            len(hole.prefix),
            TriggerKind.INVOKED,
            use_retrieval=False,
            patching=PatchMode.IDENTIFIERS,
        )
        outcome = checked(ask(service, request))
        text = outcome.text if isinstance(outcome, Suggestion) else ""
        service.forget(document.key)
        wait_idle(service)
        timings = outcome.trace.timings_ms
        exact = is_exact_match(text, hole)
        return Filled(task.task_id, exit_at, text, exact, timings.prefill + timings.decode)


def _config(exit_at: float, calibration_folder: Path) -> CompletionConfig:
    num_prompt, num_new = PromptConfig().max_num_tokens, EngineConfig().max_new_tokens
    (*_, merged) = all_variants(has_draft_model=False)
    config = BenchSettings(num_prompt, num_new, calibration_folder).config(merged)
    return replace(config, engine=replace(config.engine, early_exit=exit_at))


def figures(rows: Sequence[Filled]) -> list[Figure]:
    """Return the figures of each exit, of the holes that all of them have filled."""
    by_exit = {
        exit_at: {row.task_id: row for row in rows if row.exit_at == exit_at} for exit_at in EXITS
    }
    task_ids = sorted(set.intersection(*(set(found) for found in by_exit.values())))
    whole = [by_exit[0.0][task_id] for task_id in task_ids]
    found = [share_figure("exact_whole", sum(row.is_exact for row in whole), len(whole))]
    for exit_at in EXITS[1:]:
        exiting = [by_exit[exit_at][task_id] for task_id in task_ids]
        num_same = sum(one.text == other.text for one, other in zip(exiting, whole, strict=True))
        name = f"{exit_at:g}"
        found += [
            share_figure(f"exact_{name}", sum(row.is_exact for row in exiting), len(exiting)),
            share_figure(f"same_{name}", num_same, len(exiting)),
            ratio_figure(
                f"speed_{name}",
                [row.passes_ms for row in whole],
                [row.passes_ms for row in exiting],
            ),
        ]
    return found


def head_figures(model: LoadedModel, work: Path) -> list[Figure]:
    """Return how often the head that comes with fimble says what the whole network says."""
    path = find_trained(model.fingerprint, EXIT, None)
    if path is None:
        return []
    judged = functools.partial(judge_exit, model, path, work / "states", ignore_progress)
    quality = in_own_thread(judged)
    shares = asdict(quality)
    num_rows = shares.pop("num_rows")
    return [
        share_figure(f"head_{name}", round(share * num_rows), num_rows)
        for name, share in shares.items()
    ]


def main() -> None:
    """Fill what is missing, or report what is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="has humaneval_infilling")
    parser.add_argument("--work", type=Path, required=True, help="folder for finished holes")
    parser.add_argument("--count", type=int, default=NUM_HOLES)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only make the result")
    arguments = parser.parse_args()
    num_threads = use_threads(arguments.threads)
    path = arguments.work / f"{NAME}.jsonl"
    model = load_model(DEFAULT_MODEL)
    if not arguments.report:
        folder = arguments.data / "humaneval_infilling"
        fill(model, sample_tasks(load_tasks(folder / SINGLE_LINE), arguments.count), path)
        return
    rows = [Filled(**row) for row in read_lines(path)]
    found = [*figures(rows), *head_figures(model, arguments.work)]
    settings: dict[str, JsonValue] = {"model": DEFAULT_MODEL, "exits": list(EXITS)}
    write_result(NAME, found, num_threads=num_threads, settings=settings, notes=NOTES)


def fill(model: LoadedModel, tasks: Sequence[Task], path: Path) -> None:
    """Fill the holes of ``tasks`` that ``path`` lacks, and append them to it."""
    done = {row["task_id"] for row in read_lines(path)}
    bench = ExitBench(model, path.parent / "costs")
    try:
        for task in tasks:
            if task.task_id not in done:
                append_lines(path, [asdict(row) for row in bench.fill(task)])
    finally:
        bench.close()


if __name__ == "__main__":
    main()
