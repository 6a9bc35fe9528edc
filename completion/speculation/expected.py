"""Drafts of text that is known to come, or was expected before: forced text, the last suggestion."""

from __future__ import annotations

from collections.abc import Sequence

from completion.speculation.source import DraftPlace, DraftSource, Proposal

FORCED, SUGGESTED, OLDER = range(3)


class ExpectedText(DraftSource):
    """Whole outputs that were foreseen; each is proposed while the output follows it."""

    name = "expected"
    grades = (0.97, 0.85, 0.6)

    def __init__(self, outputs: Sequence[tuple[Sequence[int], int]]) -> None:
        """Expect ``outputs``, the likeliest first, each with its grade."""
        self._outputs = [(tuple(token_ids), grade) for token_ids, grade in outputs]

    def add(self, output: Sequence[int]) -> None:
        """Expect ``output`` as well."""
        self._outputs.append((tuple(output), OLDER))

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``."""
        at = len(place.output)
        found: dict[int, int] = {}
        for token_ids, grade in self._outputs:
            if at < len(token_ids) and token_ids[:at] == place.output:
                found.setdefault(token_ids[at], grade)
        return [Proposal(token_id, grade) for token_id, grade in found.items()]
