"""Whether drafts change what is written: token by token beside plain decoding, greedy.

Short prompts of held-out files, lines and blocks in turn. All sources merged are compared on every
prompt, each source alone on some, in rotation. A service first answers with drafts, then without,
from the same keys and values of the prompt; ``expected`` is asked the other way round, as it drafts
what was suggested before. Tokens are compared by their texts, of which no two that a model writes in
code are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.speculation_asking import (
    DRAFT_MODEL,
    BenchSettings,
    SpeculationBench,
    Variant,
    ask,
    checked,
    request_before,
    request_of,
)
from benchmarks.speculation_rows import MERGED, PLAIN, Compared, append, read_lines
from benchmarks.speculation_tasks import SpeculationTask, Workload, file_tasks, spread
from completion.speculation.costs import CostStore
from completion.types import CompletionRequest, Suggestion
from models.loader import LoadedModel
from models.quantize import Precision

# As if any number of rows took the time of one. In float32 a pass over two takes this CPU twice as
# long, so that no source alone would ever draft.
FLAT_COSTS = {512: {1: 1.0, 64: 1.0}}
EXPECTED = "expected"


def exactness_tasks(count: int, seed: int) -> list[SpeculationTask]:
    """Return ``count`` prompts, a line and a block in turn."""
    kinds = (Workload.LINES, Workload.BLOCKS)
    return spread([file_tasks(kind, -(-count // 2), seed) for kind in kinds])[:count]


def wanted_variants(number: int, variants: Sequence[Variant]) -> list[Variant]:
    """Return those that task ``number`` compares: all merged, and one alone in rotation."""
    alone = [variant for variant in variants if variant.name not in (PLAIN, MERGED)]
    merged = [variant for variant in variants if variant.name == MERGED]
    # Tasks are of two kinds in turn, so the same source is kept for two of them.
    return [*merged, *([alone[number // 2 % len(alone)]] if alone else [])]


class ExactnessBench(SpeculationBench):
    """A service for each variant but plain decoding, which every service does itself."""

    def __init__(
        self, model: LoadedModel, variants: Sequence[Variant], settings: BenchSettings
    ) -> None:
        if model.precision is Precision.FLOAT32:
            folder = settings.calibration_folder.with_name("flat_costs")
            settings = replace(settings, calibration_folder=folder)
            num_threads = torch.get_num_threads()
            store = CostStore(folder, model.fingerprint, str(model.device), num_threads)
            store.write(FLAT_COSTS)
        super().__init__(model, [each for each in variants if each.name != PLAIN], settings)
        self._precision = model.precision

    def compare(self, task: SpeculationTask, variant: Variant) -> Compared:
        """Return where ``variant`` leaves what plain decoding writes.

        Raises:
            RuntimeError: The engine failed.
        """
        service = self._services[variant.name]
        if DRAFT_MODEL in variant.sources and self._has_draft_model:
            checked(ask(service, request_before(task, variant)))
        request = _verbatim(task, variant)
        answers = {
            has_drafts: checked(ask(service, replace(request, use_speculation=has_drafts)))
            for has_drafts in ((False, True) if variant.name == EXPECTED else (True, False))
        }
        drafted, plain = answers[True], answers[False]
        service.forget(request.document.key)
        assert isinstance(drafted, Suggestion)  # whatever is asked verbatim is answered
        assert isinstance(plain, Suggestion)
        stats = drafted.trace.speculation
        found, wanted = tokens_of(drafted), tokens_of(plain)
        return Compared(
            task_id=task.task_id,
            kind=task.workload,
            precision=self._precision,
            variant=variant.name,
            num_tokens=len(wanted),
            num_drafted=stats.num_draft_tokens,
            num_accepted=stats.num_accepted_tokens,
            first_difference=first_difference(found, wanted),
        )


def _verbatim(task: SpeculationTask, variant: Variant) -> CompletionRequest:
    stop = ("\n",) if task.workload is Workload.LINES else ()
    request = request_of(task, task.questions[0], 1, variant)
    return replace(request, verbatim=True, stop=stop, num_top_logprobs=0, max_new_tokens=None)


def tokens_of(suggestion: Suggestion) -> list[str]:
    """Return the texts of the tokens that the model wrote."""
    return [token.text for token in suggestion.candidates[0].tokens]


def first_difference(found: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the index of the first token that is not the same, ``None`` if there is none."""
    if list(found) == list(wanted):
        return None
    pairs = enumerate(zip(found, wanted, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(found), len(wanted)))


def run_exactness(
    model: LoadedModel,
    tasks: Sequence[SpeculationTask],
    variants: Sequence[Variant],
    settings: BenchSettings,
    path: Path,
) -> None:
    """Compare what ``path`` has no row of."""
    done = {(row.task_id, row.variant) for row in read_exactness(path)}
    missing = [
        (task, variant)
        for task, variant in _wanted(tasks, variants)
        if (task.task_id, variant.name) not in done
    ]
    if not missing:
        return
    bench = ExactnessBench(model, variants, settings)
    try:
        for number, (task, variant) in enumerate(missing, start=1):
            row = bench.compare(task, variant)
            append(path, [row])
            print(f"{number} of {len(missing)}: {variant.name} {row}", flush=True)
    finally:
        bench.close()


def _wanted(
    tasks: Sequence[SpeculationTask], variants: Sequence[Variant]
) -> Iterator[tuple[SpeculationTask, Variant]]:
    for number, task in enumerate(tasks):
        yield from ((task, variant) for variant in wanted_variants(number, variants))


def read_exactness(path: Path) -> list[Compared]:
    """Return the rows of a file, none if there is no file."""
    return [Compared(**row) for row in read_lines(path)]
