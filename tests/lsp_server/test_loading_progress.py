"""How far the model is, as the editor is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from models.progress import Progress, ProgressCallback

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
SHOWS_PROGRESS = {"window": {"workDoneProgress": True}}
WANTS_STATUS = {"experimental": {"fimble": {"status": True}}}
STATUS, PROGRESS, CREATE = "fimble/status", "$/progress", "window/workDoneProgress/create"


class SlowBuild:
    """Builds a service in steps that the test allows."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.is_asked = threading.Event()
        self._allowed = threading.Event()
        self.error: Exception | None = None
        self._report: ProgressCallback | None = None

    def __call__(self, _settings: Any, progress: ProgressCallback) -> Any:
        self._report = progress
        self.is_asked.set()
        assert self._allowed.wait(10)
        if self.error is not None:
            raise self.error
        return self._service

    async def report(self, stage: str, done: int, total: int | None) -> None:
        assert await asyncio.to_thread(self.is_asked.wait, 10)
        assert self._report is not None
        self._report(Progress(stage, done, total))

    def finish(self) -> None:
        self._allowed.set()


@pytest.fixture
def build(service: Any) -> SlowBuild:
    return SlowBuild(service)


async def begun(client: Any) -> Any:
    """Agree to the progress that the server wants to show and return its token."""
    create = await client.notification(CREATE)
    client.send({"id": create["id"], "result": None})
    begin = await client.notification(PROGRESS)
    assert begin["params"]["token"] == create["params"]["token"]
    assert begin["params"]["value"]["kind"] == "begin"
    assert begin["params"]["value"]["title"] == "fimble"
    return create["params"]["token"]


async def test_progress_is_shown_from_the_first_stage_to_the_end(
    connected: Connect, initialize: Initialize, build: SlowBuild
) -> None:
    async with connected(build, tells_progress=True) as client:
        await initialize(client, capabilities=SHOWS_PROGRESS)
        token = await begun(client)
        shown = []
        for done in (0, 1, 500, 501, 1000):
            await build.report("fetching tiny", done, 1000)
        await build.report("preparing tiny", 3, None)
        for _ in range(4):
            report = (await client.notification(PROGRESS))["params"]
            assert report["token"] == token
            assert report["value"]["kind"] == "report"
            shown.append(report["value"]["message"])
        build.finish()
        end = (await client.notification(PROGRESS))["params"]
    assert shown == [f"fetching tiny, {at}%" for at in (0, 50, 100)] + ["preparing tiny"]
    assert (end["token"], end["value"]["kind"]) == (token, "end")


async def test_a_plugin_that_asks_is_told_the_state(
    connected: Connect, initialize: Initialize, build: SlowBuild
) -> None:
    async with connected(build, tells_progress=True) as client:
        await initialize(client, capabilities=WANTS_STATUS)
        assert (await client.notification(STATUS))["params"] == {
            "state": "starting",
            "message": "starting",
            "fraction": None,
        }
        await build.report("fetching tiny", 250, 1000)
        await build.report("preparing tiny", 3, None)
        build.finish()
        told = [(await client.notification(STATUS))["params"] for _ in range(3)]
    assert [status["state"] for status in told] == ["downloading", "loading", "ready"]
    assert (told[0]["message"], told[0]["fraction"]) == ("fetching tiny", 0.25)


async def test_what_went_wrong_is_told(
    connected: Connect, initialize: Initialize, build: SlowBuild
) -> None:
    build.error = OSError("the disk is full")
    async with connected(build, tells_progress=True) as client:
        await initialize(client, capabilities={**WANTS_STATUS, **SHOWS_PROGRESS})
        assert (await client.notification(STATUS))["params"]["state"] == "starting"
        await begun(client)
        build.finish()
        failed = (await client.notification(STATUS))["params"]
        end = (await client.notification(PROGRESS))["params"]["value"]
    assert (failed["state"], failed["message"]) == ("error", "the disk is full")
    assert end["kind"] == "end"


async def test_a_service_that_is_there_is_ready_at_once_and_shows_no_progress(
    connected: Connect, initialize: Initialize
) -> None:
    server = connected()
    async with server as client:
        await client.ask("initialize", {"capabilities": {**WANTS_STATUS, **SHOWS_PROGRESS}})
        await server.host.lease(server.server.settings).settled()
        client.notify("initialized", {})
        assert (await client.notification(STATUS))["params"]["state"] == "ready"
        await client.no_further_response()
        assert client.notifications == []


@pytest.mark.parametrize(
    "capabilities",
    [
        {},
        {"window": {}, "experimental": None},
        {"window": {"workDoneProgress": False}, "experimental": {"fimble": {"status": False}}},
        {"experimental": {"fimble": True}},
        {"experimental": ["fimble"]},
    ],
)
async def test_a_client_that_did_not_ask_is_told_nothing(
    connected: Connect, initialize: Initialize, build: SlowBuild, capabilities: dict[str, Any]
) -> None:
    server = connected(build, tells_progress=True)
    async with server as client:
        await initialize(client, capabilities=capabilities)
        await build.report("fetching tiny", 250, 1000)
        build.finish()
        await server.server.background.settled()
        await client.no_further_response()
        assert client.notifications == []


async def test_a_client_that_refuses_progress_gets_none_and_is_served(
    connected: Connect, initialize: Initialize, build: SlowBuild
) -> None:
    server = connected(build, tells_progress=True)
    async with server as client:
        await initialize(client, capabilities=SHOWS_PROGRESS)
        create = await client.notification(CREATE)
        client.send({"id": create["id"], "error": {"code": 1, "message": "no room"}})
        await client.no_further_response()
        await build.report("fetching tiny", 250, 1000)
        build.finish()
        await server.server.background.settled()
        client.open("x = ")
        assert (await client.response(client.complete(0, 4)))["result"]["items"]
        assert client.notifications == []


async def test_a_request_while_the_model_loads_is_answered_at_once_and_says_why(
    connected: Connect, initialize: Initialize, build: SlowBuild
) -> None:
    async with connected(build, tells_progress=True) as client:
        await initialize(client)
        client.open("x = ")
        assert (await client.response(client.complete(0, 4)))["result"] == {"items": []}
        why = await client.ask("fimble/why", {"textDocument": {"uri": "file:///w/a.py"}})
        assert why["result"]["reason"] == "loading"
        build.finish()


async def test_another_model_ends_the_progress_of_the_one_before(
    connected: Connect, initialize: Initialize, build: SlowBuild
) -> None:
    async with connected(build, tells_progress=True) as client:
        await initialize(client, capabilities=SHOWS_PROGRESS)
        token = await begun(client)
        settings = {"model": {"name": "another"}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})
        end = (await client.notification(PROGRESS))["params"]
        assert (end["token"], end["value"]["kind"]) == (token, "end")
        assert await begun(client) != token
        build.finish()
