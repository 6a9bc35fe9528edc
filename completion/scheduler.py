"""One thread that runs the model, and the order in which work gets it.

Work is a function that calls its ``checkpoint`` between layers. There, the work may find that it was
cancelled, or that something more urgent waits: then the urgent work runs right there, nested, and
the other goes on afterwards. Work on the same session cannot be nested; the less urgent is abandoned
(what it had committed stays).
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

from completion.errors import ServiceClosedError
from completion.types import CancellationToken, WorkCancelled

logger = logging.getLogger(__name__)

T = TypeVar("T")
Checkpoint = Callable[[], None]
Work = Callable[[Checkpoint], T]


class Priority(IntEnum):
    """Classes of work; a lower number goes first and interrupts higher ones."""

    INTERACTIVE = 0
    PATCH = 1
    SCRIPT = 2
    PREFETCH = 3
    SECOND_PASS = 4
    HEAL = 5
    BATCH = 6


@dataclass(slots=True)
class _Job(Generic[T]):
    priority: Priority
    session: str
    work: Work[T]
    cancel: CancellationToken
    number: int  # of its turn among equals
    future: Future[T] = field(default_factory=Future)
    # Of whoever submits: its variables name the request in the log.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class EngineThread:
    """Runs jobs one at a time, most urgent first, first come first served within a class."""

    def __init__(self, name: str = "engine") -> None:
        self._queue: list[tuple[int, int, _Job[Any]]] = []
        self._delayed: list[tuple[float, int, _Job[Any]]] = []  # by the time they are due
        self._counter = itertools.count()
        self._wakeup = threading.Condition()
        self._is_closed = False
        self._running: list[_Job[Any]] = []  # nested jobs, the innermost last
        self._busy_s = 0.0
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def submit(
        self,
        priority: Priority,
        session: str,
        work: Work[T],
        cancel: CancellationToken,
        *,
        delay_s: float = 0.0,
    ) -> Future[T]:
        """Queue ``work`` and return its future.

        The future raises ``WorkCancelled`` if ``cancel`` was set or more urgent work on the same
        session took over.

        Args:
            priority: The class of work.
            session: The session the work changes; work on one session never overlaps.
            work: Gets the checkpoint to call between layers, chunks and steps.
            cancel: Ends the work at its next checkpoint.
            delay_s: How long the work stays out of the queue: what is superseded meanwhile costs
                nothing.

        Raises:
            ServiceClosedError: The thread has been closed.
        """
        job = _Job(priority, session, work, cancel, next(self._counter))
        with self._wakeup:
            if self._is_closed:
                raise ServiceClosedError("the completion service is closed; create a new one")
            if delay_s > 0:
                heapq.heappush(self._delayed, (time.monotonic() + delay_s, job.number, job))
            else:
                heapq.heappush(self._queue, (priority, job.number, job))
            self._wakeup.notify()
        return job.future

    @property
    def num_waiting(self) -> int:
        """How many jobs wait for their turn; those that are not due yet do not count."""
        with self._wakeup:
            return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits; those that are not due yet do not count."""
        with self._wakeup:
            return not self._queue and not self._running

    @property
    def busy_s(self) -> float:
        """Seconds of work so far; the job that is running does not count yet."""
        return self._busy_s

    def close(self, last: Work[None] | None = None) -> None:
        """Cancel everything, run ``last`` when that has ended, and wait for the thread to end."""
        with self._wakeup:
            if not self._is_closed:
                self._cancel_all()
                if last is not None:
                    number = next(self._counter)
                    job = _Job(Priority.BATCH, "", last, CancellationToken(), number)
                    heapq.heappush(self._queue, (job.priority, number, job))
            self._is_closed = True
            self._wakeup.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _cancel_all(self) -> None:
        for _, _, job in (*self._queue, *self._delayed):
            job.cancel.cancel()
        for job in self._running:
            job.cancel.cancel()

    def _loop(self) -> None:
        while True:
            with self._wakeup:
                while not self._queue and not self._is_closed:
                    self._wakeup.wait(self._take_due())
                if self._is_closed:
                    self._queue += [(job.priority, at, job) for _, at, job in self._delayed]
                    self._delayed.clear()
                if not self._queue:
                    return
                job = heapq.heappop(self._queue)[2]
            started = time.perf_counter()
            self._run(job)
            self._busy_s += time.perf_counter() - started

    def _run(self, job: _Job[Any]) -> None:
        if job.cancel.is_cancelled:
            job.future.set_exception(WorkCancelled())
            return
        self._running.append(job)
        try:
            result = job.context.run(job.work, lambda: self._checkpoint(job))
        except WorkCancelled as cancelled:
            job.future.set_exception(cancelled)
        except BaseException as error:  # noqa: BLE001 - the thread must outlive its jobs
            job.future.set_exception(error)
        else:
            job.future.set_result(result)
        finally:
            self._running.remove(job)

    def _checkpoint(self, job: _Job[Any]) -> None:
        job.cancel.check()
        while (urgent := self._pop_more_urgent(job.priority)) is not None:
            sessions = {running.session for running in self._running}
            if urgent.session in sessions and not urgent.cancel.is_cancelled:
                self._yield_session(urgent)
                job.cancel.check()
                continue
            self._run(urgent)
            job.cancel.check()

    def _yield_session(self, urgent: _Job[Any]) -> None:
        """Abandon the running work on ``urgent``'s session, and everything nested in it."""
        holder = next(at for at, job in enumerate(self._running) if job.session == urgent.session)
        for job in self._running[holder:]:
            job.cancel.cancel()
        with self._wakeup:
            heapq.heappush(self._queue, (urgent.priority, urgent.number, urgent))

    def _take_due(self) -> float | None:
        """Queue the delayed jobs whose time has come.

        Returns:
            Seconds until the next one is due, 0 if any is now, None if there is none.
        """
        is_any_due = False
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            _, number, job = heapq.heappop(self._delayed)
            heapq.heappush(self._queue, (job.priority, number, job))
            is_any_due = True
        if is_any_due:
            return 0.0
        return self._delayed[0][0] - time.monotonic() if self._delayed else None

    def _pop_more_urgent(self, priority: Priority) -> _Job[Any] | None:
        with self._wakeup:
            self._take_due()
            if self._queue and self._queue[0][0] < priority:
                return heapq.heappop(self._queue)[2]
            return None
