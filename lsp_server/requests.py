"""The one place where settings become a request to the engine, whichever door it came in by."""

from __future__ import annotations

import uuid
from typing import TypedDict, Unpack, cast

from completion.types import (
    CompletionRequest,
    ContextChunk,
    DocumentSnapshot,
    SelectedItem,
    TriggerKind,
)
from kvedit.policy import PatchMode
from lsp_server.settings import Settings

# A script waits for its answer, so the deadline only guards against a machine that hangs.
SCRIPT_DEADLINE_MS = 120_000.0
LEAST_TEMPERATURE = 1e-3  # logits divided by less are infinite
LEAST_TOP_P = 1e-6  # the likeliest token alone


class Asked(TypedDict, total=False):
    """What a door says of a request: the fields of ``CompletionRequest``; None is left out."""

    request_id: str
    trigger: TriggerKind
    selected_item: SelectedItem | None
    num_candidates: int | None
    max_new_tokens: int | None
    deadline_ms: float | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    seed: int | None
    stop: tuple[str, ...]
    use_retrieval: bool
    use_speculation: bool | None
    patching: PatchMode | None
    is_interactive: bool
    verbatim: bool
    num_top_logprobs: int | None
    min_confidence: float | None
    context: tuple[ContextChunk, ...]


def new_request(
    document: DocumentSnapshot, offset: int, settings: Settings, **asked: Unpack[Asked]
) -> CompletionRequest:
    """Return a request that follows ``settings`` in everything that ``asked`` leaves open.

    Clients whose settings differ may share a service, which knows those of the first one alone: so
    a request says all of it. Sampling that has no meaning in floating point takes the likeliest
    token.

    Raises:
        ValueError: ``offset`` or a number is outside of what a request may have.
    """
    completion, engine = settings.completion, settings.engine
    followed: Asked = {
        "request_id": uuid.uuid4().hex,
        "num_candidates": completion.num_candidates,
        "max_new_tokens": completion.max_new_tokens,
        "deadline_ms": completion.deadline_ms,
        "temperature": completion.temperature,
        "top_p": completion.top_p,
        "top_k": completion.top_k,
        "use_retrieval": settings.shows_context,
        "use_speculation": engine.speculation,
        "patching": engine.patching,
        "min_confidence": engine.min_confidence,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    fields = {**followed, **given}
    fields["temperature"] = _temperature(cast(float, fields["temperature"]))
    fields["top_p"] = max(LEAST_TOP_P, cast(float, fields["top_p"]))
    fields["patching"] = PatchMode(cast(str, fields["patching"]))
    return CompletionRequest(document=document, offset=offset, **fields)  # type: ignore[arg-type]


def _temperature(wanted: float) -> float:
    return 0.0 if wanted < LEAST_TEMPERATURE else wanted
