"""Addresses of the dashboard that open it once: a ticket in them, which the page trades for the token.

A browser gets an address as an argument, which other accounts of the machine may read for as long as
it runs. What stands there must be worth nothing by then.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated

from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from lsp_server.http.errors import ApiError

PATH = "/dashboard/ticket"
LIFETIME_S = 60.0
_MAX_NUM_ISSUED = 64  # of those that nobody has used yet
_MAX_LENGTH = 128


class Tickets:
    """Those that can still be used. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure by ``clock``, in seconds that no change of the time of day touches."""
        self._clock = clock
        self._ends: OrderedDict[str, float] = OrderedDict()

    def issue(self) -> str:
        """Return a ticket that is good for one use within ``LIFETIME_S``."""
        self._drop_old()
        ticket = secrets.token_urlsafe(32)
        self._ends[ticket] = self._clock() + LIFETIME_S
        while len(self._ends) > _MAX_NUM_ISSUED:
            self._ends.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Return whether ``ticket`` is good; it is not a second time."""
        self._drop_old()
        return self._ends.pop(ticket, None) is not None

    def _drop_old(self) -> None:
        now = self._clock()
        self._ends = OrderedDict((each, end) for each, end in self._ends.items() if end > now)


class TicketBody(BaseModel):
    """What the page sends."""

    ticket: str = Field(max_length=_MAX_LENGTH)


def add_tickets(app: FastAPI, token: str, tickets: Tickets) -> None:
    """Add the route at which a ticket is traded for ``token``; itself it needs none."""

    @app.post(PATH, include_in_schema=False)
    async def trade(body: Annotated[TicketBody, Body()]) -> JSONResponse:
        if not tickets.redeem(body.ticket):
            message = (
                "this address opens the page once and within a minute; `fimble dashboard` prints "
                "another one"
            )
            raise ApiError(403, message, code="ticket_spent")
        return JSONResponse({"token": token}, headers={"Cache-Control": "no-store"})
