"""Vectors as the rows of a matrix, all of which a search compares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from retrieval.dense.embedder import Vectors
from retrieval.dense.storage import Write
from retrieval.dense.threads import one_thread

Keys = npt.NDArray[np.uint64]  # [num_vectors]
Scores = npt.NDArray[np.float32]  # [num_found]


class FlatVectors:
    """Exact, and a change costs no more than the rows it changes.

    Not to be changed while another thread is inside: ``VectorIndex`` sees to that.
    """

    def __init__(self, keys: Keys, vectors: Vectors) -> None:
        self._keys = keys
        self._vectors = vectors  # the first len(self) rows are in use, as of _keys
        self._row_of = {key: row for row, key in enumerate(keys.tolist())}

    @classmethod
    def opened(cls, files: Mapping[str, Path], dimension: int) -> FlatVectors:
        """Map the files that ``writers`` wrote; what is changed later is changed in memory only.

        Raises OSError or ValueError.
        """
        keys: Keys = np.load(files["keys"])
        vectors: Vectors = np.asarray(np.load(files["flat"], mmap_mode="c"))
        if vectors.shape != (*keys.shape, dimension):
            raise ValueError(f"it holds keys {keys.shape} and vectors {vectors.shape}")
        return cls(keys, vectors)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def keys(self) -> Collection[int]:
        """What has a vector; a view."""
        return self._row_of.keys()

    def put(self, keys: Sequence[int], vectors: Vectors) -> None:
        """Add or replace the vectors [num_keys, dimension] of ``keys``, which are distinct."""
        rows = [self._row_of.setdefault(key, len(self._row_of)) for key in keys]
        if len(self) > len(self._keys):
            self._grow(2 * len(self))
        self._keys[rows] = np.array(keys, np.uint64)
        self._vectors[rows] = vectors

    def remove(self, keys: Iterable[int]) -> None:
        """Remove the vectors of ``keys``, which all are there; the last rows fill the gaps."""
        for key in keys:
            row = self._row_of.pop(key)
            last = len(self._row_of)
            if row != last:
                self._vectors[row] = self._vectors[last]
                self._keys[row] = self._keys[last]
                self._row_of[int(self._keys[last])] = row

    def search(self, vector: Vectors, k: int) -> tuple[Keys, Scores]:
        """Return the keys and inner products of the ``k`` <= len(self) nearest to [1, dimension]."""
        keys, vectors = self.content()
        with one_thread() as faiss:
            scores, rows = faiss.knn(vector, vectors, k, faiss.METRIC_INNER_PRODUCT)
        return keys[rows[0]], scores[0]

    def content(self) -> tuple[Keys, Vectors]:
        """Return all keys and their vectors; views."""
        return self._keys[: len(self)], self._vectors[: len(self)]

    def writers(self) -> dict[str, Write]:
        """Return what writes each file of this store."""
        keys, vectors = self.content()
        return {"keys": partial(np.save, arr=keys), "flat": partial(np.save, arr=vectors)}

    def _grow(self, num_rows: int) -> None:
        num_used = len(self._keys)
        keys = np.empty(num_rows, np.uint64)
        vectors = np.empty((num_rows, self._vectors.shape[1]), np.float32)
        keys[:num_used], vectors[:num_used] = self._keys, self._vectors
        self._keys, self._vectors = keys, vectors
