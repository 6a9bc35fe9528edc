"""Connections as streams of frames, handled one by one on the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, Protocol

from pygls.io_ import StdoutWriter

from lsp_server.framing import MAX_BODY_BYTES, BrokenFrame, FrameDecoder
from lsp_server.protocol import FimbleProtocol

logger = logging.getLogger(__name__)

# What a client may leave unread before it is given up: far above any answer.
MAX_UNREAD_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024

Frame = bytes | BrokenFrame | None  # None: the stream has ended


class FrameSource(Protocol):
    """Where frames come from."""

    async def next(self) -> Frame:
        """Return the next frame, ``None`` at the end of the stream."""
        ...


async def serve(protocol: FimbleProtocol, input_fd: int, output: BinaryIO) -> int:
    """Serve a client on standard input and output; see ``serve_frames``."""
    protocol.set_writer(StdoutWriter(output))
    return await serve_frames(protocol, _DescriptorFrames(input_fd))


async def serve_frames(protocol: FimbleProtocol, frames: FrameSource) -> int:
    """Handle messages until ``exit`` or the end of the stream.

    Returns:
        The exit code LSP asks for: 0 after ``shutdown`` and ``exit``, otherwise 1.
    """
    while (frame := await frames.next()) is not None:
        try:
            await _take_turn(protocol, frame)
        except (BrokenPipeError, ConnectionError):
            logger.warning("the client closed its end; stopping")
            break
        if protocol.exit_code is not None:
            return protocol.exit_code
    return 1


async def _take_turn(protocol: FimbleProtocol, frame: bytes | BrokenFrame) -> None:
    """Handle one message and let what it started run up to its first wait.

    The extra turn of the loop is what makes a request see the document as it was when the request
    arrived: its handler takes the snapshot before the next message, perhaps a change, is read.
    """
    if isinstance(frame, BrokenFrame):
        protocol.receive_broken(frame.reason)
        return
    protocol.receive(frame)
    await asyncio.sleep(0)


class StreamFrames:
    """Frames of a socket."""

    def __init__(self, reader: asyncio.StreamReader, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._reader = reader
        self._decoder = FrameDecoder(max_body_bytes)
        self._waiting: deque[bytes | BrokenFrame] = deque()

    async def next(self) -> Frame:
        """See ``FrameSource``."""
        while not self._waiting:
            try:
                chunk = await self._reader.read(_CHUNK_BYTES)
            except ConnectionError:
                return None
            if not chunk:
                return None
            self._waiting.extend(self._decoder.feed(chunk))
        return self._waiting.popleft()

    def allow_large(self) -> None:
        """Take bodies of any size that a document may have, now that we know who sends them."""
        self._decoder.max_body_bytes = MAX_BODY_BYTES


class StreamOutput:
    """The writing end of a socket; gives up a client that does not read."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Queue ``data``; what is written to a closed connection is dropped."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(data)
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            logger.warning("a client leaves more than %d bytes unread", MAX_UNREAD_BYTES)
            transport.abort()

    def close(self) -> None:
        """Close the connection behind what is queued."""
        self._writer.close()


class _DescriptorFrames:
    """Frames of standard input, read by a thread of their own."""

    def __init__(self, input_fd: int) -> None:
        loop = asyncio.get_running_loop()
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()

        def deliver(frame: Frame) -> None:
            loop.call_soon_threadsafe(self._frames.put_nowait, frame)

        threading.Thread(
            target=_read_frames, args=(input_fd, deliver), name="stdin", daemon=True
        ).start()

    async def next(self) -> Frame:
        """See ``FrameSource``."""
        return await self._frames.get()


def _read_frames(input_fd: int, deliver: Callable[[Frame], None]) -> None:
    """Pass on every frame of the stream, then ``None``.

    Reads the descriptor itself: a thread that waits inside ``sys.stdin`` holds its lock, and an
    interpreter that shuts down meanwhile aborts.
    """
    decoder = FrameDecoder()
    try:
        while chunk := os.read(input_fd, _CHUNK_BYTES):
            for frame in decoder.feed(chunk):
                deliver(frame)
        deliver(None)
    except (OSError, RuntimeError):
        # The descriptor or the loop was closed under us: the server is going down already.
        logger.debug("the reader stopped", exc_info=True)
