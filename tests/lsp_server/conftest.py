"""A completion service without a model, and a connection without a process."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from completion.types import (
    CancellationToken,
    Cancelled,
    Candidate,
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    FinishReason,
    NoSuggestion,
    Suggestion,
    SuggestionSource,
)
from kvedit.policy import CacheStats
from lsp_server.host import ModelHost


@dataclass
class FakeService:
    """Keeps the contract of CompletionService: blocks, polls its token, answers from another thread.

    ``text`` is what it suggests; while ``gate`` is closed a request waits for it or its token.
    """

    text: str = "a + b"
    gate: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    outcome: Callable[[CompletionRequest], CompletionOutcome] | None = None
    requests: list[CompletionRequest] = field(default_factory=list)
    cancelled_ids: list[str] = field(default_factory=list)
    accepted_ids: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    known: Suggestion | NoSuggestion | None = None
    closed: threading.Event = field(default_factory=threading.Event)
    num_waiting: int = 0
    is_idle: bool = True
    busy_s: float = 0.0
    cache_stats: CacheStats = field(default_factory=CacheStats)
    prepared: list[tuple[CompletionRequest, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def is_closed(self) -> bool:
        return self.closed.is_set()

    def lookup(self, request: CompletionRequest) -> Suggestion | NoSuggestion | None:
        return self.known

    def prepare(self, request: CompletionRequest, resting_s: float = 0.0) -> None:
        self.prepared.append((request, resting_s))

    def complete(
        self,
        request: CompletionRequest,
        cancel: CancellationToken,
        on_text: Callable[[str], None] | None = None,
    ) -> CompletionOutcome:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        while not self.gate.wait(0.002):
            if cancel.is_cancelled:
                self.cancelled_ids.append(request.request_id)
                return Cancelled(request.request_id)
        if self.outcome is not None:
            return self.outcome(request)
        if on_text is not None:
            on_text(self.text)
        return self.suggestion(request)

    def suggestion(self, request: CompletionRequest, text: str | None = None) -> Suggestion:
        text = self.text if text is None else text
        return Suggestion(
            request_id=request.request_id,
            text=text,
            replace_start=request.offset,
            replace_end=request.offset,
            candidates=(Candidate(text, -0.5),),
            confidence=0.9,
            finish_reason=FinishReason.STOP,
            source=SuggestionSource.ENGINE,
            trace=CompletionTrace(model="fake"),
        )

    def accepted(self, request_id: str) -> None:
        self.accepted_ids.append(request_id)

    def forget(self, uri: str) -> None:
        self.forgotten.append(uri)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Give back the log as pytest set it up: commands configure it for their process."""
    root, pygls = logging.getLogger(), logging.getLogger("pygls")
    handlers, level, pygls_level = root.handlers[:], root.level, pygls.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    pygls.setLevel(pygls_level)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def make_service() -> type[FakeService]:
    return FakeService


class Connection:
    """A client of the server in this process: writes raw frames, reads what comes back."""

    def __init__(self, write_fd: int, messages: asyncio.Queue[dict[str, Any]]) -> None:
        self._write_fd = write_fd
        self._messages = messages
        self._next_id = 0
        self.notifications: list[dict[str, Any]] = []

    def send_raw(self, raw: bytes) -> None:
        import os

        os.write(self._write_fd, raw)

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> int:
        self._next_id += 1
        self.send({"id": self._next_id, "method": method, "params": params})
        return self._next_id

    async def any_response(self) -> dict[str, Any]:
        """Return the next response, whatever it answers."""
        while True:
            message = await asyncio.wait_for(self._messages.get(), 10)
            if "method" not in message:
                return message
            self.notifications.append(message)

    async def response(self, msg_id: int | None) -> dict[str, Any]:
        """Return the response to ``msg_id``; another response in between is a failure."""
        message = await self.any_response()
        assert message["id"] == msg_id, message
        return message

    async def ask(self, method: str, params: Any) -> dict[str, Any]:
        return await self.response(self.request(method, params))

    async def no_further_response(self) -> None:
        """Send a request that is refused and see that its refusal is the next response."""
        refused = await self.ask("workspace/executeCommand", {"command": "nothing.at.all"})
        assert refused["error"]["code"] == -32602

    async def notification(self, method: str) -> dict[str, Any]:
        for message in self.notifications:
            if message["method"] == method:
                self.notifications.remove(message)
                return message
        message = await asyncio.wait_for(self._messages.get(), 10)
        assert message.get("method") == method, message
        return message

    def open(self, text: str, uri: str = "file:///w/a.py", version: int = 1) -> None:
        item = {"uri": uri, "languageId": "python", "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, version: int, *changes: dict[str, Any], uri: str = "file:///w/a.py") -> None:
        document = {"uri": uri, "version": version}
        params = {"textDocument": document, "contentChanges": list(changes)}
        self.notify("textDocument/didChange", params)

    def complete(
        self, line: int, character: int, uri: str = "file:///w/a.py", **context: Any
    ) -> int:
        return self.request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": uri},
                "position": {"line": line, "character": character},
                "context": {"triggerKind": 2, **context},
            },
        )


class ConnectedServer:
    """Starts a server on pipes; use ``async with server(...) as client``."""

    def __init__(
        self,
        build: Callable[[Any, Any], Any],
        flags: dict[str, object],
        shared_host: ModelHost | None,
        owner: str,
    ) -> None:
        self._build, self._flags = build, flags
        self._shared_host, self._owner = shared_host, owner
        self.exit_code: int | None = None

    async def __aenter__(self) -> Connection:
        import os

        from lsp_server.options import Options, from_flags
        from lsp_server.server import FimbleLanguageServer
        from lsp_server.transport import serve
        from lsp_server.turns import watch_turns

        watch_turns(asyncio.get_running_loop())
        read_fd, self._write_fd = os.pipe()
        self._read_fd = read_fd
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.host = self._shared_host or ModelHost(self._build)
        flags = from_flags(self._flags)
        self.server = FimbleLanguageServer(self.host, Options({}), flags, self._owner)
        writer = _Collector(messages)
        self._task = asyncio.create_task(serve(self.server.protocol, read_fd, writer))
        return Connection(self._write_fd, messages)

    async def __aexit__(self, *_: object) -> None:
        import os

        os.close(self._write_fd)
        self.exit_code = await asyncio.wait_for(self._task, 10)
        self.server.disconnect()
        if self._shared_host is None:
            self.host.close()
        os.close(self._read_fd)


class _Collector:
    """A writer that takes the frames apart again."""

    def __init__(self, messages: asyncio.Queue[dict[str, Any]]) -> None:
        self._messages = messages

    def write(self, data: bytes) -> None:
        header, _, body = data.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in header
        self._messages.put_nowait(json.loads(body))

    def flush(self) -> None: ...

    def close(self) -> None: ...


INITIALIZE: dict[str, Any] = {"processId": None, "rootUri": None, "capabilities": {}}


@pytest.fixture
def connected(service: FakeService) -> Callable[..., ConnectedServer]:
    """Return ``connected(build=..., flags...)``: a server on pipes, not yet initialized.

    ``build`` gets the settings; with ``tells_progress`` it gets whom to tell, too. A ``host`` that
    several clients share is the caller's; ``owner`` is what their documents are told apart by.
    """

    def connect(
        build: Callable[..., Any] = lambda _settings: service,
        *,
        tells_progress: bool = False,
        host: ModelHost | None = None,
        owner: str = "",
        **flags: object,
    ) -> ConnectedServer:
        told = build if tells_progress else lambda settings, _progress: build(settings)
        return ConnectedServer(told, flags, host, owner)

    return connect


@pytest.fixture
def initialize() -> Callable[..., Any]:
    """Return ``await initialize(client, **params)``, which also waits until the model is there."""

    async def run(client: Connection, **params: Any) -> dict[str, Any]:
        response = await client.ask("initialize", {**INITIALIZE, **params})
        client.notify("initialized", {})
        return dict(response["result"])

    return run


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parents[2]
