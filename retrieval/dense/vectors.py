"""The nearest neighbours of a vector among those of a workspace's chunks."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.dense import storage
from retrieval.dense.embedder import Vectors
from retrieval.dense.flat import FlatVectors
from retrieval.dense.inverted import InvertedVectors, wanted_num_lists

# Comparing so many takes half a millisecond, which no request notices; lists would cost recall.
MAX_NUM_FLAT = 20_000


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A chunk by its key, and its vector's inner product with the one searched for: 1 is equal."""

    key: int
    score: float


class VectorIndex:
    """Vectors by ``Chunk.key``. Every method may be called from any thread.

    A key stands for content and not for a place: the same chunk in several files has one vector,
    and a chunk that is gone keeps its until ``retain`` sweeps it, so that undoing an edit or
    switching branches embeds nothing anew. Whoever searches drops the keys that stand nowhere.

    Small indexes are exact. ``train`` makes a large one approximate, and its searches fast.
    A search waits for a change to memory, and never for training or saving.
    """

    def __init__(self, embedder_name: str, dimension: int, folder: Path | None = None) -> None:
        """Make an empty index, which ``save`` writes to ``folder``; with None it cannot be saved."""
        self._identity: dict[str, str | int] = {"embedder": embedder_name, "dimension": dimension}
        self._dimension = dimension
        self.folder = folder
        self._changing = threading.Lock()  # held for a whole change; taken before _accessing
        self._accessing = threading.Lock()  # held while memory is read or changed
        empty = np.empty((0, dimension), np.float32)
        self._stored: FlatVectors | InvertedVectors = FlatVectors(np.empty(0, np.uint64), empty)
        self._num_unsaved = 0

    @classmethod
    def open(cls, folder: Path, embedder_name: str, dimension: int) -> VectorIndex:
        """Return what was saved in ``folder``, mapped into memory; empty if nothing was.

        Raises:
            VectorsMismatchError: The vectors there are another embedder's, or of another version.
            VectorsCorruptError: They cannot be read.
        """

        def build(files: Mapping[str, Path]) -> FlatVectors | InvertedVectors:
            kind = InvertedVectors if "inverted" in files else FlatVectors
            return kind.opened(files, dimension)

        index = cls(embedder_name, dimension, folder)
        index._stored = storage.load(folder, index._identity, build) or index._stored
        return index

    def __len__(self) -> int:
        return len(self._stored)

    def __contains__(self, key: object) -> bool:
        return key in self._stored.keys

    @property
    def embedder_name(self) -> str:
        """Whose vectors these are."""
        return str(self._identity["embedder"])

    @property
    def dimension(self) -> int:
        """How many components a vector has."""
        return self._dimension

    @property
    def num_unsaved(self) -> int:
        """How many vectors changed, also by ``train``, since the index was opened or saved."""
        return self._num_unsaved

    @property
    def is_worth_training(self) -> bool:
        """Whether ``train`` would make searches faster."""
        stored = self._stored
        if isinstance(stored, FlatVectors):
            return len(stored) > MAX_NUM_FLAT
        return wanted_num_lists(len(stored)) >= 2 * stored.num_lists

    def add(self, keys: Sequence[int], vectors: Vectors) -> None:
        """Add or replace the vectors [len(keys), dimension]; of equal keys the last one counts.

        Raises ValueError if the shape is another or a component is not finite.
        """
        self._check(vectors, (len(keys), self._dimension))
        row_of = {key: row for row, key in enumerate(keys)}
        if not row_of:
            return
        rows = np.ascontiguousarray(vectors[list(row_of.values())], np.float32)
        with self._changing, self._accessing:
            self._stored.put(list(row_of), rows)
            self._num_unsaved += len(row_of)

    def remove(self, keys: Iterable[int]) -> int:
        """Remove the vectors of ``keys`` and return how many of them were there."""
        with self._changing, self._accessing:
            present = {key for key in keys if key in self._stored.keys}
            self._stored.remove(present)
            self._num_unsaved += len(present)
        return len(present)

    def retain(self, live: Collection[int]) -> int:
        """Remove the vectors of all other keys than ``live`` and return how many those were."""
        with self._changing, self._accessing:
            dead = set(self._stored.keys).difference(live)
            self._stored.remove(dead)
            self._num_unsaved += len(dead)
        return len(dead)

    def search(self, vector: Vectors, k: int) -> list[Neighbour]:
        """Return up to ``k`` neighbours of ``vector`` [dimension], nearest first.

        Raises ValueError if the shape is another or a component is not finite.
        """
        self._check(vector, (self._dimension,))
        query = np.ascontiguousarray(vector[None], np.float32)
        with self._accessing:
            num_wanted = min(k, len(self._stored))
            if num_wanted <= 0:
                return []
            keys, scores = self._stored.search(query, num_wanted)
        found = zip(keys.tolist(), scores.tolist(), strict=True)
        return [Neighbour(key, score) for key, score in found]

    def train(self) -> None:
        """Sort the vectors into lists by k-means, so that a search need not compare all of them.

        Takes seconds for 100,000, during which searches go on and changes wait. Does nothing to
        an empty index.
        """
        with self._changing:
            if not len(self._stored):
                return
            trained = InvertedVectors.trained(*self._stored.content())
            with self._accessing:
                self._stored = trained
            self._num_unsaved += len(trained)

    def save(self) -> None:
        """Write the index to its folder, all or nothing, while searches go on.

        Only one process may do so at a time: the caller holds the lock of the workspace's index.

        Raises:
            VectorsNotSavedError: What was saved before is untouched, and so is the index.
        """
        if self.folder is None:
            raise ValueError("an index that was made without a folder cannot be saved")
        with self._changing:
            storage.save(self.folder, self._identity, self._stored.writers())
            self._num_unsaved = 0

    @staticmethod
    def _check(vectors: Vectors, shape: tuple[int, ...]) -> None:
        if vectors.shape != shape:
            raise ValueError(f"vectors have shape {vectors.shape} instead of {shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("a vector has a component that is not a finite number")
