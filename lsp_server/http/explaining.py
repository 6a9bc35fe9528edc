"""``/v1/explain`` and ``/v1/live``: how requests ended and why, for whoever holds the token.

Explanations hold source text of every client. A listener without a token serves whoever has an
account on this machine, so there only HTTP clients get them, each by the id that it alone knows.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import Response

from lsp_server.explanation import Explanation
from lsp_server.explanations import LATEST, MAX_NUM_EXPLANATIONS
from lsp_server.http.access import Access
from lsp_server.http.door import HttpDoor
from lsp_server.http.errors import ApiError
from lsp_server.http.live import LiveFeed
from lsp_server.http.schema import ErrorBody
from lsp_server.metrics import Door

_DEFAULT_LIMIT = 50
_NEEDS_TOKEN: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorBody, "description": "This listener has no token."},
}
_LIVE_RESPONSES: dict[int | str, dict[str, Any]] = {
    **_NEEDS_TOKEN,
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}},
    429: {"model": ErrorBody, "description": "Too many look on; see Retry-After."},
}


def add_explanations(app: FastAPI, door: HttpDoor, access: Access) -> None:
    """Add the routes of this module to ``app``."""

    @app.get(
        "/v1/explain",
        summary="List the requests that have ended",
        responses=_NEEDS_TOKEN,
        tags=["explanations"],
    )
    async def list_explanations(
        limit: Annotated[int, Query(ge=1, le=MAX_NUM_EXPLANATIONS)] = _DEFAULT_LIMIT,
    ) -> Response:
        """Explanations of all doors without tokens and texts of other files, newest first."""
        _check_token(access)
        found = door.explanations.newest(limit)
        return _json({"explanations": [door.explanations.summary(each) for each in found]})

    @app.get(
        "/v1/explain/{request_id}",
        summary="Explain one request",
        responses={404: {"model": ErrorBody, "description": "It is unknown, or long ago."}},
        tags=["explanations"],
    )
    async def explain(request_id: str) -> Response:
        """How a request ended and why; ``latest`` is the newest that was answered."""
        if request_id == LATEST:
            _check_token(access)
        found = door.explanations.find(request_id)
        if found is None or not _may_see(found, access):
            message = "no request of this id is remembered; only the newest are"
            raise ApiError(404, message, code="request_not_found")
        return _json(door.explanations.as_json(found))

    @app.get(
        "/v1/live",
        summary="Follow the requests as they end",
        responses=_LIVE_RESPONSES,
        tags=["explanations"],
    )
    async def follow() -> Response:
        """Events: each request when it has ended, and every two seconds what the process holds."""
        _check_token(access)
        return LiveFeed(door)


def _json(content: dict[str, Any]) -> Response:
    """Return ``content`` in ASCII: paths and texts may hold half a surrogate pair."""
    return Response(json.dumps(content), media_type="application/json")


def _check_token(access: Access) -> None:
    if not access.token:
        message = (
            "explanations show source text of all clients, so this needs a listener with a token: "
            "set http.token, or name a file with --token-file; `fimble why` needs none"
        )
        raise ApiError(403, message, code="token_needed")


def _may_see(explanation: Explanation, access: Access) -> bool:
    return bool(access.token) or explanation.question.door is Door.HTTP
