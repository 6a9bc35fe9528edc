"""The daemon as its clients meet it: hellos, roles, its own methods, and clients that misbehave."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.differences import edit_between
from completion.types import apply_edits
from lsp_server.daemon import launch
from lsp_server.daemon.client import ControlClient, DaemonFailedError
from lsp_server.daemon.documents import WholeTexts
from lsp_server.daemon.hello import Hello, Role
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.errors import BadInputError
from lsp_server.framing import BrokenFrame, FrameDecoder

MakeHello = Callable[..., Hello]
StartDaemon = Callable[..., Any]
TEXT = "def add(a, b):\n    return \n"
DOCUMENT = {"uri": "file:///w/a.py", "path": "/w/a.py", "language_id": "python", "text": TEXT}
COMPLETE = {"document": DOCUMENT, "offset": TEXT.index("return ") + 7, "wishes": {}}


class LspClient:
    """An editor that writes to the daemon's socket directly."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._decoder = connection, FrameDecoder()
        self._next_id = 0

    def send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def ask(self, method: str, params: Any) -> dict[str, Any]:
        self._next_id += 1
        self.send(id=self._next_id, method=method, params=params)
        self._connection.settimeout(20)
        while chunk := self._connection.recv(65536):
            for frame in self._decoder.feed(chunk):
                assert not isinstance(frame, BrokenFrame)
                message: dict[str, Any] = json.loads(frame)
                if message.get("id") == self._next_id:
                    return message
        raise AssertionError("the daemon hung up")

    def open(self, text: str) -> None:
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self.send(method="initialized", params={})
        document = {"uri": "file:///w/a.py", "languageId": "python", "version": 1, "text": text}
        self.send(method="textDocument/didOpen", params={"textDocument": document})

    def complete(self, line: int, character: int) -> Any:
        place = {"textDocument": {"uri": "file:///w/a.py"}, "context": {"triggerKind": 1}}
        position = {"line": line, "character": character}
        answer = self.ask("textDocument/inlineCompletion", {**place, "position": position})
        return answer["result"]["items"]

    def close(self) -> None:
        self._connection.close()


def lsp_client(paths: RuntimePaths, hello: Hello) -> LspClient:
    connection = launch.find(paths, hello)
    assert connection is not None
    return LspClient(connection)


def test_a_completion_comes_with_everything_the_command_line_prints(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], service: Any
) -> None:
    start_daemon()
    report = connect().request("complete", {**COMPLETE, "wishes": {"num_candidates": 2}})
    assert report["outcome"] == "suggestion"
    assert report["insertion"] == report["text"] == "a + b"
    (request,) = service.requests
    assert request.num_candidates == 2
    assert request.document.owner == "cli"
    assert request.prefix == "def add(a, b):\n    return "


def test_the_text_of_a_path_asked_again_follows_from_the_one_before(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], service: Any
) -> None:
    start_daemon()
    changed = {**DOCUMENT, "text": "import os\n" + TEXT}
    for document in (DOCUMENT, changed, changed):
        connect().request("complete", {**COMPLETE, "document": document})
    first, second, third = (request.document for request in service.requests)
    assert (first.version, second.version, third.version) == (1, 2, 2)
    assert second.base_version == 1
    assert apply_edits(first.text, second.edits) == second.text


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "document has to be an object"),
        ({**COMPLETE, "document": {**DOCUMENT, "text": 5}}, "uri, language_id and text"),
        ({**COMPLETE, "offset": 9999}, "offset 9999"),
        ({**COMPLETE, "offset": "3"}, "offset '3'"),
        ({**COMPLETE, "wishes": {"speed": 1}}, "num_candidates"),
        ({**COMPLETE, "wishes": {"num_candidates": 99}}, "num_candidates"),
        ({**COMPLETE, "wishes": {"trigger": "sometimes"}}, "sometimes"),
        ({**COMPLETE, "wishes": []}, "wishes"),
    ],
)
def test_bad_input_is_refused_and_the_connection_goes_on(
    start_daemon: StartDaemon,
    connect: Callable[..., ControlClient],
    params: dict[str, Any],
    told: str,
) -> None:
    start_daemon()
    client = connect()
    with pytest.raises(BadInputError, match=told):
        client.request("complete", params)
    assert client.request("complete", COMPLETE)["outcome"] == "suggestion"


def test_bad_settings_of_a_caller_are_refused(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient]
) -> None:
    start_daemon()
    client = connect(environment={"FIMBLE_MODEL_DEVICE": "abacus"})
    with pytest.raises(BadInputError, match="FIMBLE_MODEL_DEVICE is 'abacus'"):
        client.request("complete", COMPLETE)


def test_a_model_that_cannot_be_had_is_an_error_and_is_tried_again(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], service: Any
) -> None:
    tries: list[Any] = []

    def build(settings: Any) -> Any:
        tries.append(settings)
        if len(tries) == 1:
            raise OSError("no space left")
        return service

    start_daemon(build)
    with pytest.raises(DaemonFailedError, match="no space left"):
        connect().request("complete", COMPLETE)
    assert connect().request("complete", COMPLETE)["outcome"] == "suggestion"


def test_a_request_is_taken_back_by_its_id(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], service: Any
) -> None:
    start_daemon()
    service.gate.clear()
    client = connect()
    asked = threading.Event()
    service.outcome = None
    failures: list[Exception] = []

    def ask() -> None:
        asked.set()
        try:
            client.request("complete", COMPLETE)
        except DaemonFailedError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(10)
    while not service.requests:
        connect().request("status", {})  # gives the daemon turns until the request has come in
    client.cancel()
    thread.join(20)
    assert [str(error) for error in failures] == ["cancelled"]
    service.gate.set()


def test_hanging_up_takes_the_request_back(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], service: Any
) -> None:
    start_daemon()
    service.gate.clear()
    client, other = connect(), connect()
    client._send({"id": 1, "method": "complete", "params": COMPLETE})
    while not service.requests:
        other.request("status", {})
    client.close()
    while not service.cancelled_ids:
        other.request("status", {})


def test_status_names_clients_models_and_documents(
    start_daemon: StartDaemon,
    connect: Callable[..., ControlClient],
    paths: RuntimePaths,
    hello: MakeHello,
) -> None:
    start_daemon()
    editor = lsp_client(paths, hello(Role.LSP))
    editor.open("x = 1\n")
    editor.ask("shutdown", None)
    status = connect().request("status", {})
    assert status["pid"] == os.getpid()
    assert {client["role"] for client in status["clients"]} == {"lsp", "control"}
    (model,) = status["models"]
    assert (model["state"], model["num_clients"]) == ("ready", 1)
    assert [client["num_documents"] for client in status["clients"] if client["role"] == "lsp"] == [
        1
    ]
    editor.close()


def test_two_editors_documents_of_one_name_are_two(
    start_daemon: StartDaemon, paths: RuntimePaths, hello: MakeHello, service: Any
) -> None:
    start_daemon()
    texts = ("one = ", "other = ")
    editors = [lsp_client(paths, hello(Role.LSP)) for _ in texts]
    for editor, text in zip(editors, texts, strict=True):
        editor.open(text)
    for editor, text in zip(editors, texts, strict=True):
        while not editor.complete(0, len(text)):
            pass  # answered with nothing while the model loads
    assert {request.prefix for request in service.requests} == set(texts)
    assert len({request.document.key for request in service.requests}) == 2
    for editor in editors:
        editor.close()


def test_an_editor_that_goes_takes_its_documents_along(
    start_daemon: StartDaemon,
    connect: Callable[..., ControlClient],
    paths: RuntimePaths,
    hello: MakeHello,
    service: Any,
) -> None:
    start_daemon()
    editor = lsp_client(paths, hello(Role.LSP, client="me"))
    editor.open("x = ")
    while not editor.complete(0, 4):
        pass
    editor.close()
    watcher = connect()
    while not service.forgotten:
        watcher.request("status", {})
    assert service.forgotten == [service.requests[0].document.key]


def test_http_is_served_for_as_long_as_the_caller_stays(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient]
) -> None:
    start_daemon()
    client, watcher = connect(), connect()
    url = client.request("serve", {"host": "127.0.0.1", "port": 0, "token": None})["url"]
    health = f"{url.removesuffix('/v1')}/health"
    assert httpx.get(health).status_code in (200, 503)
    assert watcher.request("status", {})["http"] == [url]
    client.close()
    while watcher.request("status", {})["http"]:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(health)


def test_a_model_nobody_uses_is_dropped_while_others_are_served(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], service: Any
) -> None:
    may_end = threading.Event()
    service.close = may_end.wait  # as an engine that is in the middle of something
    start_daemon(unload_after_s=1)
    with connect() as user:
        assert user.request("complete", COMPLETE)["outcome"] == "suggestion"
    watcher = connect()
    while watcher.request("status", {})["models"]:
        pass
    for _ in range(3):
        assert watcher.request("status", {})["models"] == []
    may_end.set()


def test_stop_ends_the_daemon_in_order(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient], paths: RuntimePaths
) -> None:
    running = start_daemon()
    assert connect().request("stop", {}) == {}
    running.join()
    assert not paths.socket.exists()
    assert not paths.state.exists()


def test_only_one_daemon_serves_a_folder(start_daemon: StartDaemon) -> None:
    start_daemon()
    with pytest.raises(Exception, match="another daemon is running"):
        start_daemon()


def test_many_connections_are_served(
    start_daemon: StartDaemon, connect: Callable[..., ControlClient]
) -> None:
    start_daemon()
    clients = [connect() for _ in range(100)]
    assert len(clients[0].request("status", {})["clients"]) == 100
    for client in clients:
        assert client.request("complete", COMPLETE)["outcome"] == "suggestion"


@given(st.text("ab\n\U0001f600", max_size=30), st.text("ab\n\U0001f600", max_size=30))
def test_one_edit_leads_from_any_text_to_any_other(old: str, new: str) -> None:
    assert apply_edits(old, [edit_between(old, new)]) == new


def test_texts_of_many_names_are_not_kept_for_ever() -> None:
    texts = WholeTexts("cli")
    for number in range(200):
        texts.take(f"file:///{number}.py", None, "python", "x")
    assert len(texts._latest) == 64
