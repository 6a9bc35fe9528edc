"""The columns of a segment, in three tables, and the questions one table can answer alone.

All arrays are one-dimensional and never written to. An array of offsets has one entry more than
the rows it divides: row ``i`` owns ``[offsets[i], offsets[i + 1])`` of the array behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Uint8s = npt.NDArray[np.uint8]
Uint32s = npt.NDArray[np.uint32]
Uint64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FileTable:
    """One row a file. Paths are UTF-8; ``path_hashes`` is sorted, ``path_rows`` goes with it.

    Paths are told apart by 64 bits of hash: a million of them collide once in 30 million indexes.
    ``first_chunks`` are offsets into the chunks, ``path_offsets`` into ``path_bytes``.
    """

    path_bytes: Uint8s
    path_offsets: Int64s
    path_hashes: Uint64s
    path_rows: Uint32s
    mtimes_ns: Int64s
    sizes_bytes: Int64s
    content_hashes: Uint64s
    first_chunks: Uint32s

    def __len__(self) -> int:
        return len(self.mtimes_ns)

    def path(self, row: int) -> str:
        """Return the path of a file."""
        return _text(self.path_bytes, self.path_offsets, row)

    def row_of(self, path_hash: int) -> int | None:
        """Return the row of the file whose path hashes to ``path_hash``; None if there is none."""
        # A Python integer would be compared as a signed one, or as a float.
        wanted = np.uint64(path_hash)
        at = int(np.searchsorted(self.path_hashes, wanted))
        is_found = at < len(self.path_hashes) and self.path_hashes[at] == wanted
        return int(self.path_rows[at]) if is_found else None

    def rows_of(self, path_hashes: Uint64s) -> Uint32s:
        """Return the rows of all files whose path is among ``path_hashes``, which is sorted."""
        return self.path_rows[found_in(path_hashes, self.path_hashes)[1]]

    def chunks(self, row: int) -> range:
        """Return which chunks a file has."""
        return range(int(self.first_chunks[row]), int(self.first_chunks[row + 1]))

    def row_with_chunk(self, chunk: int) -> int:
        """Return which file a chunk belongs to."""
        return int(np.searchsorted(self.first_chunks, chunk, side="right")) - 1


@dataclass(frozen=True, slots=True, eq=False)
class ChunkTable:
    """One row a chunk, those of a file together and in order. ``lengths`` count terms.

    A header is UTF-8, one line of it a line; ``header_offsets`` are offsets into ``header_bytes``.
    """

    start_lines: Uint32s
    end_lines: Uint32s
    keys: Uint64s
    lengths: Uint32s
    header_bytes: Uint8s
    header_offsets: Int64s

    def __len__(self) -> int:
        return len(self.keys)

    def header(self, row: int) -> tuple[str, ...]:
        """Return the header of a chunk."""
        text = _text(self.header_bytes, self.header_offsets, row)
        return tuple(text.split("\n")) if text else ()


@dataclass(frozen=True, slots=True, eq=False)
class PostingTable:
    """The inverted index: in which chunks a term occurs, and how often.

    One row a term, sorted by hash; ``offsets`` are offsets into ``chunks`` (ascending within a
    term) and ``counts``, which stop at 255.
    """

    term_hashes: Uint64s
    offsets: Int64s
    chunks: Uint32s
    counts: Uint8s

    def ranges(self, term_hashes: Uint64s) -> tuple[Int64s, Int64s]:
        """Return where the postings of each term start and end; equal for an unknown term."""
        rows, is_known = found_in(self.term_hashes, term_hashes)
        starts = np.zeros(len(term_hashes), np.int64)
        ends = np.zeros(len(term_hashes), np.int64)
        starts[is_known] = self.offsets[rows[is_known]]
        ends[is_known] = self.offsets[rows[is_known] + 1]
        return starts, ends


def found_in(sorted_hashes: Uint64s, wanted: Uint64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Return where in ``sorted_hashes`` each of ``wanted`` is, and whether it is there at all."""
    at = np.searchsorted(sorted_hashes, wanted)
    is_inside = at < len(sorted_hashes)
    is_found = np.zeros(len(wanted), np.bool_)
    is_found[is_inside] = sorted_hashes[at[is_inside]] == wanted[is_inside]
    return at, is_found


def offsets_of(lengths: npt.ArrayLike) -> Int64s:
    """Return the offsets that divide an array into rows of these ``lengths``."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def row_elements(starts: Int64s, lengths: Int64s) -> Int64s:
    """Return the indices of all elements of rows, row after row."""
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(starts, lengths) + within


def _text(encoded: Uint8s, offsets: Int64s, row: int) -> str:
    start, end = int(offsets[row]), int(offsets[row + 1])
    return encoded[start:end].tobytes().decode("utf-8", "surrogatepass")
