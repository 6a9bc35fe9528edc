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

from completion.types import CompletionRequest, NoSuggestion, NoSuggestionReason, TriggerKind

REQUEST_CANCELLED = -32800
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR, NOT_INITIALIZED = -32602, -32603, -32002

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
    assert capabilities["executeCommandProvider"]["commands"] == ["fimble.accepted"]


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
            await _no_further_response(client)


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
        await _no_further_response(client)


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


GOOD = b'{"jsonrpc":"2.0","id":77,"method":"workspace/executeCommand","params":{"command":"no"}}'


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("raw", "msg_id", "code"),
    [
        (framed(b"{"), None, PARSE_ERROR),
        (framed(b"\xff\xfe"), None, PARSE_ERROR),
        (framed(b"[" * 100_000), None, PARSE_ERROR),
        (b"Foo: bar\r\n\r\n", None, PARSE_ERROR),
        (b"Content-Length: many\r\n\r\n", None, PARSE_ERROR),
        (framed(b"[]"), None, INVALID_REQUEST),
        (framed(b"null"), None, INVALID_REQUEST),
        (framed(b'{"id":5,"method":"shutdown"}'), None, INVALID_REQUEST),
        (framed(b'{"jsonrpc":"2.0","id":[1],"method":"shutdown"}'), None, INVALID_REQUEST),
        (framed(b'{"jsonrpc":"2.0","id":5,"method":7}'), None, INVALID_REQUEST),
        (framed(b'{"jsonrpc":"2.0","id":5,"method":"no/such"}'), 5, METHOD_NOT_FOUND),
        (
            framed(b'{"jsonrpc":"2.0","id":5,"method":"textDocument/inlineCompletion"}'),
            5,
            INVALID_PARAMS,
        ),
        (
            framed(
                b'{"jsonrpc":"2.0","id":"s","method":"textDocument/inlineCompletion","params":'
                b'{"textDocument":{"uri":"u"},"position":{"line":"x"},"context":{"triggerKind":9}}}'
            ),
            "s",
            INVALID_PARAMS,
        ),
        (
            framed(b'{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"capabilities":{}}}'),
            5,
            INVALID_REQUEST,
        ),
    ],
)
async def test_a_malformed_message_gets_one_error_and_the_next_one_is_served(
    connected: Connect, initialize: Initialize, raw: bytes, msg_id: object, code: int
) -> None:
    async with connected() as client:
        await initialize(client)
        client.send_raw(raw)
        response = await client.response(msg_id)
        assert response["error"]["code"] == code
        await _no_further_response(client)


@pytest.mark.parametrize(
    "raw",
    [
        framed(b'{"jsonrpc":"2.0","method":"no/such"}'),
        framed(b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{}}'),
        framed(b'{"jsonrpc":"2.0","method":"textDocument/didChange","params":5}'),
        framed(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{}}'),
        framed(b'{"jsonrpc":"2.0","id":"nobody asked","result":{}}'),
        framed(b'{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"no"}}'),
    ],
)
async def test_a_malformed_notification_or_response_is_ignored(
    connected: Connect, initialize: Initialize, raw: bytes
) -> None:
    async with connected() as client:
        await initialize(client)
        client.send_raw(raw)
        await _no_further_response(client)


async def test_requests_out_of_order_are_refused_not_ignored(
    connected: Connect, initialize: Initialize
) -> None:
    server = connected()
    async with server as client:
        early = await client.ask("shutdown", None)
        assert early["error"]["code"] == NOT_INITIALIZED
        await initialize(client)
        assert (await client.ask("shutdown", None))["result"] is None
        late = await client.response(client.complete(0, 0))
        assert late["error"]["code"] == INVALID_REQUEST
        client.notify("exit", None)
    assert server.exit_code == 0


async def test_an_exit_without_shutdown_is_reported_by_the_exit_code(connected: Connect) -> None:
    server = connected()
    async with server as client:
        client.notify("exit", None)
    assert server.exit_code == 1


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
        await _no_further_response(client)
    assert service.forgotten == ["file:///w/a.py"]
    assert service.is_closed


async def test_the_clients_options_shape_the_request_and_flags_outrank_them(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    options = {
        "completion": {"max_new_tokens": 33, "deadline_ms": 250},
        "engine": {"patching": False},
    }
    async with connected(**WAIT, **{"completion.deadline_ms": "99"}) as client:
        await initialize(client, initializationOptions=options)
        client.open("x = ")
        await client.response(client.complete(0, 4, triggerKind=1))
    request: CompletionRequest = service.requests[0]
    assert (request.max_new_tokens, request.deadline_ms) == (33, 99.0)
    assert (request.use_patching, request.use_retrieval) == (False, True)
    assert request.trigger is TriggerKind.INVOKED


async def test_new_configuration_counts_from_the_next_request(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        switched_off = {"fimble": {"completion": {"disabled_languages": ["python"]}}}
        client.notify("workspace/didChangeConfiguration", {"settings": switched_off})
        assert (await client.response(client.complete(0, 4)))["result"] == {"items": []}
        client.notify("workspace/didChangeConfiguration", {"settings": {}})
        assert (await client.response(client.complete(0, 4)))["result"]["items"]
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"complition": {"enabled": False}},
            "complition.enabled; did you mean completion.enabled?",
        ),
        ({"completion": {"top_p": 7}}, "completion.top_p is 7; allowed: a number from 0.01 to 1"),
        ("on", "settings are str, expected an object"),
    ],
)
async def test_a_wrong_setting_is_shown_with_its_remedy(
    connected: Connect, initialize: Initialize, settings: Any, told: str
) -> None:
    async with connected() as client:
        await initialize(client)
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        message = await client.notification("window/showMessage")
        assert told in message["params"]["message"]


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


async def _no_further_response(client: Any) -> None:
    """Send a request that is refused and see that its refusal is the next response."""
    client.send_raw(framed(GOOD))
    assert (await client.response(77))["error"]["code"] == INVALID_PARAMS


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
