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
    (ahead,) = service.edited_requests
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
    assert service.edited_requests == []


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
