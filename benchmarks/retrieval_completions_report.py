"""The figures of ``benchmarks.retrieval_completions``, named GROUP_VARIANT_WHAT.

A group are the tasks of a kind, all of them, those in one language, or those that are about an
identifier which only other files hold. Gains over the document alone are taken task by task, so
that their intervals do not hold what makes tasks differ. Only tasks that every variant has finished
count.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from benchmarks.figures import Figure, mean_figure, ratio_figure, share_figure, timing_figure
from benchmarks.retrieval_completions_rows import Measured
from benchmarks.retrieval_completions_variants import ALONE
from benchmarks.retrieval_quality_identifiers import family_of

NUM_PARTS = 10
THRESHOLDS = tuple(step / 20 for step in range(11))

Metric = Callable[[Measured], float | None]
Pair = tuple[Measured, Measured]
"""A variant's row, and that of the document alone."""

_SCORES: Mapping[str, Metric] = {
    "exact_match": lambda row: 100.0 * row.is_match,
    "edit_similarity": lambda row: row.edit_similarity,
    "identifier_f1": lambda row: row.identifier_f1,
}
_TOKENS: Mapping[str, Metric] = {
    "prompt_tokens": lambda row: row.num_prompt_tokens,
    "context_tokens": lambda row: row.num_context_tokens,
}


def figures_of(rows: Sequence[Measured]) -> list[Figure]:
    """Return scores and costs of every group and variant, and what each gains over ``ALONE``."""
    found: list[Figure] = []
    kinds = {row.kind for row in rows}
    for group, variants in _groups(rows).items():
        found.append(_count(f"{group}_num_tasks", len(next(iter(variants.values())))))
        for name, some in variants.items():
            found += _figures(f"{group}_{name}", some)
        for name, pairs in _pairs(variants).items():
            found += _gains(f"{group}_{name}_over_{ALONE}", pairs)
            if group in kinds:
                found += _parts(f"{group}_{name}", pairs)
    return sorted(found, key=lambda figure: figure.name)


def table_of(rows: Sequence[Measured]) -> Iterator[str]:
    """Yield tables for people: scores, gains by similarity, and what a threshold would leave."""
    groups, kinds = _groups(rows), {row.kind for row in rows}
    for group, variants in groups.items():
        yield from _score_table(group, variants)
    for group in sorted(kinds & groups.keys()):
        for name, pairs in _pairs(groups[group]).items():
            yield from _similarity_table(f"{group}, {name}", pairs)
            yield from _source_table(f"{group}, {name}", pairs)


def _groups(rows: Sequence[Measured]) -> dict[str, dict[str, list[Measured]]]:
    """Return the rows by group, then by variant: the same tasks of each, in the same order."""
    names = list(dict.fromkeys(row.variant for row in rows))
    by_task: dict[str, dict[str, Measured]] = defaultdict(dict)
    for row in rows:
        by_task[row.task_id][row.variant] = row
    found: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for _, of_task in sorted(by_task.items()):
        if len(of_task) == len(names):
            for name in names:
                for group in _groups_of(of_task[name]):
                    found[group][name].append(of_task[name])
    return dict(sorted(found.items()))


def _groups_of(row: Measured) -> Iterator[str]:
    yield row.kind
    yield f"{row.kind}_{family_of(row.language_id)}"
    if row.num_unseen:
        yield f"{row.kind}_unseen"


def _pairs(variants: Mapping[str, Sequence[Measured]]) -> dict[str, list[Pair]]:
    """Return the rows of each variant beside those of the document alone, if it was measured."""
    alone = variants.get(ALONE)
    return {
        name: list(zip(some, alone, strict=True))
        for name, some in variants.items()
        if alone is not None and name != ALONE
    }


def _count(name: str, num: int) -> Figure:
    return Figure(name, num, "tasks", num, median=num, low=num, high=num, interval="a count")


def _figures(name: str, rows: Sequence[Measured]) -> Iterator[Figure]:
    num_matches, num_empty = (sum(row.is_match for row in rows), sum(not row.line for row in rows))
    yield share_figure(f"{name}_exact_match", num_matches, len(rows))
    yield share_figure(f"{name}_no_line", num_empty, len(rows))
    for what in ("edit_similarity", "identifier_f1"):
        values = [value for row in rows if (value := _SCORES[what](row)) is not None]
        if values:
            yield mean_figure(f"{name}_{what}", values, "%")
    for what, metric in _TOKENS.items():
        yield mean_figure(f"{name}_{what}", [metric(row) or 0.0 for row in rows], "tokens")
    for what in ("retrieval_ms", "prefill_ms", "total_ms"):
        yield timing_figure(f"{name}_{what}", [getattr(row, what) for row in rows])


def _gains(name: str, pairs: Sequence[Pair]) -> Iterator[Figure]:
    for what, metric in _SCORES.items():
        gains = _differences(pairs, metric)
        if gains:
            gain = mean_figure(f"{name}_{what}", gains, "points")
            yield gain
            # Whether an interval excludes zero is a goal, and a goal looks at a value.
            yield replace(gain, name=f"{name}_{what}_low", value=gain.low)
    yield mean_figure(
        f"{name}_prompt_tokens",
        [float(row.num_prompt_tokens - alone.num_prompt_tokens) for row, alone in pairs],
        "tokens",
    )
    yield mean_figure(
        f"{name}_total_ms", [row.total_ms - alone.total_ms for row, alone in pairs], "ms"
    )
    totals = [[row.total_ms for row in side] for side in zip(*pairs, strict=True)]
    yield ratio_figure(f"{name}_total_ms_ratio", *totals)


def _parts(name: str, pairs: Sequence[Pair]) -> Iterator[Figure]:
    """Yield similarity and gain of each tenth of the tasks, the least similar first."""
    for at, part in enumerate(_tenths(pairs)):
        yield mean_figure(
            f"{name}_tenth_{at}_similarity", [row.best_similarity for row, _ in part], "share"
        )
        gains = _differences(part, _SCORES["edit_similarity"])
        yield mean_figure(f"{name}_tenth_{at}_edit_similarity_gain", gains, "points")


def _tenths(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    ordered = sorted(pairs, key=lambda pair: pair[0].best_similarity)
    for at in range(NUM_PARTS):
        part = ordered[at * len(ordered) // NUM_PARTS : (at + 1) * len(ordered) // NUM_PARTS]
        if part:
            yield part


def _differences(pairs: Sequence[Pair], metric: Metric) -> list[float]:
    both = ((metric(row), metric(alone)) for row, alone in pairs)
    return [one - other for one, other in both if one is not None and other is not None]


def _score_table(group: str, variants: Mapping[str, Sequence[Measured]]) -> Iterator[str]:
    columns: Mapping[str, Metric] = {
        **_SCORES,
        **_TOKENS,
        "retrieval_ms": lambda row: row.retrieval_ms,
        "total_ms": lambda row: row.total_ms,
    }
    num_tasks = len(next(iter(variants.values())))
    yield f"{f'{group} ({num_tasks})':<34}" + "".join(f"{name:>17}" for name in columns)
    for name, rows in variants.items():
        cells = (f"{_mean(map(metric, rows)):>17.1f}" for metric in columns.values())
        yield f"  {name:<32}" + "".join(cells)
    for name, pairs in _pairs(variants).items():
        for what, metric in _SCORES.items():
            gains = _differences(pairs, metric)
            if gains:
                yield f"  {name} over {ALONE}, " + _shown(mean_figure(what, gains, "points"))
    yield ""


def _similarity_table(title: str, pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield what ``AssemblyRules.min_similarity`` is chosen by.

    What resolves at the cursor is shown below a threshold, too; here it is taken for left out.
    """
    metric = _SCORES["edit_similarity"]
    yield f"{title}: gain in edit similarity by the best chunk's similarity"
    for part in _tenths(pairs):
        low, high = part[0][0].best_similarity, part[-1][0].best_similarity
        figure = mean_figure(f"{low:.3f} to {high:.3f}", _differences(part, metric), "points")
        yield f"  {_shown(figure)}"
    yield f"{title}: gain over all tasks if less similar context is left out"
    for threshold in THRESHOLDS:
        gains = [
            gain if row.best_similarity >= threshold else 0.0
            for (row, _), gain in zip(pairs, _differences(pairs, metric), strict=True)
        ]
        num_shown = sum(row.best_similarity >= threshold for row, _ in pairs)
        figure = mean_figure(f"{threshold:.2f} shows {num_shown}", gains, "points")
        yield f"  {_shown(figure)}"
    yield ""


def _source_table(title: str, pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield the gain over tasks that were shown a source; a task counts for each of its sources."""
    sources = sorted({source for row, _ in pairs for source in row.sources})
    yield f"{title}: gain in edit similarity where a source was shown"
    for source in sources:
        some = [pair for pair in pairs if source in pair[0].sources]
        gains = _differences(some, _SCORES["edit_similarity"])
        yield f"  {_shown(mean_figure(source, gains, 'points'))}"
    yield ""


def _mean(values: Iterator[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else math.nan


def _shown(figure: Figure) -> str:
    return (
        f"{figure.name:<24} {figure.value:+6.1f} {figure.unit} "
        f"[{figure.low:+.1f}, {figure.high:+.1f}] n={figure.n}"
    )
