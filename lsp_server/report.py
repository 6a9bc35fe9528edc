"""Outcomes as the JSON object and the text that ``fimble complete`` prints.

The object's fields are a contract with other programs: schema 1 may gain fields, it never loses or
renames one.
"""

from __future__ import annotations

import dataclasses

from completion.reasons import explain_reason
from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    NoSuggestion,
    SpeculationStats,
    Suggestion,
)

SCHEMA = 1


def as_json(outcome: CompletionOutcome, request: CompletionRequest) -> dict[str, object]:
    """Return the object for ``--json``; every field is there whatever the outcome."""
    suggestion = outcome if isinstance(outcome, Suggestion) else None
    return {
        "schema": SCHEMA,
        "id": outcome.request_id,
        "outcome": _name(outcome),
        "reason": outcome.reason.value if isinstance(outcome, NoSuggestion) else None,
        "finish_reason": suggestion.finish_reason.value if suggestion else None,
        "text": insertion(suggestion, request) if suggestion else "",
        "exactness": outcome.trace.exactness.value,
        "age": outcome.trace.age,
        "confidence": suggestion.confidence if suggestion else 0.0,
        "candidates": _candidates(suggestion, request) if suggestion else [],
        **_trace(outcome.trace),
    }


def as_sentence(outcome: NoSuggestion | Cancelled) -> str:
    """Say why there is no text."""
    if isinstance(outcome, Cancelled):
        return "cancelled"
    detail = f" ({outcome.detail})" if outcome.detail else ""
    return f"no suggestion: {explain_reason(outcome.reason)}{detail}"


def speculation_json(stats: SpeculationStats) -> dict[str, object]:
    """Return what drafting contributed; ``by_source`` as an object."""
    return {**dataclasses.asdict(stats), "by_source": dict(stats.by_source)}


def insertion(suggestion: Suggestion, request: CompletionRequest) -> str:
    """Return what to insert at the cursor, for readers who know of no replacement."""
    return _inserted(suggestion.text, suggestion, request)


def insertions(suggestion: Suggestion, request: CompletionRequest) -> list[str]:
    """Return the same for each candidate."""
    return [_inserted(each.text, suggestion, request) for each in suggestion.candidates]


def _inserted(text: str, suggestion: Suggestion, request: CompletionRequest) -> str:
    """Return ``text`` without what it repeats of the replaced text on both sides of the cursor."""
    source, cursor = request.document.text, request.offset
    left = source[suggestion.replace_start : cursor]
    right = source[cursor : suggestion.replace_end]
    return text.removeprefix(left).removesuffix(right)


def _name(outcome: CompletionOutcome) -> str:
    match outcome:
        case Suggestion():
            return "suggestion"
        case NoSuggestion():
            return "none"
        case Cancelled():
            return "cancelled"


def _candidates(suggestion: Suggestion, request: CompletionRequest) -> list[dict[str, object]]:
    return [
        {"text": _inserted(candidate.text, suggestion, request), "logprob": candidate.logprob}
        for candidate in suggestion.candidates
    ]


def _trace(trace: CompletionTrace) -> dict[str, object]:
    return {
        "model": trace.model,
        "prompt": dataclasses.asdict(trace.prompt),
        "context": [
            {
                "path": chunk.path,
                "start_line": chunk.start_line,
                "end_line": chunk.end_line,
                "score": chunk.score,
                "source": chunk.source,
                "reason": chunk.reason,
            }
            for chunk in trace.context
        ],
        "timings_ms": dataclasses.asdict(trace.timings_ms),
        "speculation": speculation_json(trace.speculation),
    }
