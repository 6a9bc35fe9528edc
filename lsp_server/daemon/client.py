"""A caller of the daemon's own methods; blocking, for the command line."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from lsp_server.errors import BadInputError, FimbleError
from lsp_server.framing import BrokenFrame, FrameDecoder, frame
from lsp_server.messages import INVALID_PARAMS, REQUEST_CANCELLED, Json, encode, read_message

_CHUNK_BYTES = 64 * 1024

Progress = Callable[[str, float | None], None]


class DaemonFailedError(FimbleError):
    """The daemon could not do what was asked, or went away."""


class TakenBackError(DaemonFailedError):
    """The request was cancelled."""


class ControlClient:
    """One connection; requests are made one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        """Use ``connection``, which is behind the exchange of hellos."""
        self._connection = connection
        self._frames = self._read()
        self._next_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def request(
        self, method: str, params: dict[str, Json], on_progress: Progress | None = None
    ) -> dict[str, Json]:
        """Return the result of ``method``.

        Args:
            method: See ``lsp_server.daemon.control``.
            params: Its parameters.
            on_progress: Told what the daemon does meanwhile, and which part of it is done.

        Raises:
            BadInputError: The daemon finds fault with the parameters.
            TakenBackError: ``cancel`` was called before there was an answer.
            DaemonFailedError: Anything else went wrong.
        """
        self._next_id += 1
        self._send({"id": self._next_id, "method": method, "params": params})
        for message in self._frames:
            if message.get("method") == "progress" and on_progress is not None:
                on_progress(message["params"]["stage"], message["params"]["fraction"])
            if message.get("id") != self._next_id or "method" in message:
                continue
            if "error" not in message:
                result: dict[str, Json] = message["result"]
                return result
            reason = message["error"]["message"]
            if message["error"]["code"] == INVALID_PARAMS:
                raise BadInputError(reason)
            if message["error"]["code"] == REQUEST_CANCELLED:
                raise TakenBackError(reason)
            raise DaemonFailedError(reason)
        raise DaemonFailedError("the daemon went away; `fimble daemon logs` may say why")

    def cancel(self) -> None:
        """Take the running request back; may be called from a signal handler."""
        self._send({"method": "cancel", "params": {"id": self._next_id}})

    def close(self) -> None:
        """Hang up, which ends everything that this connection asked for."""
        self._connection.close()

    def _send(self, message: dict[str, Json]) -> None:
        try:
            self._connection.sendall(frame(encode({"jsonrpc": "2.0", **message})))
        except OSError as error:
            raise DaemonFailedError(f"the daemon went away: {error}") from error

    def _read(self) -> Iterator[dict[str, Json]]:
        decoder = FrameDecoder()
        try:
            while chunk := self._connection.recv(_CHUNK_BYTES):
                for body in decoder.feed(chunk):
                    if not isinstance(body, BrokenFrame):
                        yield read_message(body)
        except ConnectionError:
            return
