"""What answers have in common that are not streamed: waiting, and what may go wrong."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive

from lsp_server.http.completions import CLIENT_CLOSED_REQUEST, unless_gone
from lsp_server.http.door import HttpDoor
from lsp_server.http.schema import ErrorBody

T = TypeVar("T")

CLIENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The request says something impossible."},
    415: {"model": ErrorBody, "description": "The body is not declared as JSON."},
    429: {"model": ErrorBody, "description": "Too many requests wait; see Retry-After."},
    500: {"model": ErrorBody, "description": "The engine failed."},
    503: {"model": ErrorBody, "description": "The model is loading; see Retry-After."},
    504: {"model": ErrorBody, "description": "The deadline passed before any text was ready."},
}


async def answered(
    door: HttpDoor, receive: Receive, work: Coroutine[object, object, T]
) -> T | Response:
    """Return what ``work`` returns; an empty response if its client went away, and then it ends.

    Raises:
        ApiError: Too many requests wait, or what ``work`` raises.
    """
    try:
        admitted = door.admitted()
        with admitted:
            found = await unless_gone(receive, work)
    finally:
        work.close()  # if it was not begun
    return Response(status_code=CLIENT_CLOSED_REQUEST) if found is None else found
