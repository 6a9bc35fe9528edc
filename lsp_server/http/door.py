"""What one listener owns: its lease on the model, its documents, and the requests in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from completion.types import CancellationToken, CompletionOutcome
from lsp_server.http.choices import FinishedChoice, PlannedChoice, finish, stopping
from lsp_server.http.errors import ApiError, try_later
from lsp_server.http.prompts import PromptTable
from lsp_server.logs import request_scope
from lsp_server.metrics import Door
from lsp_server.settings import Settings
from models import registry

if TYPE_CHECKING:  # importing the service loads torch
    from completion.service import CompletionService
    from lsp_server.host import ModelHost, ModelProgress

# Beyond these a client is told to come back. Each waits in a thread that editors need too.
MAX_NUM_REQUESTS = 32
RETRY_LOADING_S = 30.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that was added to a choice."""

    index: int
    text: str


class HttpDoor:
    """Serves the clients of one listener. Event loop only."""

    def __init__(self, host: ModelHost, settings: Settings) -> None:
        """Take a lease on the model that ``settings`` name.

        Raises:
            models.errors.UnknownModelError: No model has that name.
        """
        self.settings = settings
        self.model_name = _public_name(settings.model.name)
        self.created = int(time.time())
        self.prompts = PromptTable(self._forget)
        self.num_requests = 0
        self._host = host
        self._running: set[asyncio.Task[CompletionOutcome]] = set()
        self._is_closing = False
        self._take_lease()

    @property
    def names(self) -> list[str]:
        """What clients may call the model, its own name first."""
        return [*dict.fromkeys((self.model_name, self.settings.model.name))]

    @property
    def progress(self) -> ModelProgress | None:
        """How far loading is, as it was last told."""
        return self._lease.progress

    @property
    def state(self) -> str:
        """``ready``, ``loading`` or ``failed``."""
        if self._lease.ready is not None:
            return "ready"
        return "failed" if self._lease.is_settled else "loading"

    def service(self) -> CompletionService:
        """Return the service.

        Raises:
            ApiError: The model is loading, or could not be loaded.
        """
        if self._is_closing:
            raise stopping()
        service = self._lease.ready
        if service is not None:
            return service
        if not self._lease.is_settled:
            raise try_later(503, "the model is still loading", code="model_loading", after_s=2)
        error = self._lease.error
        if time.monotonic() - self._leased_at > RETRY_LOADING_S:
            self._lease.close()
            self._take_lease()
        message = f"the model could not be loaded: {error}"
        raise try_later(503, message, code="model_failed", after_s=int(RETRY_LOADING_S))

    def check_model(self, name: str | None) -> None:
        """Hold a client to the model that is served; the name it was configured by is one too.

        Raises:
            ApiError: Another model was asked for.
        """
        if name is None or name in self.names:
            return
        message = f"no such model is served here; the one that is: {self.model_name}"
        raise ApiError(404, message, code="model_not_found", param="model")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request as in flight.

        Raises:
            ApiError: There are too many.
        """
        if self.num_requests >= MAX_NUM_REQUESTS:
            message = f"{MAX_NUM_REQUESTS} requests are waiting already"
            raise try_later(429, message, code="queue_full", after_s=1)
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1

    async def run(
        self, planned: Sequence[PlannedChoice]
    ) -> AsyncGenerator[Piece | FinishedChoice, None]:
        """Yield each choice's pieces as they are generated, then the choice.

        Closing the generator, or cancelling the task that runs it, frees the engine.

        Raises:
            ApiError: A choice could not be made.
        """
        last: FinishedChoice | None = None
        for choice in planned:
            if choice.repeats_last and last is not None:
                yield Piece(choice.index, last.text)
                yield replace(last, index=choice.index)
                continue
            generator = self._generate(choice)
            try:
                async for event in generator:
                    yield event
                    last = event if isinstance(event, FinishedChoice) else last
            finally:
                await generator.aclose()

    async def _generate(
        self, choice: PlannedChoice
    ) -> AsyncGenerator[Piece | FinishedChoice, None]:
        service, loop = self.service(), asyncio.get_running_loop()
        texts: asyncio.Queue[str | None] = asyncio.Queue()

        def on_text(text: str) -> None:  # on the engine's thread
            loop.call_soon_threadsafe(texts.put_nowait, text)

        def work(token: CancellationToken) -> CompletionOutcome:
            # A filter may take back what was shown, so only raw text is shown as it grows.
            listener = on_text if choice.request.verbatim else None
            return service.complete(choice.request, token, listener)

        request_id = choice.request.request_id
        with request_scope(request_id):
            counted = self._host.metrics.counted(self._lease.run(work), Door.HTTP, request_id)
            task = asyncio.create_task(counted)
        self._running.add(task)
        task.add_done_callback(lambda _: texts.put_nowait(None))
        sent = ""
        try:
            while (text := await texts.get()) is not None:
                if len(text) > len(sent):
                    yield Piece(choice.index, text[len(sent) :])
                    sent = text
            if task.cancelled():
                raise stopping()
            outcome = task.result()
            finished = finish(choice, outcome)
            if len(finished.text) > len(sent):
                yield Piece(choice.index, finished.text[len(sent) :])
            yield finished
        finally:
            task.cancel()
            self._running.discard(task)

    def close(self) -> None:
        """Cancel what is running, forget every document and give the lease back."""
        self._is_closing = True
        for task in self._running:
            task.cancel()
        self.prompts.clear()
        self._lease.close()

    def _take_lease(self) -> None:
        self._leased_at = time.monotonic()
        self._lease = self._host.lease(self.settings)

    def _forget(self, key: str) -> None:
        service = self._lease.ready
        if service is not None:
            service.forget(key)


def _public_name(name: str) -> str:
    """Return the model's name without the folder it lies in, which is nobody's business."""
    match registry.resolve(name):
        case registry.HubId(repo_id):
            return repo_id
        case Path() as path:
            return path.name
        case registered:
            return registered.name
