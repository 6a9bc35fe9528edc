"""Figures with their spread: one number, how many samples stand behind it, and an interval.

Nothing here knows what was measured or where results are kept.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NUM_RESAMPLES = 2_000
Z_95 = 1.959964  # two-sided 95 % point of the normal distribution


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    ``low`` and ``high`` bound it as ``interval`` says; ``median`` is the median of the samples,
    which equals ``value`` where the value is itself a median.
    """

    name: str
    value: float
    unit: str
    n: int
    median: float
    low: float
    high: float
    interval: str


def bootstrap_bounds(
    samples: Sequence[float], statistic: Callable[[Sequence[float]], float]
) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentiles of ``statistic`` over seeded resamples."""
    rng = random.Random(0)
    values = sorted(statistic(rng.choices(samples, k=len(samples))) for _ in range(NUM_RESAMPLES))
    return values[int(0.025 * NUM_RESAMPLES)], values[int(0.975 * NUM_RESAMPLES)]


def mean_figure(name: str, samples: Sequence[float], unit: str) -> Figure:
    """Return the mean of ``samples`` with a bootstrap 95 % interval."""
    low, high = bootstrap_bounds(samples, statistics.fmean)
    median = statistics.median(samples)
    mean = statistics.fmean(samples)
    return Figure(name, mean, unit, len(samples), median, low, high, "bootstrap 95 %")


def timing_figure(name: str, samples: Sequence[float], unit: str = "ms") -> Figure:
    """Return the median of repeated timings with their minimum and maximum.

    Repeats on one machine are not independent draws, so the whole range is shown rather than a
    confidence interval that would be too narrow.
    """
    median = statistics.median(samples)
    return Figure(
        name, median, unit, len(samples), median, min(samples), max(samples), "min to max"
    )


def ratio_figure(name: str, over: Sequence[float], under: Sequence[float]) -> Figure:
    """Return the median over rounds of ``over[i] / under[i]``, each pair measured in turn.

    Pairing cancels what slows the machine for minutes at a time.
    """
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return timing_figure(name, ratios, "x")


def share_figure(name: str, num_hits: int, n: int) -> Figure:
    """Return ``num_hits / n`` in per cent with its Wilson 95 % interval.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    share = num_hits / n
    denominator = 1 + Z_95**2 / n
    centre = (share + Z_95**2 / (2 * n)) / denominator
    half = Z_95 * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n)) / denominator
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Figure(
        name, 100 * share, "%", n, 100.0 * round(share), 100 * low, 100 * high, "Wilson 95 %"
    )
