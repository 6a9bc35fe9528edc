"""What is learnt from reactions, within which bounds, and where it is used."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from completion.types import TriggerKind
from lsp_server.host import ModelHost
from lsp_server.learning.adaptation import (
    DEFAULT_GAP_FACTOR,
    MAX_CONFIDENCE_FACTOR,
    MIN_NUM_OBSERVATIONS,
    Adaptation,
    adapt,
    explain,
)
from lsp_server.learning.feedback import Feedback
from lsp_server.learning.observation import Observation
from lsp_server.learning.store import ObservationStore
from lsp_server.pace import Pace

Make = Callable[..., Observation]
MODEL = "qwen2.5-coder-0.5b"
WANTED = 0.009


def reactions(make: Make, number: int, chance: Callable[[float], float]) -> list[Observation]:
    """Return suggestions of many confidences, taken with the ``chance`` that belongs to each."""
    dice = random.Random(1)
    made = []
    for index in range(number):
        confidence = dice.uniform(0.01, 0.9)
        taken = 2 if dice.random() < chance(confidence) else 0
        made.append(
            make(index, confidence=confidence, accepted=taken, accepted_chars=20, model=MODEL)
        )
    return made


def test_what_was_noted_before_the_clock_was_set_back_still_teaches(
    make_observation: Make, clock: Any
) -> None:
    known = reactions(make_observation, MIN_NUM_OBSERVATIONS, lambda _: 1.0)
    assert adapt(known, min(each.at for each in known) - 86_400).acceptance == 1.0


def test_too_few_observations_teach_nothing(make_observation: Make, clock: Any) -> None:
    few = reactions(make_observation, MIN_NUM_OBSERVATIONS - 1, lambda _: 1.0)
    learnt = adapt(few, clock.now)
    assert learnt == Adaptation(MIN_NUM_OBSERVATIONS - 1)
    assert learnt.gap_factor == DEFAULT_GAP_FACTOR
    assert learnt.min_confidence(WANTED) == WANTED
    assert "199 of 200" in explain(learnt, MODEL, WANTED)[0]


def test_one_observation_more_is_enough(make_observation: Make, clock: Any) -> None:
    learnt = adapt(reactions(make_observation, MIN_NUM_OBSERVATIONS, lambda _: 1.0), clock.now)
    assert learnt.acceptance == 1.0
    assert learnt.gap_factor < DEFAULT_GAP_FACTOR


@pytest.mark.parametrize(("shift", "compare"), [(0.25, "higher"), (1.0, "same"), (2.5, "lower")])
def test_the_threshold_follows_what_is_taken_at_a_confidence(
    make_observation: Make, clock: Any, shift: float, compare: str
) -> None:
    taken = reactions(make_observation, 1000, lambda confidence: min(1.0, confidence * shift))
    fitted = adapt(taken, clock.now).min_confidence(WANTED)
    assert WANTED / MAX_CONFIDENCE_FACTOR <= fitted <= WANTED * MAX_CONFIDENCE_FACTOR
    word = "higher" if fitted > WANTED else "lower" if fitted < WANTED else "same"
    assert word == compare


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_threshold_stays_within_its_bounds_whatever_people_do(
    make_observation: Make, clock: Any, chance: float
) -> None:
    learnt = adapt(reactions(make_observation, 1000, lambda _: chance), clock.now)
    bound = WANTED * MAX_CONFIDENCE_FACTOR if not chance else WANTED / MAX_CONFIDENCE_FACTOR
    assert learnt.min_confidence(WANTED) == pytest.approx(bound)
    assert learnt.min_confidence(0.0) == 0.0  # whoever switched it off keeps it off


@pytest.mark.parametrize(
    ("acceptance", "factor"), [(0.0, 1.75), (0.05, 1.75), (0.2, 1.25), (0.3, 1.075), (0.9, 0.9)]
)
def test_who_takes_more_is_asked_earlier(acceptance: float, factor: float) -> None:
    assert Adaptation(500, acceptance).gap_factor == pytest.approx(factor)


def test_what_was_accepted_and_removed_at_once_was_no_good(
    make_observation: Make, clock: Any
) -> None:
    kept = [make_observation(n, accepted=2, accepted_chars=9, kept_30=1.0) for n in range(150)]
    gone = [make_observation(n, accepted=2, accepted_chars=9, kept_30=0.1) for n in range(150, 300)]
    assert adapt([*kept, *gone], clock.now).acceptance == 0.5


def test_of_a_client_that_tells_what_it_shows_only_that_counts(
    make_observation: Make, clock: Any
) -> None:
    told = [make_observation(n, shown=n % 2, client="tells") for n in range(400)]
    silent = [make_observation(n, shown=0, client="silent") for n in range(400, 600)]
    program = [make_observation(n, shown=0, client="http", door="http") for n in range(600, 900)]
    assert adapt([*told, *silent, *program], clock.now).num_observations == 400


def test_a_suggestion_that_is_still_on_the_screen_does_not_count(
    make_observation: Make, clock: Any
) -> None:
    fresh = [make_observation(n, at=clock.now - 29) for n in range(300)]
    assert adapt(fresh, clock.now).num_observations == 0


@pytest.mark.parametrize(
    ("learnt", "expected_s"),
    [
        (Adaptation(), 0.150),  # 1.25 gaps of 120 ms, which is assumed
        (Adaptation(500, 0.4, gap_ms=200.0), 0.180),
        (Adaptation(500, 0.05, gap_ms=100.0), 0.175),
        (Adaptation(500, 0.05, gap_ms=5000.0), 0.300),
    ],
)
async def test_the_wait_follows_what_was_learnt(
    monkeypatch: pytest.MonkeyPatch, learnt: Adaptation, expected_s: float
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    now = [100.0]
    monkeypatch.setattr("lsp_server.pace.time.monotonic", lambda: now[0])
    pace = Pace()
    pace.adapt(Adaptation(500, 0.4, gap_ms=250.0))  # of before, which must leave no trace
    pace.record_keystroke()
    pace.adapt(learnt)
    monkeypatch.setattr("lsp_server.pace.asyncio.sleep", sleep)
    await pace.settle(TriggerKind.AUTOMATIC)
    await pace.settle(TriggerKind.INVOKED)
    assert waited == [pytest.approx(expected_s)]


async def test_the_threshold_reaches_the_request_where_it_is_wanted(
    connected: Callable[..., Any],
    initialize: Callable[..., Any],
    learning_host: ModelHost,
    feedback: Feedback,
    store: ObservationStore,
    make_observation: Make,
    service: Any,
) -> None:
    store.insert(reactions(make_observation, 400, lambda _: 0.0))
    for adaptive in ("true", "false"):
        flags = {"server.wait_for_model": "true", "learning.adaptive": adaptive}
        async with connected(host=learning_host, **flags) as client:
            await initialize(client)
            client.open("x = ")
            await client.response(client.complete(0, 4))
            feedback.flush()  # what was learnt is read beside the first request
            await client.response(client.complete(0, 4))
    wanted = [request.min_confidence for request in service.requests]
    assert wanted == [WANTED, pytest.approx(WANTED * MAX_CONFIDENCE_FACTOR), WANTED, WANTED]
