"""Bytes of a stdio stream to the bodies of JSON-RPC messages.

The base protocol is a block of ``Name: value`` lines, an empty line, and a body of as many bytes as
``Content-Length`` says. A client that gets this wrong once must not take the server down or leave
it waiting: the decoder reports the broken part and goes on at the next ``Content-Length``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_BODY_BYTES = 256 * 1024 * 1024  # far above any document; a larger length is a broken header
_MAX_HEADER_BYTES = 8 * 1024
_BLOCK_END = re.compile(rb"\r?\n\r?\n")
_LENGTH_LINE = re.compile(
    rb"^content-length:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_LENGTH_NAME = re.compile(rb"content-length:", re.IGNORECASE)


class BrokenFrame(NamedTuple):
    """Bytes that were no message; ``reason`` is safe to log, it holds none of them."""

    reason: str


def frame(body: bytes) -> bytes:
    """Return ``body`` with the header that the base protocol wants before it."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class FrameDecoder:
    """Collects chunks of any size and hands out each body as soon as it is complete."""

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._num_body_bytes: int | None = None
        self._is_lost = False  # in bytes that belong to no message

    def feed(self, chunk: bytes) -> Iterator[bytes | BrokenFrame]:
        """Take in ``chunk`` and yield what it completed, in the order of the stream."""
        self._buffer += chunk
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> bytes | BrokenFrame | None:
        if self._num_body_bytes is None:
            broken = self._read_header()
            if broken is not None:
                return broken
        if self._num_body_bytes is None or len(self._buffer) < self._num_body_bytes:
            return None
        body = self._take(self._num_body_bytes)
        self._num_body_bytes = None
        return body

    def _read_header(self) -> BrokenFrame | None:
        """Set the body's length if a whole header stands at the front of the buffer.

        What is decided depends on the stream alone, never on how much of it has arrived.
        """
        if self._is_lost and not self._find_length():
            return None
        end = _BLOCK_END.search(self._buffer, 0, _MAX_HEADER_BYTES)
        if end is None:
            return self._drop_endless_header()
        header = bytes(self._buffer[: end.start()])
        line = _LENGTH_LINE.search(header)
        if line is None:
            self._skip_to_length(end.end())
            return BrokenFrame("a header without Content-Length")
        del self._buffer[: end.end()]
        length = line.group(1)
        if not length.isdigit() or len(length) > 12 or int(length) > self.max_body_bytes:
            limit = self.max_body_bytes
            return BrokenFrame(f"a Content-Length that is not a number up to {limit}")
        self._num_body_bytes = int(length)
        return None

    def _drop_endless_header(self) -> BrokenFrame | None:
        if len(self._buffer) < _MAX_HEADER_BYTES:
            return None
        self._is_lost = True
        del self._buffer[:1]  # perhaps the first of a name that led nowhere
        return BrokenFrame(f"a header longer than {_MAX_HEADER_BYTES} bytes")

    def _find_length(self) -> bool:
        """Drop everything before the next ``Content-Length``; returns whether there is one."""
        name = _LENGTH_NAME.search(self._buffer)
        self._is_lost = name is None
        num_dropped = name.start() if name else len(self._buffer) - len(b"content-length")
        del self._buffer[: max(0, num_dropped)]
        return name is not None

    def _skip_to_length(self, num_bytes: int) -> None:
        """Drop ``num_bytes``, or fewer where a ``Content-Length`` stands among them.

        A body whose own header was broken runs straight into the next header, without a line end
        in between: that header is still good.
        """
        name = _LENGTH_NAME.search(self._buffer, 1, num_bytes)
        del self._buffer[: name.start() if name else num_bytes]

    def _take(self, num_bytes: int) -> bytes:
        taken = bytes(self._buffer[:num_bytes])
        del self._buffer[:num_bytes]
        return taken
