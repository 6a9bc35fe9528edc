"""All segments as one: chunks numbered through, the dead ones left out of every answer.

A file that was deleted or replaced still counts in the number of chunks, in the document
frequencies and in the average length until a merge drops it, as in Lucene: to take it out at once
would mean to visit all of its postings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrieval.sparse.scoring import Bm25, add_probed, scanned
from retrieval.sparse.segment import Segment
from retrieval.sparse.tables import Float64s, Int64s, Uint64s, offsets_of
from retrieval.stamp import Stamp
from retrieval.terms import term_hash


@dataclass(frozen=True, slots=True)
class Hit:
    """Lines ``[start_line, end_line)`` of ``path``, 0-based, and how well they match.

    ``key`` and ``header`` are the chunk's. Scores of one search compare, higher is better.
    """

    path: str
    start_line: int
    end_line: int
    key: int
    score: float
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LiveSegment:
    """A segment, and the rows of the files in it that are deleted or replaced."""

    segment: Segment
    dead: frozenset[int] = frozenset()

    def without(self, path_hashes: Uint64s) -> LiveSegment:
        """Return this segment with the files of these paths, sorted by hash, dead as well."""
        rows = self.segment.files.rows_of(path_hashes).tolist()
        return LiveSegment(self.segment, self.dead.union(rows)) if rows else self

    def live_files(self) -> npt.NDArray[np.bool_]:
        """Return of each file whether it is alive."""
        is_live = np.ones(len(self.segment.files), np.bool_)
        is_live[np.fromiter(self.dead, np.intp, len(self.dead))] = False
        return is_live

    def live_chunks(self) -> npt.NDArray[np.bool_]:
        """Return of each chunk whether its file is alive."""
        return np.repeat(self.live_files(), np.diff(self.segment.files.first_chunks))


class Corpus:
    """An immutable view of segments. At most one of them has a path alive."""

    def __init__(self, segments: Sequence[LiveSegment], bm25: Bm25) -> None:
        self.segments = tuple(segments)
        lengths = [np.asarray(live.segment.chunks.lengths) for live in self.segments]
        self._firsts = offsets_of([len(part) for part in lengths])
        self.num_chunks = int(self._firsts[-1])
        total = sum(int(part.sum(dtype=np.int64)) for part in lengths)
        self.average_length = total / self.num_chunks if self.num_chunks else 0.0
        self.norms = np.full(self.num_chunks, np.inf)
        for live, part, first in zip(self.segments, lengths, self._firsts, strict=False):
            is_live = live.live_chunks()
            self.norms[first + np.flatnonzero(is_live)] = bm25.norms(
                part[is_live], self.average_length
            )

    def find(self, path: str) -> tuple[int, int] | None:
        """Return the segment and row where ``path`` is alive; None if it is not indexed."""
        path_hash = term_hash(path)
        for at, live in enumerate(self.segments):
            row = live.segment.files.row_of(path_hash)
            if row is not None and row not in live.dead:
                return at, row
        return None

    def chunks_of(self, path: str) -> range:
        """Return the numbers of the chunks of ``path``; none if it is not indexed."""
        found = self.find(path)
        if found is None:
            return range(0)
        at, row = found
        chunks = self.segments[at].segment.files.chunks(row)
        first = int(self._firsts[at])
        return range(first + chunks.start, first + chunks.stop)

    def live_keys(self) -> Uint64s:
        """Return the keys of all chunks that are alive, in the order of their numbers."""
        parts = [live.segment.chunks.keys[live.live_chunks()] for live in self.segments]
        return np.concatenate([np.empty(0, np.uint64), *parts])

    def with_keys(self, keys: Uint64s) -> npt.NDArray[np.intp]:
        """Return the numbers of the chunks that are alive and have one of ``keys``.

        Most chunks are ruled out by 16 bits: 1 ms for a million of them, comparing takes 40.
        """
        may_be = np.zeros(1 << 16, np.bool_)
        may_be[keys.astype(np.uint16)] = True
        found = [np.empty(0, np.intp)]
        for first, live in zip(self._firsts.tolist(), self.segments, strict=False):
            known = live.segment.chunks.keys
            rows = np.flatnonzero(may_be[known.astype(np.uint16)])
            found.append(first + rows[np.isin(known[rows], keys)])
        chunks = np.concatenate(found)
        alive: npt.NDArray[np.intp] = chunks[np.isfinite(self.norms[chunks])]
        return alive

    def keys(self, chunks: range) -> list[int]:
        """Return the keys of the chunks of one file."""
        segment, rows = self._rows(chunks)
        keys: list[int] = segment.chunks.keys[rows].tolist()
        return keys

    def overlapping(self, chunks: range, start_line: int, end_line: int) -> list[int]:
        """Return which of the chunks of one file share a line with ``[start_line, end_line)``."""
        segment, rows = self._rows(chunks)
        starts, ends = segment.chunks.start_lines[rows], segment.chunks.end_lines[rows]
        overlap = np.flatnonzero((starts < end_line) & (ends > start_line))
        return (overlap + chunks.start).tolist()

    def hit(self, chunk: int, score: float) -> Hit:
        """Return what there is to say about a chunk."""
        at = int(np.searchsorted(self._firsts, chunk, side="right")) - 1
        segment, row = self.segments[at].segment, chunk - int(self._firsts[at])
        return Hit(
            segment.files.path(segment.files.row_with_chunk(row)),
            int(segment.chunks.start_lines[row]),
            int(segment.chunks.end_lines[row]),
            int(segment.chunks.keys[row]),
            score,
            segment.chunks.header(row),
        )

    def ranges(self, term_hashes: Uint64s) -> tuple[Int64s, Int64s]:
        """Return where the postings of each term start and end, of shape [segments, terms]."""
        bounds = np.zeros((2, len(self.segments), len(term_hashes)), np.int64)
        for at, live in enumerate(self.segments):
            bounds[:, at] = live.segment.postings.ranges(term_hashes)
        return bounds[0], bounds[1]

    def scan(self, starts: Int64s, ends: Int64s, gains: Float64s) -> Float64s:
        """Return the score of every chunk from the terms whose ranges and gains are given."""
        scores = np.zeros(self.num_chunks)
        for at, (first, norms) in enumerate(self._parts()):
            postings = self.segments[at].segment.postings
            bounds = list(zip(starts[at].tolist(), ends[at].tolist(), strict=True))
            if all(start == end for start, end in bounds):
                continue
            chunks = np.concatenate([postings.chunks[start:end] for start, end in bounds])
            counts = np.concatenate([postings.counts[start:end] for start, end in bounds])
            repeated = np.repeat(gains, ends[at] - starts[at])
            scores[first : first + len(norms)] = scanned(
                chunks.astype(np.intp), counts, repeated, norms
            )
        return scores

    def probe(
        self,
        chunks: npt.NDArray[np.intp],
        scores: Float64s,
        ranges: tuple[Int64s, Int64s],
        gains: Float64s,
    ) -> None:
        """Add to the ``scores`` of ``chunks``, ascending, what the given terms contribute."""
        for at, (first, norms) in enumerate(self._parts()):
            inside = slice(*np.searchsorted(chunks, (first, first + len(norms))))
            if inside.start == inside.stop:
                continue
            local = chunks[inside] - first
            postings = self.segments[at].segment.postings
            bounds = zip(ranges[0][at].tolist(), ranges[1][at].tolist(), gains, strict=True)
            add_probed(
                scores[inside],
                local.astype(np.uint32),
                norms[local],
                [
                    (postings.chunks[start:end], postings.counts[start:end], float(gain))
                    for start, end, gain in bounds
                    if start < end
                ],
            )

    def _parts(self) -> Iterator[tuple[int, Float64s]]:
        """Yield the first number and the norms of each segment's chunks."""
        for first, end in zip(self._firsts[:-1].tolist(), self._firsts[1:].tolist(), strict=True):
            yield first, self.norms[first:end]

    def _rows(self, chunks: range) -> tuple[Segment, slice]:
        at = int(np.searchsorted(self._firsts, chunks.start, side="right")) - 1
        first = int(self._firsts[at])
        return self.segments[at].segment, slice(chunks.start - first, chunks.stop - first)


class Stamps(Mapping[str, Stamp]):
    """The stamps of all live files, read from the segments as they are asked for."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __getitem__(self, path: str) -> Stamp:
        found = self._corpus.find(path)
        if found is None:
            raise KeyError(path)
        at, row = found
        return self._corpus.segments[at].segment.stamp(row)

    def __iter__(self) -> Iterator[str]:
        for live in self._corpus.segments:
            files = live.segment.files
            yield from (files.path(row) for row in range(len(files)) if row not in live.dead)

    def __len__(self) -> int:
        segments = self._corpus.segments
        return sum(len(live.segment.files) - len(live.dead) for live in segments)


def sorted_hashes(paths: Iterable[str]) -> Uint64s:
    """Return the hashes of ``paths``, ascending."""
    return np.sort(np.fromiter(map(term_hash, paths), np.uint64))
