"""The stdio loop: frames in from one thread, messages handled one by one on the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from typing import BinaryIO

from pygls.io_ import StdoutWriter

from lsp_server.framing import BrokenFrame, FrameDecoder
from lsp_server.protocol import FimbleProtocol

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024

Frame = bytes | BrokenFrame | None  # None: the stream has ended


async def serve(protocol: FimbleProtocol, input_fd: int, output: BinaryIO) -> int:
    """Handle messages from ``input_fd`` until ``exit`` or the end of the stream.

    Returns:
        The exit code LSP asks for: 0 after ``shutdown`` and ``exit``, otherwise 1.
    """
    protocol.set_writer(StdoutWriter(output))
    loop = asyncio.get_running_loop()
    frames: asyncio.Queue[Frame] = asyncio.Queue()

    def deliver(frame: Frame) -> None:
        loop.call_soon_threadsafe(frames.put_nowait, frame)

    threading.Thread(
        target=_read_frames, args=(input_fd, deliver), name="stdin", daemon=True
    ).start()
    while (frame := await frames.get()) is not None:
        try:
            await _take_turn(protocol, frame)
        except BrokenPipeError:
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
