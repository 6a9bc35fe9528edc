"""What the rows of a run of several candidates amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.candidates_asking import way_name
from benchmarks.candidates_rows import Asking, by_task
from benchmarks.figures import Figure, mean_figure, share_figure, timing_figure
from benchmarks.speculation_report import ratio_of_sums

NUM_CANDIDATES = (1, 3, 5)
WAYS = tuple(
    way_name(num, is_drafted=is_drafted) for is_drafted in (False, True) for num in NUM_CANDIDATES
)
Task = Mapping[str, Asking]


def figures_of(rows: Sequence[Asking]) -> list[Figure]:
    """Return the figures of all workloads, of tasks that were asked in every way."""
    tasks = by_task(rows, WAYS)
    figures: list[Figure] = []
    for workload in dict.fromkeys(task[WAYS[0]].workload for task in tasks):
        some = [task for task in tasks if task[WAYS[0]].workload == workload]
        for is_drafted in (False, True):
            for num in NUM_CANDIDATES:
                name = way_name(num, is_drafted=is_drafted)
                one = way_name(1, is_drafted=is_drafted)
                figures += _of_way(f"{workload}_{name}", name, one, some)
        repeating = sum(row.num_distinct < row.num_found for task in some for row in task.values())
        num_asked = sum(map(len, some))
        name = f"{workload}_repeating"
        figures.append(
            Figure(name, repeating, "", num_asked, repeating, repeating, repeating, "exact count")
        )
    return figures


def _of_way(prefix: str, way: str, one: str, tasks: Sequence[Task]) -> list[Figure]:
    rows = [task[way] for task in tasks]
    milliseconds, passes = [row.passes_ms for row in rows], [float(row.num_passes) for row in rows]
    first = sum(row.right_at == 0 for row in rows)
    figures = [
        timing_figure(f"{prefix}_ms", milliseconds),
        mean_figure(f"{prefix}_passes", passes, ""),
        share_figure(f"{prefix}_first_right", first, len(rows)),
    ]
    if way == one:
        return figures
    plain = [task[WAYS[0]].passes_ms for task in tasks]
    passes_of_one = [float(task[one].num_passes) for task in tasks]
    later = sum(bool(row.right_at) for row in rows)
    return [
        *figures,
        ratio_of_sums(f"{prefix}_cost", milliseconds, [task[one].passes_ms for task in tasks], "x"),
        ratio_of_sums(f"{prefix}_cost_in_passes", passes, passes_of_one, "x"),
        ratio_of_sums(f"{prefix}_cost_over_plain_1", milliseconds, plain, "x"),
        mean_figure(f"{prefix}_distinct", [float(row.num_distinct) for row in rows], ""),
        share_figure(f"{prefix}_later_right", later, len(rows)),
    ]
