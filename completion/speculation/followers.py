"""How often which token followed which context, in bounded memory.

One sorted array of keys, a context and its follower in 63 bits, and the counts beside it: 10 bytes for
what was seen, exact, and the followers of a context lie side by side. Adding rewrites the array, so
texts are added whole. Where there is no more room, all counts are halved and what gets to 0 is
dropped: single sightings first, and of two that are as frequent the one seen longer ago.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

TOKEN_BITS = 21  # of a token, so that three fit into a key
_MAX_COUNT = 0xFFFF
_FEW = 24  # followers that Python sorts in less time than numpy takes to be called

_Scalar = TypeVar("_Scalar", bound=np.generic)


class FollowerCounts:
    """Counts of followers. A context is any number below 2 ** 42."""

    def __init__(self, capacity: int) -> None:
        """Hold up to ``capacity`` followers of all contexts together."""
        if capacity < 1:
            raise ValueError(f"room for {capacity} followers: at least 1 is needed")
        self.capacity = capacity
        self._keys: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._counts: npt.NDArray[np.uint16] = np.empty(0, np.uint16)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def num_bytes(self) -> int:
        """The memory that is taken."""
        return self._keys.nbytes + self._counts.nbytes

    def add(self, contexts: npt.NDArray[np.int64], followers: npt.NDArray[np.int64]) -> None:
        """Count each of ``followers`` behind the context at the same index."""
        keys = contexts << TOKEN_BITS | followers
        step = max(1, self.capacity // 8)  # a text longer than the room must not drop all others
        for start in range(0, len(keys), step):
            self._merge(*np.unique(keys[start : start + step], return_counts=True))

    def likeliest(self, context: int, num: int) -> tuple[list[tuple[int, int]], int]:
        """Return up to ``num`` followers of ``context`` with their counts, and the sum of all counts.

        The most frequent come first; of equals, those of the lowest number.
        """
        bounds = (context << TOKEN_BITS, (context + 1) << TOKEN_BITS)
        start, end = self._keys.searchsorted(bounds).tolist()
        if end - start > _FEW:
            return self._likeliest_of_many(start, end, num)
        counts = self._counts[start:end].tolist()
        order = sorted(range(len(counts)), key=counts.__getitem__, reverse=True)[:num]
        return [(self._token(start + at), counts[at]) for at in order], sum(counts)

    def arrays(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
        """Return the keys and their counts; not to be changed."""
        return self._keys, self._counts

    def restore(self, keys: npt.NDArray[np.generic], counts: npt.NDArray[np.generic]) -> None:
        """Hold what another object's ``arrays`` were; raises ValueError for what cannot be those."""
        if keys.dtype != np.int64 or counts.dtype != np.uint16 or keys.ndim != 1:
            raise ValueError(f"counts of {keys.dtype} {keys.shape}: int64 [n] is needed")
        if keys.shape != counts.shape or len(keys) > self.capacity or not counts.all():
            raise ValueError(f"{counts.shape} counts of {keys.shape} keys do not fit together")
        own_keys = keys.astype(np.int64)
        if (own_keys[1:] <= own_keys[:-1]).any() or (own_keys < 0).any():
            raise ValueError("keys of counts are not sorted")
        self._keys, self._counts = own_keys, counts.astype(np.uint16)

    def _merge(self, keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        """Add ``counts``, at most as many as there is room for, to those of the same ``keys``."""
        while True:
            at = self._keys.searchsorted(keys)
            is_known = at < len(self._keys)
            is_known[is_known] = self._keys[at[is_known]] == keys[is_known]
            if len(self._keys) + len(keys) - np.count_nonzero(is_known) <= self.capacity:
                break
            self._halve()
        known = at[is_known]
        summed = self._counts[known] + counts[is_known]
        self._counts[known] = np.minimum(summed, _MAX_COUNT)
        new = at[~is_known]
        is_old = np.ones(len(self._keys) + len(new), np.bool_)
        is_old[new + np.arange(len(new))] = False
        new_counts = np.minimum(counts[~is_known], _MAX_COUNT).astype(np.uint16)
        self._counts = _woven(is_old, self._counts, new_counts)
        self._keys = _woven(is_old, self._keys, keys[~is_known])

    def _halve(self) -> None:
        self._counts >>= 1
        kept = self._counts > 0
        self._keys, self._counts = self._keys[kept], self._counts[kept]

    def _likeliest_of_many(
        self, start: int, end: int, num: int
    ) -> tuple[list[tuple[int, int]], int]:
        left = self._counts[start:end].copy()
        total = int(left.sum())
        found = []
        for _ in range(num):
            at = int(left.argmax())
            found.append((self._token(start + at), int(left[at])))
            left[at] = 0
        return found, total

    def _token(self, at: int) -> int:
        return int(self._keys[at]) & ((1 << TOKEN_BITS) - 1)


def _woven(
    is_old: npt.NDArray[np.bool_], old: npt.NDArray[_Scalar], new: npt.NDArray[_Scalar]
) -> npt.NDArray[_Scalar]:
    """Return ``old`` and ``new`` in their orders, ``old`` where ``is_old``; np.insert, for one mask."""
    woven = np.empty(len(is_old), old.dtype)
    woven[is_old], woven[~is_old] = old, new
    return woven
