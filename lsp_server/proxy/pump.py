"""Moves bytes between the editor, the relay and the daemon, in one thread that waits in ``poll``.

Only the search for a daemon has a thread of its own, as it may take seconds. No asyncio: importing
it would take longer than all else that the proxy does before its first answer.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from lsp_server.framing import FrameDecoder
from lsp_server.proxy.relay import DaemonError, Relay

Connect = Callable[[], socket.socket]

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 256 * 1024
# What one side may leave unread before nothing more is read of the other.
_MAX_UNSENT_BYTES = 64 * 1024 * 1024
_FLUSH_S = 2.0
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Pump:
    """Runs one relay until its end."""

    def __init__(self, relay: Relay, connect: Connect, input_fd: int, output_fd: int) -> None:
        """Remember both sides.

        Args:
            relay: Decides what is sent to whom.
            connect: Returns a connection to the daemon, at its first LSP byte, or raises what the
                user should read. Called in another thread.
            input_fd: Where the editor's messages come from; stays blocking, as it may be shared.
            output_fd: Where its messages go.
        """
        self._relay = relay
        self._connect = connect
        self._input_fd, self._output_fd = input_fd, output_fd
        self._editor_frames, self._daemon_frames = FrameDecoder(), FrameDecoder()
        self._daemon: socket.socket | None = None
        self._searches: list[_Search] = []  # at most one

    def run(self) -> int:
        """Serve until the editor ends the connection, and return the exit code."""
        try:
            while self._relay.exit_code is None:
                self._turn()
            self._flush()
        except BrokenPipeError:
            logger.warning("the editor closed its end; stopping")
            return 1
        finally:
            self._hang_up()
            self._end_search()
        return self._relay.exit_code

    def _turn(self) -> None:
        """Start what is wanted, wait, and handle whatever has happened."""
        if self._relay.wants_daemon and not self._searches:
            self._searches.append(_Search(self._connect))
        for fd, event in self._wait(None):
            if fd == self._input_fd:
                self._read_editor()
            elif fd == self._output_fd:
                self._write_editor()
            elif self._daemon is not None and fd == self._daemon.fileno():
                self._serve_daemon(event)
            elif self._searches and fd == self._searches[0].fileno():
                self._take_found()
            if self._relay.exit_code is not None:
                return

    def _wait(self, timeout_ms: float | None) -> list[tuple[int, int]]:
        relay, poll = self._relay, select.poll()
        is_editor_heard = not relay.is_full and len(relay.for_daemon) < _MAX_UNSENT_BYTES
        poll.register(self._input_fd, select.POLLIN if is_editor_heard else 0)
        if relay.for_editor:
            poll.register(self._output_fd, select.POLLOUT)
        if self._daemon is not None:
            is_daemon_heard = len(relay.for_editor) < _MAX_UNSENT_BYTES
            wanted = select.POLLIN if is_daemon_heard else 0
            poll.register(self._daemon, wanted | (select.POLLOUT if relay.for_daemon else 0))
        for search in self._searches:
            poll.register(search.fileno(), select.POLLIN)
        return poll.poll(timeout_ms)

    def _read_editor(self) -> None:
        try:
            chunk = os.read(self._input_fd, _CHUNK_BYTES)
        except OSError:
            chunk = b""  # a terminal or a socket that went away
        if not chunk:
            self._relay.editor_gone()
        for body in self._editor_frames.feed(chunk):
            self._relay.take_editor(body)
            if self._relay.exit_code is not None:
                return

    def _write_editor(self) -> None:
        """Write as much as surely does not block."""
        waiting = self._relay.for_editor
        del waiting[: os.write(self._output_fd, waiting[: select.PIPE_BUF])]

    def _serve_daemon(self, event: int) -> None:
        assert self._daemon is not None, "polled"
        try:
            if event & select.POLLOUT:
                waiting = self._relay.for_daemon
                del waiting[: self._daemon.send(waiting[:_CHUNK_BYTES])]
            if event & (select.POLLIN | _GONE):
                self._read_daemon(self._daemon)
        except BlockingIOError:
            return
        except (DaemonError, OSError) as error:
            self._lose_daemon(str(error))

    def _read_daemon(self, daemon: socket.socket) -> None:
        chunk = daemon.recv(_CHUNK_BYTES)
        if not chunk:
            raise DaemonError("it closed the connection")
        for body in self._daemon_frames.feed(chunk):
            self._relay.take_daemon(body)

    def _lose_daemon(self, reason: str) -> None:
        logger.warning("lost the daemon: %s", reason)
        self._hang_up()
        self._relay.daemon_lost()

    def _hang_up(self) -> None:
        if self._daemon is not None:
            self._daemon.close()
            self._daemon = None

    def _take_found(self) -> None:
        search = self._searches[0]
        self._end_search()
        if search.found is None:
            logger.error("found no daemon: %s", search.problem)
            self._relay.daemon_missing(search.problem)
            return
        self._daemon, self._daemon_frames = search.found, FrameDecoder()
        self._daemon.setblocking(False)
        self._relay.daemon_found()

    def _end_search(self) -> None:
        while self._searches:
            self._searches.pop().close()

    def _flush(self) -> None:
        """Send the last messages, for as long as somebody takes them."""
        deadline = time.monotonic() + _FLUSH_S
        if self._daemon is not None:
            try:
                self._daemon.send(self._relay.for_daemon)
            except OSError:
                logger.debug("the daemon was not told of the end", exc_info=True)
        poll = select.poll()
        poll.register(self._output_fd, select.POLLOUT)
        while self._relay.for_editor and (left_s := deadline - time.monotonic()) > 0:
            if poll.poll(left_s * 1000):
                self._write_editor()


class _Search:
    """One attempt to reach a daemon, in a thread; its descriptor is readable when it has ended."""

    def __init__(self, connect: Connect) -> None:
        self.found: socket.socket | None = None
        self.problem = ""
        self._connect = connect
        self._read_fd, self._write_fd = os.pipe()
        threading.Thread(target=self._run, name="daemon search", daemon=True).start()

    def fileno(self) -> int:
        return self._read_fd

    def close(self) -> None:
        """Stop waiting; the thread closes its own end when it is done."""
        os.close(self._read_fd)

    def _run(self) -> None:
        try:
            self.found = self._connect()
        except Exception as error:
            logger.debug("the search failed", exc_info=True)
            self.problem = str(error) or type(error).__name__
        finally:
            os.close(self._write_fd)  # an end of file wakes the pump
