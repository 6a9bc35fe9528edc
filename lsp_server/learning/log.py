"""Writing observations down, in a thread of its own: no event loop ever waits for a disk."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from lsp_server.learning.adaptation import NUM_NEWEST, Adaptation, adapt
from lsp_server.learning.observation import Observation
from lsp_server.learning.store import ObservationStore

logger = logging.getLogger(__name__)

_MAX_NUM_QUEUED = 4096
_NUM_BETWEEN_LOOKS = 25  # offers, after which what was learnt is learnt anew
_CLOSE_TIMEOUT_S = 5.0


class _Kind(Enum):
    INSERT = auto()
    UPDATE = auto()
    CALL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class _Job:
    kind: _Kind
    observation: Observation | None = None
    work: Callable[[], None] | None = None


class ObservationLog:
    """The store behind a queue; may be used from any thread.

    Only ``flush`` and ``close`` wait.
    """

    def __init__(self, store: ObservationStore, clock: Callable[[], float]) -> None:
        """Write to ``store``, which belongs to the thread of this log from now on."""
        self._store = store
        self._clock = clock
        self._jobs: queue.Queue[_Job] = queue.Queue(_MAX_NUM_QUEUED)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._adaptations: dict[str, Adaptation] = {}
        self._num_until_look: dict[str, int] = {}
        self._is_closed = False

    def insert(self, observation: Observation) -> None:
        """Add what was offered."""
        self._put(_Job(_Kind.INSERT, observation))
        left = self._num_until_look.get(observation.model, 0) - 1
        self._num_until_look[observation.model] = left
        if left < 0:
            self._learn(observation.model)

    def update(self, observation: Observation) -> None:
        """Bring what was added up to date."""
        self._put(_Job(_Kind.UPDATE, observation))

    def adaptation(self, model: str) -> Adaptation:
        """Return what was learnt about ``model``; nothing until it has been read for the first time."""
        known = self._adaptations.get(model)
        if known is not None:
            return known
        self._adaptations[model] = Adaptation()
        self._learn(model)
        return self._adaptations[model]

    def flush(self) -> None:
        """Wait until everything so far is written."""
        done = threading.Event()
        if self._put(_Job(_Kind.CALL, work=done.set)):
            done.wait(_CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Write what is left and end the thread; what comes later is dropped. Idempotent."""
        with self._lock:
            thread, self._is_closed = self._thread, True
        if thread is not None and thread.is_alive():
            with contextlib.suppress(queue.Full):  # the disk hangs; nobody waits for it
                self._jobs.put(_Job(_Kind.END), timeout=_CLOSE_TIMEOUT_S)
                thread.join(_CLOSE_TIMEOUT_S)

    def _learn(self, model: str) -> None:
        self._num_until_look[model] = _NUM_BETWEEN_LOOKS

        def work() -> None:
            newest = self._store.read(NUM_NEWEST, model)
            self._adaptations[model] = adapt(newest, self._clock())

        self._put(_Job(_Kind.CALL, work=work))

    def _put(self, job: _Job) -> bool:
        """Return whether ``job`` will be done."""
        with self._lock:
            if self._is_closed:
                return False
            if self._thread is None:
                # A process that ends does not wait for it, but ``close`` does.
                self._thread = threading.Thread(target=self._run, name="learning", daemon=True)
                self._thread.start()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            logger.warning("the disk is too slow for what is to be noted; dropped some of it")
            return False
        return True

    def _run(self) -> None:
        while True:
            jobs = [self._jobs.get()]
            while len(jobs) < _MAX_NUM_QUEUED:
                try:
                    jobs.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            try:
                is_going_on = self._handle(jobs)
            except Exception:  # nobody waits for this thread, and without it nothing is noted
                logger.exception("some of what is to be noted is lost; this is a mistake in fimble")
                is_going_on = all(job.kind is not _Kind.END for job in jobs)
            if not is_going_on:
                self._store.close()
                return

    def _handle(self, jobs: list[_Job]) -> bool:
        """Do ``jobs`` in order, neighbours of a kind in one transaction; False: that was the end."""
        batch: list[Observation] = []
        kind = _Kind.INSERT
        for job in jobs:
            if batch and job.kind is not kind:
                self._write(kind, batch)
                batch = []
            kind = job.kind
            if job.observation is not None:
                batch.append(job.observation)
            elif job.work is not None:
                job.work()
            else:
                return False
        if batch:
            self._write(kind, batch)
        return True

    def _write(self, kind: _Kind, batch: list[Observation]) -> None:
        if kind is _Kind.INSERT:
            self._store.insert(batch)
        else:
            self._store.update(batch)
