"""Observations, counted: by day, language and model, and in all."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lsp_server.learning.adaptation import adapt, explain, seen
from lsp_server.learning.observation import KEPT_AFTER_S, Acceptance, Observation

_Z_95 = 1.96
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """Of ``num_measured`` accepted characters that were looked for later, how many were left."""

    num_measured: float = 0.0
    num_kept: float = 0.0

    @property
    def ratio(self) -> float | None:
        """The part that was left; None if nothing was measured."""
        return self.num_kept / self.num_measured if self.num_measured else None


@dataclass(frozen=True, slots=True)
class Counts:
    """One row of the table. ``accepted`` were taken whole, ``partly`` in part, ``typed`` by hand.

    ``interval`` is where the acceptance rate lies with 95 % certainty, None without a suggestion.
    """

    shown: int
    accepted: int
    partly: int
    typed: int
    dismissed: int
    accepted_chars: int
    interval: tuple[float, float] | None
    kept: dict[int, Kept]
    latency_p50_ms: float | None
    latency_p95_ms: float | None

    @property
    def rate(self) -> float | None:
        """The part of shown suggestions that was accepted, whole or in part."""
        return (self.accepted + self.partly) / self.shown if self.shown else None

    def as_json(self) -> dict[str, object]:
        """Return the row as ``--json`` prints it."""
        low, high = self.interval or (None, None)
        return {
            "shown": self.shown,
            "accepted": self.accepted,
            "partly": self.partly,
            "typed": self.typed,
            "dismissed": self.dismissed,
            "acceptance": {"rate": self.rate, "low": low, "high": high},
            "accepted_chars": self.accepted_chars,
            "kept": {
                str(after_s): {
                    "ratio": kept.ratio,
                    "chars": round(kept.num_kept),
                    "measured_chars": round(kept.num_measured),
                }
                for after_s, kept in self.kept.items()
            },
            "latency_ms": {"p50": self.latency_p50_ms, "p95": self.latency_p95_ms},
        }


@dataclass(frozen=True, slots=True)
class Group:
    """The suggestions of one ``day`` (in local time), language and model."""

    day: str
    language: str
    model: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Summary:
    """All that ``fimble stats`` tells."""

    groups: Sequence[Group]
    total: Counts
    learnt: Sequence[str]

    def as_json(self) -> dict[str, object]:
        """Return the object of ``--json`` and of ``GET /v1/stats``."""
        return {
            "schema": SCHEMA,
            "groups": [
                {
                    "day": group.day,
                    "language": group.language,
                    "model": group.model,
                    **group.counts.as_json(),
                }
                for group in self.groups
            ],
            "total": self.total.as_json(),
            "learnt": list(self.learnt),
        }


def summarize(
    observations: Sequence[Observation],
    now: float,
    min_confidence: float,
    local_time: Callable[[float], time.struct_time] = time.localtime,
) -> Summary:
    """Count what was shown; days are those of ``local_time``, newest first."""
    visible = seen(observations)
    grouped: dict[tuple[str, str, str], list[Observation]] = defaultdict(list)
    by_model: dict[str, list[Observation]] = defaultdict(list)
    for each in visible:
        day = time.strftime("%Y-%m-%d", local_time(each.at))
        grouped[day, each.language, each.model].append(each)
        by_model[each.model].append(each)
    order = sorted(sorted(grouped), key=lambda key: key[0], reverse=True)
    learnt = [
        sentence
        for model in sorted(by_model)
        for sentence in explain(adapt(by_model[model], now), model, min_confidence)
    ]
    groups = [Group(*key, count(grouped[key])) for key in order]
    return Summary(groups, count(visible), learnt)


def count(observations: Sequence[Observation]) -> Counts:
    """Return the figures of ``observations``, all of which were shown."""

    def total(holds: Callable[[Observation], object]) -> int:
        return sum(each.weight for each in observations if holds(each))

    shown = total(lambda _: True)
    accepted = total(lambda each: each.accepted == Acceptance.ALL)
    partly = total(lambda each: each.accepted == Acceptance.PART)
    latencies = sorted(each.latency_ms for each in observations if each.latency_ms is not None)
    rate = (accepted + partly) / shown if shown else 0.0
    return Counts(
        shown=shown,
        accepted=accepted,
        partly=partly,
        typed=total(lambda each: each.typed),
        dismissed=total(lambda each: each.dismissed),
        accepted_chars=sum(each.weight * each.accepted_chars for each in observations),
        # Rows that stand for several add no certainty.
        interval=wilson_interval(rate, len(observations)) if observations else None,
        kept={after_s: _kept(observations, after_s) for after_s in KEPT_AFTER_S},
        latency_p50_ms=percentile(latencies, 0.5),
        latency_p95_ms=percentile(latencies, 0.95),
    )


def wilson_interval(rate: float, num_trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a probability that came out as ``rate`` in ``num_trials`` trials.

    Wilson's score interval, which stays within 0 and 1 and is sound for few trials.
    """
    squared = _Z_95 * _Z_95 / num_trials
    centre = (rate + squared / 2) / (1 + squared)
    spread = _Z_95 * math.sqrt(rate * (1 - rate) / num_trials + squared / (4 * num_trials))
    margin = spread / (1 + squared)
    return max(0.0, centre - margin), min(1.0, centre + margin)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value below which ``share`` of the ``ordered`` values lie; None if there are none."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _kept(observations: Iterable[Observation], after_s: int) -> Kept:
    num_measured = num_kept = 0.0
    for each in observations:
        ratio = each.kept(after_s)
        if ratio is not None and each.accepted:
            num_chars = each.weight * each.accepted_chars
            num_measured += num_chars
            num_kept += ratio * num_chars
    return Kept(num_measured, num_kept)
