"""The summary as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from lsp_server.learning.observation import KEPT_AFTER_S
from lsp_server.learning.stats import Counts, Summary

_HEADINGS = (
    "day", "language", "model", "shown", "accepted", "partly", "typed", "acceptance (95 %)",
    *(f"kept {after_s} s" for after_s in KEPT_AFTER_S), "p50 ms", "p95 ms",
)  # fmt: skip
_NUM_NAMES = 3  # columns of words, which are read from the left
NOTHING_YET = "nothing was noted yet; suggestions in an editor are, see docs/learning.md"


def render(summary: Summary) -> str:
    """Return the table with a last row for all, and what was learnt below it."""
    if not summary.total.shown:
        return NOTHING_YET + "\n"
    rows = [
        (group.day, group.language, group.model, *_figures(group.counts))
        for group in summary.groups
    ]
    rows.append(("all", "", "", *_figures(summary.total)))
    lines = _aligned([_HEADINGS, *rows])
    return "\n".join([*lines, "", *summary.learnt]) + "\n"


def _figures(counts: Counts) -> tuple[str, ...]:
    return (
        str(counts.shown),
        str(counts.accepted),
        str(counts.partly),
        str(counts.typed),
        _acceptance(counts),
        *(_kept(counts, after_s) for after_s in KEPT_AFTER_S),
        _milliseconds(counts.latency_p50_ms),
        _milliseconds(counts.latency_p95_ms),
    )


def _acceptance(counts: Counts) -> str:
    if counts.rate is None or counts.interval is None:
        return "-"
    low, high = counts.interval
    return f"{counts.rate:.0%} ({low:.0%} to {high:.0%})"


def _kept(counts: Counts, after_s: int) -> str:
    """Return how many accepted characters were left, of how many that were looked for."""
    kept = counts.kept[after_s]
    if kept.ratio is None:
        return "-"
    return f"{kept.ratio:.0%} of {kept.num_measured:.0f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < _NUM_NAMES else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
