"""One TCP connection: what uvicorn leaves open about clients that are slow, many or not HTTP."""

from __future__ import annotations

import asyncio
import json

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from lsp_server.http.errors import ApiError

HEAD_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 30.0
MAX_NUM_CONNECTIONS = 256


class LimitedH11Protocol(H11Protocol):
    """Ends connections that take too long to ask or to read, and those beyond a number."""

    head_timeout_s = HEAD_TIMEOUT_S
    write_timeout_s = WRITE_TIMEOUT_S
    max_num_connections = MAX_NUM_CONNECTIONS
    cycle: RequestResponseCycle | None  # type: ignore[assignment]
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.max_num_connections:
            message = f"more than {self.max_num_connections} connections are open"
            self._refuse(ApiError(503, message, code="too_many_connections"))
            return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; those of one request's head must all arrive within the limit."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._cancel_timers()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request with an error object, as every other mistake."""
        self._refuse(ApiError(400, "this is not a valid HTTP request", code="invalid_http"))

    def pause_writing(self) -> None:
        """Give a client that does not read its answer a while to go on."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _watch_head(self) -> None:
        # Between requests uvicorn's own timer runs, until the first byte of the next one.
        is_asking = self.cycle is None or self.cycle.response_complete
        is_waiting = is_asking and self.timeout_keep_alive_task is None
        if is_waiting and self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_is_late)
        elif not is_waiting and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        message = f"the request did not arrive within {self.head_timeout_s:g} s"
        self._refuse(ApiError(408, message, code="request_timeout"))

    def _refuse(self, error: ApiError) -> None:
        """Answer without a request, and close."""
        self._cancel_timers()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = json.dumps(error.body()).encode()
            self.transport.write(
                f"HTTP/1.1 {error.status} Error\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
        self.transport.close()

    def _cancel_timers(self) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._write_timer = None
