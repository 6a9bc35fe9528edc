"""What one listener owns: its lease on the model, its documents, and the requests in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from completion.types import (
    CancellationToken,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    Suggestion,
)
from lsp_server.explanation import question_of
from lsp_server.http.choices import FinishedChoice, PlannedChoice, finish, stopping
from lsp_server.http.errors import ApiError, try_later
from lsp_server.http.forgetting import Forgetting
from lsp_server.http.held_documents import HeldDocuments
from lsp_server.http.named_files import placed
from lsp_server.http.prompts import PromptTable
from lsp_server.learning.feedback import Feedback
from lsp_server.learning.observation import Offer
from lsp_server.logs import request_scope
from lsp_server.metrics import Door
from lsp_server.model_names import public_name
from lsp_server.settings import Settings
from models import registry

if TYPE_CHECKING:  # importing the service loads torch
    from completion.service import CompletionService
    from lsp_server.explanations import Explanations
    from lsp_server.host import Lease, ModelHost, ModelProgress

# Beyond these a client is told to come back. Each waits in a thread that editors need too.
MAX_NUM_REQUESTS = 32
MAX_NUM_WATCHING = 16  # each holds a connection open, and gets every event
RETRY_LOADING_S = 30.0


class Loading(StrEnum):
    """When a listener's model is loaded."""

    AT_ONCE = "at_once"
    WHEN_NEEDED = "when_needed"


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that was added to a choice."""

    index: int
    text: str


class _Places:
    """A limited number of places; who finds none is told to come back."""

    def __init__(self, are_taken: str, *, code: str, after_s: int) -> None:
        self._are_taken, self._code, self._after_s = are_taken, code, after_s
        self.num_taken = 0

    @contextmanager
    def taken(self, max_num: int) -> Iterator[None]:
        """Hold one of ``max_num`` places for as long as the block runs.

        Raises:
            ApiError: There is none.
        """
        if self.num_taken >= max_num:
            message = f"{max_num} {self._are_taken}"
            raise try_later(429, message, code=self._code, after_s=self._after_s)
        self.num_taken += 1
        try:
            yield
        finally:
            self.num_taken -= 1


class HttpDoor:
    """Serves the clients of one listener. Event loop only."""

    def __init__(
        self,
        host: ModelHost,
        settings: Settings,
        loading: Loading = Loading.AT_ONCE,
        *,
        shows_files: bool = False,
    ) -> None:
        """Take a lease on the model that ``settings`` name, or wait until somebody needs it.

        Args:
            host: What this process holds.
            settings: What requests default to, and what limits them.
            loading: When the model is to be there.
            shows_files: Whether clients may profit from the indexes that editors have made.

        Raises:
            models.errors.UnknownModelError: No model has that name, and it is to be loaded at once.
        """
        if loading is Loading.AT_ONCE:
            registry.resolve(settings.model.name)
        self.settings = settings
        self.model_name = public_name(settings.model.name)
        self.created = int(time.time())
        self._forgetting = Forgetting(self._forget)
        self.prompts = PromptTable(self._forgetting.forget)
        self.documents = HeldDocuments(self._forget)
        self._requests = _Places("requests are waiting already", code="queue_full", after_s=1)
        self._watching = _Places("clients look on already", code="too_many_watching", after_s=2)
        self._host, self._shows_files = host, shows_files
        self._running: set[asyncio.Task[CompletionOutcome]] = set()
        self.is_closing = asyncio.Event()
        self._leased: Lease | None = None
        if loading is Loading.AT_ONCE:
            self.expect_requests()

    @property
    def host(self) -> ModelHost:
        """What this process holds."""
        return self._host

    @property
    def explanations(self) -> Explanations:
        """Those of all doors of this process."""
        return self._host.explanations

    @property
    def feedback(self) -> Feedback:
        """What is told of suggestions, over all doors of this process."""
        return self._host.feedback

    @property
    def names(self) -> list[str]:
        """What clients may call the model, its own name first."""
        return [*dict.fromkeys((self.model_name, self.settings.model.name))]

    @property
    def progress(self) -> ModelProgress | None:
        """How far loading is, as it was last told."""
        return None if self._leased is None else self._leased.progress

    @property
    def state(self) -> str:
        """``ready``, ``loading`` or ``failed``; what nobody has needed yet counts as loading."""
        if self._ready is not None:
            return "ready"
        is_settled = self._leased is not None and self._leased.is_settled
        return "failed" if is_settled else "loading"

    def expect_requests(self) -> None:
        """Load the model if it is not: somebody is about to ask."""
        if self._leased is None and not self.is_closing.is_set():
            self._take_lease()

    def service(self) -> CompletionService:
        """Return the service.

        Raises:
            ApiError: The model is loading, or could not be loaded.
        """
        if self.is_closing.is_set():
            raise stopping()
        lease = self._leased or self._take_lease()
        if lease.ready is not None:
            return lease.ready
        if not lease.is_settled:
            raise try_later(503, "the model is still loading", code="model_loading", after_s=2)
        error = lease.error
        if time.monotonic() - self._leased_at > RETRY_LOADING_S:
            lease.close()
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

    @property
    def num_requests(self) -> int:
        """How many completions are waited for."""
        return self._requests.num_taken

    def admitted(self) -> AbstractContextManager[None]:
        """Count a request as in flight for as long as a block runs; ApiError if there are too many."""
        return self._requests.taken(MAX_NUM_REQUESTS)

    def watched(self) -> AbstractContextManager[None]:
        """Count somebody as looking on, in the same way."""
        return self._watching.taken(MAX_NUM_WATCHING)

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
        loop = asyncio.get_running_loop()
        texts: asyncio.Queue[str | None] = asyncio.Queue()

        def on_text(text: str) -> None:  # on the engine's thread
            loop.call_soon_threadsafe(texts.put_nowait, text)

        # A filter may take back what was shown, so only raw text is shown as it grows.
        task = self._start(choice.request, on_text if choice.request.verbatim else None)
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
            self._note_offer(outcome, choice.request)
            finished = finish(choice, outcome)
            if len(finished.text) > len(sent):
                yield Piece(choice.index, finished.text[len(sent) :])
            yield finished
        finally:
            task.cancel()
            self._running.discard(task)

    async def answer(self, request: CompletionRequest) -> CompletionOutcome:
        """Return the outcome of one request; cancelling the task that waits for it frees the engine.

        Raises:
            ApiError: There is no model to ask, or the server is stopping.
        """
        task = self._start(request, None)
        try:
            await asyncio.wait([task])
            if task.cancelled():
                raise stopping()
            self._note_offer(task.result(), request)
            return task.result()
        finally:
            task.cancel()
            self._running.discard(task)

    def with_context(self, request: CompletionRequest) -> CompletionRequest:
        """Return ``request`` with lines of other files to be shown, where the model may see them.

        That is where the file which it names lies in a folder that has an index already, the
        settings want context, and the listener has a token.
        """
        document = request.document
        if self._shows_files and self.settings.shows_context:
            document = placed(document, self._host.workspaces.status())
        return replace(request, document=document, use_retrieval=bool(document.workspace))

    def prepare(self, request: CompletionRequest) -> None:
        """Bring caches up to ``request``, which is likely to be asked; without a model, do nothing."""
        service = self._ready
        if service is not None and not self.is_closing.is_set():
            service.prepare(request)

    def accepted(self, request_id: str) -> None:
        """Note that the suggestion of ``request_id`` was inserted: what follows it is prepared."""
        service = self._ready
        if service is not None and not self.is_closing.is_set():
            service.accepted(request_id)

    def _start(
        self, request: CompletionRequest, on_text: Callable[[str], None] | None
    ) -> asyncio.Task[CompletionOutcome]:
        """Begin to work on ``request``; the caller takes the task out of what is running."""
        service = self.service()
        self.documents.drop_idle()  # their owners may never come back
        assert self._leased is not None, "what serves is leased"
        lease = self._leased

        def work(token: CancellationToken) -> CompletionOutcome:
            return service.complete(request, token, on_text)

        with request_scope(request.request_id):
            asked = lease.run(work)
            counted = self._host.metrics.counted(asked, Door.HTTP, request.request_id)
            client = _client_of(request.document)
            question = question_of(request, Door.HTTP, client)
            followed = self.explanations.follow(counted, question, request)
            task = asyncio.create_task(followed)
        self._running.add(task)
        key = request.document.key
        self._forgetting.begin(key)
        task.add_done_callback(lambda _: self._forgetting.end(key))
        return task

    def _note_offer(self, outcome: CompletionOutcome, request: CompletionRequest) -> None:
        """Let clients tell what becomes of a suggestion; before they do, nobody counts it."""
        if not isinstance(outcome, Suggestion):
            return
        offer = Offer(
            request_id=outcome.request_id,
            door=Door.HTTP,
            num_chars=len(outcome.text),
            num_lines=outcome.text.count("\n") + 1,
            language_id=request.document.language_id,
            model=self.model_name,
            client="http",
            source=outcome.source,
            confidence=outcome.confidence,
            latency_ms=outcome.trace.timings_ms.total,
            is_recorded=self.settings.learning.enabled,
            is_visible=False,
        )
        self.feedback.offered(offer)

    def close(self) -> None:
        """Cancel what is running, forget every document and give the lease back."""
        self.is_closing.set()
        for task in self._running:
            task.cancel()
        self.prompts.clear()
        self.documents.clear()
        if self._leased is not None:
            self._leased.close()

    @property
    def _ready(self) -> CompletionService | None:
        return None if self._leased is None else self._leased.ready

    def _take_lease(self) -> Lease:
        self._leased_at = time.monotonic()
        self._leased = self._host.lease(self.settings)
        return self._leased

    def _forget(self, key: str) -> None:
        service = self._ready
        if service is not None:
            service.forget(key)


def _client_of(document: DocumentSnapshot) -> str:
    """Return what people call the client of ``document``: the name it gave, or its dialect's."""
    kind, _, name = document.owner.removeprefix("http:").partition(" ")
    return {"user": name or "http", "document": "http"}.get(kind, f"{kind} {name}".strip())
