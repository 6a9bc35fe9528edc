"""What a request asks of the generator: how to decode, when to stop, what to judge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from completion.config import EngineConfig
from completion.decoding import GeneratedText, GenerationParams, TextWatch
from completion.dynamic.controller import LineJudge
from completion.dynamic.features import LinePlace
from completion.generation import GenerationHooks
from completion.indentation import allowed_indentations
from completion.judgement import SyntaxJudge
from completion.sampling import SamplingParams
from completion.scheduler import Checkpoint
from completion.stopping import StopMonitor
from completion.strategy import Strategy, StrategyMode
from completion.types import CompletionRequest, Deadline, TriggerKind
from completion.verbatim import VerbatimMonitor
from retrieval.syntax import SyntaxTree


def generation_params(
    request: CompletionRequest,
    strategy: Strategy,
    config: EngineConfig,
    stop_ids: frozenset[int],
    deadline: Deadline,
) -> GenerationParams:
    """Return how to decode for ``request``; text asked for verbatim is bound by its limits alone."""
    limit = config.max_new_tokens
    sampling = SamplingParams(request.temperature, request.top_p, request.top_k)
    if request.verbatim:
        return GenerationParams(
            max_new_tokens=min(request.max_new_tokens or limit, limit),
            stop_ids=stop_ids,
            sampling=sampling,
            seed=request.seed,
            num_candidates=request.num_candidates,
            is_distinct=False,
            num_top_logprobs=request.num_top_logprobs,
            deadline=deadline,
        )
    return GenerationParams(
        max_new_tokens=min(strategy.max_new_tokens, limit),
        stop_ids=stop_ids,
        sampling=sampling,
        seed=request.seed,
        num_candidates=request.num_candidates,
        num_top_logprobs=request.num_top_logprobs,
        indentations=allowed_indentations(strategy.cursor, request.prefix),
        typed_blanks=strategy.cursor.left,
        max_num_retries=config.max_num_retries[request.trigger],
        is_one_line=strategy.mode is StrategyMode.LINE,
        early_exit=config.early_exit,
        deadline=deadline,
    )


def generation_hooks(
    request: CompletionRequest,
    strategy: Strategy,
    tree: SyntaxTree | None,
    checkpoint: Checkpoint,
    on_text: Callable[[str], None] | None,
    on_logits: Callable[[Tensor], None] | None = None,
    judge: LineJudge | None = None,
) -> GenerationHooks:
    """Return the stop rules and the judges for ``request``; verbatim text has stop strings only."""
    if request.verbatim:
        monitor = functools.partial(VerbatimMonitor, request.stop)
        return GenerationHooks(monitor, lambda _: 0, checkpoint, on_text, on_logits)
    return GenerationHooks(
        new_monitor=functools.partial(StopMonitor, request, strategy),
        num_faults=SyntaxJudge(request, strategy, tree).num_faults,
        checkpoint=checkpoint,
        on_text=on_text,
        on_logits=on_logits,
        new_watch=None if judge is None else functools.partial(_watch, judge, request, strategy),
        rejudge=None if judge is None else functools.partial(_rejudge, judge),
    )


def _watch(judge: LineJudge, request: CompletionRequest, strategy: Strategy) -> TextWatch:
    """Return what follows the first line; only one that nobody asked for may be given up."""
    is_asked_for = (
        request.trigger is TriggerKind.INVOKED
        or request.selected_item is not None
        or request.num_candidates > 1
        or request.temperature > 0
    )
    if request.min_confidence is not None:
        judge = replace(judge, min_confidence=request.min_confidence)
    return judge.watch(LinePlace.at(strategy.cursor), may_stop=not is_asked_for)


def _rejudge(judge: LineJudge, generated: GeneratedText) -> float:
    return judge.controller.plain_probability(generated.logprob, generated.num_tokens)
