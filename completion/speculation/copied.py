"""Drafts copied from text at hand: what followed the longest stretch that ends like this one.

A suffix automaton answers the same question in less time per token, but has to be built: 2,000 tokens
take it longer than a keystroke may, and any edit before them asks for another one. Comparing the
last token with all of the text at once, then the one before it where that fitted, takes tens of
microseconds and no preparation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from completion.speculation.source import MAX_NUM_TAIL_TOKENS, DraftPlace, DraftSource, Proposal

_LENGTHS = (1, 2, 3, 4, 5, 7, 10, 16)  # of the match: the least of each grade
_NUM_RANKS = 2  # continuations of the longest match that are proposed
_SHARES = (0.18, 0.3, 0.42, 0.52, 0.6, 0.7, 0.8, 0.88)  # right ones of rank 0, by length
_RUNNER_UP = 0.25  # as often right as the first
_BETWEEN = -1  # stands between texts, equals no token


class CopiedText(DraftSource):
    """Texts of which a part may come again: prompt, text around it, what was deleted or suggested."""

    name = "copied"
    grades = (*_SHARES, *(share * _RUNNER_UP for share in _SHARES))

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        """Copy from ``texts``, the most relevant first."""
        pieces = [piece for text in texts for piece in (text, (_BETWEEN,))]
        # Blank space in front: a match may reach back over the first token without a check.
        padding = np.full(MAX_NUM_TAIL_TOKENS, _BETWEEN, dtype=np.int64)
        parts = [padding, *(np.asarray(piece, dtype=np.int64) for piece in pieces)]
        self._text: npt.NDArray[np.int64] = np.concatenate(parts)

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``: the two likeliest continuations of the longest match."""
        if not place.tail:
            return []
        ends, length = self._longest_match(place.tail)
        if not length:
            return []
        followers = self._text[ends + 1]
        found, firsts, counts = np.unique(followers, return_index=True, return_counts=True)
        order = np.lexsort((firsts, -counts))[:_NUM_RANKS]
        grade = np.searchsorted(_LENGTHS, length, side="right") - 1
        return [
            Proposal(int(found[at]), int(grade) + rank * len(_LENGTHS))
            for rank, at in enumerate(order)
        ]

    def _longest_match(self, tail: Sequence[int]) -> tuple[npt.NDArray[np.int64], int]:
        """Return where the longest end of ``tail`` that the text holds ends there, and its length."""
        # The last token of a text has no follower; without this the prompt would match its own end.
        is_end = (self._text[:-1] == tail[-1]) & (self._text[1:] != _BETWEEN)
        ends = np.flatnonzero(is_end)
        length = min(1, len(ends))
        for back, token_id in enumerate(tail[-2::-1], start=1):
            longer = ends[self._text[ends - back] == token_id]
            if not len(longer):
                break
            ends, length = longer, back + 1
        return ends, length
