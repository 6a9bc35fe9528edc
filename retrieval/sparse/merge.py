"""Many segments into one, without the dead files and without holding them in memory.

Postings are merged by ranges of the term hash: each range is read, put together and written before
the next. What there is one of a file or a chunk is small and taken whole. Of the inputs, which are
mapped, what has been merged is given back to the system at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from retrieval.sparse.arrays import FolderWriter, let_go, new_folder
from retrieval.sparse.corpus import LiveSegment
from retrieval.sparse.segment import Segment, write_table
from retrieval.sparse.tables import (
    ChunkTable,
    FileTable,
    Int64s,
    PostingTable,
    Uint8s,
    Uint32s,
    Uint64s,
    offsets_of,
    row_elements,
)

_MIN_NUM_MERGED = 4
_MIN_RATIO = 3
_MAX_DEAD_SHARE = 0.25
_NUM_POSTINGS_PER_RANGE = 500_000

_Bools = npt.NDArray[np.bool_]
_Scalar = TypeVar("_Scalar", bound=np.generic)


def plan_merge(segments: Sequence[LiveSegment]) -> tuple[LiveSegment, ...]:
    """Return which segments should become one; none if the index is well as it is.

    Afterwards each segment is at least three times as large as all smaller ones together, so their
    number grows with the logarithm of the index, and a posting is rewritten as seldom. A few small
    segments more are tolerated. A segment of which a quarter is dead is rewritten for that.
    """
    by_size = sorted(segments, key=_num_live_chunks, reverse=True)
    sizes = [_num_live_chunks(live) for live in by_size]
    if len(by_size) >= _MIN_NUM_MERGED:
        for at in range(len(by_size) - 1):
            # An empty segment counts as one chunk: it costs as many files and maps as a full one.
            if sizes[at] < _MIN_RATIO * max(1, sum(sizes[at + 1 :])):
                return tuple(by_size[at:])
    return tuple(live for live in by_size if _is_mostly_waste(live))


def merge(folders: Sequence[Path], dead: Sequence[frozenset[int]], target: Path) -> Segment:
    """Write the live files of the segments in ``folders`` to ``target``, and return it mapped.

    ``dead`` are the rows of each segment's dead files. The result equals a segment built of the
    files that remain. May run in another process; memory does not grow with the postings.

    Raises:
        IndexDamagedError: A segment cannot be read.
        IndexWriteError: The system refused; nothing is left behind.
    """
    inputs = [
        LiveSegment(Segment.open(folder), rows) for folder, rows in zip(folders, dead, strict=True)
    ]
    chunk_numbers = _new_numbers([live.live_chunks() for live in inputs])
    with new_folder(target) as writer:
        write_table(writer, "files", _merged_files(inputs))
        write_table(writer, "chunks", _merged_chunks(inputs))
        _let_go_of_rows(inputs)
        _write_postings(inputs, chunk_numbers, writer)
    return Segment.open(target)


def _num_live_chunks(live: LiveSegment) -> int:
    num_dead = sum(len(live.segment.files.chunks(row)) for row in live.dead)
    return len(live.segment.chunks) - num_dead


def _is_mostly_waste(live: LiveSegment) -> bool:
    num_chunks = len(live.segment.chunks)
    return bool(live.dead) and num_chunks - _num_live_chunks(live) >= _MAX_DEAD_SHARE * num_chunks


def _merged_files(inputs: Sequence[LiveSegment]) -> FileTable:
    tables = [live.segment.files for live in inputs]
    kept = [live.live_files() for live in inputs]
    path_bytes, path_offsets = _merged_texts(
        [(table.path_bytes, table.path_offsets) for table in tables], kept
    )
    hashes = _merged([_hashes_by_row(table) for table in tables], kept)
    order = np.argsort(hashes, kind="stable")
    num_chunks = _merged([np.diff(table.first_chunks) for table in tables], kept)
    return FileTable(
        path_bytes=path_bytes,
        path_offsets=path_offsets,
        path_hashes=hashes[order],
        path_rows=order.astype(np.uint32),
        mtimes_ns=_merged([table.mtimes_ns for table in tables], kept),
        sizes_bytes=_merged([table.sizes_bytes for table in tables], kept),
        content_hashes=_merged([table.content_hashes for table in tables], kept),
        first_chunks=offsets_of(num_chunks).astype(np.uint32),
    )


def _merged_chunks(inputs: Sequence[LiveSegment]) -> ChunkTable:
    tables = [live.segment.chunks for live in inputs]
    kept = [live.live_chunks() for live in inputs]
    header_bytes, header_offsets = _merged_texts(
        [(table.header_bytes, table.header_offsets) for table in tables], kept
    )
    return ChunkTable(
        start_lines=_merged([table.start_lines for table in tables], kept),
        end_lines=_merged([table.end_lines for table in tables], kept),
        keys=_merged([table.keys for table in tables], kept),
        lengths=_merged([table.lengths for table in tables], kept),
        header_bytes=header_bytes,
        header_offsets=header_offsets,
    )


def _write_postings(
    inputs: Sequence[LiveSegment], chunk_numbers: Sequence[Uint32s], writer: FolderWriter
) -> None:
    tables = [live.segment.postings for live in inputs]
    kept = [live.live_chunks() for live in inputs]
    hashes = writer.column("postings.term_hashes", np.uint64)
    offsets = writer.column("postings.offsets", np.int64)
    chunks = writer.column("postings.chunks", np.uint32)
    counts = writer.column("postings.counts", np.uint8)
    offsets.append(np.zeros(1, np.int64))
    for part in _term_ranges(tables):
        rows = [
            _live_rows(table, terms, is_live, numbers)
            for table, terms, is_live, numbers in zip(
                tables, part, kept, chunk_numbers, strict=True
            )
        ]
        for table, terms in zip(tables, part, strict=True):
            _let_go(table, terms.stop)
        merged = _interleaved(rows)
        hashes.append(merged.term_hashes)
        offsets.append(merged.offsets[1:] + chunks.length)
        chunks.append(merged.chunks)
        counts.append(merged.counts)


def _let_go_of_rows(inputs: Sequence[LiveSegment]) -> None:
    for live in inputs:
        for table in (live.segment.files, live.segment.chunks):
            for column in fields(table):
                array = getattr(table, column.name)
                let_go(array, len(array))


def _let_go(table: PostingTable, num_terms: int) -> None:
    """Give back the memory of the first ``num_terms`` terms and of their postings."""
    num_postings = int(table.offsets[num_terms])
    let_go(table.chunks, num_postings)
    let_go(table.counts, num_postings)
    let_go(table.term_hashes, num_terms)
    let_go(table.offsets, num_terms)


def _term_ranges(tables: Sequence[PostingTable]) -> Iterator[list[slice]]:
    """Yield which terms of each table to merge next: hashes are spread evenly, so equal shares."""
    num_postings = sum(len(table.chunks) for table in tables)
    num_ranges = num_postings // _NUM_POSTINGS_PER_RANGE + 1
    bounds = np.array([(at << 64) // num_ranges for at in range(1, num_ranges)], np.uint64)
    edges = [
        [0, *np.searchsorted(table.term_hashes, bounds).tolist(), len(table.term_hashes)]
        for table in tables
    ]
    for at in range(num_ranges):
        yield [slice(edge[at], edge[at + 1]) for edge in edges]


def _live_rows(
    table: PostingTable, terms: slice, is_live: _Bools, numbers: Uint32s
) -> PostingTable:
    """Return the rows ``terms`` without dead chunks, the others by their new numbers."""
    offsets = table.offsets[terms.start : terms.stop + 1]
    postings = slice(int(offsets[0]), int(offsets[-1]))
    old_chunks = table.chunks[postings]
    is_kept = is_live[old_chunks]
    num_kept_before = offsets_of(is_kept)
    lengths = np.diff(num_kept_before[offsets - offsets[0]])
    return PostingTable(
        table.term_hashes[terms][lengths > 0],
        offsets_of(lengths[lengths > 0]),
        numbers[old_chunks[is_kept]],
        table.counts[postings][is_kept],
    )


def _interleaved(tables: Sequence[PostingTable]) -> PostingTable:
    """Return one table of all; the postings of a term in the order of ``tables``."""
    hashes = np.unique(np.concatenate([table.term_hashes for table in tables]))
    rows = [np.searchsorted(hashes, table.term_hashes) for table in tables]
    lengths = np.zeros(len(hashes), np.int64)
    for table, row in zip(tables, rows, strict=True):
        lengths[row] += np.diff(table.offsets)
    offsets = offsets_of(lengths)
    ends = offsets[:-1].copy()
    chunks = np.empty(int(offsets[-1]), np.uint32)
    counts = np.empty(int(offsets[-1]), np.uint8)
    for table, row in zip(tables, rows, strict=True):
        row_lengths = np.diff(table.offsets)
        target = row_elements(ends[row], row_lengths)
        chunks[target], counts[target] = table.chunks, table.counts
        ends[row] += row_lengths
    return PostingTable(hashes, offsets, chunks, counts)


def _new_numbers(kept: Sequence[_Bools]) -> list[Uint32s]:
    """Return the new number of every row that is kept; that of another means nothing."""
    firsts = offsets_of([int(is_kept.sum()) for is_kept in kept])
    return [
        (np.cumsum(is_kept) - 1 + first).astype(np.uint32)
        for is_kept, first in zip(kept, firsts, strict=False)
    ]


def _merged(
    columns: Sequence[npt.NDArray[_Scalar]], kept: Sequence[_Bools]
) -> npt.NDArray[_Scalar]:
    """Return the kept rows of one column of all tables, end to end."""
    return np.concatenate([column[rows] for column, rows in zip(columns, kept, strict=True)])


def _merged_texts(
    texts: Sequence[tuple[Uint8s, Int64s]], kept: Sequence[_Bools]
) -> tuple[Uint8s, Int64s]:
    lengths = [np.diff(offsets) for _, offsets in texts]
    is_kept = [np.repeat(rows, length) for rows, length in zip(kept, lengths, strict=True)]
    return _merged([encoded for encoded, _ in texts], is_kept), offsets_of(_merged(lengths, kept))


def _hashes_by_row(files: FileTable) -> Uint64s:
    hashes = np.empty_like(files.path_hashes)
    hashes[files.path_rows] = files.path_hashes
    return hashes
