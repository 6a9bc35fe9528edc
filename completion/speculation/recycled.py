"""Drafts recycled from passes: the model's likeliest tokens behind each token it has just seen.

A pass computes the distribution behind each of its rows, and decoding uses one token of it, or none
where a draft was rejected. The runners-up are kept by token (Token Recycling, arXiv 2408.08696): no
preparation and no text to match, and all drafts that come of it are the model's own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from completion.speculation.draft_store import Arrays
from completion.speculation.source import DraftPlace, DraftSource, Proposal, VerifiedPass

NUM_SUCCESSORS = 8
_CAPACITY = 1 << 15  # tokens: with an index over 262,144 of them just below 2 MB
_MAX_CAPACITY = 0xFFFF
_NONE = 0xFFFF  # in the index: no row
_NO_TOKEN = -1


class RecycledTokens(DraftSource):
    """The likeliest successors of tokens, those of the last pass that had the token."""

    name = "recycled"
    grades = (0.26, 0.08, 0.035, 0.03, 0.022, 0.018, 0.012, 0.01)
    learns = True

    def __init__(self, vocab_size: int, capacity: int = _CAPACITY) -> None:
        """Remember ``capacity`` of ``vocab_size`` tokens; those written last, if it is fewer."""
        capacity = min(capacity, vocab_size)
        if not 0 < capacity <= _MAX_CAPACITY:
            raise ValueError(f"{capacity} tokens: a capacity from 1 to {_MAX_CAPACITY} is needed")
        self._rows: npt.NDArray[np.uint16] = np.full(vocab_size, _NONE, np.uint16)  # by token
        self._token_ids: npt.NDArray[np.int32] = np.full(capacity, _NO_TOKEN, np.int32)
        self._successors: npt.NDArray[np.int32] = np.full(
            (capacity, NUM_SUCCESSORS), _NO_TOKEN, np.int32
        )
        self._written: npt.NDArray[np.int64] = np.zeros(capacity, np.int64)  # 0: never
        self._num_written = 0

    @property
    def num_bytes(self) -> int:
        """The memory that is taken."""
        arrays = (self._rows, self._token_ids, self._successors, self._written)
        return sum(array.nbytes for array in arrays)

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``: the grade is the rank."""
        if not place.tail:
            return []
        row = self._rows[place.tail[-1]]
        if row == _NONE:
            return []
        successors = self._successors[row].tolist()
        return [Proposal(each, rank) for rank, each in enumerate(successors) if each != _NO_TOKEN]

    def learn(self, verified: VerifiedPass) -> None:
        """See ``DraftSource``. Of rows with the same token, the last one counts."""
        likeliest = verified.likeliest[:, :NUM_SUCCESSORS]
        for token_id, successors in zip(verified.token_ids, likeliest, strict=True):
            row = self._row_of(token_id)
            self._successors[row, : len(successors)] = successors
            self._successors[row, len(successors) :] = _NO_TOKEN
            self._num_written += 1
            self._written[row] = self._num_written

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what was learnt: tokens and their successors, the one written last at the end."""
        order = np.argsort(self._written)[np.count_nonzero(self._written == 0) :]
        return {"token_ids": self._token_ids[order], "successors": self._successors[order]}

    def restore(self, arrays: Arrays) -> None:
        """Know what another object's ``arrays`` held, as far as there is room, and nothing else.

        Raises KeyError or ValueError for what cannot be those.
        """
        token_ids, successors = arrays["token_ids"], arrays["successors"]
        self._check(token_ids, successors)
        num = min(len(token_ids), len(self._token_ids))
        kept = slice(len(token_ids) - num, None)
        self._rows[:], self._written[:] = _NONE, 0
        self._token_ids[:num], self._token_ids[num:] = token_ids[kept], _NO_TOKEN
        self._successors[:num] = successors[kept]
        self._rows[self._token_ids[:num]] = np.arange(num)
        self._written[:num] = np.arange(1, num + 1)
        self._num_written = num

    def _row_of(self, token_id: int) -> int:
        """Return the row of ``token_id``, if need be that which was written longest ago."""
        row = int(self._rows[token_id])
        if row == _NONE:
            row = int(self._written.argmin())
            if self._token_ids[row] != _NO_TOKEN:
                self._rows[self._token_ids[row]] = _NONE
            self._token_ids[row] = token_id
            self._rows[token_id] = row
        return row

    def _check(
        self, token_ids: npt.NDArray[np.generic], successors: npt.NDArray[np.generic]
    ) -> None:
        if token_ids.dtype != np.int32 or successors.dtype != np.int32:
            raise ValueError(f"tokens of {token_ids.dtype}, {successors.dtype}: int32 is needed")
        if token_ids.ndim != 1 or successors.shape != (len(token_ids), NUM_SUCCESSORS):
            raise ValueError(f"{successors.shape} successors of {token_ids.shape} tokens")
        ids, vocab_size = token_ids.astype(np.int64), len(self._rows)
        if len(np.unique(ids)) < len(ids) or not _all_within(ids, 0, vocab_size):
            raise ValueError(f"tokens are not different ones of {vocab_size}")
        if not _all_within(successors.astype(np.int64), _NO_TOKEN, vocab_size):
            raise ValueError(f"successors are not in the vocabulary of {vocab_size}")


def _all_within(token_ids: npt.NDArray[np.int64], start: int, end: int) -> bool:
    return bool(((token_ids >= start) & (token_ids < end)).all())
