"""The routes, and the layers around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from lsp_server import version
from lsp_server.http import errors
from lsp_server.http.access import Access, AccessCheck
from lsp_server.http.bodies import BODY_TIMEOUT_S, BodyLimit
from lsp_server.http.choices import plan_choices
from lsp_server.http.completions import Answer, EventStream, answer_whole
from lsp_server.http.dashboard import add_dashboard
from lsp_server.http.description import describe, page
from lsp_server.http.dialects.either import EitherBody
from lsp_server.http.dialects.infill import add_infill
from lsp_server.http.dialects.tabby import add_tabby, answer_tabby
from lsp_server.http.dialects.tabby_schema import TabbyBody, TabbyResponse
from lsp_server.http.documents import add_documents
from lsp_server.http.door import HttpDoor
from lsp_server.http.explaining import add_explanations
from lsp_server.http.metrics import HttpMetrics
from lsp_server.http.observe import REQUEST_ID, Observe
from lsp_server.http.schema import (
    CompletionResponse,
    ErrorBody,
    Health,
    ModelCard,
    ModelList,
)
from lsp_server.http.stats import add_stats
from lsp_server.metrics import CONTENT_TYPE

_REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "The token is missing or wrong."},
    403: {"model": ErrorBody, "description": "The Host or Origin header is not this server's."},
    408: {"model": ErrorBody, "description": "The request took too long to arrive."},
    413: {"model": ErrorBody, "description": "The body is too large."},
    429: {"model": ErrorBody, "description": "Too many large bodies arrive; see Retry-After."},
}
_COMPLETION_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The choices; with stream, server-sent events that each hold one chunk.",
        "content": {"text/event-stream": {}},
    },
    400: {"model": ErrorBody, "description": "The request says something impossible."},
    404: {"model": ErrorBody, "description": "Another model was asked for."},
    415: {"model": ErrorBody, "description": "The body is not declared as JSON."},
    429: {"model": ErrorBody, "description": "Too many requests wait; see Retry-After."},
    500: {"model": ErrorBody, "description": "The engine failed."},
    503: {"model": ErrorBody, "description": "The model is loading; see Retry-After."},
    504: {"model": ErrorBody, "description": "The deadline passed before any text was ready."},
}


def create_app(door: HttpDoor, render_metrics: Callable[[], bytes], access: Access) -> FastAPI:
    """Return the routes of ``door``; ``render_metrics`` is what ``/metrics`` shows.

    ``access`` decides how much of what others asked may be seen.
    """
    app = FastAPI(
        title="fimble",
        version=version.current(),
        summary="Local code completion in the shape of OpenAI's completions.",
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        responses=_REFUSED,
    )
    errors.install(app)
    _add_completions(app, door)
    add_infill(app, door)
    add_tabby(app, door)
    add_documents(app, door)
    _add_models(app, door)
    _add_health(app, door)
    _add_pages(app, door, render_metrics)
    add_explanations(app, door, access)
    add_stats(app, door)
    add_dashboard(app)
    return app


def with_layers(app: ASGIApp, door: HttpDoor, access: Access, metrics: HttpMetrics) -> ASGIApp:
    """Return ``app`` behind what every request passes, outermost first: log, access, body."""
    max_num_bytes = int(door.settings.http.max_body_mb * 1_000_000)
    limited = BodyLimit(app, max_num_bytes, "http.max_body_mb", BODY_TIMEOUT_S)
    return Observe(AccessCheck(limited, access), metrics)


def _add_completions(app: FastAPI, door: HttpDoor) -> None:
    @app.post(
        "/v1/completions",
        summary="Complete one or more prompts",
        response_model=CompletionResponse | TabbyResponse,
        responses=_COMPLETION_RESPONSES,
        tags=["completions"],
    )
    async def complete(request: Request, body: Annotated[EitherBody, Body()]) -> Response:
        """Text that belongs between ``prompt`` and ``suffix``; with ``segments``, Tabby's words."""
        if isinstance(body, TabbyBody):
            return await answer_tabby(body, request, door)
        door.check_model(body.model)
        door.service()
        request_id: str = request.scope[REQUEST_ID]
        planned = plan_choices(body, door.settings, door.prompts, request_id, door.with_context)
        answer = Answer(door, body, planned, request_id)
        if body.stream:
            return EventStream(answer, door)
        return await answer_whole(answer, door, request.receive)


def _add_models(app: FastAPI, door: HttpDoor) -> None:
    def card() -> dict[str, object]:
        return {
            "id": door.model_name,
            "object": "model",
            "created": door.created,
            "owned_by": "fimble",
        }

    @app.get("/v1/models", summary="List models", response_model=ModelList, tags=["models"])
    async def list_models() -> Response:
        """The one model that is served."""
        return JSONResponse({"object": "list", "data": [card()]})

    @app.get(
        "/v1/models/{model:path}",
        summary="Look up a model",
        response_model=ModelCard,
        responses={404: {"model": ErrorBody, "description": "Another model was asked for."}},
        tags=["models"],
    )
    async def get_model(model: str) -> Response:
        """The served model, by its name."""
        door.check_model(model)
        return JSONResponse(card())


def _add_health(app: FastAPI, door: HttpDoor) -> None:
    @app.get(
        "/health",
        summary="Say whether requests are served",
        response_model=Health,
        responses={503: {"model": Health, "description": "The model is loading, or failed to."}},
        tags=["server"],
    )
    async def health() -> Response:
        """200 once the model is loaded, 503 before. Needs no token."""
        state, progress = door.state, door.progress
        told = {
            "status": "ok" if state == "ready" else state,  # the word of llama.cpp's clients
            "model": door.model_name,
            "progress": {"stage": str(progress.stage), "fraction": progress.fraction}
            if progress is not None and state == "loading"
            else None,
        }
        headers = {} if state == "ready" else {"Retry-After": "2"}
        return JSONResponse(told, 200 if state == "ready" else 503, headers)


def _add_pages(app: FastAPI, door: HttpDoor, render_metrics: Callable[[], bytes]) -> None:
    @app.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=PlainTextResponse,
        tags=["server"],
    )
    async def show_metrics() -> PlainTextResponse:
        """Counters in Prometheus' text format."""
        return PlainTextResponse(render_metrics(), media_type=CONTENT_TYPE)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(
            describe(app, door.settings.completion.max_new_tokens, [door.model_name])
        )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(
            page(describe(app, door.settings.completion.max_new_tokens, [door.model_name]))
        )
