"""One engine thread: who runs, who waits, who gives way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import ContextVar, copy_context

import pytest

from completion.errors import ServiceClosedError
from completion.scheduler import Checkpoint, EngineThread, Priority
from completion.types import CancellationToken, WorkCancelled


@pytest.fixture
def engine() -> Iterator[EngineThread]:
    thread = EngineThread()
    yield thread
    thread.close()


class Steps:
    """Work that checks in until released, noting what happened in ``log``."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.has_started = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, checkpoint: Checkpoint) -> str:
        self.log.append(f"{self.name} starts")
        self.has_started.set()
        try:
            while not self.may_end.wait(0.001):
                checkpoint()
        except WorkCancelled:
            self.log.append(f"{self.name} gives up")
            raise
        self.log.append(f"{self.name} ends")
        return self.name


def quick(name: str, log: list[str]) -> Steps:
    steps = Steps(name, log)
    steps.may_end.set()
    return steps


def test_the_most_urgent_waiting_work_goes_first_and_equals_in_order(engine: EngineThread) -> None:
    log: list[str] = []
    first = Steps("first", log)
    engine.submit(Priority.INTERACTIVE, "a", first, CancellationToken())
    first.has_started.wait(5)
    order = [
        ("batch", Priority.BATCH),
        ("one", Priority.INTERACTIVE),
        ("prefetch", Priority.PREFETCH),
        ("two", Priority.INTERACTIVE),
    ]
    futures = [
        engine.submit(priority, name, quick(name, log), CancellationToken())
        for name, priority in order
    ]
    assert engine.num_waiting == 4
    first.may_end.set()
    for future in futures:
        future.result(5)
    assert [line for line in log if line.endswith("ends")] == [
        "first ends",
        "one ends",
        "two ends",
        "prefetch ends",
        "batch ends",
    ]


def test_urgent_work_runs_inside_less_urgent_work_on_another_session(engine: EngineThread) -> None:
    log: list[str] = []
    slow = Steps("heal", log)
    slow_future = engine.submit(Priority.HEAL, "a", slow, CancellationToken())
    slow.has_started.wait(5)
    urgent = engine.submit(Priority.INTERACTIVE, "b", quick("key", log), CancellationToken())
    assert urgent.result(5) == "key"
    assert not slow_future.done()
    slow.may_end.set()
    assert slow_future.result(5) == "heal"
    assert log == ["heal starts", "key starts", "key ends", "heal ends"]


def test_less_urgent_work_on_the_same_session_is_abandoned(engine: EngineThread) -> None:
    log: list[str] = []
    slow = Steps("prefetch", log)
    slow_future = engine.submit(Priority.PREFETCH, "a", slow, CancellationToken())
    slow.has_started.wait(5)
    urgent = engine.submit(Priority.INTERACTIVE, "a", quick("key", log), CancellationToken())
    assert urgent.result(5) == "key"
    with pytest.raises(WorkCancelled):
        slow_future.result(5)
    assert log == ["prefetch starts", "prefetch gives up", "key starts", "key ends"]


def test_work_that_has_its_session_freed_first_keeps_its_turn(engine: EngineThread) -> None:
    log: list[str] = []
    slow = Steps("prefetch", log)
    engine.submit(Priority.PREFETCH, "a", slow, CancellationToken())
    slow.has_started.wait(5)
    gate = threading.Event()

    def hold(checkpoint: Checkpoint) -> None:
        gate.wait(5)

    # Runs nested in the prefetch, so that both of the following are queued at its next checkpoint.
    engine.submit(Priority.INTERACTIVE, "c", hold, CancellationToken())
    futures = [
        engine.submit(Priority.INTERACTIVE, name, quick(name, log), CancellationToken())
        for name in ("a", "b")
    ]
    gate.set()
    for future in futures:
        future.result(5)
    assert [line for line in log if line.endswith("ends")] == ["a ends", "b ends"]


def test_equally_urgent_work_does_not_interrupt(engine: EngineThread) -> None:
    log: list[str] = []
    first = Steps("first", log)
    engine.submit(Priority.INTERACTIVE, "a", first, CancellationToken())
    first.has_started.wait(5)
    second = engine.submit(Priority.INTERACTIVE, "b", quick("second", log), CancellationToken())
    with pytest.raises(TimeoutError):
        second.result(0.05)
    first.may_end.set()
    assert second.result(5) == "second"


def test_three_levels_nest_and_unwind(engine: EngineThread) -> None:
    log: list[str] = []
    heal, prefetch = Steps("heal", log), Steps("prefetch", log)
    healed = engine.submit(Priority.HEAL, "a", heal, CancellationToken())
    heal.has_started.wait(5)
    prefetched = engine.submit(Priority.PREFETCH, "b", prefetch, CancellationToken())
    prefetch.has_started.wait(5)
    # The outermost session is wanted: both nested works give way, innermost first.
    urgent = engine.submit(Priority.INTERACTIVE, "a", quick("key", log), CancellationToken())
    assert urgent.result(5) == "key"
    for future in (healed, prefetched):
        with pytest.raises(WorkCancelled):
            future.result(5)
    assert log.index("prefetch gives up") < log.index("heal gives up") < log.index("key starts")


def test_cancelling_ends_waiting_and_running_work(engine: EngineThread) -> None:
    log: list[str] = []
    running, token = Steps("running", log), CancellationToken()
    future = engine.submit(Priority.INTERACTIVE, "a", running, token)
    running.has_started.wait(5)
    waiting_token = CancellationToken()
    waiting = engine.submit(Priority.INTERACTIVE, "b", quick("waiting", log), waiting_token)
    waiting_token.cancel()
    token.cancel()
    for cancelled in (future, waiting):
        with pytest.raises(WorkCancelled):
            cancelled.result(5)
    assert "waiting starts" not in log


def test_an_error_reaches_its_caller_and_nobody_else(engine: EngineThread) -> None:
    def fail(_: Checkpoint) -> None:
        raise ZeroDivisionError("one job")

    failed = engine.submit(Priority.INTERACTIVE, "a", fail, CancellationToken())
    with pytest.raises(ZeroDivisionError, match="one job"):
        failed.result(5)
    after = engine.submit(Priority.INTERACTIVE, "a", quick("next", []), CancellationToken())
    assert after.result(5) == "next"


def test_closing_cancels_everything_and_refuses_more() -> None:
    engine, log = EngineThread(), []
    running = Steps("running", log)
    future = engine.submit(Priority.BATCH, "a", running, CancellationToken())
    running.has_started.wait(5)
    waiting = engine.submit(Priority.BATCH, "b", quick("waiting", log), CancellationToken())
    engine.close()
    for cancelled in (future, waiting):
        with pytest.raises(WorkCancelled):
            cancelled.result(5)
    with pytest.raises(ServiceClosedError):
        engine.submit(Priority.BATCH, "a", quick("late", log), CancellationToken())


def test_closing_runs_the_last_work_once_everything_else_has_ended() -> None:
    engine, log = EngineThread(), []
    running = Steps("running", log)
    engine.submit(Priority.BATCH, "a", running, CancellationToken())
    running.has_started.wait(5)
    engine.submit(Priority.HEAL, "b", quick("waiting", log), CancellationToken())
    engine.submit(Priority.HEAL, "c", quick("delayed", log), CancellationToken(), delay_s=60)
    for _ in range(2):
        engine.close(quick("last", log))
    assert log == ["running starts", "running gives up", "last starts", "last ends"]


def test_work_runs_in_the_context_of_whoever_submitted_it_nested_or_not(
    engine: EngineThread,
) -> None:
    asker: ContextVar[str] = ContextVar("asker", default="nobody")
    seen: dict[str, str] = {}
    log: list[str] = []
    slow = Steps("heal", log)

    def submit(name: str, priority: Priority, work: Steps) -> Future[str]:
        def note_and_work(checkpoint: Checkpoint) -> str:
            work(checkpoint)
            seen[name] = asker.get()
            return name

        asker.set(name)
        return engine.submit(priority, name, note_and_work, CancellationToken())

    outer = copy_context().run(submit, "outer", Priority.HEAL, slow)
    slow.has_started.wait(5)
    inner = copy_context().run(submit, "inner", Priority.INTERACTIVE, quick("key", log))
    inner.result(5)
    slow.may_end.set()
    outer.result(5)
    assert seen == {"inner": "inner", "outer": "outer"}


def test_the_time_of_all_work_is_counted_once() -> None:
    engine = EngineThread()
    log: list[str] = []
    slow = Steps("heal", log)
    started = time.perf_counter()
    engine.submit(Priority.HEAL, "a", slow, CancellationToken())
    slow.has_started.wait(5)
    urgent = Steps("key", log)
    nested = engine.submit(Priority.INTERACTIVE, "b", urgent, CancellationToken())
    urgent.has_started.wait(5)
    urgent.may_end.set()
    nested.result(5)
    slow.may_end.set()
    engine.close()
    assert 0 < engine.busy_s <= time.perf_counter() - started


def test_an_engine_is_idle_while_nothing_runs_or_waits(engine: EngineThread) -> None:
    assert engine.is_idle
    slow = Steps("slow", [])
    running = engine.submit(Priority.BATCH, "a", slow, CancellationToken())
    slow.has_started.wait(5)
    assert not engine.is_idle
    slow.may_end.set()
    running.result(5)
    later = CancellationToken()
    engine.submit(Priority.BATCH, "a", quick("later", []), later, delay_s=1000)
    limit = time.monotonic() + 5
    while not engine.is_idle and time.monotonic() < limit:
        time.sleep(0.001)  # its result is there a moment before the job is gone
    assert engine.is_idle


def test_delayed_work_starts_when_it_is_due_and_not_before(engine: EngineThread) -> None:
    log: list[str] = []
    started = time.monotonic()
    later = engine.submit(
        Priority.INTERACTIVE, "a", quick("later", log), CancellationToken(), delay_s=0.05
    )
    sooner = engine.submit(Priority.BATCH, "b", quick("sooner", log), CancellationToken())
    assert sooner.result(5) == "sooner"
    assert engine.num_waiting == 0
    assert later.result(5) == "later"
    assert time.monotonic() - started >= 0.05
    assert log[0] == "sooner starts"


def test_delayed_work_that_is_cancelled_never_starts(engine: EngineThread) -> None:
    log: list[str] = []
    token = CancellationToken()
    later = engine.submit(Priority.PATCH, "a", quick("later", log), token, delay_s=0.02)
    token.cancel()
    with pytest.raises(WorkCancelled):
        later.result(5)
    assert log == []


def test_urgent_work_that_falls_due_interrupts_what_is_less_urgent(engine: EngineThread) -> None:
    log: list[str] = []
    long = Steps("long", log)
    engine.submit(Priority.HEAL, "a", long, CancellationToken())
    assert long.has_started.wait(5)
    due = engine.submit(Priority.PATCH, "b", quick("due", log), CancellationToken(), delay_s=0.01)
    assert due.result(5) == "due"
    long.may_end.set()


def test_urgent_work_that_was_cancelled_takes_no_session(engine: EngineThread) -> None:
    log: list[str] = []
    long, token = Steps("long", log), CancellationToken()
    done = engine.submit(Priority.SCRIPT, "a", long, CancellationToken())
    assert long.has_started.wait(5)
    token.cancel()
    with pytest.raises(WorkCancelled):
        engine.submit(Priority.PATCH, "a", quick("patch", log), token).result(5)
    long.may_end.set()
    assert done.result(5) == "long"
    assert log == ["long starts", "long ends"]


def test_closing_cancels_what_is_not_due_yet() -> None:
    engine = EngineThread()
    later = engine.submit(Priority.HEAL, "a", lambda _: None, CancellationToken(), delay_s=3600)
    engine.close()
    with pytest.raises(WorkCancelled):
        later.result(5)
