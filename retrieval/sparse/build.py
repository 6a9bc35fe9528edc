"""From files to the tables of a segment, at the speed of C where it counts.

While files arrive, terms are numbered as they are first met and written down one after the other.
At the end one sort of (term, chunk) pairs turns that into postings.
"""

from __future__ import annotations

from array import array
from itertools import chain

import numpy as np
import numpy.typing as npt

from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.tables import (
    ChunkTable,
    FileTable,
    PostingTable,
    Uint32s,
    Uint64s,
    offsets_of,
)
from retrieval.terms import names_in, term_hash, terms_of_name

MAX_COUNT = 255
_CHUNK_BITS = 32


class _Vocabulary(dict[str, tuple[int, ...]]):
    """From a name to the numbers of its terms; a new name is taken apart when first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}

    def __missing__(self, name: str) -> tuple[int, ...]:
        numbers = self._numbers
        found = tuple(numbers.setdefault(term, len(numbers)) for term in terms_of_name(name))
        self[name] = found
        return found

    def hashes(self) -> Uint64s:
        """Return the hash of every term, in the order of their numbers."""
        return np.fromiter(map(term_hash, self._numbers), np.uint64, len(self._numbers))


class SegmentBuilder:
    """Takes files in and yields tables once."""

    def __init__(self) -> None:
        self._vocabulary = _Vocabulary()
        self._term_numbers = array("I")
        self._files: list[IndexedFile] = []
        self._chunk_rows: list[tuple[int, int, int, int]] = []
        self._headers: list[bytes] = []
        self._first_chunks = [0]

    def add(self, file: IndexedFile) -> None:
        """Take one file in; its texts are not kept."""
        term_numbers, numbers_of = self._term_numbers, self._vocabulary.__getitem__
        for chunk in file.chunks:
            former = len(term_numbers)
            term_numbers.extend(chain.from_iterable(map(numbers_of, names_in(chunk.text))))
            length = len(term_numbers) - former
            self._chunk_rows.append((chunk.start_line, chunk.end_line, chunk.key, length))
            self._headers.append(_encoded("\n".join(chunk.header)))
        self._files.append(IndexedFile(file.path, file.stamp, ()))
        self._first_chunks.append(len(self._chunk_rows))

    def tables(self) -> tuple[FileTable, ChunkTable, PostingTable]:
        """Return the tables of all files taken in."""
        chunks = self._chunk_table()
        return self._file_table(), chunks, self._posting_table(chunks)

    def _file_table(self) -> FileTable:
        paths = [_encoded(file.path) for file in self._files]
        hashes = np.fromiter((term_hash(file.path) for file in self._files), np.uint64)
        order = np.argsort(hashes, kind="stable")
        if len(set(paths)) < len(paths):
            repeated = sorted({path for path in paths if paths.count(path) > 1})
            raise ValueError(f"a segment holds a path once, and {repeated[:3]} came twice")
        stamps = [file.stamp for file in self._files]
        return FileTable(
            path_bytes=np.frombuffer(b"".join(paths), np.uint8),
            path_offsets=offsets_of([len(path) for path in paths]),
            path_hashes=hashes[order],
            path_rows=order.astype(np.uint32),
            mtimes_ns=np.array([stamp.mtime_ns for stamp in stamps], np.int64),
            sizes_bytes=np.array([stamp.size_bytes for stamp in stamps], np.int64),
            content_hashes=np.array([stamp.content_hash for stamp in stamps], np.uint64),
            first_chunks=np.array(self._first_chunks, np.uint32),
        )

    def _chunk_table(self) -> ChunkTable:
        start_lines, end_lines, keys, lengths = _columns(self._chunk_rows)
        return ChunkTable(
            start_lines=np.array(start_lines, np.uint32),
            end_lines=np.array(end_lines, np.uint32),
            keys=np.array(keys, np.uint64),
            lengths=np.array(lengths, np.uint32),
            header_bytes=np.frombuffer(b"".join(self._headers), np.uint8),
            header_offsets=offsets_of([len(header) for header in self._headers]),
        )

    def _posting_table(self, chunks: ChunkTable) -> PostingTable:
        hashes = self._vocabulary.hashes()
        by_hash = np.argsort(hashes)
        ranks = np.empty(len(hashes), np.uint64)
        ranks[by_hash] = np.arange(len(hashes), dtype=np.uint64)
        pairs = ranks[np.frombuffer(self._term_numbers, np.uint32)]
        pairs <<= np.uint64(_CHUNK_BITS)
        pairs |= np.repeat(np.arange(len(chunks), dtype=np.uint64), chunks.lengths)
        pairs.sort()
        return _postings_of(hashes[by_hash], pairs)


def _postings_of(term_hashes: Uint64s, pairs: Uint64s) -> PostingTable:
    """Return the postings of sorted (rank of term << 32 | chunk) pairs with repetitions."""
    is_new = np.ones(len(pairs), np.bool_)
    np.not_equal(pairs[1:], pairs[:-1], out=is_new[1:])
    firsts = np.flatnonzero(is_new)
    counts = np.diff(firsts, append=len(pairs))
    distinct = pairs[firsts]
    ranks: npt.NDArray[np.int64] = (distinct >> np.uint64(_CHUNK_BITS)).astype(np.int64)
    return PostingTable(
        term_hashes=term_hashes,
        offsets=offsets_of(np.bincount(ranks, minlength=len(term_hashes))),
        chunks=_low_half(distinct),
        counts=np.minimum(counts, MAX_COUNT).astype(np.uint8),
    )


def _low_half(pairs: Uint64s) -> Uint32s:
    return (pairs & np.uint64((1 << _CHUNK_BITS) - 1)).astype(np.uint32)


def _columns(rows: list[tuple[int, int, int, int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(zip(*rows, strict=True)) if rows else ((), (), (), ())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
