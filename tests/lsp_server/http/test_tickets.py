"""Addresses that open the dashboard once: what their ticket is worth, to whom, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from lsp_server.host import ModelHost
from lsp_server.http.tickets import LIFETIME_S, Tickets
from lsp_server.settings import Settings

TOKEN = "0123456789abcdef-token"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_ticket_is_good_once() -> None:
    tickets = Tickets()
    first, second = tickets.issue(), tickets.issue()
    assert first != second
    assert [tickets.redeem(each) for each in (first, first, second, "")] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(("seconds", "is_good"), [(LIFETIME_S - 1, True), (LIFETIME_S, False)])
def test_a_ticket_is_good_for_a_minute(seconds: float, is_good: bool) -> None:
    clock = Clock()
    tickets = Tickets(clock)
    ticket = tickets.issue()
    clock.now += seconds
    assert tickets.redeem(ticket) is is_good


def test_who_asks_for_addresses_without_end_fills_no_memory() -> None:
    tickets = Tickets()
    issued = [tickets.issue() for _ in range(500)]
    assert sum(map(tickets.redeem, issued)) == 64
    assert not tickets.redeem(issued[0])


@pytest.fixture
def running(serve: Any) -> Any:
    return serve(object(), token=TOKEN)


def trade(running: Any, body: object, **options: Any) -> httpx.Response:
    url = running.url.removesuffix("/v1") + "/dashboard/ticket"
    return httpx.post(url, json=body, **options)


def test_the_page_gets_the_token_for_its_ticket_and_nobody_gets_it_again(running: Any) -> None:
    body = {"ticket": running.listener.tickets.issue()}
    answer = trade(running, body)
    assert answer.json() == {"token": TOKEN}
    assert answer.headers["cache-control"] == "no-store"
    again = trade(running, body)
    assert again.status_code == 403
    assert "fimble dashboard" in again.json()["error"]["message"]
    assert TOKEN not in again.text


@pytest.mark.parametrize("body", [{}, {"ticket": 5}, {"ticket": "x" * 1000}, []])
def test_what_is_no_ticket_is_refused(running: Any, body: object) -> None:
    assert trade(running, body).status_code == 400


def test_another_page_cannot_trade_a_ticket_it_came_by(running: Any) -> None:
    ticket = running.listener.tickets.issue()
    for headers in ({"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert trade(running, {"ticket": ticket}, headers=headers).status_code == 403
    assert trade(running, {"ticket": ticket}).status_code == 200


@pytest.fixture
def looking_on(make_service: Any) -> Iterator[ModelHost]:
    host = ModelHost(lambda *_: make_service())
    yield host
    host.close()


@contextlib.asynccontextmanager
async def opened(host: ModelHost, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that came by the address and has traded its ticket, as the page does."""
    address = await host.dashboard.url(settings)
    base, _, ticket = address.partition("/dashboard/#ticket=")
    async with httpx.AsyncClient(base_url=base) as client:
        answer = await client.post("/dashboard/ticket", json={"ticket": ticket})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client
    await host.dashboard.close()


async def test_looking_on_loads_no_model_and_opening_a_document_does(looking_on: ModelHost) -> None:
    async with opened(looking_on, Settings()) as page:
        for path in ("/dashboard/", "/v1/explain", "/v1/stats", "/v1/models", "/metrics"):
            assert (await page.get(path)).status_code == 200
        async with page.stream("GET", "/v1/live") as events:
            assert '"status"' in await anext(events.aiter_text())
        assert looking_on.status() == []
        document = (await page.post("/v1/documents", json={"text": "x = "})).json()
        assert len(looking_on.status()) == 1
        while (await page.get("/health")).status_code != 200:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0)
        path = f"/v1/documents/{document['id']}/complete"
        assert (await page.post(path, json={"offset": 4})).status_code == 200


async def test_a_model_that_nobody_knows_does_not_keep_the_page_from_opening(
    looking_on: ModelHost,
) -> None:
    settings = Settings()
    unknown = replace(settings, model=replace(settings.model, name="no-such-model"))
    async with opened(looking_on, unknown) as page:
        assert (await page.get("/v1/explain")).json() == {"explanations": []}
