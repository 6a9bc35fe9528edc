"""The inverted index of what no segment holds yet: chunks of open documents, in dictionaries.

Adding or removing a chunk touches the postings of that chunk's terms and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from retrieval.sparse.build import MAX_COUNT
from retrieval.sparse.tables import Int64s, Uint8s
from retrieval.terms import term_hash, terms_of


@dataclass(frozen=True, slots=True, eq=False)
class DeltaPostings:
    """The postings of some terms, laid end to end in the order of the terms: a copy.

    ``document_counts`` has one entry a term; ``slots`` and ``counts`` one a posting; ``lengths``
    and ``paths`` one a slot. A slot without a chunk has length zero and is in no posting.
    """

    document_counts: Int64s
    slots: npt.NDArray[np.intp]
    counts: Uint8s
    lengths: Int64s
    paths: tuple[str, ...]
    num_chunks: int


@dataclass(slots=True)
class Delta:
    """Chunks in numbered slots. A slot is used again once its chunk was removed."""

    _postings: dict[int, dict[int, int]] = field(default_factory=dict)
    _terms: list[tuple[int, ...]] = field(default_factory=list)
    _lengths: list[int] = field(default_factory=list)
    _paths: list[str] = field(default_factory=list)
    _free: list[int] = field(default_factory=list)

    def add(self, path: str, text: str) -> int:
        """Index the chunk of ``path`` that reads ``text``; returns its slot."""
        terms = terms_of(text)
        counts = {term_hash(term): count for term, count in Counter(terms).items()}
        slot = self._new_slot()
        self._terms[slot] = tuple(counts)
        self._lengths[slot] = len(terms)
        self._paths[slot] = path
        for hashed, count in counts.items():
            self._postings.setdefault(hashed, {})[slot] = min(count, MAX_COUNT)
        return slot

    def remove(self, slot: int) -> None:
        """Forget the chunk in ``slot``."""
        for hashed in self._terms[slot]:
            listed = self._postings[hashed]
            del listed[slot]
            if not listed:
                del self._postings[hashed]
        self._terms[slot], self._lengths[slot], self._paths[slot] = (), 0, ""
        self._free.append(slot)

    def gather(self, term_hashes: Sequence[int]) -> DeltaPostings:
        """Return the postings of these terms, in their order."""
        found = [self._postings.get(hashed, {}) for hashed in term_hashes]
        return DeltaPostings(
            np.array([len(listed) for listed in found], np.int64),
            np.array(list(chain.from_iterable(found)), np.intp),
            np.array(list(chain.from_iterable(map(dict.values, found))), np.uint8),
            np.array(self._lengths, np.int64),
            tuple(self._paths),
            len(self._lengths) - len(self._free),
        )

    def _new_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._terms.append(())
        self._lengths.append(0)
        self._paths.append("")
        return len(self._terms) - 1
