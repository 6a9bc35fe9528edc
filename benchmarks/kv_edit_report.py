"""The figures, the table and the plot of ``benchmarks.kv_edit``."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Figure, bootstrap_bounds, mean_figure, share_figure
from benchmarks.kv_policies import LAYOUT_ONLY, OURS, Measured
from benchmarks.results import RESULTS, write_result

_ALL = "all"


def report(rows: Sequence[Measured], name: str, num_threads: int, precision: str) -> None:
    """Write result, table and plot of ``rows`` as ``benchmarks/results/<name>``."""
    figures = [*figures_of(rows), *_ratios(rows)]
    notes = (
        "computed: tokens of the prompt that were computed before decoding, in % of all of them",
        "line: same first line as full recomputation; exact again: full recomputation in passes of "
        "another size, whose differences are the rounding noise of the engine",
        "match: the line equals what the person wrote; match_change: less full recomputation's, in "
        "points, paired",
        "stale: tokens left for healing, in % of the prompt",
    )
    path = write_result(
        name,
        figures,
        num_threads=num_threads,
        settings={"model": "default", "precision": precision, "num_line_tokens": 24},
        notes=notes,
    )
    table = RESULTS / f"{name}.md"
    table.write_text(table_of(rows), encoding="utf-8")
    _plot(rows, RESULTS / f"{name}.png")
    print(f"{path.name}, {table.name}: {len(rows)} rows")


def figures_of(rows: Sequence[Measured]) -> list[Figure]:
    """Return what is known of every size, policy and category."""
    figures: list[Figure] = []
    for (context, variant), found in _groups(rows, lambda row: (row.num_context, row.variant)):
        by_category = _groups(found, lambda row: (row.category,))
        for (category,), some in [*by_category, ((_ALL,), found)]:
            prefix = f"at_{context}_{variant}_{category}".replace(" ", "_")
            figures += _figures(prefix, some)
    return figures


def _figures(prefix: str, rows: Sequence[Measured]) -> list[Figure]:
    n = len(rows)
    changes = [100.0 * (row.is_match - row.is_oracle_match) for row in rows]
    computed = [100.0 * row.num_computed / row.num_tokens for row in rows]
    return [
        mean_figure(f"{prefix}_computed", computed, "%"),
        _ratio_of_sums(f"{prefix}_computed_of_all", rows),
        mean_figure(f"{prefix}_tokens", [float(row.num_computed) for row in rows], "tokens"),
        mean_figure(
            f"{prefix}_stale", [100.0 * row.num_stale / row.num_tokens for row in rows], "%"
        ),
        _median_figure(f"{prefix}_ms", [row.before_decoding_ms for row in rows], "ms"),
        _median_figure(f"{prefix}_full_ms", [row.full_ms for row in rows], "ms"),
        mean_figure(f"{prefix}_kl", [row.kl for row in rows], "nats"),
        share_figure(f"{prefix}_top1", sum(row.is_same_top for row in rows), n),
        share_figure(f"{prefix}_line", sum(row.is_same_line for row in rows), n),
        share_figure(f"{prefix}_match", sum(row.is_match for row in rows), n),
        mean_figure(f"{prefix}_match_change", changes, "points"),
    ]


def _ratios(rows: Sequence[Measured]) -> list[Figure]:
    """Return by how much fimble computes fewer tokens than the layout alone, paired."""
    figures = []
    for (context, category), some in _groups(rows, lambda row: (row.num_context, row.category)):
        ours = {row.case_id: row.num_computed for row in some if row.variant == OURS.name}
        layout = {row.case_id: row.num_computed for row in some if row.variant == LAYOUT_ONLY.name}
        pairs = [
            (layout[case_id], ours[case_id]) for case_id in sorted(ours.keys() & layout.keys())
        ]
        if pairs:
            figures.append(_ratio_figure(f"at_{context}_{category}_fewer_tokens", pairs))
    return figures


def _ratio_figure(name: str, pairs: Sequence[tuple[int, int]]) -> Figure:
    def ratio(some: Sequence[tuple[int, int]]) -> float:
        return sum(a for a, _ in some) / sum(b for _, b in some)

    rng = random.Random(0)
    values = sorted(ratio(rng.choices(pairs, k=len(pairs))) for _ in range(2000))
    median = statistics.median(a / b for a, b in pairs)
    low, high = values[50], values[1949]
    return Figure(name, ratio(pairs), "x", len(pairs), median, low, high, "bootstrap 95 %")


def _ratio_of_sums(name: str, rows: Sequence[Measured]) -> Figure:
    pairs = [(row.num_computed, row.num_tokens) for row in rows]
    found = _ratio_figure(name, pairs)
    scaled = [100 * value for value in (found.value, found.median, found.low, found.high)]
    return Figure(name, scaled[0], "%", found.n, scaled[1], scaled[2], scaled[3], found.interval)


def _median_figure(name: str, samples: Sequence[float], unit: str) -> Figure:
    low, high = bootstrap_bounds(samples, statistics.median)
    median = statistics.median(samples)
    return Figure(name, median, unit, len(samples), median, low, high, "bootstrap 95 %")


def table_of(rows: Sequence[Measured]) -> str:
    """Return the table that people read, one part for each size of prompt."""
    parts = []
    for (context,), found in _groups(rows, lambda row: (row.num_context,)):
        parts.append(f"## Prompts of up to {context} tokens\n")
        header = (
            "| category | policy | n | computed | ms | KL | top-1 | same line | match | of full |"
        )
        parts.append(header + "\n|---|---|---|---|---|---|---|---|---|---|")
        by_category = _groups(found, lambda row: (row.category,))
        for (category,), some in [*by_category, ((_ALL,), found)]:
            for (variant,), same in _groups(some, lambda row: (row.variant,)):
                parts.append(_table_row(str(category), str(variant), same))
        parts.append("")
    return "\n".join(parts)


def _table_row(category: str, variant: str, rows: Sequence[Measured]) -> str:
    n = len(rows)

    def share(hit: Callable[[Measured], bool]) -> str:
        return f"{100 * sum(map(hit, rows)) / n:.1f} %"

    computed = 100 * sum(row.num_computed for row in rows) / sum(row.num_tokens for row in rows)
    return (
        f"| {category} | {variant} | {n} | {computed:.1f} % "
        f"| {statistics.median(row.before_decoding_ms for row in rows):.0f} "
        f"| {statistics.fmean(row.kl for row in rows):.4f} | {share(lambda row: row.is_same_top)} "
        f"| {share(lambda row: row.is_same_line)} | {share(lambda row: row.is_match)} "
        f"| {share(lambda row: row.is_oracle_match)} |"
    )


def _groups(
    rows: Sequence[Measured], key: Callable[[Measured], tuple[object, ...]]
) -> list[tuple[tuple[object, ...], list[Measured]]]:
    """Return the rows by key, in the order in which keys first appear."""
    groups: dict[tuple[object, ...], list[Measured]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.items())


def _plot(rows: Sequence[Measured], path: Path) -> None:
    """Draw tokens computed against agreement, a point for each policy and category."""
    from matplotlib.figure import Figure as Canvas

    largest = max(row.num_context for row in rows)
    chosen = [row for row in rows if row.num_context == largest]
    canvas = Canvas(figsize=(9, 5), layout="constrained")
    axes = canvas.subplots()
    for (variant,), found in _groups(chosen, lambda row: (row.variant,)):
        points = []
        for _, some in _groups(found, lambda row: (row.category,)):
            share = sum(row.num_computed for row in some) / sum(row.num_tokens for row in some)
            points.append((100 * share, 100 * statistics.fmean(row.is_same_line for row in some)))
        axes.plot(*zip(*points, strict=True), "o", label=str(variant), alpha=0.7)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("tokens computed before decoding, % of the prompt")
    axes.set_ylabel("same line as full recomputation, %")
    axes.set_title(f"An edit in a prompt of {largest} tokens; a point is a category of edits")
    axes.grid(alpha=0.3)
    canvas.legend(fontsize=8, loc="outside right upper")  # points stand everywhere
    canvas.savefig(path, dpi=120)
