"""The completion service, built in the background so that the server answers from the start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from completion.types import CancellationToken
from lsp_server.settings import Settings

if TYPE_CHECKING:  # importing it loads torch, which would delay the answer to `initialize`
    from completion.service import CompletionService

T = TypeVar("T")
BuildService = Callable[[Settings], "CompletionService"]

# Requests wait in threads of their own; all but the newest of each document are being cancelled.
_MAX_NUM_WAITING = 16


class BackgroundService:
    """Builds one service, and runs requests on it without blocking the event loop."""

    def __init__(self, build: BuildService) -> None:
        self._build = build
        self._loader = ThreadPoolExecutor(1, "loader")
        self._waiting = ThreadPoolExecutor(_MAX_NUM_WAITING, "completion")
        self._service: Future[CompletionService] | None = None
        self._settings: Settings | None = None

    def start(self, settings: Settings) -> Future[CompletionService]:
        """Begin to build; the future carries the service or what prevented it."""
        self._settings = settings
        self._service = self._loader.submit(self._build, settings)
        return self._service

    @property
    def settings(self) -> Settings | None:
        """What the service is built with; ``None`` before ``start``."""
        return self._settings

    @property
    def is_settled(self) -> bool:
        """Whether building has ended, well or not."""
        return self._service is not None and self._service.done()

    @property
    def ready(self) -> CompletionService | None:
        """The service, ``None`` while it is being built and if that failed."""
        future = self._service
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    async def settled(self) -> CompletionService | None:
        """Wait until building has ended and return ``ready``."""
        if self._service is not None:
            await asyncio.wait([asyncio.wrap_future(self._service)])
        return self.ready

    async def run(self, work: Callable[[CancellationToken], T]) -> T:
        """Run ``work`` in a thread; cancelling this coroutine cancels the work's token.

        The coroutine ends at once when cancelled, the thread when the work next checks its token.
        """
        token = CancellationToken()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._waiting, work, token)
        finally:
            token.cancel()

    def close(self) -> bool:
        """Close the service if there is one; returns whether a build is still running."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        service = self.ready
        if service is not None:
            service.close()
        return self._service is not None and not self.is_settled
