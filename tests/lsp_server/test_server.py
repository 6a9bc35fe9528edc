"""The server over pipes, with a service that keeps the contract but needs no model."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from completion.types import CompletionRequest, NoSuggestion, NoSuggestionReason, document_key

REQUEST_CANCELLED = -32800
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}


async def test_inline_completion_is_announced_with_its_encoding_and_command(
    connected: Connect, initialize: Initialize
) -> None:
    async with connected() as client:
        encodings = {"general": {"positionEncodings": ["utf-32", "utf-8"]}}
        capabilities = (await initialize(client, capabilities=encodings))["capabilities"]
    assert capabilities["inlineCompletionProvider"] == {}
    assert capabilities["positionEncoding"] == "utf-32"
    assert capabilities["textDocumentSync"]["change"] == 2
    assert capabilities["textDocumentSync"]["openClose"] is True
    assert "fimble.accepted" in capabilities["executeCommandProvider"]["commands"]


async def test_a_keystroke_is_answered_with_an_item_for_its_line(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("def f(a, b):\n    return \n")
        response = await client.response(client.complete(1, 11))
    (item,) = response["result"]["items"]
    assert item["insertText"] == "    return a + b"
    assert item["filterText"] == item["insertText"]
    assert item["range"] == {
        "start": {"line": 1, "character": 0},
        "end": {"line": 1, "character": 11},
    }
    (request,) = service.requests
    assert item["command"]["arguments"] == [request.request_id]
    assert (request.prefix, request.suffix) == ("def f(a, b):\n    return ", "\n")
    assert (request.document.language_id, request.document.path) == ("python", "/w/a.py")


async def test_no_suggestion_is_an_empty_list_and_never_null(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.outcome = lambda request: NoSuggestion(
        request.request_id, NoSuggestionReason.BLANK_OUTPUT
    )
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        assert (await client.response(client.complete(0, 4)))["result"] == {"items": []}
        not_open = client.complete(0, 4, uri="file:///w/other.py")
        assert (await client.response(not_open))["result"] == {"items": []}


async def test_a_cached_suggestion_needs_no_engine(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        service.known = service.suggestion(service.requests[0], "cached")
        response = await client.response(client.complete(0, 4))
    assert response["result"]["items"][0]["insertText"] == "x = cached"
    assert len(service.requests) == 1


async def test_while_the_model_loads_requests_are_answered_with_nothing(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    loaded = threading.Event()

    def build(_settings: Any) -> Any:
        assert loaded.wait(10)
        return service

    server = connected(build)
    async with server as client:
        await initialize(client)
        client.open("x = ")
        assert (await client.response(client.complete(0, 4)))["result"] == {"items": []}
        loaded.set()
        await server.server.background.settled()
        assert (await client.response(client.complete(0, 4)))["result"]["items"]


async def test_a_model_that_cannot_be_loaded_is_told_once_and_the_server_lives(
    connected: Connect, initialize: Initialize
) -> None:
    def build(_settings: Any) -> Any:
        raise OSError("weights.safetensors is broken; run fimble models verify")

    async with connected(build, **WAIT) as client:
        await initialize(client)
        client.open("x = ")
        assert (await client.response(client.complete(0, 4)))["result"] == {"items": []}
        message = await client.notification("window/showMessage")
        assert "run fimble models verify" in message["params"]["message"]


@pytest.mark.parametrize("event", ["cancel", "newer request", "change", "close", "shutdown"])
async def test_a_request_that_lost_its_point_is_answered_once_and_stops_the_engine(
    connected: Connect, initialize: Initialize, service: Any, event: str
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        service.gate.clear()
        first = client.complete(0, 4)
        await _until(lambda: len(service.requests) == 1)
        follow_up: int | None = None
        if event == "cancel":
            client.notify("$/cancelRequest", {"id": first})
        elif event == "newer request":
            follow_up = client.complete(0, 4)
        elif event == "change":
            client.change(2, {"text": "x = 1"})
        elif event == "close":
            client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///w/a.py"}})
        else:
            follow_up = client.request("shutdown", None)
        if event == "shutdown":
            assert (await client.response(follow_up))["result"] is None
        assert (await client.response(first))["error"]["code"] == REQUEST_CANCELLED
        await _until(lambda: service.cancelled_ids == [service.requests[0].request_id])
        service.gate.set()
        if event == "newer request":
            assert (await client.response(follow_up))["result"]["items"]
        if event != "shutdown":
            await client.no_further_response()


async def test_cancelling_an_answered_request_answers_nothing(
    connected: Connect, initialize: Initialize
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        done = client.complete(0, 4)
        await client.response(done)
        client.notify("$/cancelRequest", {"id": done})
        client.notify("$/cancelRequest", {"id": "never sent"})
        await client.no_further_response()


async def test_a_change_right_behind_a_request_does_not_move_its_cursor(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        request = {
            "textDocument": {"uri": "file:///w/a.py"},
            "position": {"line": 0, "character": 4},
            "context": {"triggerKind": 2},
        }
        change = {
            "textDocument": {"uri": "file:///w/a.py", "version": 2},
            "contentChanges": [{"text": "completely different"}],
        }
        bodies = [
            {
                "jsonrpc": "2.0",
                "id": 1000,
                "method": "textDocument/inlineCompletion",
                "params": request,
            },
            {"jsonrpc": "2.0", "method": "textDocument/didChange", "params": change},
        ]
        raw = [json.dumps(body).encode() for body in bodies]
        client.send_raw(b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(b), b) for b in raw))
        assert (await client.response(1000))["error"]["code"] == REQUEST_CANCELLED
    assert all(request.document.text == "x = " for request in service.requests)


async def test_a_failing_request_is_an_internal_error_and_the_server_lives(
    connected: Connect, initialize: Initialize, service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        service.error = RuntimeError("the engine is on fire")
        assert (await client.response(client.complete(0, 4)))["error"]["code"] == INTERNAL_ERROR
        service.error = None
        assert (await client.response(client.complete(0, 4)))["result"]["items"]
    assert "the engine is on fire" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_accepted_suggestion_reaches_the_service_by_its_id(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        response = await client.response(client.complete(0, 4))
        command = response["result"]["items"][0]["command"]
        answer = await client.ask(
            "workspace/executeCommand",
            {"command": command["command"], "arguments": command["arguments"]},
        )
        assert "error" not in answer
        wrong = {"command": command["command"], "arguments": []}
        assert (await client.ask("workspace/executeCommand", wrong))["error"][
            "code"
        ] == INVALID_PARAMS
    assert service.accepted_ids == [service.requests[0].request_id]


async def test_a_closed_document_is_forgotten_by_the_service(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///w/a.py"}})
        await client.no_further_response()
    assert service.forgotten == [document_key("", "file:///w/a.py")]
    assert service.is_closed


async def test_a_save_repairs_a_document_that_has_drifted(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        saved = {"textDocument": {"uri": "file:///w/a.py"}, "text": "y = \n"}
        client.notify("textDocument/didSave", saved)
        await client.response(client.complete(0, 4))
    assert service.requests[0].document.text == "y = \n"


async def test_the_selected_item_of_the_editors_list_becomes_the_items_range(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    selected_range = {
        "start": {"line": 0, "character": 3},
        "end": {"line": 0, "character": 5},
    }
    service.outcome = lambda request: service.suggestion(request, "rint(x)")
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("if pr")
        info = {"range": selected_range, "text": "print"}
        response = await client.response(client.complete(0, 5, selectedCompletionInfo=info))
    selected = service.requests[0].selected_item
    assert (selected.start, selected.end, selected.text) == (3, 5, "print")
    item = response["result"]["items"][0]
    assert item["range"] == selected_range


async def test_a_handler_that_keeps_the_loop_is_logged_as_a_long_turn(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow_lookup(_request: CompletionRequest) -> None:
        time.sleep(0.03)

    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        monkeypatch.setattr(service, "lookup", slow_lookup)
        await client.response(client.complete(0, 4))
    assert "long turn: textDocument/inlineCompletion" in caplog.text


async def test_source_text_is_not_logged_above_debug(
    connected: Connect, initialize: Initialize, service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    service.text = "suggested_secret"
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("typed_secret = ")
        await client.response(client.complete(0, 15))
        broken = {"textDocument": {"uri": 5}, "contentChanges": ["changed_secret"]}
        client.notify("textDocument/didChange", broken)
        service.error = RuntimeError("boom")
        await client.response(client.complete(0, 15))
    assert "secret" not in caplog.text


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it becomes true in another thread
            await asyncio.sleep(0.001)


async def test_a_burst_of_keys_asks_the_engine_once(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("")
        ids = []
        for version, text in enumerate(("x", "x ", "x =", "x = "), start=2):
            client.change(version, {"text": text})
            ids.append(client.complete(0, len(text)))
        for superseded in ids[:-1]:
            assert (await client.response(superseded))["error"]["code"] == REQUEST_CANCELLED
        assert (await client.response(ids[-1]))["result"]["items"]
    assert [request.document.text for request in service.requests] == ["x = "]
