"""The daemon: one event loop that serves every client of a user over a private socket.

A connection begins with a hello and then speaks LSP or the control methods. Nothing here imports
torch; the host does, in the loader's thread, for the first client that needs a model.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lsp_server import version
from lsp_server.config_files import read_user_file
from lsp_server.daemon.control import SCRIPT_OWNER, ControlConnection
from lsp_server.daemon.documents import WholeTexts
from lsp_server.daemon.hello import (
    MAX_HELLO_BYTES,
    PROTOCOL,
    Hello,
    Refusal,
    Role,
    Welcome,
    decode_hello,
    encode,
)
from lsp_server.daemon.paths import RuntimePaths, prepare
from lsp_server.errors import BadHelloError, DaemonStartError
from lsp_server.framing import BrokenFrame
from lsp_server.host import ModelHost
from lsp_server.logs import client_scope
from lsp_server.options import from_environment, from_flags
from lsp_server.server import FimbleLanguageServer
from lsp_server.settings import ServerSettings
from lsp_server.transport import StreamFrames, StreamOutput, serve_frames
from lsp_server.turns import watch_turns

logger = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 10.0
_BACKLOG = 512
_TICK_S = 1.0
_CLOSE_TIMEOUT_S = 5.0
INDEX_UNUSED_S = 600.0  # after which it is closed; it stays on disk
_NUM_LOCK_TRIES, _LOCK_TRY_S = 20, 0.01


@dataclass(eq=False, slots=True)
class Client:
    """One connection, for people who want to know who is there."""

    hello: Hello
    since: float = field(default_factory=time.monotonic)
    language_server: FimbleLanguageServer | None = None

    @property
    def name(self) -> str:
        """What the editor calls itself."""
        server = self.language_server
        return server.client_name if server is not None else ""

    @property
    def num_documents(self) -> int:
        """How many documents are open."""
        server = self.language_server
        return server.session.num_documents if server is not None else 0


class Daemon:
    """Serves until it is stopped, or until nobody has been there for a while."""

    def __init__(self, host: ModelHost, paths: RuntimePaths, settings: ServerSettings) -> None:
        self.host = host
        self.clients: set[Client] = set()
        self.scripts = WholeTexts(SCRIPT_OWNER)
        self.urls: list[str] = []
        self.started_at = time.monotonic()
        self._paths, self._settings = paths, settings
        self.listens = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle_since = time.monotonic()

    async def run(self) -> None:
        """Listen until the end.

        Raises:
            DaemonStartError: Another daemon of this user is running.
            RuntimeFolderError: The folder cannot be made private.
        """
        prepare(self._paths)
        loop = asyncio.get_running_loop()
        watch_turns(loop, self.host.metrics.count_long_turn)
        self.host.metrics.observe_loop(loop)
        with _exclusive(self._paths):
            server = await asyncio.start_unix_server(
                self._accept, sock=_listening_socket(self._paths), backlog=_BACKLOG
            )
            _write_state(self._paths)
            self.listens.set()
            logger.info("listening on %s", self._paths.socket)
            try:
                await self._until_stopped()
            finally:
                server.close()
                await self._end_connections()
                _remove(self._paths)

    def stop(self) -> None:
        """End the daemon in order; may be called again, on its event loop."""
        self._stopping.set()

    async def _until_stopped(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK_S)
            await asyncio.to_thread(self.host.unload_unused, self._settings.unload_after_s)
            await asyncio.to_thread(self.host.workspaces.close_unused, INDEX_UNUSED_S)
            await asyncio.to_thread(self.host.workspaces.take_over)
            await self.host.dashboard.close_unused()
            if self._is_idle():
                logger.info("nobody has been here for a while; ending")
                return

    def _is_idle(self) -> bool:
        limit = self._settings.idle_shutdown_s
        if self._tasks or self.host.dashboard.is_watched:
            self._idle_since = time.monotonic()
        return bool(limit) and time.monotonic() - self._idle_since >= limit

    async def _end_connections(self) -> None:
        self._stopping.set()
        await self.host.dashboard.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio serves connections in tasks"
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
        except asyncio.CancelledError:
            logger.debug("a connection was cancelled")
        except ConnectionError as error:
            logger.info("a connection broke: %s", error)
        except Exception:
            logger.exception("a connection failed")  # the others go on
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _is_same_user(writer.get_extra_info("socket")):
            logger.warning("refused a connection of another user")
            return
        frames = StreamFrames(reader, MAX_HELLO_BYTES)
        try:
            hello = await self._read_hello(frames)
        except BadHelloError as error:
            self._refuse(writer, Refusal.BAD_HELLO, str(error))
            return
        if not self._welcomes(hello, writer):
            return
        frames.allow_large()
        client = Client(hello)
        self.clients.add(client)
        try:
            with client_scope(hello.client), self.host.metrics.connection(hello.role):
                await self._serve(client, frames, writer)
        finally:
            self.clients.discard(client)

    async def _read_hello(self, frames: StreamFrames) -> Hello:
        try:
            frame = await asyncio.wait_for(frames.next(), HELLO_TIMEOUT_S)
        except TimeoutError:
            raise BadHelloError(f"nothing came within {HELLO_TIMEOUT_S:.0f} s") from None
        if frame is None or isinstance(frame, BrokenFrame):
            raise BadHelloError("no frame" if frame is None else frame.reason)
        return decode_hello(frame)

    def _welcomes(self, hello: Hello, writer: asyncio.StreamWriter) -> bool:
        """Answer the hello; whatever its version, whoever wants to control us may."""
        ours = version.current()
        is_known = hello.protocol == PROTOCOL
        if not is_known or (hello.role is Role.LSP and hello.version != ours):
            self._refuse(writer, Refusal.VERSION, f"this daemon is fimble {ours}")
            return False
        if self._stopping.is_set():
            self._refuse(writer, Refusal.STOPPING, "this daemon is ending")
            return False
        writer.write(encode(Welcome(ours, os.getpid())))
        return True

    def _refuse(self, writer: asyncio.StreamWriter, reason: Refusal, message: str) -> None:
        logger.info("refused a connection: %s", message)
        writer.write(encode(Welcome(version.current(), os.getpid(), False, reason, message)))

    async def _serve(
        self, client: Client, frames: StreamFrames, writer: asyncio.StreamWriter
    ) -> None:
        hello, output = client.hello, StreamOutput(writer)
        if hello.role is Role.CONTROL:
            await ControlConnection(self, hello, output).serve(frames)
            return
        folder = Path(hello.directory)  # relative paths are the client's, who is elsewhere
        server = FimbleLanguageServer(
            self.host,
            from_environment(hello.environment).anchored(folder),
            from_flags(hello.flags).anchored(folder),
            hello.client,
            user=read_user_file(hello.environment, hello.directory),
        )
        client.language_server = server
        server.protocol.set_writer(output)
        try:
            await serve_frames(server.protocol, frames)
        finally:
            server.disconnect()


def _is_same_user(connection: socket.socket) -> bool:
    """Whether the other end belongs to this user; where the system does not tell, the folder does."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return int(uid) == os.getuid()


@contextlib.contextmanager
def _exclusive(paths: RuntimePaths) -> Iterator[None]:
    """Be the only daemon of this folder."""
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(_NUM_LOCK_TRIES):  # somebody may just be looking whether it is locked
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_TRY_S)
        else:
            raise DaemonStartError("another daemon is running; see `fimble daemon status`")
        yield
    finally:
        os.close(descriptor)


def _listening_socket(paths: RuntimePaths) -> socket.socket:
    """Return the bound socket; one that a killed daemon left behind is replaced."""
    with contextlib.suppress(FileNotFoundError):
        paths.socket.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    former = os.umask(0o177)
    try:
        listening.bind(str(paths.socket))
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(former)
    return listening


def _write_state(paths: RuntimePaths) -> None:
    state = {"pid": os.getpid(), "version": version.current(), "protocol": PROTOCOL}
    paths.state.write_text(json.dumps(state), encoding="utf-8")


def _remove(paths: RuntimePaths) -> None:
    for path in (paths.socket, paths.state):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
