"""Percentiles of many timings, with intervals that know which of them belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.figures import NUM_RESAMPLES, Figure

INTERVAL = "bootstrap 95 %"


def percentile_figures(
    name: str, runs: Sequence[Sequence[float]], percents: Sequence[int], unit: str = "ms"
) -> list[Figure]:
    """Return the figures ``name_pN_unit`` over all values, interpolated.

    Args:
        name: What was timed.
        runs: Values that were taken in a row are no independent draws, so whole runs are drawn
            again for the interval. A run of its own for each value if they have nothing in common.
        percents: Which percentiles.
        unit: Of the values.
    """
    arrays = [np.asarray(run, np.float64) for run in runs]
    values = np.concatenate(arrays)
    rng = np.random.default_rng(0)
    drawn = np.array(
        [
            np.percentile(np.concatenate([arrays[at] for at in chosen]), percents)
            for chosen in rng.integers(len(arrays), size=(NUM_RESAMPLES, len(arrays)))
        ]
    )
    lows, highs = np.percentile(drawn, (2.5, 97.5), axis=0)
    median = float(np.median(values))
    return [
        Figure(
            f"{name}_p{percent}_{unit}",
            float(np.percentile(values, percent)),
            unit,
            len(values),
            median,
            float(low),
            float(high),
            INTERVAL,
        )
        for percent, low, high in zip(percents, lows, highs, strict=True)
    ]


def runs_of(values: Sequence[float], num_in_run: int) -> list[Sequence[float]]:
    """Return ``values`` cut into runs of as many, the last one shorter."""
    return [values[start : start + num_in_run] for start in range(0, len(values), num_in_run)]
