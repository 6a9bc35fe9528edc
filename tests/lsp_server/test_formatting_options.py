"""Copilot's ``formattingOptions``: indentation as the editor is set, where that is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SPACES = {"tabSize": 4, "insertSpaces": True}
TABS = {"tabSize": 4, "insertSpaces": False}
WAIT = {"server.wait_for_model": "true"}
HEAD = "def f():"


@pytest.mark.parametrize(
    ("options", "document", "suggested", "expected"),
    [
        (SPACES, HEAD, "\n\treturn (\n\t\t1)", "\n    return (\n        1)"),
        (TABS, HEAD, "\n    return (\n        1)", "\n\treturn (\n\t\t1)"),
        (TABS, HEAD, "\n    return (\n          1)", None),  # aligned, not indented
        (TABS, HEAD, "\n    return 1\n  \n", "\n\treturn 1\n\n"),
        (SPACES, "if x:\n\ty\n" + HEAD, "\n\treturn 1", None),  # the document has tabs
        (TABS, "if x:\n    y\n" + HEAD, "\n    return 1", None),
        (TABS, "/*\n * c\n */\n" + HEAD, "\n    return 1", "\n\treturn 1"),
        (SPACES, HEAD, " return '\t'", None),  # no indentation
        ({"tabSize": 0, "insertSpaces": True}, HEAD, "\n\treturn 1", None),
        ({"tabSize": "4", "insertSpaces": True}, HEAD, "\n\treturn 1", None),
        ({"tabSize": 4}, HEAD, "\n\treturn 1", None),
        ([], HEAD, "\n\treturn 1", None),
        (None, HEAD, "\n\treturn 1", None),
    ],
)
async def test_a_suggestion_is_indented_as_the_editor_is_set(
    connected: Callable[..., Any],
    initialize: Callable[..., Any],
    service: Any,
    options: object,
    document: str,
    suggested: str,
    expected: str | None,
) -> None:
    service.text = suggested
    line = document.count("\n")
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open(document)
        asked = client.request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": "file:///w/a.py"},
                "position": {"line": line, "character": len(HEAD)},
                "context": {"triggerKind": 2},
                "formattingOptions": options,
            },
        )
        response = await client.response(asked)
    (item,) = response["result"]["items"]
    assert item["insertText"] == HEAD + (suggested if expected is None else expected)


async def test_a_tab_stays_one_where_it_means_something(
    connected: Callable[..., Any], initialize: Callable[..., Any], service: Any
) -> None:
    service.text = "\n\tcc -o all"
    item = {"uri": "file:///w/Makefile", "languageId": "makefile", "version": 1, "text": "all:"}
    async with connected(**WAIT) as client:
        await initialize(client)
        client.notify("textDocument/didOpen", {"textDocument": item})
        asked = client.request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": item["uri"]},
                "position": {"line": 0, "character": 4},
                "context": {"triggerKind": 2},
                "formattingOptions": SPACES,
            },
        )
        response = await client.response(asked)
    assert response["result"]["items"][0]["insertText"] == "all:\n\tcc -o all"
