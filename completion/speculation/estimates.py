"""How often proposals of each kind have been right lately."""

from __future__ import annotations

from collections.abc import Iterable

from completion.speculation.source import DraftSource

_MEMORY = 200.0  # proposals of a kind that count; older ones fade
_PRIOR_WEIGHT = 8.0  # proposals that the assumption is worth

Evidence = tuple[str, int]  # a source's name, and a grade


class AcceptanceEstimates:
    """The share of right proposals, by source and grade. Engine thread only."""

    def __init__(self) -> None:
        self._counts: dict[Evidence, list[float]] = {}  # right ones, all

    def add(self, source: DraftSource) -> None:
        """Start with what ``source`` assumes of itself, unless it is known already."""
        for grade, prior in enumerate(source.grades):
            start = [prior * _PRIOR_WEIGHT, _PRIOR_WEIGHT]
            self._counts.setdefault((source.name, grade), start)

    def probability(self, evidence: Iterable[Evidence]) -> float:
        """Return how likely a token is that all of ``evidence`` proposes: as its best one says."""
        return max(right / total for right, total in map(self._counts.__getitem__, evidence))

    def share(self, source: DraftSource) -> float:
        """Return the share of right proposals of ``source``, whatever their grade."""
        counts = [self._counts[source.name, grade] for grade in range(len(source.grades))]
        return sum(right for right, _ in counts) / sum(total for _, total in counts)

    def note(self, evidence: Iterable[Evidence], *, was_right: bool) -> None:
        """Take in whether a proposal was right."""
        for one in evidence:
            counts = self._counts[one]
            if counts[1] >= _MEMORY:
                counts[0] *= 1 - 1 / _MEMORY
                counts[1] *= 1 - 1 / _MEMORY
            counts[0] += was_right
            counts[1] += 1
