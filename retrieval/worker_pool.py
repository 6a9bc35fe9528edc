"""Processes that run ``retrieval.worker``, and their tasks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from retrieval.errors import RetrievalError
from retrieval.sparse.errors import IndexDamagedError, IndexSchemaError, IndexWriteError
from retrieval.worker import Job, Made, MergeTask, PrepareTask, Scanned, ScanTask, Task

MAX_NUM_WORKERS = 4
_END_TIMEOUT_S = 5.0
_CHECK_EVERY_S = 0.2
_PACE_S = 0.01
_MAX_STOPPED_S, _GRANTED_S = 5.0, 0.2  # 4 % of the time at least, or it would never end
_STOP, _CONTINUE = getattr(signal, "SIGSTOP", 0), getattr(signal, "SIGCONT", 0)
_ERRORS: Mapping[str, type[RetrievalError]] = {
    IndexWriteError.__name__: IndexWriteError,
    IndexDamagedError.__name__: IndexDamagedError,
    IndexSchemaError.__name__: IndexDamagedError,
}


class WorkerFailedError(RetrievalError):
    """A process that works on an index ended, or could not do its task; the index is unchanged."""


class WorkerPool:
    """A few processes, started when they are first needed; a context manager, which ends them."""

    def __init__(
        self, job: Job, num_workers: int = 0, may_run: Callable[[], bool] = lambda: True
    ) -> None:
        """Work on ``job`` in ``num_workers`` processes; 0: by the number of cores.

        A ``job`` in the background stands still while ``may_run`` is false, but for a moment now
        and then. An idle priority alone is not enough: who shares caches and memory is slowed.
        """
        self._job = job
        self._may_run = may_run
        self._is_ended = threading.Event()
        self.num_workers = num_workers or min(os.cpu_count() or 1, MAX_NUM_WORKERS)
        self._threads = ThreadPoolExecutor(self.num_workers, "indexing")
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        if self._job.in_background and hasattr(signal, "SIGSTOP"):
            threading.Thread(target=self._pace, name="indexing pace", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_ended.set()
        for worker in self._workers:
            worker.signal(_CONTINUE)
            worker.end(at_once=error is not None)
        self._threads.shutdown(cancel_futures=True)

    def scan(self, check: Callable[[], None]) -> Scanned:
        """Return what of the folder is not as it was indexed.

        ``check`` is called several times a second; whatever it raises ends the work.

        Raises:
            WorkerFailedError: The process ended by itself.
            IndexDamagedError: The index cannot be read.
        """
        answer = next(self._run([ScanTask()], check))
        changed = [(path, size) for path, size in answer.pop("changed")]
        return Scanned(changed, **answer)

    def make(
        self, tasks: Iterable[PrepareTask | MergeTask], check: Callable[[], None]
    ) -> Iterator[Made]:
        """Yield the segments of ``tasks``, as they are finished; for ``check`` see ``scan``.

        Raises:
            WorkerFailedError: A process ended by itself.
            IndexDamagedError: A segment cannot be read.
            IndexWriteError: The system refused a write.
        """
        return (Made(**answer) for answer in self._run(tasks, check))

    def _pace(self) -> None:
        """Let the processes stand still while they may not run, but for a small share of the time."""
        stopped_at: float | None = None
        while not self._is_ended.wait(_PACE_S):
            now = time.monotonic()
            if self._may_run():
                if stopped_at is not None:
                    self._signal(_CONTINUE)
                stopped_at = None
                continue
            stopped_at = now if stopped_at is None else stopped_at
            if now - stopped_at <= _MAX_STOPPED_S:
                self._signal(_STOP)  # each time: others have begun meanwhile
                continue
            self._signal(_CONTINUE)
            stopped_at = None
            self._is_ended.wait(_GRANTED_S)
        self._signal(_CONTINUE)

    def _signal(self, number: int) -> None:
        for worker in list(self._workers):
            worker.signal(number)

    def _run(self, tasks: Iterable[Task], check: Callable[[], None]) -> Iterator[dict[str, Any]]:
        waiting = iter(tasks)
        running: set[Future[dict[str, Any]]] = set()
        while True:
            while len(running) < self.num_workers and (task := next(waiting, None)) is not None:
                running.add(self._threads.submit(self._ask, self._worker(), task))
            if not running:
                return
            done, running = wait(running, timeout=_CHECK_EVERY_S, return_when=FIRST_COMPLETED)
            check()
            yield from (future.result() for future in done)

    def _worker(self) -> _Worker:
        """Return a worker without a task: there are never more tasks than workers."""
        if self._idle.empty():
            self._workers.append(_Worker(self._job))
            return self._workers[-1]
        return self._idle.get()

    def _ask(self, worker: _Worker, task: Task) -> dict[str, Any]:
        answer = worker.ask(task)
        self._idle.put(worker)
        if "error" in answer:
            raise _ERRORS.get(answer["error"], WorkerFailedError)(answer["message"])
        return answer


class _Worker:
    """One process."""

    def __init__(self, job: Job) -> None:
        # Isolated: a workspace may hold a folder called `retrieval`, and no code of it may run.
        # In a session of its own: Ctrl-C is for whoever started us, who ends us in order.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "retrieval.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.sep,
            start_new_session=True,
        )
        self._is_ready = False
        self._send(asdict(job))

    def ask(self, task: Task) -> dict[str, Any]:
        self._send([type(task).__name__, asdict(task)])
        assert self._process.stdout is not None
        if not self._is_ready:
            self._is_ready = bool(self._process.stdout.readline())
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailedError(
                f"a process that works on the index ended with code {self._process.wait()}; "
                "run `fimble index` to see whether that happens again"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def signal(self, number: int) -> None:
        """Send a signal, if the system has it, to the process, if it runs.

        One that is not ready yet would not end with this process while it stands still.
        """
        if number and self._is_ready and self._process.poll() is None:
            self._process.send_signal(number)

    def end(self, *, at_once: bool) -> None:
        if at_once:
            self._process.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _send(self, message: Mapping[str, object] | Sequence[object]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # reading the answer will say what happened
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()


def batched(
    files: Iterable[tuple[str, int]], max_num_bytes: int, max_num_files: int
) -> list[list[str]]:
    """Return the paths of (path, bytes), in order, in batches that keep both limits."""
    batches: list[list[str]] = []
    num_bytes = 0
    for path, size in files:
        is_full = not batches or len(batches[-1]) >= max_num_files
        if is_full or num_bytes + size > max_num_bytes:
            batches.append([])
            num_bytes = 0
        batches[-1].append(path)
        num_bytes += size
    return batches
