"""Vectors in lists, each near a centroid, of which a search reads only the nearest few.

The inverted file (IVF) of Sivic and Zisserman (2003) as faiss builds it, with a byte a component.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from retrieval.dense.embedder import Vectors
from retrieval.dense.flat import Keys, Scores
from retrieval.dense.storage import Write
from retrieval.dense.threads import one_thread

_NUM_PROBES = 32  # lists that a search reads
_NUM_ITERATIONS = 10  # of k-means
_NUM_POINTS = 64  # that k-means looks at for each list
_BLOCK_BYTES = 1 << 20  # written at once


class InvertedVectors:
    """Approximate: a search misses what lies in other lists. Add and remove cost no search.

    Not to be changed while another thread is inside: ``VectorIndex`` sees to that. faiss's ids are
    the keys' 64 bits with a sign. Its id -1 means "nothing", so the one key 2**64 - 1 is held and
    never found.
    """

    def __init__(self, index: Any, keys: Iterable[int], *, is_mapped: bool) -> None:
        index.nprobe = _NUM_PROBES
        self._index = index
        self._keys = set(keys)
        self._is_mapped = is_mapped
        self._has_places = False  # whether faiss knows the list of each id, as removal needs
        self._lists: Any = None  # faiss refers to them and does not own them

    @classmethod
    def trained(cls, keys: Keys, vectors: Vectors) -> InvertedVectors:
        """Return a store of ``vectors`` [num_keys, dimension]; takes seconds for 100,000."""
        num_lists = wanted_num_lists(len(keys))
        with one_thread() as faiss:
            index = faiss.index_factory(
                vectors.shape[1], f"IVF{num_lists},SQ8", faiss.METRIC_INNER_PRODUCT
            )
            index.cp.niter = _NUM_ITERATIONS
            index.cp.max_points_per_centroid = _NUM_POINTS
            index.cp.min_points_per_centroid = 1  # fewer than usual would be written to stderr
            index.train(vectors)
            index.add_with_ids(vectors, keys.view(np.int64))
        return cls(index, keys.tolist(), is_mapped=False)

    @classmethod
    def opened(cls, files: Mapping[str, Path], dimension: int) -> InvertedVectors:
        """Map the file that ``writers`` wrote; the first change copies it into memory.

        Raises OSError, ValueError or RuntimeError.
        """
        with one_thread() as faiss:
            index = faiss.read_index(
                str(files["inverted"]), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY
            )
            if not isinstance(index, faiss.IndexIVFScalarQuantizer) or index.d != dimension:
                raise ValueError(f"it holds a {type(index).__name__} of dimension {index.d}")
            # faiss would start 32 threads for each search, to read ahead: 3 ms instead of 0.1.
            faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
            keys = [key for ids, _ in _lists(faiss, index) for key in ids.view(np.uint64).tolist()]
        return cls(index, keys, is_mapped=True)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> Collection[int]:
        """What has a vector; a view."""
        return self._keys

    @property
    def num_lists(self) -> int:
        """How many lists there are; ``wanted_num_lists`` grows past it as vectors are added."""
        return int(self._index.nlist)

    def put(self, keys: Sequence[int], vectors: Vectors) -> None:
        """Add or replace the vectors [num_keys, dimension] of ``keys``, which are distinct."""
        self.remove([key for key in keys if key in self._keys])
        with one_thread() as faiss:
            self._make_changeable(faiss)
            self._index.add_with_ids(vectors, _ids(keys))
        self._keys.update(keys)

    def remove(self, keys: Collection[int]) -> None:
        """Remove the vectors of ``keys``, which all are there."""
        if not keys:
            return
        with one_thread() as faiss:
            self._make_changeable(faiss)
            self._index.remove_ids(faiss.IDSelectorArray(_ids(keys)))
        self._keys.difference_update(keys)

    def search(self, vector: Vectors, k: int) -> tuple[Keys, Scores]:
        """Return the keys and inner products of up to ``k`` near ones to ``vector`` [1, dimension]."""
        with one_thread():
            scores, ids = self._index.search(vector, k)
        is_found = ids[0] != -1
        return ids[0][is_found].view(np.uint64), scores[0][is_found]

    def content(self) -> tuple[Keys, Vectors]:
        """Return all keys and, as exactly as they are kept, their vectors; copies."""
        keys = np.empty(len(self), np.uint64)
        vectors = np.empty((len(self), self._index.d), np.float32)
        with one_thread() as faiss:
            start = 0
            for list_idx, (ids, codes) in enumerate(_lists(faiss, self._index)):
                end = start + len(ids)
                keys[start:end] = ids.view(np.uint64)
                list_indices = np.full(len(ids), list_idx, np.int64)
                self._index.decode_vectors(
                    len(ids),
                    faiss.swig_ptr(codes),
                    faiss.swig_ptr(list_indices),
                    faiss.swig_ptr(vectors[start:end]),
                )
                start = end
        return keys, vectors

    def writers(self) -> dict[str, Write]:
        """Return what writes the file of this store."""
        return {"inverted": self._write}

    def _write(self, file: BinaryIO) -> None:
        with one_thread() as faiss:
            # The places would be read back into memory by everyone; searches do not look at them.
            self._index.set_direct_map_type(faiss.DirectMap.NoMap)
            self._has_places = False
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write, _BLOCK_BYTES))

    def _make_changeable(self, faiss: Any) -> None:
        if self._is_mapped:
            mapped = self._index.invlists
            self._lists = faiss.ArrayInvertedLists(mapped.nlist, mapped.code_size)
            everything = faiss.InvertedLists.SUBSET_TYPE_INVLIST
            mapped.copy_subset_to(self._lists, everything, 0, mapped.nlist)
            self._index.replace_invlists(self._lists, False)
            self._is_mapped = False
        if not self._has_places:
            self._index.set_direct_map_type(faiss.DirectMap.Hashtable)
            self._has_places = True


def wanted_num_lists(num_vectors: int) -> int:
    """Return how many lists balance finding the nearest ones with reading them."""
    return max(1, min(num_vectors, 2 * isqrt(num_vectors)))


def _ids(keys: Collection[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.fromiter(keys, np.uint64, len(keys)).view(np.int64)


def _lists(faiss: Any, index: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the ids [n] and codes [n * code_size] of each list; they are views into ``index``."""
    lists = index.invlists
    for list_idx in range(lists.nlist):
        length = lists.list_size(list_idx)
        if length:
            yield (
                faiss.rev_swig_ptr(lists.get_ids(list_idx), length),
                faiss.rev_swig_ptr(lists.get_codes(list_idx), length * lists.code_size),
            )
