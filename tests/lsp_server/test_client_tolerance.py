"""What older, newer and careless clients send, within and just outside the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
INVALID_PARAMS = -32602
DOCUMENT = {"uri": "file:///w/a.py"}
INVOKED = {"triggerKind": 1}
HERE = {"line": 0, "character": 4}


@pytest.mark.parametrize(
    "params",
    [
        {"processId": None, "capabilities": {}},
        {"processId": 1, "rootPath": "/w", "rootUri": None, "capabilities": {}},
        {"processId": None, "capabilities": {"textDocument": {"completion": {"unknown": [1]}}}},
        {"processId": None, "capabilities": {"general": {"positionEncodings": ["utf-7"]}}},
        {"processId": None, "capabilities": {}, "initializationOptions": "verbose"},
        {"processId": None, "capabilities": {}, "initializationOptions": [], "workDoneToken": 7},
    ],
)
async def test_a_client_that_says_little_or_more_than_we_know_is_served(
    connected: Connect, service: Any, params: dict[str, Any]
) -> None:
    async with connected(**WAIT) as client:
        answer = await client.ask("initialize", params)
        assert answer["result"]["capabilities"]["positionEncoding"] == "utf-16"
        client.notify("initialized", {})
        client.open("x = ")
        response = await client.response(client.complete(0, 4))
        assert response["result"]["items"][0]["insertText"] == "x = a + b"


@pytest.mark.parametrize(
    "params",
    [
        {},
        [],
        7,
        "text",
        None,
        {"textDocument": DOCUMENT, "context": INVOKED},
        {"textDocument": DOCUMENT, "position": HERE},
        {"position": HERE, "context": INVOKED},
        {"textDocument": {"uri": None}, "position": [], "context": {}},
        {"textDocument": DOCUMENT, "position": {"line": "one"}, "context": INVOKED},
        {"textDocument": DOCUMENT, "position": {"line": -1, "character": 0}, "context": INVOKED},
        {
            "textDocument": DOCUMENT,
            "position": {"line": 0, "character": 1 << 40},
            "context": INVOKED,
        },
        {"textDocument": DOCUMENT, "position": HERE, "context": {"triggerKind": "often"}},
        {
            "textDocument": DOCUMENT,
            "position": HERE,
            "context": {"triggerKind": 1, "selectedCompletionInfo": {"text": 5}},
        },
    ],
)
async def test_wrong_parameters_are_refused_once_and_right_ones_then_served(
    connected: Connect, initialize: Initialize, service: Any, params: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        refused = await client.ask("textDocument/inlineCompletion", params)
        assert refused["error"]["code"] == INVALID_PARAMS, refused
        response = await client.response(client.complete(0, 4))
        assert response["result"]["items"]
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "params",
    [
        {"textDocument": {}},
        {"textDocument": {"uri": "file:///w/a.py", "version": 2}},
        {"textDocument": {"uri": "file:///w/a.py", "version": 2}, "contentChanges": "x"},
        {"textDocument": {"uri": "file:///w/a.py", "version": 2}, "contentChanges": [{}]},
        {
            "textDocument": {"uri": "file:///w/a.py", "version": 2},
            "contentChanges": [{"text": "y", "range": {"start": HERE}}],
        },
    ],
)
async def test_a_change_that_cannot_be_read_ends_nothing(
    connected: Connect, initialize: Initialize, service: Any, params: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        client.notify("textDocument/didChange", params)
        await client.no_further_response()
        client.change(3, {"text": "y = "})
        response = await client.response(client.complete(0, 4))
        assert response["result"]["items"]
    assert service.requests[0].document.text == "y = "


async def test_a_change_with_the_length_of_what_it_replaces_is_understood(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    """``rangeLength`` is what clients sent before ranges were trusted."""
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = 12\n")
        span = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 6}}
        client.change(2, {"range": span, "rangeLength": 2, "text": "7"})
        await client.response(client.complete(0, 5))
    assert service.requests[0].document.text == "x = 7\n"


@pytest.mark.parametrize("params", [None, {}, []])
async def test_a_shutdown_with_superfluous_parameters_is_a_shutdown(
    connected: Connect, initialize: Initialize, params: Any
) -> None:
    server = connected()
    async with server as client:
        await initialize(client)
        assert (await client.ask("shutdown", params)).get("result", "missing") is None
        client.notify("exit", params)
    assert server.exit_code == 0


@pytest.mark.parametrize(("line", "character"), [(99, 0), (0, 99), (0, (1 << 31) - 1)])
async def test_a_place_outside_the_document_means_the_nearest_one_inside(
    connected: Connect, initialize: Initialize, service: Any, line: int, character: int
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        response = await client.response(client.complete(line, character))
        assert "result" in response
    assert service.requests[0].offset == 4
