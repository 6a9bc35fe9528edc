"""``fimble.dashboard``: an editor gets an address that shows what it asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from lsp_server.dashboard_listener import DashboardListener

COMMAND = {"command": "fimble.dashboard", "arguments": []}


async def get(url: str, path: str) -> httpx.Response:
    address = urlsplit(url)
    headers = {"Authorization": f"Bearer {address.fragment.removeprefix('token=')}"}
    async with httpx.AsyncClient(headers=headers) as client:
        return await client.get(f"{address.scheme}://{address.netloc}{path}")


async def answers(url: str) -> bool:
    try:
        return (await get(url, "/v1/explain")).is_success
    except httpx.ConnectError:
        return False


async def ask(client: Any) -> str:
    answer = await client.ask("workspace/executeCommand", COMMAND)
    return str(answer["result"]["url"])


async def test_the_address_is_this_machine_s_and_its_token_opens_what_the_editor_asked(
    connected: Callable[..., Any], initialize: Callable[..., Any]
) -> None:
    server = connected()
    async with server as client:
        capabilities = (await initialize(client))["capabilities"]
        assert "fimble.dashboard" in capabilities["executeCommandProvider"]["commands"]
        client.open("x = \n")
        await client.response(client.complete(0, 4))
        url = await ask(client)
        assert urlsplit(url).hostname == "127.0.0.1"
        assert len(urlsplit(url).fragment) > len("token=") + 32
        found = (await get(url, "/v1/explain")).json()["explanations"]
        assert [(each["line"], each["outcome"]) for each in found] == [(1, "suggestion")]
        await server.host.dashboard.close()


async def test_everybody_gets_the_same_address_until_it_is_closed(
    connected: Callable[..., Any], initialize: Callable[..., Any]
) -> None:
    server = connected()
    async with server as client:
        await initialize(client)
        first, second = await ask(client), await ask(client)
        assert first == second
        await server.host.dashboard.close()
        assert not await answers(first)
        assert await ask(client) != first
        await server.host.dashboard.close()


async def test_it_stays_while_a_page_is_open_and_goes_a_while_after(
    connected: Callable[..., Any], initialize: Callable[..., Any]
) -> None:
    server = connected()
    async with server as client:
        await initialize(client)
        dashboard: DashboardListener = server.host.dashboard
        url = await ask(client)
        await dashboard.close_unused(after_s=60)
        assert await answers(url)
        async with httpx.AsyncClient() as page:
            await page.get(url.partition("#")[0])
            assert dashboard.is_watched
            await dashboard.close_unused(after_s=0)
            assert await answers(url)
        while dashboard.is_watched:  # noqa: ASYNC110 - uvicorn tells nobody that a page has gone
            await asyncio.sleep(0)
        await dashboard.close_unused(after_s=0)
        assert not await answers(url)
