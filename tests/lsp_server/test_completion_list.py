"""Suggestions in the list of editors that cannot show ghost text, judged by what those do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from completion.types import Candidate, NoSuggestion, NoSuggestionReason, TriggerKind

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
URI = "file:///w/a.py"
PLAIN: dict[str, Any] = {"textDocument": {"completion": {"completionItem": {}}}}
RICH: dict[str, Any] = {
    "textDocument": {
        "completion": {
            "completionItem": {
                "insertReplaceSupport": True,
                "insertTextModeSupport": {"valueSet": [1, 2]},
            }
        }
    }
}
GHOST: dict[str, Any] = {
    "textDocument": {**PLAIN["textDocument"], "inlineCompletion": {"dynamicRegistration": False}}
}


def ask(client: Any, line: int, character: int, context: object = None) -> int:
    params: dict[str, Any] = {
        "textDocument": {"uri": URI},
        "position": {"line": line, "character": character},
    }
    if context is not None:
        params["context"] = context
    return int(client.request("textDocument/completion", params))


def column(line: int, start: int, end: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line, "character": end},
    }


@pytest.mark.parametrize(
    ("capabilities", "has_list"),
    [
        ({}, True),
        (PLAIN, True),
        (RICH, True),
        (GHOST, False),
        ({"textDocument": {"inlineCompletion": {"dynamicRegistration": True}}}, False),
    ],
)
async def test_a_list_is_announced_to_clients_without_ghost_text_only(
    connected: Connect, initialize: Initialize, capabilities: dict[str, Any], has_list: bool
) -> None:
    async with connected() as client:
        announced = (await initialize(client, capabilities=capabilities))["capabilities"]
        await client.no_further_response()
        assert not any("register" in str(message) for message in client.notifications)
    assert ("completionProvider" in announced) is has_list
    assert announced["inlineCompletionProvider"] == {}
    if has_list:
        assert " " in announced["completionProvider"]["triggerCharacters"]


async def test_an_item_replaces_the_word_at_the_cursor_and_is_found_by_it(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.text = "urn a + b"
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("def f(a, b):\n    ret\n")
        answer = (await client.response(ask(client, 1, 7)))["result"]
    assert answer["isIncomplete"] is True
    (item,) = answer["items"]
    assert item["label"] == "return a + b"
    assert item["filterText"] == "return a + b"
    assert item["textEdit"] == {"range": column(1, 4, 7), "newText": "return a + b"}
    assert (item["detail"], item["kind"], item["preselect"]) == ("fimble", 1, True)
    assert (item["insertTextFormat"], item["sortText"]) == (1, "0000")
    assert "insertTextMode" not in item
    assert item["command"]["arguments"] == [service.requests[0].request_id]


async def test_a_client_that_knows_insert_and_replace_gets_one_range_for_both(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.outcome = lambda request: replace(
        service.suggestion(request, "x, y)"), replace_end=request.offset + 1
    )
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=RICH)
        client.open("f()\n")
        (item,) = (await client.response(ask(client, 0, 2)))["result"]["items"]
    span = column(0, 2, 3)
    assert item["textEdit"] == {"newText": "x, y)", "insert": span, "replace": span}
    assert item["insertTextMode"] == 1


async def test_several_lines_are_plain_text_shown_whole_beside_the_list(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.text = "1\n    y = ${2}\n"
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("    x = ")
        (item,) = (await client.response(ask(client, 0, 8)))["result"]["items"]
    assert item["label"] == "1 …"
    assert item["insertTextFormat"] == 1
    assert item["documentation"] == item["textEdit"]["newText"] == service.text


async def test_a_long_line_is_shortened_in_its_label_only(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.text = "a + " * 50 + "a"
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("x = ")
        (item,) = (await client.response(ask(client, 0, 4)))["result"]["items"]
    assert len(item["label"]) == 60
    assert item["textEdit"]["newText"] == service.text


async def test_alternatives_keep_their_order(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    candidates = tuple(Candidate(text, -1.0) for text in ("b", "a", "c"))
    service.outcome = lambda request: replace(
        service.suggestion(request, "b"), candidates=candidates
    )
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("x = ")
        items = (await client.response(ask(client, 0, 4)))["result"]["items"]
    by_sort_text = sorted(items, key=lambda item: item["sortText"])
    assert [item["label"] for item in by_sort_text] == ["b", "a", "c"]
    assert [item.get("preselect", False) for item in items] == [True, False, False]


@pytest.mark.parametrize(
    ("context", "trigger"),
    [
        (None, TriggerKind.INVOKED),
        ({"triggerKind": 1}, TriggerKind.INVOKED),
        ({"triggerKind": 2, "triggerCharacter": "."}, TriggerKind.AUTOMATIC),
        ({"triggerKind": 3}, TriggerKind.AUTOMATIC),
    ],
)
async def test_what_made_the_client_ask_decides_how_strict_we_are(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    context: object,
    trigger: TriggerKind,
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("x = ")
        await client.response(ask(client, 0, 4, context))
    assert service.requests[0].trigger is trigger


async def test_no_suggestion_is_an_empty_list_that_is_asked_for_again(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.outcome = lambda request: NoSuggestion(
        request.request_id, NoSuggestionReason.BLANK_OUTPUT
    )
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        nothing = {"isIncomplete": True, "items": []}
        assert (await client.response(ask(client, 0, 0)))["result"] == nothing
        client.open("x = ")
        assert (await client.response(ask(client, 0, 4)))["result"] == nothing


async def test_a_replacement_across_lines_is_not_offered(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    service.outcome = lambda request: replace(
        service.suggestion(request, "x)"), replace_end=request.offset + 2
    )
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("f(\n)\n")
        assert (await client.response(ask(client, 0, 2)))["result"]["items"] == []


async def test_a_newer_request_of_the_other_kind_supersedes(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=PLAIN)
        client.open("x = ")
        service.gate.clear()
        listed = ask(client, 0, 4)
        ghost = client.complete(0, 4)
        assert (await client.response(listed))["error"]["code"] == -32800
        service.gate.set()
        assert (await client.response(ghost))["result"]["items"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_columns_are_counted_in_the_units_that_were_agreed(
    connected: Connect, initialize: Initialize, encoding: str
) -> None:
    column_of_cursor = {"utf-8": 11, "utf-16": 9, "utf-32": 8}[encoding]
    general = {"positionEncodings": [encoding]}
    async with connected(**WAIT) as client:
        await initialize(client, capabilities={**PLAIN, "general": general})
        client.open('"😀"; x_1')
        asked = ask(client, 0, column_of_cursor)
        (item,) = (await client.response(asked))["result"]["items"]
    start = column_of_cursor - 3
    assert item["textEdit"]["range"] == column(0, start, column_of_cursor)
    assert item["textEdit"]["newText"] == "x_1a + b"


@pytest.mark.parametrize(
    ("text", "inserted", "text_format"),
    [
        ("1", "1", 2),
        ("f(${1}, '\\\\')", r"f(\${1\}, '\\\\')", 2),
        ("1\n    y = 2\n\n        z", "1\ny = 2\n\n    z", 2),
        ("1\ny = $2", "1\ny = $2", 1),
    ],
)
async def test_neovim_gets_a_snippet_as_it_cuts_plain_text_at_the_first_blank(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    text: str,
    inserted: str,
    text_format: int,
) -> None:
    item_support = {"completionItem": {"snippetSupport": True}}
    capabilities = {"textDocument": {"completion": item_support}}
    service.text = text
    async with connected(**WAIT) as client:
        neovim = {"name": "Neovim", "version": "0.11.4"}
        await initialize(client, capabilities=capabilities, clientInfo=neovim)
        client.open("    x = ")
        (item,) = (await client.response(ask(client, 0, 8)))["result"]["items"]
    assert (item["textEdit"]["newText"], item["insertTextFormat"]) == (inserted, text_format)
    assert item["filterText"] == text
