"""One search: the chunks of segments and open documents that match a query best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from retrieval.sparse.corpus import Corpus, Hit
from retrieval.sparse.delta import DeltaPostings
from retrieval.sparse.documents import Document
from retrieval.sparse.scoring import Bm25, idf, leading, scanned, split_terms
from retrieval.sparse.tables import Float64s, Int64s, Uint64s, offsets_of, row_elements

HiddenLines = Mapping[str, Sequence[tuple[int, int]]]
"""Line ranges ``[start, end)`` by path that no hit may overlap."""


class Snapshot:
    """Everything one search looks at; nothing in it changes any more."""

    def __init__(
        self,
        bm25: Bm25,
        corpus: Corpus,
        documents: Mapping[str, Document],
        delta: DeltaPostings,
    ) -> None:
        self._bm25 = bm25
        self._corpus = corpus
        self._documents = documents
        self._delta = delta

    def self_score(self, term_hashes: Uint64s, weights: Float64s) -> float:
        """Return the score of a chunk of average length that has every term once."""
        return float((weights * self.idfs(term_hashes)).sum())

    def idfs(self, term_hashes: Uint64s) -> Float64s:
        """Return the inverse document frequency of each term."""
        counts = self._document_counts(self._corpus.ranges(term_hashes))
        return idf(counts, self._num_chunks)

    def search(
        self, term_hashes: Uint64s, weights: Float64s, num_wanted: int, hidden: HiddenLines
    ) -> list[Hit]:
        """Return the best hits, best first, equal ones by path and line."""
        ranges = self._corpus.ranges(term_hashes)
        gains = self._bm25.gains(weights, self._document_counts(ranges), self._num_chunks)
        excluded = np.array(self._excluded(hidden), np.intp)
        num_postings = (ranges[1] - ranges[0]).sum(axis=0)
        to_scan, to_probe = split_terms(gains, num_postings, self._bm25.max_num_scanned)
        chunks, scores = self._corpus_scores(
            ranges, gains, (to_scan, to_probe), num_wanted, excluded[excluded >= 0]
        )
        order = np.concatenate((to_scan, to_probe))
        slots, slot_scores = self._delta_scores(order, gains, ~excluded[excluded < 0])
        return self._best(
            np.concatenate((chunks, ~slots)), np.concatenate((scores, slot_scores)), num_wanted
        )

    def with_keys(self, scores: Mapping[int, float], hidden: HiddenLines) -> list[Hit]:
        """Return the hits that have a key of ``scores``, and its score: best first, then by place."""
        keys = np.fromiter(scores, np.uint64, len(scores))
        places = self._corpus.with_keys(keys).tolist()
        for document in self._documents.values():
            placed = zip(document.keys, document.places, strict=True)
            places += [place for key, place in placed if place < 0 and key in scores]
        excluded = frozenset(self._excluded(hidden))
        hits = (self._hit(place, 0.0) for place in places if place not in excluded)
        return _ranked(replace(hit, score=scores[hit.key]) for hit in hits)

    @property
    def _num_chunks(self) -> int:
        return self._corpus.num_chunks + self._delta.num_chunks

    @property
    def _average_length(self) -> float:
        if self._corpus.num_chunks:
            return self._corpus.average_length
        return float(self._delta.lengths.sum()) / max(self._delta.num_chunks, 1)

    def _document_counts(self, ranges: tuple[Int64s, Int64s]) -> Int64s:
        counts: Int64s = (ranges[1] - ranges[0]).sum(axis=0) + self._delta.document_counts
        return counts

    def _excluded(self, hidden: HiddenLines) -> list[int]:
        """Return the places that may not be found."""
        places = [place for document in self._documents.values() for _, place in document.hidden]
        for path, line_ranges in hidden.items():
            document = self._documents.get(path)
            chunks = self._corpus.chunks_of(path) if document is None else range(0)
            for start, end in line_ranges:
                if document is not None:
                    places += document.overlapping(start, end)
                elif chunks:
                    places += self._corpus.overlapping(chunks, start, end)
        return places

    def _corpus_scores(
        self,
        ranges: tuple[Int64s, Int64s],
        gains: Float64s,
        terms: tuple[Int64s, Int64s],
        num_wanted: int,
        excluded: npt.NDArray[np.intp],
    ) -> tuple[npt.NDArray[np.intp], Float64s]:
        starts, ends = ranges
        to_scan, to_probe = terms
        scores = self._corpus.scan(starts[:, to_scan], ends[:, to_scan], gains[to_scan])
        scores[excluded] = 0.0
        if not len(to_probe):
            chunks = leading(scores, num_wanted)
            return chunks, scores[chunks]
        chunks = self._to_probe(scores, num_wanted)
        found = scores[chunks]
        self._corpus.probe(chunks, found, (starts[:, to_probe], ends[:, to_probe]), gains[to_probe])
        return chunks, found

    def _to_probe(self, scores: Float64s, num_wanted: int) -> npt.NDArray[np.intp]:
        """Return, ascending, the chunks that lead so far: no more than is worth looking at."""
        limit = max(self._bm25.max_num_probed, num_wanted)
        chunks = leading(scores, limit)
        best_first = np.argsort(-scores[chunks], kind="stable")
        return np.sort(chunks[best_first[:limit]])

    def _delta_scores(
        self, terms: Int64s, gains: Float64s, excluded: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.intp], Float64s]:
        """Return the slots that match, and their scores.

        The terms are added up in the order of the corpus, so that equal chunks score equally.
        """
        delta = self._delta
        firsts, lengths = offsets_of(delta.document_counts)[:-1], delta.document_counts
        postings = row_elements(firsts[terms], lengths[terms])
        scores = scanned(
            delta.slots[postings],
            delta.counts[postings],
            np.repeat(gains[terms], lengths[terms]),
            self._bm25.norms(delta.lengths, self._average_length),
        )
        scores[excluded] = 0.0
        slots = np.flatnonzero(scores)
        return slots, scores[slots]

    def _best(self, places: npt.NDArray[np.intp], scores: Float64s, num_wanted: int) -> list[Hit]:
        best = leading(scores, num_wanted)
        found = (
            self._hit(place, score)
            for place, score in zip(places[best].tolist(), scores[best].tolist(), strict=True)
        )
        return _ranked(found)[:num_wanted]

    def _hit(self, place: int, score: float) -> Hit:
        if place < 0:
            path = self._delta.paths[~place]
            return self._documents[path].hit(path, place, score)
        found = self._corpus.hit(place, score)
        document = self._documents.get(found.path)
        return found if document is None else document.hit(found.path, place, score)


def _ranked(hits: Iterable[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.path, hit.start_line))
