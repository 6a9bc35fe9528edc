"""Bodies within limits: of size, declared or not, and of the time they may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lsp_server.http.errors import ApiError

BODY_TIMEOUT_S = 20.0
_DRAIN_TIMEOUT_S = 2.0
_MAX_NUM_BODIES = 16  # of the largest size, of all requests that are being served
_CLOSE = {"Connection": "close"}
_BUSY = {**_CLOSE, "Retry-After": "1"}


class ClientGoneError(Exception):
    """The client went away before its body was complete."""


class BodyLimit:
    """Reads the whole body before the app sees the request; refuses large and slow ones."""

    def __init__(self, app: ASGIApp, max_num_bytes: int, setting: str, timeout_s: float) -> None:
        """``setting`` names what raises ``max_num_bytes``, for the error's reader."""
        self._app, self._max_num_bytes, self._timeout_s = app, max_num_bytes, timeout_s
        self._setting = setting
        self._num_held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with its body, or answer with an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except ApiError as error:
            # A client that still sends would see a reset connection instead of the answer.
            await error.response()(scope, receive, _draining(receive, send))
            return
        except ClientGoneError:
            return
        try:
            await self._app(scope, _replayed(body, receive), send)
        finally:
            self._num_held_bytes -= len(body)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body, which counts as held until the caller says otherwise."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if int(declared) > self._max_num_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._collect(receive, body)
            return bytes(body)
        except BaseException as error:
            self._num_held_bytes -= len(body)
            if not isinstance(error, TimeoutError):
                raise
            message = f"the body did not arrive within {self._timeout_s:g} s"
            raise ApiError(408, message, code="body_timeout", headers=_CLOSE) from None

    async def _collect(self, receive: Receive, body: bytearray) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            more = message.get("body", b"")
            body += more
            self._num_held_bytes += len(more)
            if len(body) > self._max_num_bytes:
                raise self._too_large()
            if self._num_held_bytes > _MAX_NUM_BODIES * self._max_num_bytes:
                reason = "too many large requests arrive at once"
                raise ApiError(429, reason, code="too_much_at_once", headers=_BUSY)
            if not message.get("more_body", False):
                return

    def _too_large(self) -> ApiError:
        message = (
            f"the body is larger than {self._max_num_bytes} bytes; the setting {self._setting} "
            "raises the limit"
        )
        return ApiError(413, message, code="body_too_large", headers=_CLOSE)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that begins with ``body``."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _draining(receive: Receive, send: Send) -> Callable[[Message], Awaitable[None]]:
    """Return a ``send`` that keeps the connection open while the client reads the answer."""

    async def send_and_drain(message: Message) -> None:
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if not is_last:
            await send(message)
            return
        await send({**message, "more_body": True})
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                while (dropped := await receive())["type"] != "http.disconnect":
                    if not dropped.get("more_body", False):
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_and_drain
