"""The completion services of this process, shared by all its clients.

A client holds a lease on the service that its settings ask for. The first lease builds it in the
background, later ones join; when the last is gone, the service stays for the next client, or goes
after a while if the settings say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from completion.types import CancellationToken
from kvedit.policy import CacheStats
from lsp_server.dashboard_listener import DashboardListener
from lsp_server.explanations import Explanations
from lsp_server.learning.feedback import Feedback
from lsp_server.metrics import Metrics
from lsp_server.settings import Settings
from models.progress import Progress, ProgressCallback
from retrieval.workspaces import Workspaces

if TYPE_CHECKING:  # importing it loads torch, which would delay the answer to `initialize`
    from completion.service import CompletionService

logger = logging.getLogger(__name__)

T = TypeVar("T")
BuildService = Callable[[Settings, ProgressCallback], "CompletionService"]
ServiceKey = tuple[object, ...]

# Requests wait in threads of their own; all but the newest of each document are being cancelled.
_MAX_NUM_WAITING = 64


class LoadingState(StrEnum):
    """How far a service is."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """A moment of loading: what is being done, and how much of it is done, 0 to 1, if known."""

    stage: str
    fraction: float | None = None

    @property
    def text(self) -> str:
        """The moment in words."""
        return self.stage if self.fraction is None else f"{self.stage}, {self.fraction:.0%}"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service, for people who want to know what the process holds.

    ``name`` is its model's, ``num_waiting`` counts jobs before its engine, which has worked for
    ``busy_s`` seconds; ``detail`` says why it could not be built.
    """

    name: str
    state: LoadingState
    num_clients: int
    num_waiting: int = 0
    busy_s: float = 0.0
    cache: CacheStats = field(default_factory=CacheStats)
    detail: str = ""


def service_key(settings: Settings) -> ServiceKey:
    """Return the part of ``settings`` that a service is built from; equal parts share one."""
    engine = settings.engine
    # In steps: clients that want suggestions of slightly different length share one model.
    limit = max(256, 1 << (settings.completion.max_new_tokens - 1).bit_length())
    # Whether weights may be fetched is no property of the model that was loaded.
    model = replace(settings.model, offline=False)
    caches = (
        engine.draft_model,
        engine.early_exit,
        engine.cache_mb,
        engine.heal_after_s,
        engine.chunk_tokens,
        engine.around_tokens,
        engine.snapshots,
        engine.snapshot_mb,
        engine.prefetch,
    )
    return (model, settings.prompt, *caches, limit)


class _Shared:
    """One service and the leases on it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.future: Future[CompletionService] = Future()
        self.leases: set[Lease] = set()
        self.listeners: list[Callable[[ModelProgress], None]] = []
        self.progress: ModelProgress | None = None
        self.unused_since: float | None = None

    @property
    def state(self) -> LoadingState:
        if not self.future.done():
            return LoadingState.LOADING
        return LoadingState.READY if self.ready is not None else LoadingState.FAILED

    @property
    def ready(self) -> CompletionService | None:
        future = self.future
        if not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    @property
    def error(self) -> BaseException | None:
        future = self.future
        return future.exception() if future.done() and not future.cancelled() else None

    def note(self, progress: Progress) -> None:
        """Tell everyone how far loading is; called by the loader's thread."""
        fraction = progress.done / progress.total if progress.total else None
        self.progress = ModelProgress(progress.stage, fraction)
        for listener in list(self.listeners):
            listener(self.progress)


class ModelHost:
    """Builds services and hands out leases. May be used from any thread."""

    def __init__(
        self,
        build: BuildService,
        workspaces: Workspaces | None = None,
        feedback: Feedback | None = None,
    ) -> None:
        """Build with ``build``, which runs in the loader's thread, one service at a time.

        ``workspaces`` are the indexes that the services draw on; None: there are none. ``feedback``
        is told what becomes of suggestions; None: it is forgotten with this process.
        """
        self.workspaces = workspaces or Workspaces()
        self.metrics = Metrics()
        self.feedback = feedback or Feedback()
        self.explanations = Explanations(self.feedback.fields_of)
        self.feedback.subscribe(lambda request_id, _: self.explanations.note_feedback(request_id))
        self.dashboard = DashboardListener(self)
        self.metrics.observe_models(self.status)
        self.metrics.observe_indexes(self.workspaces.status)
        self._build = build
        self._loader = ThreadPoolExecutor(1, "loader")
        self._waiting = ThreadPoolExecutor(_MAX_NUM_WAITING, "completion")
        self._shared: dict[ServiceKey, _Shared] = {}
        self._lock = threading.RLock()

    def lease(self, settings: Settings) -> Lease:
        """Return a lease on the service for ``settings``, which is built now if there is none.

        A service that could not be built is tried again.
        """
        key = service_key(settings)
        with self._lock:
            shared = self._shared.get(key)
            if shared is None or shared.state is LoadingState.FAILED:
                shared = self._shared[key] = _Shared(settings)
                self._loader.submit(self._load, shared)
            lease = Lease(self, shared, self._waiting)
            shared.leases.add(lease)
            shared.unused_since = None
        return lease

    def status(self) -> list[ServiceStatus]:
        """Return what this process holds."""
        with self._lock:
            return [_status(shared) for shared in self._shared.values()]

    @property
    def is_idle(self) -> bool:
        """Whether no model computes, and none is being loaded."""
        with self._lock:
            shared = list(self._shared.values())
        if any(each.state is LoadingState.LOADING for each in shared):
            return False
        return all(each.ready.is_idle for each in shared if each.ready is not None)

    def unload_unused(self, after_s: float, now: float | None = None) -> None:
        """Close the services that nobody has used for ``after_s``; 0 means never.

        Waits for their engines, which an event loop must not. ``now`` is in the seconds of
        ``time.monotonic``.
        """
        if not after_s:
            return
        latest = (time.monotonic() if now is None else now) - after_s
        with self._lock:
            expired = {
                key: found for key, found in self._shared.items() if _is_unused(found, latest)
            }
            for key in expired:
                del self._shared[key]
        for shared in expired.values():
            logger.info("%s was not used for a while; dropping it", shared.settings.model.name)
            _drop(shared)

    def close(self) -> bool:
        """Close every service; returns whether one is still being built."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        self._loader.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            services, self._shared = list(self._shared.values()), {}
        for shared in services:
            if shared.ready is not None:
                shared.ready.close()
        self.workspaces.close()
        self.feedback.close()
        return any(shared.future.running() for shared in services)

    def release(self, lease: Lease, shared: _Shared, *, drop: bool) -> None:
        """Take ``lease`` back; for ``Lease.close``."""
        with self._lock:
            shared.leases.discard(lease)
            if shared.leases:
                return
            shared.unused_since = time.monotonic()
            if not drop:
                return
            self._shared = {
                key: other for key, other in self._shared.items() if other is not shared
            }
        # Ending an engine waits for its thread, which an event loop must not.
        shared.future.add_done_callback(lambda _: self._waiting.submit(_drop, shared))

    def _load(self, shared: _Shared) -> None:
        if not shared.future.set_running_or_notify_cancel():
            return
        try:
            service = self._build(shared.settings, shared.note)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the service gets it
            shared.future.set_exception(error)
        else:
            shared.future.set_result(service)


class Lease:
    """One client's hold on a service. Awaitable methods belong to an event loop."""

    def __init__(self, host: ModelHost, shared: _Shared, threads: ThreadPoolExecutor) -> None:
        self._host, self._shared, self._threads = host, shared, threads

    @property
    def settings(self) -> Settings:
        """What the service is built with."""
        return self._shared.settings

    @property
    def is_settled(self) -> bool:
        """Whether building has ended, well or not."""
        return self._shared.future.done()

    @property
    def ready(self) -> CompletionService | None:
        """The service, ``None`` while it is being built and if that failed."""
        return self._shared.ready

    @property
    def error(self) -> BaseException | None:
        """What prevented building, if it has ended that way."""
        return self._shared.error

    @property
    def progress(self) -> ModelProgress | None:
        """How far building was when it last told."""
        return self._shared.progress

    async def settled(self) -> CompletionService | None:
        """Wait until building has ended and return ``ready``."""
        await asyncio.wait([asyncio.wrap_future(self._shared.future)])
        return self.ready

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once building has ended, from the loader's thread or at once."""
        self._shared.future.add_done_callback(lambda _: callback())

    def on_progress(self, callback: Callable[[ModelProgress], None]) -> Callable[[], None]:
        """Call ``callback`` from the loader's thread whenever building gets on; returns its end."""
        listeners = self._shared.listeners
        listeners.append(callback)

        def stop() -> None:
            if callback in listeners:
                listeners.remove(callback)

        return stop

    async def run(self, work: Callable[[CancellationToken], T]) -> T:
        """Run ``work`` in a thread; cancelling this coroutine cancels the work's token.

        The coroutine ends at once when cancelled, the thread when the work next checks its token.
        Logs of the work carry the context of the caller.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        with _token() as token:
            return await loop.run_in_executor(self._threads, context.run, work, token)

    def close(self, *, drop: bool = False) -> None:
        """Give the hold up; idempotent.

        Args:
            drop: End the service if nobody else holds it: its client has chosen another.
        """
        self._host.release(self, self._shared, drop=drop)


@contextmanager
def _token() -> Iterator[CancellationToken]:
    token = CancellationToken()
    try:
        yield token
    finally:
        token.cancel()


def _close(shared: _Shared) -> None:
    if shared.ready is not None:
        shared.ready.close()


def _drop(shared: _Shared) -> None:
    """End a service that nobody holds any more, and forget it: the future of ``shared`` is left."""
    _close(shared)
    shared.future = Future()
    _give_back_memory()


def _give_back_memory() -> None:
    """Return to the system what dropped services held.

    Their parts refer to each other, so only the collector frees them, and it has no reason to run in
    a process that does nothing: a gigabyte stayed. The C library keeps a part for itself unless told.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # glibc has it, others may not
        ctypes.CDLL(None).malloc_trim(0)


def _is_unused(shared: _Shared, since: float) -> bool:
    """Whether nobody has held the service since the moment ``since``."""
    if shared.unused_since is None or shared.state is LoadingState.LOADING:
        return False
    return shared.unused_since <= since


def _status(shared: _Shared) -> ServiceStatus:
    status = ServiceStatus(
        name=shared.settings.model.name,
        state=shared.state,
        num_clients=len(shared.leases),
        detail=str(shared.error) if shared.error is not None else "",
    )
    service = shared.ready
    if service is None:
        return status
    return replace(
        status,
        num_waiting=service.num_waiting,
        busy_s=service.busy_s,
        cache=service.cache_stats,
    )
