"""The outermost layer: ids, one log line and one count per request, headers for browsers."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lsp_server.http.metrics import HttpMetrics
from lsp_server.logs import client_scope, request_scope

logger = logging.getLogger(__name__)

REQUEST_ID = "fimble_request_id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BROWSER_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)


class Observe:
    """Gives each request an id, which the answer carries as ``X-Request-Id``."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope[REQUEST_ID] = request_id
        headers = ((b"x-request-id", request_id.encode()), *_BROWSER_HEADERS)
        started, status = time.perf_counter(), 499  # nothing sent: the client was gone

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _extended(message["headers"], headers)}
            await send(message)

        with client_scope("http"), request_scope(request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.count(method, route, status, seconds)
        logger.info(
            "%s %s: status %d in %.0f ms",
            method,
            quote(scope["path"])[:200],
            status,
            seconds * 1000,
        )


def _extended(
    headers: Iterable[tuple[bytes, bytes]], more: Iterable[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    found = list(headers)
    given = {name.lower() for name, _ in found}  # a page of ours brings a policy of its own
    return [*found, *(header for header in more if header[0] not in given)]
