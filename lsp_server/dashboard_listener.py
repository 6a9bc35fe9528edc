"""Where this process shows its dashboard: a listener that is opened when somebody asks for the page."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING

from lsp_server.settings import Settings

if TYPE_CHECKING:
    from lsp_server.host import ModelHost
    from lsp_server.http.listener import HttpListener

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
UNUSED_S = 600.0  # after which it is closed; who asks again gets another address


class DashboardListener:
    """One for all who ask, on loopback, with a token of its own. Belongs to one event loop.

    It loads no model: looking on needs none, and the playground asks for one.
    """

    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._listener: HttpListener | None = None
        self._used_at = time.monotonic()
        self._opening = asyncio.Lock()

    @property
    def is_watched(self) -> bool:
        """Whether a page is open somewhere: it keeps a connection as long as it is."""
        return self._listener is not None and self._listener.num_connections > 0

    async def url(self, settings: Settings) -> str:
        """Return an address that opens the page once, within a minute.

        Opens the listener if there is none. The address has no lasting secret: a browser that is told
        it may show it to everybody on this machine.

        Args:
            settings: What the playground completes with, if the listener is opened.

        Raises:
            ListenError: This machine lets nobody listen on loopback.
        """
        async with self._opening:
            if self._listener is None:
                self._listener = await self._open(settings)
            self._used_at = time.monotonic()
            base = self._listener.url.removesuffix("/v1")
            return f"{base}/dashboard/#ticket={self._listener.tickets.issue()}"

    async def close_unused(self, after_s: float = UNUSED_S) -> None:
        """Close the listener if no page has been open for ``after_s``."""
        if self.is_watched:
            self._used_at = time.monotonic()
        elif self._listener is not None and time.monotonic() - self._used_at >= after_s:
            logger.info("nobody looks at the dashboard; closing it")
            await self.close()

    async def close(self) -> None:
        """Close the listener; idempotent."""
        async with self._opening:
            listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()

    async def _open(self, settings: Settings) -> HttpListener:
        from lsp_server.http.access import Access  # heavy, and wanted by few
        from lsp_server.http.door import Loading
        from lsp_server.http.listener import open_listener

        access = Access(ADDRESS, secrets.token_urlsafe(32))
        listener = await open_listener(self._host, settings, access, 0, Loading.WHEN_NEEDED)
        logger.info("the dashboard is at %s", listener.url.removesuffix("/v1"))
        return listener
