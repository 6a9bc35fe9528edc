"""What giving lines up saves and costs, by threshold, and whether a probability means what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from completion.dynamic.controller import StopController
from completion.training.stop_examples import StopExample

THRESHOLDS = (
    *(step / 1000 for step in range(1, 20)),
    *(step / 200 for step in range(4, 10)),
    *(0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3),
)
NUM_BINS = 10
_Z_95 = 1.959964  # two-sided 95 % point of the normal distribution


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """An example with its probability behind each token."""

    example: StopExample
    probabilities: tuple[float, ...]

    def given_up_at(self, threshold: float) -> int | None:
        """Return the index of the token behind which it is given up, None if it is finished."""
        below = (at for at, found in enumerate(self.probabilities) if found < threshold)
        return next(below, None)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One threshold; shares of 1, over all lines that came out wrong, or right."""

    threshold: float
    saved_ms: float  # of the time that wrong lines took to decode
    saved_tokens: float  # of the tokens of wrong lines behind their first
    hidden_wrong: float  # of the wrong lines
    lost_right: float  # of the right lines


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Finished lines whose probability lies in one tenth."""

    count: int
    mean_probability: float
    share_right: float


def judge(controller: StopController, examples: Sequence[StopExample]) -> list[JudgedLine]:
    """Return ``examples`` as ``controller`` sees them."""
    return [
        JudgedLine(example, tuple(map(controller.probability, example.features())))
        for example in examples
    ]


def curve(
    lines: Sequence[JudgedLine], thresholds: Sequence[float] = THRESHOLDS
) -> list[CurvePoint]:
    """Return what each of ``thresholds`` saves and costs."""
    return [_point(lines, threshold) for threshold in thresholds]


def _point(lines: Sequence[JudgedLine], threshold: float) -> CurvePoint:
    wrong = [line for line in lines if not line.example.is_right]
    right = [line for line in lines if line.example.is_right]
    stops = [(line.example, line.given_up_at(threshold)) for line in wrong]
    stopped = [(example, at) for example, at in stops if at is not None]
    saved_ms = sum(example.chosen_ms[-1] - example.chosen_ms[at] for example, at in stopped)
    saved_tokens = sum(len(example.traces) - 1 - at for example, at in stopped)
    lost = sum(line.given_up_at(threshold) is not None for line in right)
    return CurvePoint(
        threshold=threshold,
        saved_ms=saved_ms / (sum(example.chosen_ms[-1] for example, _ in stops) or 1),
        saved_tokens=saved_tokens / (sum(len(example.traces) - 1 for example, _ in stops) or 1),
        hidden_wrong=len(stopped) / (len(wrong) or 1),
        lost_right=lost / (len(right) or 1),
    )


def best_threshold(lines: Sequence[JudgedLine], max_lost: float, num_copies: int = 1) -> float:
    """Return the largest threshold that loses no more than ``max_lost`` of right lines.

    With 97.5 % certainty: by the upper end of Wilson's interval, for lines of which each is there
    ``num_copies`` times.
    """
    num_right = sum(line.example.is_right for line in lines) / num_copies
    fine = 0.0
    for point in curve(lines):
        if _at_most(point.lost_right, num_right) > max_lost:
            break
        fine = point.threshold
    return fine


def _at_most(share: float, count: float) -> float:
    """Return the upper end of Wilson's 95 % interval for ``share`` of ``count``."""
    square = _Z_95**2 / count
    spread = _Z_95 * ((share * (1 - share) + square / 4) / count) ** 0.5
    return float((share + square / 2 + spread) / (1 + square))


def reliability(lines: Sequence[JudgedLine]) -> list[ReliabilityBin]:
    """Return what became of finished lines, by tenths of their last probability."""
    last = np.array([line.probabilities[-1] for line in lines])
    is_right = np.array([line.example.is_right for line in lines], dtype=float)
    tenths = np.minimum((last * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = []
    for tenth in range(NUM_BINS):
        inside = tenths == tenth
        count = int(inside.sum())
        mean = float(last[inside].mean()) if count else 0.0
        bins.append(ReliabilityBin(count, mean, float(is_right[inside].mean()) if count else 0.0))
    return bins


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return by how much probabilities are off on average, the expected calibration error."""
    total = sum(each.count for each in bins)
    off = (each.count * abs(each.mean_probability - each.share_right) for each in bins)
    return sum(off) / total


def separation(scores: Sequence[float], is_right: Sequence[bool]) -> float:
    """Return how often a right line scores above a wrong one, the area under the ROC curve."""
    found: npt.NDArray[np.float64] = np.array(scores)
    right = np.array(is_right)
    above = (found[right][:, None] > found[~right][None]).mean()
    return float(above + (found[right][:, None] == found[~right][None]).mean() / 2)
