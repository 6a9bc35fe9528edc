"""How often proposals of each kind have been right lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from completion.speculation.source import DraftSource

_MEMORY = 200.0  # proposals of a kind that count; older ones fade
_PRIOR_WEIGHT = 8.0  # proposals that the assumption is worth
_HIT_PRIOR = 0.6  # of calls of a source, before any was made
# Of what is known of a source, each time it is not worth asking. Where it is wrong, it is then asked
# at a tenth of the places; with a hundredth it was at most of them, and cost a tenth of all time.
_FADING = 0.0003

Evidence = tuple[str, int]  # a source's name, and a grade


class _Share:
    """A share of successes, of which the latest count most."""

    def __init__(self, prior: float) -> None:
        self._prior = prior
        self._right, self._total = prior * _PRIOR_WEIGHT, _PRIOR_WEIGHT

    @property
    def value(self) -> float:
        return self._right / self._total

    def note(self, *, was_right: bool) -> None:
        if self._total >= _MEMORY:
            self._right *= 1 - 1 / _MEMORY
            self._total *= 1 - 1 / _MEMORY
        self._right += was_right
        self._total += 1

    def fade(self) -> None:
        """Trust what was seen a little less."""
        self._right += _FADING * (self._prior * self._total - self._right)


class AcceptanceEstimates:
    """The share of right proposals, by source and grade. Engine thread only."""

    def __init__(self) -> None:
        self._shares: dict[Evidence, _Share] = {}
        self._hits: dict[str, _Share] = {}

    def add(self, source: DraftSource) -> None:
        """Start with what ``source`` assumes of itself, unless it is known already."""
        self._hits.setdefault(source.name, _Share(_HIT_PRIOR))
        for grade, prior in enumerate(source.grades):
            self._shares.setdefault((source.name, grade), _Share(prior))

    def probability(self, evidence: Iterable[Evidence]) -> float:
        """Return how likely a token is that all of ``evidence`` proposes: as its best one says."""
        return max(self._shares[one].value for one in evidence)

    def hit_rate(self, source: DraftSource) -> float:
        """Return the share of places at which a draft of ``source`` was right."""
        return self._hits[source.name].value

    def note_unasked(self, source: DraftSource) -> None:
        """Take in that ``source`` was not worth asking; it is tried again after a while."""
        self._hits[source.name].fade()

    def note(
        self, proposals: Mapping[int, Iterable[Evidence]], token_id: int, *, was_drafted: bool
    ) -> None:
        """Take in that ``token_id`` was right where ``proposals`` were made, by token.

        Only if it ``was_drafted`` did those who proposed it save anything.
        """
        hits: dict[str, bool] = {}
        for proposed, evidence in proposals.items():
            for one in evidence:
                self._shares[one].note(was_right=proposed == token_id)
                was_hit = was_drafted and proposed == token_id
                hits[one[0]] = hits.get(one[0], False) or was_hit
        for name, was_right in hits.items():
            self._hits[name].note(was_right=was_right)
