"""An editor and a daemon as lists of messages, with a relay between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lsp_server.framing import FrameDecoder
from lsp_server.proxy.relay import Relay

Message = dict[str, Any]
INITIALIZE = {"processId": None, "rootUri": None, "capabilities": {}}


class Conversation:
    """Both ends of one relay; what arrives at an end is collected until it is read."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.relay = Relay(lambda: "; look here", lambda: self.now)
        self._editor, self._daemon = FrameDecoder(), FrameDecoder()

    # -- the editor

    def type(self, method: str, params: Any, msg_id: int | str | None = None) -> None:
        """Send a request, or a notification without an id."""
        named = {} if msg_id is None else {"id": msg_id}
        self.send({"method": method, "params": params, **named})

    def send(self, message: Message) -> None:
        self.relay.take_editor(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def shown(self) -> list[Message]:
        """Return what has reached the editor since the last call."""
        return _read(self._editor, self.relay.for_editor)

    def begin(self, **capabilities: Any) -> None:
        """Connect the first daemon and initialize as editors do."""
        self.relay.daemon_found()
        self.type("initialize", INITIALIZE, 1)
        self.welcome(1, **capabilities)
        self.type("initialized", {})
        self.shown()
        self.heard()

    def open(self, text: str, uri: str = "file:///a.py") -> None:
        item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.type("textDocument/didOpen", {"textDocument": item})

    def change(self, version: int, *changes: Any, uri: str = "file:///a.py") -> None:
        document = {"uri": uri, "version": version}
        params = {"textDocument": document, "contentChanges": list(changes)}
        self.type("textDocument/didChange", params)

    def complete(self, msg_id: int, uri: str = "file:///a.py") -> None:
        params = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}}
        self.type("textDocument/inlineCompletion", params, msg_id)

    # -- the daemon

    def say(self, **message: Any) -> None:
        self.relay.take_daemon(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def heard(self) -> list[Message]:
        """Return what has reached the daemon since the last call."""
        return _read(self._daemon, self.relay.for_daemon)

    def welcome(self, msg_id: int | str, **capabilities: Any) -> None:
        self.say(id=msg_id, result={"capabilities": capabilities})

    def replace_daemon(self, **capabilities: Any) -> list[Message]:
        """Kill the daemon, connect another, and return what it is told."""
        self.relay.daemon_lost()
        self.relay.daemon_found()
        (greeting,) = self.heard()
        assert greeting["method"] == "initialize"
        self.welcome(greeting["id"], **capabilities)
        return [greeting, *self.heard()]


def _read(decoder: FrameDecoder, waiting: bytearray) -> list[Message]:
    messages = []
    for body in decoder.feed(bytes(waiting)):
        assert isinstance(body, bytes)
        messages.append(json.loads(body))
    waiting.clear()
    return messages


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


@pytest.fixture(scope="session")
def new_conversation() -> Callable[[], Conversation]:
    return Conversation


def answers(messages: list[dict[str, Any]]) -> dict[Any, Any]:
    """Return responses by id: the result, or the error's code; a second one is a failure."""
    found: dict[Any, Any] = {}
    for message in messages:
        if "method" not in message:
            assert message["id"] not in found, f"two responses: {messages}"
            error = message.get("error")
            found[message["id"]] = error["code"] if error else message["result"]
    return found


@pytest.fixture(name="answers", scope="session")
def _answers() -> Callable[[list[Message]], dict[Any, Any]]:
    return answers
