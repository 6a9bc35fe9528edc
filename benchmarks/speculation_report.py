"""What the rows of a speculation run amount to: figures with intervals, and a table to read."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.figures import NUM_RESAMPLES, Figure, bootstrap_bounds, share_figure, timing_figure
from benchmarks.speculation_rows import MERGED, PLAIN, Compared, Measured, Rival, by_task

MIN_NUM_TASKS = 5  # of a category that is judged by itself

Row = TypeVar("Row")
Pair = tuple[Measured, Measured]
"""Plain decoding of a task and the same task under a variant."""


def figures_of(rows: Sequence[Measured], variants: Sequence[str]) -> list[Figure]:
    """Return the figures of all workloads, of tasks that every variant has finished."""
    tasks = [
        found
        for found in by_task(rows).values()
        if found.keys() >= set(variants) and found[PLAIN].num_passes
    ]
    figures: list[Figure] = []
    worst: list[Figure] = []
    for workload in dict.fromkeys(found[PLAIN].workload for found in tasks):
        of_workload = [found for found in tasks if found[PLAIN].workload == workload]
        for variant in variants:
            pairs = [(found[PLAIN], found[variant]) for found in of_workload]
            figures += _of_variant(f"{workload}_{variant}", pairs)
            if variant != PLAIN:
                in_categories = _by_category(f"{workload}_{variant}", pairs)
                figures += in_categories
                worst += in_categories if variant == MERGED else []
    if worst:
        figures.append(_renamed("worst_merged_speed", worst))
    return figures


def _of_variant(name: str, pairs: Sequence[Pair]) -> list[Figure]:
    rows = [row for _, row in pairs]
    passes = [float(row.num_passes) for row in rows]
    tokens = [float(row.num_passes + row.num_accepted) for row in rows]
    accepted = [100.0 * row.num_accepted for row in rows]
    drafted = [float(row.num_drafted) for row in rows]
    figures = [timing_figure(f"{name}_task_ms", [row.passes_ms for row in rows])]
    if name.endswith(f"_{PLAIN}"):
        return figures
    same = sum(plain.digest == row.digest for plain, row in pairs)
    return [
        *figures,
        ratio_of_sums(f"{name}_tokens_per_pass", tokens, passes, "tokens"),
        ratio_of_sums(f"{name}_drafted_of_all", accepted, tokens, "%"),
        ratio_of_sums(f"{name}_drafts_per_pass", drafted, passes, "tokens"),
        _speed(f"{name}_speed", pairs),
        _median(f"{name}_task_speed", [_speed_of([pair]) for pair in pairs]),
        share_figure(f"{name}_same_text", same, len(pairs)),
    ]


def _by_category(name: str, pairs: Sequence[Pair]) -> list[Figure]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].category, []).append(pair)
    found = [
        _speed(f"{name}_in_{category}_speed", group)
        for category, group in sorted(groups.items())
        if len(group) >= MIN_NUM_TASKS
    ]
    return [*found, *([_renamed(f"{name}_worst_speed", found)] if found else [])]


def _renamed(name: str, figures: Sequence[Figure]) -> Figure:
    """Return the least of ``figures`` under another name."""
    worst = min(figures, key=lambda figure: figure.value)
    return Figure(
        name, worst.value, worst.unit, worst.n, worst.median, worst.low, worst.high, worst.interval
    )


def _speed(name: str, pairs: Sequence[Pair]) -> Figure:
    """Return how many times as fast as plain decoding a token is written, of all tasks together."""
    return _resampled(name, pairs, _speed_of, "x")


def _speed_of(pairs: Sequence[Pair]) -> float:
    plain, rows = [plain for plain, _ in pairs], [row for _, row in pairs]
    return _token_ms(plain) / (_token_ms(rows) or 1.0)


def _token_ms(rows: Sequence[Measured]) -> float:
    num_tokens = sum(row.num_passes + row.num_accepted for row in rows)
    return sum(row.passes_ms for row in rows) / (num_tokens or 1)


def ratio_of_sums(name: str, over: Sequence[float], under: Sequence[float], unit: str) -> Figure:
    """Return a ratio of sums over tasks; the interval resamples tasks."""

    def ratio(some: Sequence[tuple[float, float]]) -> float:
        return sum(a for a, _ in some) / (sum(b for _, b in some) or 1.0)

    return _resampled(name, list(zip(over, under, strict=True)), ratio, unit)


def _resampled(
    name: str, samples: Sequence[Row], value_of: Callable[[Sequence[Row]], float], unit: str
) -> Figure:
    """Return ``value_of`` all samples, the median of single ones, and what resampling makes of it."""
    rng = random.Random(0)
    values = sorted(value_of(rng.choices(samples, k=len(samples))) for _ in range(NUM_RESAMPLES))
    low, high = values[int(0.025 * NUM_RESAMPLES)], values[int(0.975 * NUM_RESAMPLES)]
    median = statistics.median(value_of([sample]) for sample in samples)
    value = value_of(samples)
    return Figure(name, value, unit, len(samples), median, low, high, "bootstrap 95 %")


def _median(name: str, samples: Sequence[float]) -> Figure:
    median = statistics.median(samples)
    low, high = bootstrap_bounds(samples, statistics.median)
    return Figure(name, median, "x", len(samples), median, low, high, "bootstrap 95 %")


def exactness_figures(rows: Sequence[Compared]) -> list[Figure]:
    """Return, by precision and variant, how many completions differ from plain decoding's."""
    figures: list[Figure] = []
    precisions = _grouped(rows, lambda row: row.precision)
    for precision, of_precision in precisions.items():
        variants = _grouped(of_precision, lambda row: row.variant)
        for variant, some in [*variants.items(), ("all", of_precision)]:
            name = f"{precision}_{variant}"
            other = [row for row in some if row.first_difference is not None]
            num_tokens = sum(_num_compared(row) for row in some)
            figures += [
                _count(f"{name}_different", len(other), len({row.task_id for row in some})),
                share_figure(f"{name}_different_share", len(other), len(some)),
                share_figure(f"{name}_flips_of_tokens", len(other), num_tokens),
                _count(f"{name}_drafted", sum(row.num_drafted for row in some), len(some)),
                _count(f"{name}_accepted", sum(row.num_accepted for row in some), len(some)),
            ]
        num_prompts = len({row.task_id for row in of_precision})
        figures.append(_count(f"{precision}_prompts", num_prompts, num_prompts))
    return figures


def _num_compared(row: Compared) -> int:
    """Return how many tokens stood behind the same ones in both texts."""
    return row.num_tokens if row.first_difference is None else row.first_difference + 1


def _count(name: str, count: int, n: int) -> Figure:
    return Figure(name, count, "", n, count, count, count, "exact count")


def rival_figures(rows: Sequence[Rival]) -> list[Figure]:
    """Return how many times as fast as its own plain decoding transformers is in each way."""
    figures: list[Figure] = []
    for dtype, of_dtype in _grouped(rows, lambda row: row.dtype).items():
        variants = _grouped(of_dtype, lambda row: row.variant)
        plain = {row.task_id: row for row in variants[PLAIN]}
        per_token = [1000 * row.seconds / max(1, row.num_tokens) for row in plain.values()]
        figures.append(timing_figure(f"{dtype}_{PLAIN}_token_ms", per_token))
        for variant, some in variants.items():
            if variant != PLAIN:
                over = [plain[row.task_id].seconds for row in some]
                under, name = [row.seconds for row in some], f"{dtype}_{variant}"
                figures += [
                    ratio_of_sums(f"{name}_speed", over, under, "x"),
                    share_figure(f"{name}_same_text", sum(row.is_same for row in some), len(some)),
                ]
    return figures


def _grouped(rows: Sequence[Row], key: Callable[[Row], str]) -> Mapping[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def table_of(figures: Sequence[Figure]) -> list[str]:
    """Return a line for each figure."""
    return [
        f"{figure.name:44} {figure.value:9.3f} {figure.unit:6} "
        f"[{figure.low:.3f}, {figure.high:.3f}] n={figure.n} median {figure.median:.3f}"
        for figure in figures
    ]
