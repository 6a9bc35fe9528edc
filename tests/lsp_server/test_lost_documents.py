"""A change that could not be read: nothing is suggested for a text that the editor no longer has."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
URI = "file:///w/a.py"
DID_CHANGE = "textDocument/didChange"
AT_START = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def message(method: str, params: object, **rest: object) -> bytes:
    body = {"jsonrpc": "2.0", "method": method, "params": params, **rest}
    return framed(json.dumps(body).encode())


BROKEN_CHANGE = message(
    DID_CHANGE, {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"range": 5}]}
)


@pytest.mark.parametrize(
    "raw",
    [
        BROKEN_CHANGE,
        message(DID_CHANGE, {"textDocument": {"uri": URI}, "contentChanges": []}),
        message(DID_CHANGE, {"contentChanges": [{"text": ""}]}),
        message(DID_CHANGE, None),
        message(
            DID_CHANGE,
            {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"text": "y"}]},
            id="no id belongs here",
        ),
        message("textDocument/didOpen", {"textDocument": {"uri": URI}}),
        framed(b'{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"text'),
        framed(b'[{"jsonrpc":"2.0","method":"textDocument/didChange","params":{}}]'),
        b"Content-Length: many\r\n\r\n",
    ],
)
async def test_a_change_that_cannot_be_read_ends_suggestions_and_says_so(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    caplog: pytest.LogCaptureFixture,
    raw: bytes,
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        client.send_raw(raw)
        asked = client.complete(0, 4)
        while (response := await client.any_response())["id"] != asked:
            assert response["error"]  # the broken message, where it was one to be answered
        assert response["result"] == {"items": []}
        why = await client.ask("fimble/why", {"textDocument": {"uri": URI}})
        assert "could not be read" in why["result"]["sentence"]
    assert service.requests == []
    assert any("lost" in record.message for record in caplog.records)


@pytest.mark.parametrize(
    "raw",
    [
        message(DID_CHANGE, {"textDocument": {"uri": "file:///w/b.py"}}),
        message("textDocument/didClose", {}),
        message("textDocument/didSave", {"textDocument": 5}),
        framed(b'{"jsonrpc":"2.0","method":"some/other"'),
    ],
)
async def test_what_cannot_have_changed_a_document_does_not_lose_it(
    connected: Connect, initialize: Initialize, raw: bytes
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        client.send_raw(raw)
        asked = client.complete(0, 4)
        while (response := await client.any_response())["id"] != asked:
            assert response["error"]
        assert response["result"]["items"]


@pytest.mark.parametrize("event", ["open", "whole text", "whole text and more", "save"])
async def test_a_lost_document_is_found_when_its_whole_text_comes(
    connected: Connect, initialize: Initialize, service: Any, event: str
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        client.send_raw(BROKEN_CHANGE)
        if event == "open":
            client.open("y = ")
        elif event == "whole text":
            client.change(3, {"text": "y = "})
        elif event == "whole text and more":
            edits = ({"text": "lost", "range": AT_START}, {"text": " = "})
            client.change(3, *edits, {"text": "y", "range": AT_START})
        else:
            saved = {"textDocument": {"uri": URI}, "text": "y = "}
            client.notify("textDocument/didSave", saved)
        assert (await client.response(client.complete(0, 4)))["result"]["items"]
    assert [request.document.text for request in service.requests] == ["y = "]


@pytest.mark.parametrize("event", ["edit", "save without text"])
async def test_a_lost_document_stays_lost_while_its_text_is_not_known(
    connected: Connect, initialize: Initialize, service: Any, event: str
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        client.send_raw(BROKEN_CHANGE)
        if event == "edit":
            client.change(3, {"text": "y", "range": AT_START})
        else:
            client.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
        assert (await client.response(client.complete(0, 4)))["result"] == {"items": []}
    assert service.requests == []


async def test_a_save_of_the_very_text_that_was_lost_finds_the_document(
    connected: Connect, initialize: Initialize
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        client.send_raw(BROKEN_CHANGE)
        client.notify("textDocument/didSave", {"textDocument": {"uri": URI}, "text": "x = "})
        assert (await client.response(client.complete(0, 4)))["result"]["items"]


async def test_the_running_request_of_a_lost_document_ends(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        service.gate.clear()
        asked = client.complete(0, 4)
        client.send_raw(BROKEN_CHANGE)
        assert (await client.response(asked))["error"]["code"] == -32800


async def test_no_source_text_is_logged_of_a_change_that_cannot_be_read(
    connected: Connect, initialize: Initialize, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("typed_secret = ")
        client.send_raw(framed(b'{"method":"textDocument/didChange","secret'))
        client.send_raw(message(DID_CHANGE, {"contentChanges": ["changed_secret"]}))
        await client.response(None)
        await client.response(client.complete(0, 4))
    assert "secret" not in caplog.text
