"""The figures of ``benchmarks.left_to_right``, named NETWORK_CONTEXT_GROUP_POLICY_WHAT.

GROUP is a kind of edit, a setting, or ``all``. Differences are taken case by case, so that their
intervals do not hold what makes one case harder than another.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.figures import Figure, bootstrap_bounds, mean_figure, share_figure
from benchmarks.left_to_right_policies import FULL
from benchmarks.left_to_right_rows import Cost, Measured, Row

ALL = "all"


def cost_figures(rows: Sequence[Cost]) -> Iterator[Figure]:
    """Yield time, time saved and tokens computed, by kind of edit and for all of them."""
    for name, some in _groups(rows, lambda row: (row.kind, ALL)):
        yield median_figure(f"{name}_ms", [row.ms for row in some], "ms")
        if some[0].policy != FULL:
            saved = [100 * (1 - row.ms / row.full_ms) for row in some]
            computed = [100 * row.num_computed / row.num_tokens for row in some]
            yield median_figure(f"{name}_time_saved", saved, "%")
            yield mean_figure(f"{name}_computed", computed, "%")


def answer_figures(rows: Sequence[Measured]) -> Iterator[Figure]:
    """Yield how good answers are and how far from the oracle's, by kind, by setting and for all."""
    oracle = {
        (row.network, row.num_context, row.case_id): row for row in rows if row.policy == FULL
    }
    for name, some in _groups(rows, lambda row: (row.kind, row.setting, ALL)):
        n = len(some)
        yield share_figure(f"{name}_exact_match", sum(row.is_match for row in some), n)
        yield mean_figure(
            f"{name}_edit_similarity", [row.edit_similarity for row in some], "points"
        )
        if some[0].policy != FULL:
            exact = [oracle[row.network, row.num_context, row.case_id] for row in some]
            yield from _distance_figures(name, some, exact)


def median_figure(name: str, samples: Sequence[float], unit: str) -> Figure:
    """Return the median over cases with a bootstrap 95 % interval."""
    low, high = bootstrap_bounds(samples, statistics.median)
    median = statistics.median(samples)
    return Figure(name, median, unit, len(samples), median, low, high, "bootstrap 95 %")


def _distance_figures(
    name: str, rows: Sequence[Measured], exact: Sequence[Measured]
) -> Iterator[Figure]:
    """Yield what a policy loses against the oracle; a gain is a negative loss."""
    n, pairs = len(rows), list(zip(rows, exact, strict=True))
    matches = [100.0 * (full.is_match - row.is_match) for row, full in pairs]
    similarities = [full.edit_similarity - row.edit_similarity for row, full in pairs]
    yield mean_figure(f"{name}_exact_match_loss", matches, "points")
    yield mean_figure(f"{name}_edit_similarity_loss", similarities, "points")
    yield share_figure(f"{name}_same_line", sum(row.is_same_line for row in rows), n)
    yield share_figure(f"{name}_same_top", sum(row.is_same_top for row in rows), n)
    yield mean_figure(f"{name}_kl", [row.kl for row in rows], "nats")


def _groups(
    rows: Sequence[Row], groups_of: Callable[[Row], Sequence[str]]
) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield the rows of each group and policy with the beginning of their figures' names."""
    found: Mapping[str, list[Row]] = defaultdict(list)
    for row in rows:
        network = re.sub(r"\W+", "_", row.network)
        for group in groups_of(row):
            found[f"{network}_{row.num_context}_{group}_{row.policy}"].append(row)
    yield from sorted(found.items())
