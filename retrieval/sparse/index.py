"""The sparse index of a workspace: segments, and the open documents laid over them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from retrieval.chunk import Chunk
from retrieval.sparse.corpus import Corpus, Hit, LiveSegment, Stamps, sorted_hashes
from retrieval.sparse.delta import Delta
from retrieval.sparse.documents import Document, removed, unopened, updated
from retrieval.sparse.scoring import Bm25
from retrieval.sparse.search import HiddenLines, Snapshot
from retrieval.sparse.segment import Segment
from retrieval.sparse.tables import Float64s, Uint64s
from retrieval.stamp import Stamp
from retrieval.terms import term_hash

_KEPT_BYTES = 24 << 20  # glibc takes no notice of blocks of 32 MB and more


class SparseIndex:
    """BM25 over chunks that change. Every method may be called from any thread.

    Changes wait for each other. A search waits for at most one changed document, never for a
    change of segments, and sees the index as it was at one moment.
    """

    def __init__(self, segments: Sequence[LiveSegment] = (), bm25: Bm25 | None = None) -> None:
        """Start from ``segments``, of which at most one has a path alive."""
        _keep_freed_memory()
        self._bm25 = bm25 or Bm25()
        self._changing = threading.Lock()  # held for all of a change
        self._swapping = threading.Lock()  # held while what a search reads is not in one piece
        self._corpus = Corpus(segments, self._bm25)
        self._delta = Delta()
        self._documents: dict[str, Document] = {}

    @property
    def segments(self) -> tuple[LiveSegment, ...]:
        """The segments and which of their files are dead, as an IndexStore takes them."""
        return self._corpus.segments

    @property
    def num_chunks(self) -> int:
        """How many chunks the segments hold, dead ones included."""
        return self._corpus.num_chunks

    def add(self, segment: Segment) -> None:
        """Take the files of ``segment`` in, in place of older versions."""
        hashes = segment.files.path_hashes
        with self._changing:
            older = [live.without(hashes) for live in self._corpus.segments]
            self._set_segments([*older, LiveSegment(segment)])

    def remove(self, paths: Iterable[str]) -> None:
        """Drop files; those that are not indexed are ignored. Open documents stay findable."""
        hashes = sorted_hashes(paths)
        with self._changing:
            self._set_segments([live.without(hashes) for live in self._corpus.segments])

    def replace(self, inputs: Sequence[LiveSegment], merged: Segment) -> None:
        """Put ``merged``, made of ``inputs`` by ``merge``, in their place.

        ``inputs`` are taken from ``segments``; what has died since is dead in ``merged`` too.

        Raises:
            ValueError: One of the segments is not in the index.
        """
        with self._changing:
            current = {id(live.segment): live for live in self._corpus.segments}
            if not all(id(live.segment) in current for live in inputs):
                raise ValueError("a merged segment was made of one that is not in the index")
            survivors = [
                current.pop(id(live.segment)).live_files()[live.live_files()] for live in inputs
            ]
            is_dead = ~np.concatenate(survivors) if survivors else np.zeros(0, np.bool_)
            live = LiveSegment(merged, frozenset(np.flatnonzero(is_dead).tolist()))
            self._set_segments([live, *current.values()])

    def set_overlay(self, path: str, chunks: Sequence[Chunk]) -> None:
        """Let ``chunks`` be what ``path`` consists of, whatever its file says."""
        with self._changing:
            former = self._documents.get(path) or unopened(self._corpus, path)
            with self._swapping:
                self._documents[path] = updated(former, path, chunks, self._delta)

    def drop_overlay(self, path: str) -> None:
        """Let ``path`` be its file again, if it has one."""
        with self._changing, self._swapping:
            document = self._documents.pop(path, None)
            if document is not None:
                removed(document, self._delta)

    def search(
        self, query: Mapping[str, float], num_wanted: int, *, hidden: HiddenLines | None = None
    ) -> list[Hit]:
        """Return the ``num_wanted`` chunks that match best, best first, equal ones by path and line.

        Args:
            query: Terms, as ``terms_of`` returns them, and what each is worth.
            num_wanted: How many to return at most. Chunks without any of the terms are left out.
            hidden: Line ranges by path; chunks that overlap one are left out.
        """
        hashes, weights = _hashed(query)
        if not len(hashes) or num_wanted < 1:
            return []
        return self._snapshot(hashes).search(hashes, weights, num_wanted, hidden or {})

    def with_keys(
        self, scores: Mapping[int, float], hidden: HiddenLines | None = None
    ) -> list[Hit]:
        """Return all chunks whose ``Chunk.key`` is in ``scores``, with that score, best first.

        Equal ones come by path and line. ``hidden`` are as in ``search``.
        """
        return self._snapshot(np.empty(0, np.uint64)).with_keys(scores, hidden or {})

    def chunk_keys(self) -> list[int]:
        """Return the key of every chunk, once: of open documents first, then of the newest files."""
        with self._swapping:
            corpus, documents = self._corpus, list(self._documents.values())
        opened = [key for document in documents for key in document.keys]
        # What an open document does not have any more comes along: its file still has it.
        return list(dict.fromkeys([*opened, *reversed(corpus.live_keys().tolist())]))

    def self_score(self, query: Mapping[str, float]) -> float:
        """Return the score of a chunk of average length that has every term of ``query`` once.

        A term that occurs nowhere counts as if it occurred in one chunk. Divided by this, the
        scores of different queries compare.
        """
        hashes, weights = _hashed(query)
        return self._snapshot(hashes).self_score(hashes, weights)

    def idfs(self, terms: Iterable[str]) -> dict[str, float]:
        """Return how rare each term is: the logarithm of one in how many chunks has it."""
        wanted = list(terms)
        hashes = np.fromiter(map(term_hash, wanted), np.uint64, len(wanted))
        return dict(zip(wanted, self._snapshot(hashes).idfs(hashes).tolist(), strict=True))

    def stamps(self) -> Mapping[str, Stamp]:
        """Return by what indexed files are recognised, as a view of this moment's segments."""
        return Stamps(self._corpus)

    def _snapshot(self, term_hashes: Uint64s) -> Snapshot:
        with self._swapping:
            postings = self._delta.gather(term_hashes.tolist())
            return Snapshot(self._bm25, self._corpus, dict(self._documents), postings)

    def _set_segments(self, segments: Sequence[LiveSegment]) -> None:
        """Change to ``segments``, which numbers chunks anew: documents find their places again."""
        corpus, delta = Corpus(segments, self._bm25), Delta()
        documents = {
            path: updated(unopened(corpus, path), path, document.chunks, delta)
            for path, document in self._documents.items()
        }
        with self._swapping:
            self._corpus, self._delta, self._documents = corpus, delta, documents


def _keep_freed_memory() -> None:
    """Let glibc keep what a search frees, instead of having it back from the system page by page.

    It gives back what exceeds twice the largest block that was ever mapped and freed. A search frees
    a few megabytes; to get them anew cost 750 page faults, half of its time.
    """
    block = np.empty(_KEPT_BYTES, np.uint8)
    del block


def _hashed(query: Mapping[str, float]) -> tuple[Uint64s, Float64s]:
    """Return the hashes and weights of the terms that are worth something."""
    weighed = {term_hash(term): weight for term, weight in query.items() if weight > 0}
    hashes = np.fromiter(weighed, np.uint64, len(weighed))
    return hashes, np.fromiter(weighed.values(), np.float64, len(weighed))
