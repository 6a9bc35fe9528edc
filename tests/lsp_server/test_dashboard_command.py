"""``fimble.dashboard``: an editor gets an address that shows what it asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from lsp_server.dashboard_listener import DashboardListener

COMMAND = {"command": "fimble.dashboard", "arguments": []}


def base_of(url: str) -> str:
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc}"


async def get(url: str, path: str) -> httpx.Response:
    """Do as the page does: trade the ticket for the token, and ask with it."""
    body = {"ticket": urlsplit(url).fragment.removeprefix("ticket=")}
    async with httpx.AsyncClient(base_url=base_of(url)) as client:
        token = (await client.post("/dashboard/ticket", json=body)).json()["token"]
        return await client.get(path, headers={"Authorization": f"Bearer {token}"})


async def answers(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{base_of(url)}/dashboard/")).is_success
        except httpx.ConnectError:
            return False


async def ask(client: Any) -> str:
    answer = await client.ask("workspace/executeCommand", COMMAND)
    return str(answer["result"]["url"])


async def test_the_address_is_this_machine_s_and_its_ticket_opens_what_the_editor_asked(
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
        assert len(urlsplit(url).fragment) > len("ticket=") + 32
        found = (await get(url, "/v1/explain")).json()["explanations"]
        assert [(each["line"], each["outcome"]) for each in found] == [(1, "suggestion")]
        await server.host.dashboard.close()


async def test_everybody_is_led_to_the_same_page_by_a_ticket_of_their_own_until_it_is_closed(
    connected: Callable[..., Any], initialize: Callable[..., Any]
) -> None:
    server = connected()
    async with server as client:
        await initialize(client)
        first, second = await ask(client), await ask(client)
        assert first != second
        assert base_of(first) == base_of(second)
        await server.host.dashboard.close()
        assert not await answers(first)
        assert (await get(await ask(client), "/v1/explain")).is_success
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
