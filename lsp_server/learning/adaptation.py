"""What follows from this person's reactions: how early to ask, and how sure a line has to be.

Both stay near what they are without it: nothing is concluded from fewer than ``MIN_NUM_OBSERVATIONS``,
and what is concluded is bounded. ``fimble stats`` shows the numbers and says what they mean.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from completion.trigger import DebounceConfig
from lsp_server.learning.observation import Acceptance, Observation
from lsp_server.metrics import Door

MIN_NUM_OBSERVATIONS = 200
NUM_NEWEST = 1000
# A suggestion has had its chance once so many seconds have passed.
_SETTLED_AFTER_S = 30.0
# Something accepted of which less than this was left half a minute later was no good.
_MIN_KEPT = 0.2

DEFAULT_GAP_FACTOR = DebounceConfig().gap_factor
# How much of a typing gap to wait, by how often suggestions are taken. Someone who takes two in five
# is better served early; someone who takes one in twenty is better left in peace.
_GAP_FACTORS = ((0.05, 1.75), (0.2, DEFAULT_GAP_FACTOR), (0.4, 0.9))

MAX_CONFIDENCE_FACTOR = 3.0
_TWO_SIDED_95 = 1.96
_NUM_STEPS = 60
_MAX_LOG_ODDS = 8.0


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What was learnt from ``num_observations`` suggestions of one model.

    ``acceptance`` is the part that was taken, typed out included. ``gap_ms`` is this person's usual
    time between keys. ``log_odds`` says by how much the model's confidence has to be shifted to be
    the part of lines that were taken: the end of its 95 % interval that is nearer to zero. ``None``:
    there is too little to tell.
    """

    num_observations: int = 0
    acceptance: float | None = None
    gap_ms: float | None = None
    log_odds: float | None = None

    @property
    def gap_factor(self) -> float:
        """How many typing gaps to wait before asking."""
        if self.acceptance is None:
            return DEFAULT_GAP_FACTOR
        return _interpolated(_GAP_FACTORS, self.acceptance)

    def min_confidence(self, wanted: float) -> float:
        """Return the confidence at which lines are taken as often as ``wanted``, bounded; 0 stays 0."""
        if not self.log_odds or not 0 < wanted < 1:
            return wanted
        fitted = _probability(_odds(wanted) - self.log_odds)
        lowest, highest = wanted / MAX_CONFIDENCE_FACTOR, min(1.0, wanted * MAX_CONFIDENCE_FACTOR)
        return min(max(fitted, lowest), highest)


def adapt(observations: Sequence[Observation], now: float) -> Adaptation:
    """Return what the newest ``observations`` of one model teach; ``now`` is in Unix time."""
    # One from the future was noted before the clock was set back: that may be long ago.
    settled = [each for each in seen(observations) if not 0 <= now - each.at < _SETTLED_AFTER_S]
    settled = settled[-NUM_NEWEST:]
    gaps = [each.gap_ms for each in settled if each.gap_ms is not None]
    if len(settled) < MIN_NUM_OBSERVATIONS:
        return Adaptation(len(settled))
    was_good = [_was_good(each) for each in settled]
    judged = [
        (each.confidence, good)
        for each, good in zip(settled, was_good, strict=True)
        if each.confidence is not None and 0 < each.confidence < 1
    ]
    return Adaptation(
        num_observations=len(settled),
        acceptance=sum(was_good) / len(settled),
        gap_ms=statistics.median(gaps) if gaps else None,
        log_odds=_shift(judged) if len(judged) >= MIN_NUM_OBSERVATIONS else None,
    )


def seen(observations: Sequence[Observation]) -> list[Observation]:
    """Return those that somebody saw.

    A client that tells what it shows is believed; of one that never does, every answer counts,
    because it shows what it asks for. Programs, which ask over HTTP, show nothing unless they say so.
    """
    telling = {each.client for each in observations if each.shown}
    return [
        each
        for each in observations
        if each.shown
        or each.accepted
        or (each.door == Door.LSP.value and each.client not in telling)
    ]


def explain(adaptation: Adaptation, model: str, min_confidence: float) -> list[str]:
    """Return what was learnt about ``model``, as sentences for people."""
    known = adaptation.num_observations
    if adaptation.acceptance is None:
        return [
            f"{model}: {known} of {MIN_NUM_OBSERVATIONS} observations; until then nothing is adapted"
        ]
    factor = adaptation.gap_factor
    sentences = [
        f"{model}: you took {adaptation.acceptance:.0%} of the last {known} suggestions, so fimble "
        f"asks after {factor:.2f} of your typing gaps (without learning: {DEFAULT_GAP_FACTOR:.2f})"
    ]
    if adaptation.gap_ms is not None:
        sentences.append(f"{model}: your usual typing gap is {adaptation.gap_ms:.0f} ms")
    fitted = adaptation.min_confidence(min_confidence)
    if fitted == min_confidence:
        sentences.append(f"{model}: the show threshold stays at {min_confidence:.2g}")
    else:
        direction = "more" if fitted > min_confidence else "less"
        sentences.append(
            f"{model}: lines have to be {direction} sure, {fitted:.2g} instead of "
            f"{min_confidence:.2g}, because the model's confidence is "
            f"{'above' if fitted > min_confidence else 'below'} what you take"
        )
    return sentences


def _was_good(observation: Observation) -> bool:
    if not observation.is_taken:
        return False
    kept = observation.kept_30
    return observation.accepted == Acceptance.NONE or kept is None or kept >= _MIN_KEPT


def _shift(judged: Sequence[tuple[float, bool]]) -> float:
    """Return the shift of the log odds that makes confidence fit, as near to zero as 95 % allow.

    The likeliest shift makes as many expected as there are; it is found by bisection, as the sum
    grows with it.
    """
    odds = [_odds(confidence) for confidence, _ in judged]
    num_good = sum(good for _, good in judged)
    low, high = -_MAX_LOG_ODDS, _MAX_LOG_ODDS
    for _ in range(_NUM_STEPS):
        middle = (low + high) / 2
        if sum(_probability(each + middle) for each in odds) < num_good:
            low = middle
        else:
            high = middle
    shift = (low + high) / 2
    chances = [_probability(each + shift) for each in odds]
    information = sum(chance * (1 - chance) for chance in chances)
    margin = _TWO_SIDED_95 / math.sqrt(information) if information > 0 else math.inf
    return math.copysign(max(0.0, abs(shift) - margin), shift)


def _odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def _interpolated(points: Sequence[tuple[float, float]], at: float) -> float:
    """Return the value at ``at`` of the line through ``points``, level beyond its ends."""
    if at <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in itertools.pairwise(points):
        if at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return points[-1][1]
