"""The summary as a picture, for those who installed matplotlib."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from lsp_server.errors import BadInputError, FimbleError
from lsp_server.learning.observation import KEPT_AFTER_S
from lsp_server.learning.stats import Counts, Summary


class NoPlotLibraryError(FimbleError):
    """matplotlib is not installed; the message says how to get it."""

    def __init__(self) -> None:
        super().__init__("a plot needs matplotlib: pip install 'fimble[plot]'")


def counts_by_day(summary: Summary) -> dict[str, list[Counts]]:
    """Return the rows of each day, oldest first."""
    days: dict[str, list[Counts]] = defaultdict(list)
    for group in reversed(summary.groups):
        days[group.day].append(group.counts)
    return dict(days)


def draw(summary: Summary, file: Path) -> None:
    """Write a picture to ``file``, in the form that its suffix names: png, svg, pdf.

    Above what was shown and accepted on each day, below which part of the accepted characters was
    kept.

    Raises:
        NoPlotLibraryError: matplotlib is missing.
        BadInputError: There is nothing to draw, or no such form.
    """
    if not summary.groups:
        raise BadInputError("there is nothing to draw yet")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NoPlotLibraryError from error
    days = counts_by_day(summary)
    figure = Figure(figsize=(max(6.0, 0.4 * len(days) + 3), 6.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    names = list(days)
    for label, values in _series(days).items():
        upper.plot(names, values, marker="o", label=label)
    upper.set_ylabel("suggestions")
    upper.set_ylim(bottom=0)
    upper.legend()
    for after_s in KEPT_AFTER_S:
        ratios = [_kept_ratio(counts, after_s) for counts in days.values()]
        lower.plot(names, ratios, marker="o", label=f"kept {after_s} s")
    lower.set_ylabel("part of accepted characters")
    lower.set_ylim(0, 1.05)
    lower.tick_params(axis="x", labelrotation=60)
    lower.legend()
    try:
        figure.savefig(file)
    except ValueError as error:  # its words for a suffix that it does not know
        raise BadInputError(f"{file}: {error}") from error


def _series(days: dict[str, list[Counts]]) -> dict[str, list[int]]:
    return {
        "shown": [sum(each.shown for each in counts) for counts in days.values()],
        "accepted": [sum(each.accepted for each in counts) for counts in days.values()],
        "partly": [sum(each.partly for each in counts) for counts in days.values()],
        "typed": [sum(each.typed for each in counts) for counts in days.values()],
    }


def _kept_ratio(counts: list[Counts], after_s: int) -> float:
    """Return the part that was kept; not a number, which is drawn as a gap, if nobody looked."""
    num_measured = sum(each.kept[after_s].num_measured for each in counts)
    num_kept = sum(each.kept[after_s].num_kept for each in counts)
    return num_kept / num_measured if num_measured else float("nan")
