"""The figures of ``benchmarks.head_to_head``.

Keys of one stretch are alike, so intervals come from drawing whole stretches. Where fimble is
compared with llama.cpp, each measurement takes the quantisation that is best at it.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

from benchmarks.figures import NUM_RESAMPLES, Figure
from benchmarks.head_to_head_scores import Key, Replay

OURS = "fimble"  # the side that the others are compared with
ALL = "all"
INTERVAL = "bootstrap 95 % over stretches"
NOTES = (
    "paused: keys after which the person rested 250 ms or more; every: all keys",
    "shown: keys with a suggestion before the next key; line_ms: from such a key to its suggestion, "
    "one from a cache included; who shows only what is quick has a small line_ms and a small share",
    "waited_ms: from any key to its suggestion, or to the next key if that came first; both: only "
    "keys for which both sides showed something",
    "match: keys after which the person wrote more in the line and the line shown was the one they "
    "left, nothing shown being no match; match_of_shown: of those with something shown",
    "none_REASON: keys with nothing to show, by fimble's own reason for it; late: the answer was not "
    "there before the next key",
    "correct_chars: what is right of a suggestion's first line before its first error",
    "cpu_s_per_key: of the server, in requests, ahead of them and while nobody asks",
    "asked_tokens: of prompts, computed for questions about the cursor that were answered; "
    "computed_tokens: all, for speculation, the ring, patching ahead, healing and questions that "
    "were taken back too",
    "ratio: fimble over the best quantisation of llama.cpp; match_change: fimble less the best",
    "Time is real for fimble and the plugin's clock for llama.cpp, whose answers arrive as much "
    "later as they took; the first prompt of a stretch is not counted on either side",
)

Clusters = Sequence[Sequence[float]]
Statistic = Callable[[Sequence[float]], float]
Cost = Callable[[Replay], float | None]
Stretches = Sequence[Mapping[str, Replay]]  # each with its replay on every side

COSTS: Mapping[str, tuple[Cost, str]] = {
    "cpu_s": (lambda replay: replay.cpu_s, "s"),
    "asked_tokens": (lambda replay: replay.num_asked_tokens, "tokens"),
    "computed_tokens": (lambda replay: replay.num_computed_tokens, "tokens"),
}


class Population(StrEnum):
    """Which keys are looked at."""

    PAUSED = "paused"
    EVERY = "every"


def figures_of(replays: Sequence[Replay]) -> list[Figure]:
    """Return what is known of each language and of all of them, from stretches all sides have."""
    complete = complete_stretches(replays)
    if not complete:
        return []
    languages = dict.fromkeys(replay.language for found in complete for replay in found.values())
    found = [
        figure
        for language in (*languages, ALL)
        for figure in _of_language(language, [one for one in complete if _is_of(one, language)])
    ]
    return [figure for figure in found if figure is not None]


def complete_stretches(replays: Sequence[Replay]) -> list[dict[str, Replay]]:
    """Return the replays of each stretch by side, for stretches that every side has replayed."""
    sides = {replay.side.name for replay in replays}
    found: dict[str, dict[str, Replay]] = {}
    for replay in replays:
        found.setdefault(replay.stretch_id, {})[replay.side.name] = replay
    return [by_side for by_side in found.values() if by_side.keys() == sides]


def _is_of(by_side: Mapping[str, Replay], language: str) -> bool:
    return language == ALL or any(replay.language == language for replay in by_side.values())


def _of_language(language: str, stretches: Stretches) -> Iterator[Figure | None]:
    sides = sorted(stretches[0])
    for side in sides:
        yield from _costs(f"{language}_{side}", [found[side] for found in stretches])
    yield from _cost_ratios(language, stretches)
    for population in Population:
        prefix = f"{language}_{population}"
        for side in sides:
            yield from _of_side(f"{prefix}_{side}", _keys(stretches, side, population))
        yield from _comparisons(prefix, stretches, population)


def _costs(prefix: str, replays: Sequence[Replay]) -> Iterator[Figure | None]:
    for name, (cost, unit) in COSTS.items():
        yield _figure(f"{prefix}_{name}_per_key", _per_key(replays, cost), statistics.fmean, unit)


def _cost_ratios(language: str, stretches: Stretches) -> Iterator[Figure | None]:
    for name in ("cpu_s", "computed_tokens"):  # only a part of fimble's tokens is asked for
        cost, _ = COSTS[name]
        by_side = {
            side: _per_key([found[side] for found in stretches], cost) for side in stretches[0]
        }
        ours, theirs = _against_best(by_side, statistics.fmean)
        yield _ratio(f"{language}_{name}_ratio", ours, theirs, statistics.fmean)


def _per_key(replays: Sequence[Replay], cost: Cost) -> Clusters:
    """Return a cost for each stretch; nothing if it is not known of all."""
    costs = [cost(replay) for replay in replays]
    found = [
        [one / len(replay.keys)]
        for one, replay in zip(costs, replays, strict=True)
        if one is not None
    ]
    return found if len(found) == len(replays) else []


def _keys(stretches: Stretches, side: str, population: Population) -> list[list[Key]]:
    return [
        [key for key in found[side].keys if key.is_paused or population is Population.EVERY]
        for found in stretches
    ]


def _of_side(prefix: str, keys: Sequence[Sequence[Key]]) -> Iterator[Figure | None]:
    shown = [[key for key in some if key.ms is not None] for some in keys]
    telling = [[key for key in some if key.is_telling] for some in shown]
    is_shown = [[100.0 * (key.ms is not None) for key in some] for some in keys]
    is_cached = [[100.0 * key.is_from_cache for key in some] for some in shown]
    correct = [[float(key.num_correct) for key in some] for some in telling]
    yield _figure(f"{prefix}_shown", is_shown, statistics.fmean, "%")
    yield _figure(f"{prefix}_shown_from_cache", is_cached, statistics.fmean, "%")
    yield _figure(f"{prefix}_line_ms_p50", _line_ms(keys), p50, "ms")
    yield _figure(f"{prefix}_line_ms_p95", _line_ms(keys), p95, "ms")
    yield _figure(f"{prefix}_waited_ms_p50", _waited_ms(keys), p50, "ms")
    yield _figure(f"{prefix}_waited_ms_p95", _waited_ms(keys), p95, "ms")
    yield _figure(f"{prefix}_match", _matches(keys), statistics.fmean, "%")
    yield _figure(f"{prefix}_match_of_shown", _matches(telling), statistics.fmean, "%")
    yield _figure(f"{prefix}_correct_chars", correct, statistics.fmean, "characters")
    for reason in sorted({key.reason for some in keys for key in some if key.reason}):
        is_reason = [[100.0 * (key.reason == reason) for key in some] for some in keys]
        yield _figure(f"{prefix}_none_{reason}", is_reason, statistics.fmean, "%")


def _line_ms(keys: Sequence[Sequence[Key]]) -> Clusters:
    return [[key.ms for key in some if key.ms is not None] for some in keys]


def _waited_ms(keys: Sequence[Sequence[Key]]) -> Clusters:
    return [[key.pause_ms if key.ms is None else key.ms for key in some] for some in keys]


def _matches(keys: Sequence[Sequence[Key]]) -> Clusters:
    return [[100.0 * key.is_match for key in some if key.is_telling] for some in keys]


def _comparisons(
    prefix: str, stretches: Stretches, population: Population
) -> Iterator[Figure | None]:
    keys = {side: _keys(stretches, side, population) for side in stretches[0]}
    line_ms = {side: _line_ms(some) for side, some in keys.items()}
    waited_ms = {side: _waited_ms(some) for side, some in keys.items()}
    both = {side: _line_ms_of_both(keys[OURS], some) for side, some in keys.items() if side != OURS}
    for name, statistic in (("p50", p50), ("p95", p95)):
        for measure, by_side in (("line", line_ms), ("waited", waited_ms)):
            ours, theirs = _against_best(by_side, statistic)
            yield _ratio(f"{prefix}_{measure}_{name}_ratio", ours, theirs, statistic)
        ratios = [
            _ratio(f"{prefix}_both_line_{name}_ratio", *pair, statistic) for pair in both.values()
        ]
        yield max((one for one in ratios if one), key=lambda one: one.value, default=None)
    changes = [
        _match_change(f"{prefix}_match_change", keys[OURS], some)
        for side, some in keys.items()
        if side != OURS
    ]
    yield min((one for one in changes if one), key=lambda one: one.value, default=None)


def _line_ms_of_both(
    ours: Sequence[Sequence[Key]], theirs: Sequence[Sequence[Key]]
) -> tuple[Clusters, Clusters]:
    pairs = [
        [
            (a.ms, b.ms)
            for a, b in zip(some, others, strict=True)
            if a.ms is not None and b.ms is not None
        ]
        for some, others in zip(ours, theirs, strict=True)
    ]
    return [[a for a, _ in some] for some in pairs], [[b for _, b in some] for some in pairs]


def _match_change(
    name: str, ours: Sequence[Sequence[Key]], theirs: Sequence[Sequence[Key]]
) -> Figure | None:
    changes = [
        [
            100.0 * (a.is_match - b.is_match)
            for a, b in zip(some, others, strict=True)
            if a.is_telling
        ]
        for some, others in zip(ours, theirs, strict=True)
    ]
    return _figure(name, changes, statistics.fmean, "points")


def _against_best(
    by_side: Mapping[str, Clusters], statistic: Statistic
) -> tuple[Clusters, Clusters]:
    """Return fimble's values and those of the rival whose statistic is smallest."""
    rivals = [some for side, some in by_side.items() if side != OURS and any(some)]
    best = min(rivals, key=lambda some: statistic(_flat(some)), default=[])
    return by_side[OURS], best


def _ratio(name: str, ours: Clusters, theirs: Clusters, statistic: Statistic) -> Figure | None:
    """Return how ours relates to theirs, ``None`` unless both are known and theirs is not 0."""

    def ratio(drawn: Sequence[int]) -> float | None:
        above = _flat([ours[idx] for idx in drawn])
        below = _flat([theirs[idx] for idx in drawn])
        return statistic(above) / statistic(below) if above and any(below) else None

    value = ratio(range(len(ours))) if any(theirs) else None
    if value is None:
        return None
    low, high = _bounds(len(ours), ratio)
    return Figure(name, value, "x", len(_flat(ours)), value, low, high, INTERVAL)


def _figure(name: str, clusters: Clusters, statistic: Statistic, unit: str) -> Figure | None:
    """Return a statistic of all values, ``None`` if there are none."""
    values = _flat(clusters)
    if not values:
        return None

    def drawn_value(drawn: Sequence[int]) -> float | None:
        found = _flat([clusters[idx] for idx in drawn])
        return statistic(found) if found else None

    low, high = _bounds(len(clusters), drawn_value)
    median = statistics.median(values)
    return Figure(name, statistic(values), unit, len(values), median, low, high, INTERVAL)


def _bounds(
    num_stretches: int, statistic: Callable[[Sequence[int]], float | None]
) -> tuple[float, float]:
    rng = random.Random(0)
    draws = (rng.choices(range(num_stretches), k=num_stretches) for _ in range(NUM_RESAMPLES))
    values = [value for drawn in draws if (value := statistic(drawn)) is not None]
    return percentile(values, 2.5), percentile(values, 97.5)


def _flat(clusters: Clusters) -> list[float]:
    return [value for some in clusters for value in some]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that ``percent`` of the values do not exceed, interpolated."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def p50(values: Sequence[float]) -> float:
    """Return the median."""
    return percentile(values, 50)


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return percentile(values, 95)
