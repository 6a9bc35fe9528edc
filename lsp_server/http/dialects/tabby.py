"""Tabby's completions, events and health, so that its editor plugins work as they are."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from completion.types import (
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    ContextChunk,
    Suggestion,
    TriggerKind,
)
from lsp_server import version
from lsp_server.http.answers import answered
from lsp_server.http.choices import check_served
from lsp_server.http.dialects.infill import client_chunk
from lsp_server.http.dialects.tabby_schema import (
    EventBody,
    EventResponse,
    TabbyBody,
    TabbyDebugOptions,
    TabbyHealth,
    TabbySegments,
    TabbySnippet,
)
from lsp_server.http.door import HttpDoor
from lsp_server.http.errors import bad_request
from lsp_server.http.observe import REQUEST_ID
from lsp_server.http.prompts import PromptText
from lsp_server.http.schema import ErrorBody
from lsp_server.report import insertion
from lsp_server.requests import new_request
from retrieval.languages import language_for

OWNER = "http:tabby"
_MAX_NUM_TOKENS = 64  # as many as Tabby writes
_MAX_CLIPBOARD_CHARS = 4000  # more is no snippet
_MAX_SEED = 2**63 - 1
_EVENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The event says something impossible."},
    415: {"model": ErrorBody, "description": "The body is not declared as JSON."},
}
_HEALTH_RESPONSES: dict[int | str, dict[str, Any]] = {
    415: {"model": ErrorBody, "description": "The body is not declared as JSON."},
    503: {"model": ErrorBody, "description": "The model could not be loaded."},
}


async def answer_tabby(body: TabbyBody, request: Request, door: HttpDoor) -> Response:
    """Answer a request for a completion that has segments.

    Raises:
        ApiError: It cannot be served.
    """
    options = body.debug_options or TabbyDebugOptions()
    if options.raw_prompt is not None:
        message = "raw_prompt is not supported: fimble adds the model's markers itself"
        raise bad_request(f"{message}; send segments", "debug_options")
    door.service()
    request_id: str = request.scope[REQUEST_ID]
    asked = _request(body, door, options, f"{request_id}.0")
    outcome = await answered(door, request.receive, door.answer(asked))
    if isinstance(outcome, Response):
        return outcome
    check_served(outcome)
    text = insertion(outcome, asked) if isinstance(outcome, Suggestion) else ""
    debug = {} if body.debug_options is None else {"debug_data": _debug_data(options, outcome)}
    choices = [{"index": 0, "text": text}]
    return JSONResponse({"id": f"cmpl-{request_id}", "choices": choices, **debug})


def add_tabby(app: FastAPI, door: HttpDoor) -> None:
    """Add the routes that are Tabby's alone to ``app``."""

    @app.post(
        "/v1/events",
        summary="Say what a person did with a completion",
        response_model=EventResponse,
        responses=_EVENT_RESPONSES,
        tags=["dialects"],
    )
    async def event(
        body: Annotated[EventBody, Body()],
        select_kind: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        """Seen, taken or sent away; the figures stay on this machine, see `fimble stats`."""
        _note_event(body, select_kind or body.select_kind, door)
        return JSONResponse({})

    @app.get(
        "/v1/health",
        summary="Describe the server, in Tabby's words",
        response_model=TabbyHealth,
        responses=_HEALTH_RESPONSES,
        tags=["dialects"],
    )
    async def health() -> Response:
        """What serves. While the model loads, completions are refused for that long."""
        if door.state == "failed":
            door.service()
        return JSONResponse(_health(door))

    app.post(  # how older plugins ask
        "/v1/health",
        summary="Describe the server, in Tabby's words",
        response_model=TabbyHealth,
        responses=_HEALTH_RESPONSES,
        tags=["dialects"],
    )(health)


def _request(
    body: TabbyBody, door: HttpDoor, options: TabbyDebugOptions, request_id: str
) -> CompletionRequest:
    segments, settings = body.segments, door.settings
    language = language_for(body.language or "", segments.filepath)
    known_id = language.language_ids[0] if language else "plaintext"
    text = PromptText(
        prefix=segments.prefix,
        suffix=segments.suffix or "",
        owner=" ".join(filter(None, (OWNER, body.user, _digest(segments.git_url)))),
        path=segments.filepath or None,
        language_id=body.language or known_id,
    )
    wants_context = not options.disable_retrieval_augmented_code_completion
    request = new_request(
        door.prompts.snapshot(text),
        len(segments.prefix),
        settings,
        request_id=request_id,
        trigger=TriggerKind.INVOKED,  # these clients have rules of their own for when to ask
        num_candidates=1,
        max_new_tokens=min(_MAX_NUM_TOKENS, settings.completion.max_new_tokens),
        temperature=body.temperature,
        seed=None if body.seed is None else body.seed & _MAX_SEED,
        use_retrieval=False,  # most clients tell no more than where in its repository a file lies
        context=_chunks(segments) if wants_context else (),
    )
    return door.with_context(request) if wants_context else request


def _digest(url: str | None) -> str:
    """Return what tells repositories apart; their URLs may hold passwords, and owners are shown."""
    return hashlib.sha256(url.encode()).hexdigest()[:8] if url else ""


def _chunks(segments: TabbySegments) -> tuple[ContextChunk, ...]:
    """Return what the client sends besides, what matters most last: nearest to the cursor."""
    found: list[ContextChunk] = []
    clipboard = segments.clipboard or ""
    if clipboard.strip() and len(clipboard) <= _MAX_CLIPBOARD_CHARS:
        found.append(client_chunk("clipboard", clipboard, 0.0, "from the clipboard"))
    for reason, snippets in (
        ("opened lately", segments.relevant_snippets_from_recently_opened_files),
        ("changed lately", segments.relevant_snippets_from_changed_files),
        ("declares what is used", segments.declarations),
    ):
        best_last = sorted(snippets or (), key=lambda snippet: -snippet.score)[::-1]
        found += [client_chunk(each.filepath, each.body, each.score, reason) for each in best_last]
    return tuple(chunk for chunk in found if chunk.text.strip())


def _debug_data(options: TabbyDebugOptions, outcome: CompletionOutcome) -> dict[str, object]:
    told: dict[str, object] = {}
    if options.return_snippets:
        told["snippets"] = [
            TabbySnippet(filepath=chunk.path, body=chunk.text, score=chunk.score).model_dump()
            for chunk in outcome.trace.context
        ]
    if options.return_prompt:
        told["prompt"] = _prompt(outcome.trace)
    return told


def _prompt(trace: CompletionTrace) -> str | None:
    """Return what the model was shown; None where it was not asked."""
    spans = None if trace.evidence is None else trace.evidence.spans()
    return None if spans is None else "".join(span.text for span in spans)


def _note_event(body: EventBody, select_kind: str | None, door: HttpDoor) -> None:
    """Pass on what became of a completion; ``completion_id`` may be OpenAI's, too."""
    bare = body.completion_id.removeprefix("cmpl-")
    request_id = bare if bare == body.completion_id else f"{bare}.{body.choice_index}"
    if body.type == "view":
        door.feedback.shown(request_id)
    elif body.type == "dismiss":
        door.feedback.dismissed(request_id)
    elif select_kind == "line":
        found = door.explanations.find(request_id)
        text = (found.text or "") if found is not None else ""
        door.feedback.partly_accepted(request_id, len(text.partition("\n")[0]))
    else:
        door.feedback.accepted(request_id)
        door.accepted(request_id)


def _health(door: HttpDoor) -> dict[str, object]:
    name = version.current()
    return {
        "model": door.model_name,
        "device": door.settings.model.device,
        "arch": platform.machine(),
        "cpu_info": platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count() or 1,
        "cuda_devices": [],
        "version": {
            "build_date": "",
            "build_timestamp": "",
            "git_sha": "",
            "git_describe": f"fimble-{name}",
        },
    }
