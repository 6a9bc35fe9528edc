"""Who kept the event loop too long, and who did not."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lsp_server.turns import LONG_TURN_MS, name_turns, watch_turns

LONG_S = 1.5 * LONG_TURN_MS / 1000


def check_warnings(caplog: pytest.LogCaptureFixture, *names: str) -> None:
    found = [record.getMessage() for record in caplog.records if record.name.endswith("turns")]
    assert len(found) == len(names), found
    for message, name in zip(found, names, strict=True):
        assert message.startswith(f"long turn: {name} kept the event loop for")


def compute() -> None:
    time.sleep(LONG_S)


async def busy() -> None:
    compute()


async def later_busy() -> None:
    await asyncio.sleep(0)
    await busy()
    await asyncio.sleep(0)


async def patient() -> None:
    await asyncio.sleep(LONG_S)


async def busy_when_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        compute()


@pytest.mark.parametrize(
    ("work", "names"),
    [(busy, ["busy"]), (later_busy, ["later_busy"]), (patient, [])],
)
async def test_a_turn_is_long_when_it_computes_not_when_it_waits(
    caplog: pytest.LogCaptureFixture, work: Callable[[], Awaitable[None]], names: list[str]
) -> None:
    num_long = 0

    def count() -> None:
        nonlocal num_long
        num_long += 1

    watch_turns(asyncio.get_running_loop(), count)
    await asyncio.create_task(work(), name="some task")
    check_warnings(caplog, *names)
    assert num_long == len(names)


async def test_the_turn_that_handles_a_cancellation_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch_turns(asyncio.get_running_loop())
    task = asyncio.create_task(busy_when_cancelled())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check_warnings(caplog, "busy_when_cancelled")


async def test_a_name_reaches_the_tasks_that_are_started_under_it_and_no_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch_turns(asyncio.get_running_loop())

    async def receive() -> None:
        name_turns("textDocument/inlineCompletion")
        await asyncio.create_task(later_busy())

    await asyncio.create_task(receive())
    await asyncio.create_task(busy())
    check_warnings(caplog, "textDocument/inlineCompletion", "busy")


async def test_results_errors_and_names_are_those_of_the_work_itself() -> None:
    watch_turns(asyncio.get_running_loop())

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError("in the work")

    async def give() -> int:
        await asyncio.sleep(0)
        return 7

    task = asyncio.create_task(give(), name="giver")
    assert task.get_name() == "giver"
    work: Any = task.get_coro()
    assert inspect.getcoroutinestate(work) == inspect.CORO_CREATED  # anyio asks
    assert "give" in repr(task)
    assert await task == 7
    with pytest.raises(ZeroDivisionError, match="in the work"):
        await asyncio.create_task(fail())


async def test_a_task_group_and_a_timeout_work_as_before() -> None:
    watch_turns(asyncio.get_running_loop())

    async def wait_in_a_group() -> None:
        async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())

    with pytest.raises(TimeoutError):
        await asyncio.create_task(wait_in_a_group())


@pytest.mark.parametrize("name", ["asyncio", "lsp_server.turns"])
async def test_nothing_is_said_about_what_is_short(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.INFO, name)
    watch_turns(asyncio.get_running_loop())
    for _ in range(3):
        await asyncio.create_task(asyncio.sleep(0))
    assert not caplog.records
