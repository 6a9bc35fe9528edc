"""From generated text to the outcome a client sees."""

from __future__ import annotations

from dataclasses import replace

from completion.decoding import GeneratedText
from completion.generation import Generation
from completion.postprocess.pipeline import PostprocessedText, RejectedText, postprocess
from completion.stopping import StopReason
from completion.strategy import Strategy
from completion.types import (
    Candidate,
    CompletionOutcome,
    CompletionRequest,
    CompletionTimings,
    CompletionTrace,
    ContextChunk,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    SuggestionSource,
)

_LIMITS = {
    FinishReason.DEADLINE: NoSuggestionReason.DEADLINE_BEFORE_FIRST_LINE,
    FinishReason.LENGTH: NoSuggestionReason.TOKEN_LIMIT_BEFORE_FIRST_LINE,
    FinishReason.UNWANTED: NoSuggestionReason.UNLIKELY_WANTED,
}


def selection_mismatch(request: CompletionRequest) -> NoSuggestionReason | None:
    """Return why the item selected in the editor's list cannot be continued, or None."""
    item = request.selected_item
    if item is None:
        return None
    typed = request.document.text[item.start : request.offset]
    fits = item.start <= request.offset <= item.end and item.text.startswith(typed)
    return None if fits else NoSuggestionReason.SELECTED_ITEM_MISMATCH


def conclude(
    request: CompletionRequest, strategy: Strategy, generation: Generation, trace: CompletionTrace
) -> CompletionOutcome:
    """Post-process every candidate; the first that survives is the suggestion."""
    kept: list[tuple[PostprocessedText, Candidate]] = []
    rejected: RejectedText | None = None
    first = generation.candidates[0]
    for generated in generation.candidates:
        result = postprocess(generated.text, request, strategy)
        if isinstance(result, RejectedText):
            rejected = rejected or _with_cause(result, generated)
            continue
        if all(result.text != known.text for _, known in kept):
            first = first if kept else generated
            kept.append((result, candidate_of(generated, result.text)))
    if not kept:
        assert rejected is not None
        limit = _LIMITS.get(first.finish_reason)
        # More tokens or time would not help against a secret: whatever cut it, that is the reason.
        if limit is not None and rejected.reason is not NoSuggestionReason.HOLDS_SECRET:
            return NoSuggestion(request.request_id, limit, trace=trace)
        return NoSuggestion(request.request_id, rejected.reason, rejected.filter_name, trace)
    shown = kept[0][0]
    trace = _showing(first, trace)
    return Suggestion(
        request_id=request.request_id,
        text=shown.text,
        replace_start=shown.replace_start,
        replace_end=shown.replace_end,
        candidates=tuple(candidate for _, candidate in kept),
        confidence=first.confidence,
        finish_reason=first.finish_reason,
        source=SuggestionSource.ENGINE,
        trace=trace,
    )


def candidate_of(generated: GeneratedText, text: str) -> Candidate:
    """Return the candidate that ``generated`` became when it was fitted in as ``text``."""
    return Candidate(
        text, generated.logprob, generated.num_tokens, generated.finish_reason, generated.tokens
    )


def _with_cause(rejected: RejectedText, generated: GeneratedText) -> RejectedText:
    """Say why nothing was left, where the stop rules knew."""
    repeats = generated.stop_reason is StopReason.REPEATS_SUFFIX
    if repeats and rejected.reason is NoSuggestionReason.EMPTY_OUTPUT:
        return replace(rejected, reason=NoSuggestionReason.REPEATS_SUFFIX)
    return rejected


def _showing(generated: GeneratedText, trace: CompletionTrace) -> CompletionTrace:
    """Return ``trace`` with the tokens of the candidate that is shown."""
    evidence = trace.evidence
    if evidence is None or evidence.written is generated.written:
        return trace
    return replace(trace, evidence=evidence.of(generated.written))


def with_total(outcome: CompletionOutcome, total_ms: float, waiting_ms: float) -> CompletionOutcome:
    """Return ``outcome`` with its total time, how long it waited, and what its stages leave of it."""
    known = outcome.trace.timings_ms
    stages = known.retrieval + known.prompt + known.patch + known.prefill + known.decode
    post = max(0.0, total_ms - waiting_ms - stages)
    timings = replace(known, total=total_ms, waiting=waiting_ms, post=post)
    return replace(outcome, trace=replace(outcome.trace, timings_ms=timings))


def without_evidence(suggestion: Suggestion) -> Suggestion:
    """Return ``suggestion`` without its tokens, for those who keep it longer than it is explained."""
    return replace(suggestion, trace=replace(suggestion.trace, evidence=None))


def trace_of(
    model: str,
    generation: Generation,
    timings: CompletionTimings,
    chunks: tuple[ContextChunk, ...],
) -> CompletionTrace:
    """Return what is to be told about how ``generation`` came to be."""
    return CompletionTrace(
        model=model,
        age=generation.age,
        prompt=generation.prompt,
        timings_ms=timings,
        speculation=generation.speculation,
        context=chunks,
        evidence=generation.evidence,
    )
