"""An edit reaches the cache before the request does, with the cursor where an editor has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from completion.types import TextEdit
from kvedit.policy import PatchMode
from lsp_server.session import cursor_after

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
TEXT = "def f(a):\n    return a\n"
TYPED = {"range": {"start": {"line": 1, "character": 12}, "end": {"line": 1, "character": 12}}}


async def ready(client: Any, initialize: Initialize) -> None:
    await initialize(client)
    client.open(TEXT)
    await client.response(client.complete(1, 12, triggerKind=1))


async def test_an_edit_is_told_at_once_with_the_cursor_behind_it(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(
        **{"server.wait_for_model": "true", "engine.patching": "window"}
    ) as client:
        await ready(client, initialize)
        client.change(2, {**TYPED, "text": " +"})
        await client.response(client.complete(1, 14, triggerKind=1))
    ((ahead, resting_s),) = service.prepared
    assert resting_s == 0
    assert ahead.document.text == TEXT.replace("return a", "return a +")
    assert ahead.document.text[: ahead.offset].endswith("return a +")
    assert ahead.patching is PatchMode.WINDOW
    assert not ahead.verbatim


@pytest.mark.parametrize(
    "flags", [{"completion.enabled": "false"}, {"completion.disabled_languages": "python"}]
)
async def test_nothing_is_prepared_where_nothing_is_suggested(
    connected: Connect, initialize: Initialize, service: Any, flags: dict[str, str]
) -> None:
    async with connected(**{"server.wait_for_model": "true", **flags}) as client:
        await ready(client, initialize)
        client.change(2, {**TYPED, "text": " +"})
        await client.response(client.complete(1, 14, triggerKind=1))
    assert service.prepared == []


async def test_a_cursor_that_rests_and_a_file_that_is_shown_again_are_prepared_for(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    document = {"textDocument": {"uri": "file:///w/a.py"}}
    async with connected(**{"server.wait_for_model": "true"}) as client:
        await ready(client, initialize)
        move = {**document, "position": {"line": 0, "character": 6}}
        client.notify("fimble/didMoveCursor", move)
        client.notify("textDocument/didFocus", document)
        for nonsense in ({}, {"textDocument": 3}, {**document, "position": {"line": "x"}}, None):
            client.notify("fimble/didMoveCursor", nonsense)
            client.notify("textDocument/didFocus", {"textDocument": {"uri": "file:///other"}})
        await client.response(client.complete(1, 12, triggerKind=1))
    assert [request.offset for request, _ in service.prepared] == [6, 6]
    assert all(resting_s > 0 for _, resting_s in service.prepared)


@pytest.mark.parametrize(
    ("edits", "cursor", "expected"),
    [
        ((), 5, 5),
        ((TextEdit(3, 4, "xyz"),), 90, 6),  # one edit: it happened at the cursor
        ((TextEdit(3, 4, "xyz"), TextEdit(50, 50, "q")), 20, 22),  # several: the cursor moves along
        ((TextEdit(3, 4, "xyz"), TextEdit(50, 50, "q")), None, 51),
        ((TextEdit(0, 2, ""), TextEdit(10, 30, "z")), 20, 11),  # it stood in what was replaced
    ],
)
def test_where_edits_leave_the_cursor(
    edits: tuple[TextEdit, ...], cursor: int | None, expected: int
) -> None:
    assert cursor_after(edits, cursor) == expected
