"""Work that leaves no OpenMP threads behind.

Each thread that runs a parallel operation gets a team of its own, which lives as long as it does. Where
the teams of a process have more threads than there are cores, those that wait go to sleep almost at
once, and waking them up dozens of times a layer makes a decode step half as long again: so only the
engine's thread may keep a team.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_own_thread(work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or raise what it raises, run in a thread that ends with it."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            done.set_exception(error)

    context = contextvars.copy_context()  # log lines name the caller's request
    thread = threading.Thread(target=context.run, args=(run,), name="own", daemon=True)
    thread.start()
    try:
        return done.result()
    finally:
        thread.join(timeout=1.0)  # its team ends with it
