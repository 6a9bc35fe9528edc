"""llama.cpp's ``POST /infill`` and ``GET /props``, so that its editor plugins work as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from completion.types import CompletionRequest, ContextChunk, TriggerKind
from lsp_server import version
from lsp_server.http.answers import CLIENT_RESPONSES, answered
from lsp_server.http.dialects.infill_reply import empty_reply, num_context_tokens, reply
from lsp_server.http.dialects.infill_schema import InfillBody, InfillResponse, Props
from lsp_server.http.door import HttpDoor
from lsp_server.http.observe import REQUEST_ID
from lsp_server.http.prompts import PromptText
from lsp_server.requests import SCRIPT_DEADLINE_MS, new_request
from retrieval.languages import language_for

OWNER = "http:llama.cpp"
_CLIENT = "client"  # the source of context that a client chose
_LEAST_DEADLINE_MS = 50.0
_RANDOM_SEEDS = frozenset({-1, 2**32 - 1})  # the second is what llama.cpp reports for the first
_PROMPT_MS = 500.0  # what llama.vim allows, for those who limit only what comes after
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **CLIENT_RESPONSES,
    200: {
        "description": "The text, or a list of texts; with stream, server-sent events.",
        "content": {"text/event-stream": {}},
    },
}


def add_infill(app: FastAPI, door: HttpDoor) -> None:
    """Add the routes of this module to ``app``."""
    latest: list[CompletionRequest] = []

    @app.post(
        "/infill",
        summary="Complete a hole in a text, in llama.cpp's words",
        response_model=InfillResponse | list[InfillResponse],
        responses=_RESPONSES,
        tags=["dialects"],
    )
    async def infill(request: Request, body: Annotated[InfillBody, Body()]) -> Response:
        """For llama.vim and llama.vscode. The text is what fimble's own clients would show."""
        door.service()
        if body.n_predict == 0:
            _warm(body, door, latest)
            return empty_reply(body, door)
        asked = _request(body, door, request.scope[REQUEST_ID])
        latest[:] = [asked]
        outcome = await answered(door, request.receive, door.answer(asked))
        return outcome if isinstance(outcome, Response) else reply(body, asked, outcome, door)

    @app.get("/props", summary="Describe the server, in llama.cpp's words", response_model=Props)
    async def props() -> Response:
        """The context size and the model, where llama.cpp's clients look for them."""
        told = {
            "default_generation_settings": {"n_ctx": num_context_tokens(door), "params": {}},
            "total_slots": 1,
            "model_alias": door.model_name,
            "model_path": door.model_name,
            "chat_template": "",
            "build_info": f"fimble {version.current()}",
        }
        return JSONResponse(told)


def _request(body: InfillBody, door: HttpDoor, request_id: str) -> CompletionRequest:
    before = body.input_prefix + (body.prompt or "")
    chunks = _chunks(body)
    text = PromptText(before, body.input_suffix, OWNER, language_id=_language_of(chunks))
    limit, wanted = door.settings.completion.max_new_tokens, body.n_predict
    return new_request(
        door.prompts.snapshot(text),
        len(before),
        door.settings,
        request_id=request_id,
        trigger=TriggerKind.INVOKED,  # these clients have rules of their own for when to ask
        num_candidates=body.n_cmpl or body.n or 1,
        max_new_tokens=limit if wanted is None or wanted < 0 else max(1, min(wanted, limit)),
        deadline_ms=_deadline_ms(body),
        temperature=_temperature(body),
        top_p=body.top_p,
        top_k=None if body.top_k is None else max(0, body.top_k),
        seed=None if body.seed in _RANDOM_SEEDS else body.seed,
        stop=_stops(body.stop),
        use_retrieval=False,  # where the file lies is not told; what to show, the client says
        context=chunks,
    )


def _chunks(body: InfillBody) -> tuple[ContextChunk, ...]:
    return tuple(
        client_chunk(chunk.filename or "context", chunk.text, 0.0, "sent by the client")
        for chunk in body.input_extra or ()
        if chunk.text.strip()
    )


def client_chunk(path: str, text: str, score: float, reason: str) -> ContextChunk:
    """Return lines that a client sent; which ones of their file they are, it does not tell."""
    num_lines = max(1, len(text.splitlines()))
    return ContextChunk(path, 1, num_lines, text, score, _CLIENT, reason)


def _language_of(chunks: tuple[ContextChunk, ...]) -> str:
    """Return the language that all chunks share: these clients do not tell that of the text."""
    found = {language_for("", chunk.path) for chunk in chunks}
    language = found.pop() if len(found) == 1 else None
    return "plaintext" if language is None else language.language_ids[0]


def _temperature(body: InfillBody) -> float | None:
    samplers = body.samplers
    counts = samplers is None or "temperature" in samplers
    return None if body.temperature is None or not counts else min(body.temperature, 2.0)


def _deadline_ms(body: InfillBody) -> float:
    if not body.t_max_predict_ms or body.t_max_predict_ms < 0:
        return SCRIPT_DEADLINE_MS
    before = body.t_max_prompt_ms
    allowed = _PROMPT_MS if before is None or before <= 0 else before
    return max(_LEAST_DEADLINE_MS, allowed + body.t_max_predict_ms)


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in stops if text)


def _warm(body: InfillBody, door: HttpDoor, latest: list[CompletionRequest]) -> None:
    """Bring the cache up to what is asked, or up to new context for what was asked last.

    Clients send new context ahead, with no text around it. Asked verbatim, because a remembered
    suggestion is no reason to leave the cache as it is.
    """
    if (body.input_prefix + (body.prompt or "") + body.input_suffix).strip():
        door.prepare(replace(_request(body, door, ""), verbatim=True))
    elif latest:
        door.prepare(replace(latest[0], context=_chunks(body), verbatim=True))
