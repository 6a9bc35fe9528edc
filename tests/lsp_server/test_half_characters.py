"""Half of a surrogate pair, which JSON may carry and no tokenizer takes, wherever a client puts it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
HALF, WHOLE = "\ud83dab", "\ufffdab"
URI = "file:///w/a.py"


async def test_in_an_item_of_the_editors_list(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    at = {"line": 0, "character": 0}
    info = {"range": {"start": at, "end": at}, "text": HALF}
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("")
        await client.response(client.complete(0, 0, selectedCompletionInfo=info))
    assert [request.selected_item.text for request in service.requests] == [WHOLE]


async def test_in_a_clipboard(connected: Connect, initialize: Initialize) -> None:
    server = connected(owner="a", **WAIT)
    async with server as client:
        await initialize(client)
        client.notify("fimble/didCopy", {"text": HALF})
        await client.no_further_response()
        assert server.host.workspaces.clipboards.text("a") == WHOLE


async def test_in_a_suggestion_of_which_a_part_was_taken(
    connected: Connect, initialize: Initialize
) -> None:
    told: list[dict[str, Any]] = []
    server = connected(**WAIT)
    async with server as client:
        server.host.feedback.subscribe(lambda _, fields: told.append(fields))
        await initialize(client)
        client.open("x = ")
        (item,) = (await client.response(client.complete(0, 4)))["result"]["items"]
        params = {"item": {**item, "insertText": "x = a\ud83d"}, "acceptedLength": 5}
        client.notify("textDocument/didPartiallyAcceptCompletion", params)
        await client.no_further_response()
    assert [fields["accepted"] for fields in told if fields["accepted"]] == ["part"]


async def test_in_a_saved_text_is_no_lost_change(
    connected: Connect, initialize: Initialize, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open(HALF)
        with caplog.at_level(logging.WARNING):
            saved = {"textDocument": {"uri": URI}, "text": HALF}
            client.notify("textDocument/didSave", saved)
            await client.no_further_response()
    assert "differed" not in caplog.text
