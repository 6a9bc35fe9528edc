"""How one request ended and why: what is kept of it, and the JSON that every door shows.

Kept are references and short texts, never the document. Texts of prompts are spelled when somebody
asks. The object's fields are a contract with other programs: it may gain fields, it never loses one.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    ContextChunk,
    NoSuggestion,
    Suggestion,
    SuggestionSource,
)
from lsp_server.report import as_sentence, insertion, insertions, speculation_json

if TYPE_CHECKING:
    from lsp_server.metrics import Door

# JSON as it goes out.
Json = Any

LEAST_LOGPROB = -9999.0  # JSON has no infinity
_BASE_BYTES = 2000  # of an explanation without texts and tokens
_TAKEN_BACK = (
    "the request was taken back before it was answered: the text changed or a newer request came"
)
_OFFERS = {
    SuggestionSource.ENGINE: "a suggestion was offered, which the model wrote for this request",
    SuggestionSource.CACHE: "a suggestion was offered that an earlier request had brought",
    SuggestionSource.TYPING_AS_SUGGESTED: "what is left of a suggestion was offered, which is "
    "being typed",
    SuggestionSource.PREFETCH: "a suggestion was offered that was prepared before anybody asked",
}
_NO_FEEDBACK: dict[str, Json] = {
    "shown": False,
    "accepted": None,
    "accepted_length": 0,
    "kept": {},
}


@dataclass(frozen=True, slots=True)
class Question:
    """Who asked, and where: all that is kept of a request. Lines and columns count from 1.

    ``owner`` is the client whose document it is, ``client`` what people call it.
    """

    request_id: str
    door: Door
    client: str
    owner: str
    uri: str
    path: str | None
    language_id: str
    line: int
    column: int


def question_of(
    request: CompletionRequest, door: Door, client: str, *, uri: str = "", start: int = 0
) -> Question:
    """Return what is kept of ``request``.

    Args:
        request: Its document may be put together from several that the client has.
        door: Where it came in.
        client: What people call the client.
        uri: The client's document, if it is not the request's.
        start: Where the client's document begins in the request's.
    """
    document = request.document
    text, offset = document.text, request.offset
    line_start = max(start, text.rfind("\n", start, offset) + 1)
    return Question(
        request_id=request.request_id,
        door=door,
        client=client,
        owner=document.owner,
        uri=uri or document.uri,
        path=document.path,
        language_id=document.language_id,
        line=text.count("\n", start, offset) + 1,
        column=offset - line_start + 1,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One request that has ended; ``elapsed_ms`` is what its client waited.

    ``text`` and ``candidates`` are what to insert at the cursor. ``kept_from`` is the request whose
    suggestion this repeats, if it repeats one that is known. ``num_bytes`` is roughly what keeping this
    keeps alive.
    """

    question: Question
    outcome: CompletionOutcome
    elapsed_ms: float
    text: str | None = field(default=None, repr=False)
    candidates: tuple[str, ...] = field(default=(), repr=False)
    ended_at: float = field(default_factory=time.time)
    kept_from: str | None = None
    num_bytes: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_bytes", _num_bytes(self))

    @property
    def request_id(self) -> str:
        """The id that every door knows the request by."""
        return self.question.request_id

    @property
    def was_answered(self) -> bool:
        """Whether somebody waited for the answer until there was one."""
        return not isinstance(self.outcome, Cancelled)

    def summary(self, feedback: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Return the object without the tokens, and without the texts of other files."""
        question, outcome, trace = self.question, self.outcome, self.outcome.trace
        suggestion = outcome if isinstance(outcome, Suggestion) else None
        return {
            "id": question.request_id,
            "time": self.ended_at,
            "door": question.door.value,
            "client": question.client,
            "uri": question.uri,
            "path": question.path,
            "language_id": question.language_id,
            "line": question.line,
            "column": question.column,
            "outcome": _name(outcome),
            "reason": outcome.reason.value if isinstance(outcome, NoSuggestion) else None,
            "sentence": sentence_of(outcome),
            "text": self.text,
            "confidence": suggestion.confidence if suggestion else None,
            "finish_reason": suggestion.finish_reason.value if suggestion else None,
            "source": suggestion.source.value if suggestion else None,
            "kept_from": self.kept_from,
            "candidates": list(self.candidates),
            "model": trace.model or None,
            "exactness": trace.exactness.value,
            "age": trace.age,
            "timings_ms": _timings(trace, self.elapsed_ms),
            "prompt": _prompt(trace),
            "speculation": speculation_json(trace.speculation),
            "context": [_chunk(chunk) for chunk in trace.context],
            "feedback": {**_NO_FEEDBACK, **(feedback or {})},
        }

    def as_json(self, feedback: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Return the whole object; spelling a long prompt takes a few milliseconds."""
        summary, trace = self.summary(feedback), self.outcome.trace
        summary["prompt"]["spans"] = _spans(trace)
        summary["output"] = _output(trace, all_tokens=not isinstance(self.outcome, Suggestion))
        for told, chunk in zip(summary["context"], trace.context, strict=True):
            told["text"] = chunk.text
        return summary


def explain(
    question: Question, request: CompletionRequest, outcome: CompletionOutcome, elapsed_ms: float
) -> Explanation:
    """Return what is kept of ``outcome``: nothing of the document but what is inserted."""
    if not isinstance(outcome, Suggestion):
        return Explanation(question, outcome, elapsed_ms)
    candidates = tuple(insertions(outcome, request))
    return Explanation(question, outcome, elapsed_ms, insertion(outcome, request), candidates)


def sentence_of(outcome: CompletionOutcome) -> str:
    """Say how a request ended, for people."""
    match outcome:
        case Suggestion():
            return _OFFERS[outcome.source]
        case NoSuggestion():
            return as_sentence(outcome)
        case Cancelled():
            return _TAKEN_BACK


def _num_bytes(explanation: Explanation) -> int:
    """Return what an explanation holds: what clients name, what was offered, what the model saw."""
    question, outcome, trace = explanation.question, explanation.outcome, explanation.outcome.trace
    texts = [question.uri, question.path or "", question.client, explanation.text or ""]
    texts += explanation.candidates
    if isinstance(outcome, Suggestion):
        texts += [outcome.text, *(candidate.text for candidate in outcome.candidates)]
    texts += [chunk.text for chunk in trace.context]
    evidence = 0 if trace.evidence is None else trace.evidence.num_bytes
    once = {id(text): text for text in texts}  # most suggestions are inserted as they are
    return _BASE_BYTES + sum(map(sys.getsizeof, once.values())) + evidence


def _name(outcome: CompletionOutcome) -> str:
    match outcome:
        case Suggestion():
            return "suggestion"
        case NoSuggestion():
            return "nothing"
        case Cancelled():
            return "cancelled"


def _timings(trace: CompletionTrace, elapsed_ms: float) -> dict[str, float | None]:
    """Return the stages of ``elapsed_ms``, null if the engine did not get to its end.

    What the door waited before the engine, such as for a pause in typing, counts as waiting.
    """
    known = dataclasses.asdict(trace.timings_ms)
    if not known.pop("total"):
        return {"total": elapsed_ms, **dict.fromkeys(known)}
    known["waiting"] += max(0.0, elapsed_ms - trace.timings_ms.total)
    return {"total": max(elapsed_ms, trace.timings_ms.total), **known}


def _prompt(trace: CompletionTrace) -> dict[str, Json]:
    """Return how the tokens of the prompt were had; the four counts add up."""
    stats = trace.prompt
    return {
        "num_tokens": stats.num_tokens,
        "num_cached": stats.num_cached_tokens,
        "num_patched": stats.num_patched_tokens,
        "num_new": stats.num_new_tokens - stats.num_healed_tokens,
        "num_healed": stats.num_healed_tokens,
    }


def _spans(trace: CompletionTrace) -> list[dict[str, Json]] | None:
    spans = None if trace.evidence is None else trace.evidence.spans()
    if spans is None:
        return None
    return [
        {
            "text": span.text,
            "state": span.state.value,
            "segment": span.segment,
            "num_tokens": span.num_tokens,
        }
        for span in spans
    ]


def _output(trace: CompletionTrace, *, all_tokens: bool) -> list[dict[str, Json]] | None:
    if trace.evidence is None:
        return None
    return [
        {"text": token.text, "origin": token.origin, "logprob": max(token.logprob, LEAST_LOGPROB)}
        for token in trace.evidence.output(all_tokens=all_tokens)
    ]


def _chunk(chunk: ContextChunk) -> dict[str, Json]:
    return {
        "path": chunk.path,
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "score": chunk.score,
        "source": chunk.source,
        "reason": chunk.reason,
    }
