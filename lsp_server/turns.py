"""How long the event loop is kept: whoever keeps it for more than 20 ms is named in the log.

A loop serves many clients, so one handler that computes instead of waiting delays the keystrokes of
all of them. asyncio has such a warning for its debug mode only, which costs too much and writes
arguments, source text among them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, cast

logger = logging.getLogger(__name__)

T = TypeVar("T")
LONG_TURN_MS = 20.0

_name: ContextVar[str] = ContextVar("fimble_turn", default="")


def name_turns(name: str) -> None:
    """Call the turns of this task, and of the tasks it starts from now on, ``name``."""
    _name.set(name)


def watch_turns(
    loop: asyncio.AbstractEventLoop, on_long_turn: Callable[[], None] = lambda: None
) -> None:
    """Time every turn of every task that ``loop`` starts from now on.

    Args:
        loop: It may have no task factory of its own.
        on_long_turn: Told of each turn that is logged.
    """

    def start(
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **wishes: Any,  # name and context, and what later versions of Python add
    ) -> asyncio.Task[T]:
        timed = _TimedCoroutine(cast(Coroutine[Any, Any, T], work), on_long_turn)
        return asyncio.Task(timed, loop=loop, **wishes)

    loop.set_task_factory(cast(Any, start))


class _TimedCoroutine(Coroutine[Any, Any, T], Generic[T]):
    """A coroutine that notes how long each of its steps takes."""

    def __init__(self, work: Coroutine[Any, Any, T], on_long_turn: Callable[[], None]) -> None:
        self._work, self._on_long_turn = work, on_long_turn

    def send(self, value: Any) -> Any:
        started = time.perf_counter()
        try:
            return self._work.send(value)
        finally:
            self._note(started)

    def throw(self, *error: Any) -> Any:
        started = time.perf_counter()
        try:
            return self._work.throw(*error)
        finally:
            self._note(started)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return cast(Awaitable[T], self._work).__await__()

    def __getattr__(self, name: str) -> Any:
        """Give what inspect and anyio ask of a coroutine: its name, its frame, its state."""
        return getattr(self._work, name)

    def _note(self, started: float) -> None:
        took_ms = (time.perf_counter() - started) * 1000
        if took_ms <= LONG_TURN_MS:
            return
        name = _name.get() or getattr(self._work, "__qualname__", "a task")
        logger.warning("long turn: %s kept the event loop for %.0f ms", name, took_ms)
        self._on_long_turn()
