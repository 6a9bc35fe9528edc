"""Lines that are given up, seen from the service, on a tiny network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from completion.caches import build_caches
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.decoding import (
    BranchQueue,
    DecodingRun,
    GeneratedText,
    GenerationParams,
)
from completion.dynamic.controller import (
    LineJudge,
    StopController,
    read_controller,
    write_controller,
)
from completion.dynamic.features import NUM_FEATURES, LinePlace, TokenTrace, trace_token
from completion.generation import Generation, GenerationHooks
from completion.prompt import PromptBuilder
from completion.service import CompletionService
from completion.speculation.drafter import DraftMaterial
from completion.stopping import StopMonitor
from completion.strategy import choose_strategy
from completion.types import (
    CancellationToken,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    SelectedItem,
    Suggestion,
    TriggerKind,
)
from kvedit.policy import PatchPolicy
from models.loader import LoadedModel
from models.slots import SlotTable

TEXT = "def f(a, b):\n    total = \n    return total\n"
OFFSET = TEXT.index("= \n") + 2
ENGINE = EngineConfig(
    prefill_chunk=32,
    prefetch_after_acceptance=False,
    max_new_tokens=24,
    max_num_retries=dict.fromkeys(TriggerKind, 0),
)


def complete(
    model: LoadedModel, folder: Path, *, threshold: float = 0.5, **options: object
) -> CompletionOutcome:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", TEXT)
    chosen = {"trigger": TriggerKind.AUTOMATIC, **options}
    request = CompletionRequest("id-1", document, OFFSET, **chosen)  # type: ignore[arg-type]
    config = CompletionConfig(
        prompt=PromptConfig(max_num_tokens=512),
        engine=replace(ENGINE, trained_folder=folder, min_confidence=threshold),
    )
    service = CompletionService(model, config)
    try:
        return service.complete(request, CancellationToken())
    finally:
        service.close()


@pytest.fixture
def pessimist(tiny_model: LoadedModel, tmp_path: Path) -> Path:
    """A folder with a controller that gives every line a probability of 0.1."""
    mean = np.zeros(NUM_FEATURES, dtype=np.float32)
    output = np.zeros(1 + NUM_FEATURES, dtype=np.float32)
    output[0] = -math.log(9)
    plain = np.array([math.log(0.3 / 0.7), 0, 0], dtype=np.float32)
    controller = StopController(mean, mean + 1, output, plain)
    write_controller(controller, tmp_path, tiny_model.fingerprint)
    return tmp_path


def test_a_line_below_the_threshold_is_given_up_at_its_first_token(
    tiny_model: LoadedModel, pessimist: Path
) -> None:
    outcome = complete(tiny_model, pessimist)
    assert isinstance(outcome, NoSuggestion)
    assert outcome.reason is NoSuggestionReason.UNLIKELY_WANTED
    assert outcome.trace.speculation.num_forward_passes == 0


@pytest.mark.parametrize(
    "options",
    [
        {"trigger": TriggerKind.INVOKED},
        {"verbatim": True},
        {"threshold": 0.0},
        {"threshold": 0.09},
        {"num_candidates": 2},
        {"temperature": 0.5, "seed": 1},
        {"selected_item": SelectedItem(OFFSET, OFFSET, "self")},
    ],
)
def test_what_is_not_given_up(
    tiny_model: LoadedModel, pessimist: Path, options: dict[str, object]
) -> None:
    outcome = complete(tiny_model, pessimist, **options)
    assert getattr(outcome, "reason", None) is not NoSuggestionReason.UNLIKELY_WANTED
    assert outcome.trace.speculation.num_forward_passes > 0


def test_the_confidence_is_the_controllers(tiny_model: LoadedModel, pessimist: Path) -> None:
    outcome = complete(tiny_model, pessimist, threshold=0.0)
    assert isinstance(outcome, Suggestion)
    assert outcome.confidence == pytest.approx(0.1)


def test_without_a_controller_nothing_is_given_up_and_the_confidence_is_the_models(
    tiny_model: LoadedModel, tmp_path: Path
) -> None:
    outcome = complete(tiny_model, tmp_path, threshold=1.0)
    assert isinstance(outcome, Suggestion)
    first = outcome.candidates[0]
    assert outcome.confidence == pytest.approx(math.exp(first.logprob / first.num_tokens))


def test_an_alternative_is_judged_by_its_log_probabilities(
    tiny_model: LoadedModel, pessimist: Path
) -> None:
    engine = replace(ENGINE, trained_folder=pessimist)
    found = _generate(tiny_model, None, num_candidates=2, engine=engine)[0].candidates
    assert {round(candidate.confidence, 3) for candidate in found} >= {0.3}


def test_drafts_do_not_change_what_is_judged(tiny_model: LoadedModel) -> None:
    plain, traces = _generate(tiny_model, None)
    text = plain.candidates[0].text
    material = DraftMaterial(suggested=[tiny_model.tokenizer.encode(text + "\n")])
    drafted, same = _generate(tiny_model, material)
    assert drafted.candidates[0].text == text
    assert drafted.speculation.num_accepted_tokens > 0
    for trace, other in zip(traces, same, strict=True):
        # Rows of passes of other sizes differ in the last bits of a float.
        assert trace.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert trace.entropy == pytest.approx(other.entropy, abs=1e-3)
        assert trace.margin == pytest.approx(other.margin, abs=1e-3)
        assert (trace.num_chars, trace.has_ended) == (other.num_chars, other.has_ended)


@pytest.mark.parametrize(
    ("block_threshold", "kept", "finish"),
    [(0.5, "ab", FinishReason.UNSURE), (0.05, "ab\n    c", FinishReason.LENGTH)],
)
def test_a_block_ends_behind_a_first_line_that_is_unsure(
    tiny_model: LoadedModel,
    pessimist: Path,
    block_threshold: float,
    kept: str,
    finish: FinishReason,
) -> None:
    tokenizer, text = tiny_model.tokenizer, "ab\n    c\n"
    document = DocumentSnapshot("file:///w/a.py", 1, "python", "def f():\n    \n")
    request = CompletionRequest("1", document, len(document.text) - 1)
    strategy = choose_strategy(request)
    token_ids = tokenizer.encode(text)
    rows = -10.0 + 10 * torch.eye(tokenizer.vocab_size)[token_ids]
    judge = LineJudge(read_controller(pessimist, tiny_model.fingerprint), 0.01, block_threshold)
    run = DecodingRun(
        tokenizer,
        None,
        GenerationParams(len(token_ids), frozenset()),
        StopMonitor(request, strategy),
        None,
        "",
        "",
        watch=judge.watch(LinePlace.at(strategy.cursor), may_stop=True),
    )
    for logits in rows:
        if run.advance(logits, BranchQueue()) is None:
            break
    found = run.result
    assert found is not None
    assert (found.text.rstrip(), found.finish_reason) == (kept, finish)


class Recorder:
    confidence: float | None = None

    def __init__(self) -> None:
        self.traces: list[TokenTrace] = []

    def push(
        self, logits: Tensor, logprob: float, text: str, *, is_forced: bool, is_last: bool
    ) -> None:
        trace = trace_token(logits, logprob, text, is_forced=is_forced, has_ended=is_last)
        self.traces.append(trace)


def _generate(
    model: LoadedModel,
    material: DraftMaterial | None,
    num_candidates: int = 1,
    engine: EngineConfig = ENGINE,
) -> tuple[Generation, list[TokenTrace]]:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", TEXT)
    request = CompletionRequest("1", document, OFFSET)
    strategy = choose_strategy(request)
    config = CompletionConfig(prompt=PromptConfig(max_num_tokens=512), engine=engine)
    prompts = PromptBuilder(model.tokenizer, config.prompt)
    caches = build_caches(model, config, prompts, lambda _: None)
    recorder, judge = Recorder(), caches.judge

    def rejudge(generated: GeneratedText) -> float:
        assert judge is not None
        return judge.controller.plain_probability(generated.logprob, generated.num_tokens)

    hooks = GenerationHooks(
        new_monitor=lambda: StopMonitor(request, strategy),
        num_faults=lambda _: 0,
        checkpoint=lambda: None,
        new_watch=lambda: recorder,
        rejudge=None if judge is None else rejudge,
    )
    params = GenerationParams(24, prompts.stop_ids, num_candidates=num_candidates)
    table = SlotTable(caches.pool, 600)
    found = caches.generator.generate(
        table, prompts.build(request, ()), PatchPolicy(), params, hooks, material=material
    )
    table.close()
    return found, recorder.traces
