"""A clock that only tests move, and a store of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lsp_server.host import ModelHost
from lsp_server.learning.feedback import Feedback
from lsp_server.learning.observation import Observation
from lsp_server.learning.store import ObservationStore

NOW = 1_790_000_000.0


@dataclass
class FakeTimer:
    at: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class FakeClock:
    """Time that passes when ``advance`` says so, and calls what is due then."""

    now: float = NOW
    timers: list[FakeTimer] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now + delay_s, callback)
        self.timers.append(timer)
        return timer

    @property
    def num_pending(self) -> int:
        return sum(not timer.is_cancelled for timer in self.timers)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.at <= self.now]
        self.timers = [timer for timer in self.timers if timer.at > self.now]
        for timer in sorted(due, key=lambda timer: timer.at):
            if not timer.is_cancelled:
                timer.callback()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObservationStore]:
    store = ObservationStore(tmp_path / "state" / "learning.sqlite3")
    yield store
    store.close()


@pytest.fixture
def feedback(store: ObservationStore, clock: FakeClock) -> Iterator[Feedback]:
    """Feedback that writes to the file of ``store``, which a test may read beside it."""
    feedback = Feedback(ObservationStore(store.path), clock=clock, call_later=clock.call_later)
    yield feedback
    feedback.close()


@pytest.fixture
def learning_host(service: Any, feedback: Feedback) -> Iterator[ModelHost]:
    host = ModelHost(lambda *_: service, feedback=feedback)
    yield host
    host.close()


@pytest.fixture
def make_observation() -> Callable[..., Observation]:
    """Return ``make_observation(number, **fields)``: one that was shown and not taken."""

    def make(number: int = 0, **fields: Any) -> Observation:
        known: dict[str, Any] = {
            "id": f"id-{number}",
            "at": NOW - 100_000 + number,
            "door": "lsp",
            "client": "Editor",
            "language": "python",
            "model": "tiny",
            "source": "engine",
            "confidence": 0.1,
            "num_chars": 20,
            "num_lines": 1,
            "latency_ms": 100.0,
            "gap_ms": 150.0,
            "shown": 1,
            "accepted": 0,
            "accepted_chars": 0,
            "typed": 0,
            "dismissed": 0,
            "kept_30": None,
            "kept_120": None,
            "kept_600": None,
        }
        return Observation(**{**known, **fields})

    return make
