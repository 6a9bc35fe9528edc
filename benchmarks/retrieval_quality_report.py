"""The figures of ``benchmarks.retrieval_quality``, named KIND_METHOD_WHAT.

KIND is that of the tasks, followed by a language where several are in it. Gains of one method over
another are taken task by task, so that their intervals do not hold what makes tasks differ. A gain
``by_half`` is one over 1.5 times what the other has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.figures import Figure, mean_figure
from benchmarks.retrieval_quality_identifiers import family_of
from benchmarks.retrieval_quality_metrics import Measured

RANKS = (1, 5, 10)
OURS, COPILOT = "fimble", "jaccard_60"

Samples = Mapping[str, float]
"""One value for each task that has one, in per cent."""


def figures_of(rows: Sequence[Measured]) -> list[Figure]:
    """Return every metric of every group of tasks and method, then what ours gains over the rest."""
    found: list[Figure] = []
    for group, methods in _groups(rows).items():
        for method, some in methods.items():
            found += _figures(f"{group}_{method}", some)
        if OURS in methods:
            for method in methods.keys() - {OURS}:
                found += _gains(f"{group}_{OURS}_over_{method}", methods[OURS], methods[method])
        if {OURS, COPILOT} <= methods.keys():
            name = f"{group}_{OURS}_over_{COPILOT}_by_half"
            found += _gains(name, methods[OURS], methods[COPILOT], times=1.5)
    return sorted(found, key=lambda figure: figure.name)


def table_of(rows: Sequence[Measured]) -> Iterator[str]:
    """Yield the lines of a table for people: a block for each group, a row for each method."""
    names = list(_METRICS)
    for group, methods in _groups(rows).items():
        yield f"{group:<24}" + "".join(f"{name:>17}" for name in names)
        for method, some in methods.items():
            cells = (_cell(_samples(some, metric)) for metric in _METRICS.values())
            yield f"  {method:<22}" + "".join(f"{cell:>17}" for cell in cells)
        yield ""


def _cell(samples: Samples) -> str:
    return f"{sum(samples.values()) / len(samples):.1f} ({len(samples)})" if samples else "-"


def _groups(rows: Sequence[Measured]) -> dict[str, dict[str, list[Measured]]]:
    """Return the rows by kind, and by kind and language, then by method."""
    found: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: (row.kind, row.method, row.task_id)):
        found[row.kind][row.method].append(row)
        found[f"{row.kind}_{family_of(row.language_id)}"][row.method].append(row)
    return dict(sorted(found.items()))


def _figures(name: str, rows: Sequence[Measured]) -> Iterator[Figure]:
    for what, metric in _METRICS.items():
        samples = _samples(rows, metric)
        if samples:
            yield mean_figure(f"{name}_{what}", list(samples.values()), "%")


def _gains(
    name: str, ours: Sequence[Measured], theirs: Sequence[Measured], times: float = 1.0
) -> Iterator[Figure]:
    """Yield what ours has more than ``times`` of what the other has."""
    for what, metric in _METRICS.items():
        mine, others = _samples(ours, metric), _samples(theirs, metric)
        both = sorted(mine.keys() & others.keys())
        if both:
            gains = [mine[task_id] - times * others[task_id] for task_id in both]
            yield mean_figure(f"{name}_{what}", gains, "points")


def _samples(rows: Sequence[Measured], metric: Callable[[Measured], float | None]) -> Samples:
    found = ((row.task_id, metric(row)) for row in rows)
    return {task_id: 100 * value for task_id, value in found if value is not None}


def _defined_at(rank: int) -> Callable[[Measured], float | None]:
    def is_defined(row: Measured) -> float | None:
        found = row.definition_rank
        return None if found is None else float(found < min(rank, row.num_snippets))

    return is_defined


_METRICS: Mapping[str, Callable[[Measured], float | None]] = {
    **{f"def_{rank}": _defined_at(rank) for rank in RANKS},
    "def_chars": lambda row: row.has_definition,
    "novid_5": lambda row: row.novid_5,
    "novid_chars": lambda row: row.novid_chars,
    "line_similarity": lambda row: row.line_similarity,
    "near_lines": lambda row: row.near_lines,
}
