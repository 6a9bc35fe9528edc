"""Two generations of clients, told apart on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from completion.types import TriggerKind

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
INVOKED, AUTOMATIC = TriggerKind.INVOKED, TriggerKind.AUTOMATIC

# What vscode-languageclient 9.0.1 and 10.1.0 claim, as far as it tells them apart.
LANGUAGECLIENT_9: dict[str, Any] = {
    "general": {"regularExpressions": {"engine": "ECMAScript", "version": "ES2020"}},
    "textDocument": {
        "inlineCompletion": {"dynamicRegistration": True},
        "completion": {"completionList": {"itemDefaults": ["editRange"]}},
    },
}
LANGUAGECLIENT_10: dict[str, Any] = {
    **LANGUAGECLIENT_9,
    "textDocument": {
        "inlineCompletion": {"dynamicRegistration": True},
        "completion": {"completionList": {"itemDefaults": ["editRange"], "applyKindSupport": True}},
    },
}
NEOVIM: dict[str, Any] = {"textDocument": {"inlineCompletion": {"dynamicRegistration": False}}}


@pytest.mark.parametrize(
    ("capabilities", "kinds", "expected"),
    [
        (LANGUAGECLIENT_9, [1], [AUTOMATIC]),
        (LANGUAGECLIENT_9, [0, 1], [INVOKED, AUTOMATIC]),
        (LANGUAGECLIENT_9, [1, 2, 1], [AUTOMATIC, AUTOMATIC, INVOKED]),
        (LANGUAGECLIENT_10, [1, 2, 1], [INVOKED, AUTOMATIC, INVOKED]),
        (LANGUAGECLIENT_10, [1, 0, 1], [INVOKED, INVOKED, AUTOMATIC]),
        (NEOVIM, [2, 1], [AUTOMATIC, INVOKED]),
        ({}, [1, 0, 1, 1], [INVOKED, INVOKED, AUTOMATIC, AUTOMATIC]),
        ({}, [0, 2, 1], [INVOKED, AUTOMATIC, INVOKED]),
    ],
)
async def test_trigger_kinds_mean_what_their_generation_means(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    capabilities: dict[str, Any],
    kinds: list[int],
    expected: list[TriggerKind],
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=capabilities)
        client.open("x = ")
        for kind in kinds:
            response = await client.response(client.complete(0, 4, triggerKind=kind))
            assert response["result"]["items"]
    assert [request.trigger for request in service.requests] == expected


async def test_a_range_of_two_positions_is_read_and_shows_the_old_generation(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    span = [{"line": 0, "character": 3}, {"line": 0, "character": 5}]
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("if pr")
        info = {"range": span, "text": "print"}
        client_id = client.complete(0, 5, triggerKind=1, selectedCompletionInfo=info)
        assert (await client.response(client_id))["result"]["items"]
        await client.response(client.complete(0, 5, triggerKind=1))
    selected = service.requests[0].selected_item
    assert (selected.start, selected.end, selected.text) == (3, 5, "print")
    assert [request.trigger for request in service.requests] == [AUTOMATIC, AUTOMATIC]


@pytest.mark.parametrize("kind", [False, -1, 3, "1", None, 0.5, [], {}])
async def test_other_trigger_kinds_are_refused_whatever_the_generation(
    connected: Connect, initialize: Initialize, service: Any, kind: object
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=LANGUAGECLIENT_9)
        client.open("x = ")
        refused = await client.response(client.complete(0, 4, triggerKind=kind))
        assert refused["error"]["code"] == -32602
    assert service.requests == []


@pytest.mark.parametrize("span", [[], [{"line": 0, "character": 0}], [1, 2], "0:0", None])
async def test_a_selected_range_that_is_no_range_is_refused(
    connected: Connect, initialize: Initialize, span: object
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        info = {"range": span, "text": "print"}
        refused = await client.response(client.complete(0, 4, selectedCompletionInfo=info))
        assert refused["error"]["code"] == -32602
