"""A daemon of its own for a benchmark, and the simplest clients that can talk to it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_server import version
from lsp_server.daemon import launch
from lsp_server.daemon.hello import Hello, Role, decode_welcome, encode, new_client_id
from lsp_server.daemon.paths import RuntimePaths, runtime_paths
from lsp_server.framing import BrokenFrame, FrameDecoder, frame

Json = Any
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon; ``variables`` are those that it and its clients have."""

    paths: RuntimePaths
    process: subprocess.Popen[bytes]
    log: Path
    variables: Mapping[str, str]


@contextmanager
def running_daemon(**settings: str) -> Iterator[Daemon]:
    """Start a daemon with ``settings``, as ``FIMBLE_`` variables without that prefix, and end it.

    Raises:
        RuntimeError: It did not start, or it did not end in order.
    """
    with tempfile.TemporaryDirectory(prefix="fimble-") as name:
        log = Path(name) / "daemon.log"
        settings = {"SERVER_RUNTIME_DIR": f"{name}/run", "SERVER_LOG_FILE": str(log), **settings}
        variables = {f"FIMBLE_{key}": text for key, text in settings.items()}
        environment = {**os.environ, **variables}
        paths = runtime_paths(f"{name}/run", environment)
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "lsp_server", "daemon", "run"],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_until_listening(process, paths)
            yield Daemon(paths, process, log, variables)
            launch.stop(paths, version.current())
            code = process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        if code != 0:
            raise RuntimeError(f"the daemon ended with {code}")


def _wait_until_listening(process: subprocess.Popen[bytes], paths: RuntimePaths) -> None:
    give_up_at = time.monotonic() + START_TIMEOUT_S
    while not paths.state.exists():
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError("the daemon did not start")
        time.sleep(0.02)


class Inbox:
    """What a server wrote, taken apart."""

    def __init__(self) -> None:
        self.received: list[dict[str, Json]] = []
        self.has_news = asyncio.Event()
        self.has_ended = False
        self._decoder = FrameDecoder()

    def feed(self, raw: bytes) -> None:
        """Take in bytes; nothing at all means that the server has closed its side."""
        self.has_ended |= not raw
        for part in self._decoder.feed(raw):
            if isinstance(part, BrokenFrame):
                raise RuntimeError(f"the server wrote a broken frame: {part.reason}")
            self.take(json.loads(part))
        self.has_news.set()

    def take(self, message: dict[str, Json]) -> None:
        """Keep one message."""
        self.received.append(message)


class SocketWire(Inbox):
    """A connection to a daemon, behind the hello; anything may be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader, self._writer = reader, writer

    async def send(self, raw: bytes) -> None:
        """Write ``raw``."""
        self._writer.write(raw)
        await self._writer.drain()

    async def read(self) -> None:
        """Read until the server has gone."""
        while raw := await self._reader.read(65536):
            self.feed(raw)
        self.feed(b"")


class LspClient(SocketWire):
    """A client that waits for what it asks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Json]]] = {}

    def take(self, message: dict[str, Json]) -> None:
        """Hand a response to whoever asked; answer what the server asks."""
        if "method" not in message:
            self._waiting.pop(message["id"]).set_result(message)
        elif "id" in message:
            self._write({"id": message["id"], "result": None})

    @property
    def num_open(self) -> int:
        """Requests that have no response yet."""
        return len(self._waiting)

    def notify(self, method: str, params: Json) -> None:
        """Send a notification."""
        self._write({"method": method, "params": params})

    def request(self, method: str, params: Json) -> tuple[int, asyncio.Future[dict[str, Json]]]:
        """Send a request; returns its id and the response to come."""
        msg_id, response = next(self._ids), asyncio.get_running_loop().create_future()
        self._waiting[msg_id] = response
        self._write({"id": msg_id, "method": method, "params": params})
        return msg_id, response

    async def ask(self, method: str, params: Json) -> Json:
        """Send a request and return the result.

        Raises:
            RuntimeError: The response is an error.
        """
        response = await self.request(method, params)[1]
        if "error" in response:
            raise RuntimeError(f"{method}: {response['error']}")
        return response["result"]

    async def initialize(self) -> None:
        """Begin the session."""
        params: Json = {"processId": None, "rootUri": None, "capabilities": {}}
        await self.ask("initialize", params)
        self.notify("initialized", {})

    def open(self, uri: str, text: str) -> None:
        """Open a Python document."""
        item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def insert(self, uri: str, document_version: int, line: int, character: int, text: str) -> None:
        """Type ``text``."""
        position = {"line": line, "character": character}
        change = {"range": {"start": position, "end": position}, "text": text}
        document = {"uri": uri, "version": document_version}
        params = {"textDocument": document, "contentChanges": [change]}
        self.notify("textDocument/didChange", params)

    def complete(
        self, uri: str, line: int, character: int, *, invoked: bool = True
    ) -> tuple[int, asyncio.Future[dict[str, Json]]]:
        """Ask for ghost text; returns the request's id and the response to come."""
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": 1 if invoked else 2},
        }
        return self.request("textDocument/inlineCompletion", params)

    def _write(self, message: dict[str, Json]) -> None:
        self._writer.write(frame(json.dumps({"jsonrpc": "2.0", **message}).encode()))


@asynccontextmanager
async def greeted(
    daemon: Daemon, role: Role = Role.LSP
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the daemon, behind the exchange of hellos.

    Raises:
        ConnectionError: The daemon does not take us.
    """
    reader, writer = await asyncio.open_unix_connection(str(daemon.paths.socket))
    hello = Hello(version.current(), role, new_client_id(), environment=daemon.variables)
    writer.write(encode(hello))
    header = await reader.readuntil(b"\r\n\r\n")
    welcome = decode_welcome(await reader.readexactly(int(header.split(b":")[1])))
    if not welcome.accepted:
        raise ConnectionError(welcome.message)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def connected(daemon: Daemon) -> AsyncIterator[LspClient]:
    """A client of the daemon, initialized."""
    async with greeted(daemon) as streams:
        client = LspClient(*streams)
        reading = asyncio.create_task(client.read())
        try:
            await client.initialize()
            yield client
        finally:
            reading.cancel()
