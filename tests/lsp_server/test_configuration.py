"""The settings of a client and of the command line, seen by the requests they shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from completion.types import CompletionRequest, TriggerKind

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}


async def test_the_clients_options_shape_the_request_and_flags_outrank_them(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    options = {
        "completion": {"max_new_tokens": 33, "deadline_ms": 250},
        "engine": {"patching": "exact"},
    }
    async with connected(**WAIT, **{"completion.deadline_ms": "99"}) as client:
        await initialize(client, initializationOptions=options)
        client.open("x = ")
        await client.response(client.complete(0, 4, triggerKind=1))
    request: CompletionRequest = service.requests[0]
    assert (request.max_new_tokens, request.deadline_ms) == (33, 99.0)
    assert (request.patching, request.use_retrieval) == ("exact", True)
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


@pytest.mark.parametrize(
    ("settings", "is_another"),
    [
        ({"completion": {"deadline_ms": 100}}, False),
        ({"completion": {"max_new_tokens": 200}}, False),
        ({"completion": {"max_new_tokens": 2000}}, True),
        ({"prompt": {"max_num_tokens": 512}}, True),
        ({"model": {"precision": "float32"}}, True),
    ],
)
async def test_settings_that_need_another_service_get_it_and_the_old_one_ends(
    connected: Connect, initialize: Initialize, make_service: Any, settings: Any, is_another: bool
) -> None:
    built: list[Any] = []

    def build(_settings: Any) -> Any:
        built.append(make_service())
        return built[-1]

    async with connected(build, **{"server.wait_for_model": True}) as client:
        await initialize(client)
        client.open("x = ")
        assert (await client.response(client.complete(0, 4)))["result"]["items"]
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert (await client.response(client.complete(0, 4)))["result"]["items"]
        assert len(built) == 1 + is_another
        assert built[-1].requests
        if is_another:
            assert built[0].closed.wait(10)
