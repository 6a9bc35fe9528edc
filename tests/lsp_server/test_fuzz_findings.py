"""What benchmarks/fuzz_lsp.py has found, each with the seed that showed it first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
INVALID_REQUEST, INVALID_PARAMS = -32600, -32602
WAIT = {"server.wait_for_model": "true"}


@pytest.mark.parametrize("answer", [{"result": 5}, {"error": {"code": 1, "message": "no"}}])
async def test_a_response_under_the_id_of_a_running_request_changes_nothing(
    connected: Connect, initialize: Initialize, service: Any, answer: dict[str, Any]
) -> None:
    """Seed 11: the answer was set as the result of the task, which raised and ended the server."""
    service.gate.clear()
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        running = client.complete(0, 4)
        client.send({"id": running, **answer})
        service.gate.set()
        response = await client.response(running)
        assert response["result"]["items"]


@pytest.mark.parametrize("msg_id", [[1], {}, None, 1.5, True, "no such", 10**30])
async def test_cancelling_under_an_id_that_cannot_be_is_ignored(
    connected: Connect, initialize: Initialize, msg_id: object
) -> None:
    """Seed 121: a list is not hashable, which ended the server."""
    async with connected() as client:
        await initialize(client)
        client.notify("$/cancelRequest", {"id": msg_id})
        await client.no_further_response()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("initialized", {}),
        ("textDocument/didSave", {"textDocument": {"uri": "file:///w/a.py"}}),
        ("$/cancelRequest", {"id": 1}),
        ("$/setTrace", {"value": "off"}),
    ],
)
async def test_a_notification_that_is_sent_as_a_request_is_refused_not_left_unanswered(
    connected: Connect, initialize: Initialize, method: str, params: object
) -> None:
    """Seeds 49 and 72."""
    async with connected() as client:
        await initialize(client)
        refused = await client.ask(method, params)
        assert refused["error"]["code"] == INVALID_REQUEST
        await client.no_further_response()


@pytest.mark.parametrize("arguments", [None, [], [""], ["r", "s"]])
async def test_accepting_without_an_id_is_bad_input_not_a_mistake_of_ours(
    connected: Connect, initialize: Initialize, service: Any, arguments: object
) -> None:
    """Seed 444."""
    async with connected(**WAIT) as client:
        await initialize(client)
        command = {"command": "fimble.accepted", "arguments": arguments}
        refused = await client.ask("workspace/executeCommand", command)
        assert refused["error"]["code"] == INVALID_PARAMS
        command = {"command": "fimble.accepted", "arguments": ["r"]}
        assert (await client.ask("workspace/executeCommand", command))["result"] is None
    assert service.accepted_ids == ["r"]
