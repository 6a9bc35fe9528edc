"""An immutable part of the index: some files, their chunks and postings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, fields
from pathlib import Path

from retrieval.sparse.arrays import AnyArray, FolderWriter, damaged, new_folder, read_folder
from retrieval.sparse.build import SegmentBuilder
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.tables import ChunkTable, FileTable, PostingTable
from retrieval.stamp import Stamp


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Three tables, in memory or mapped from ``folder``.

    ``digest`` identifies the content of the folder; both are empty for a segment in memory.
    """

    files: FileTable
    chunks: ChunkTable
    postings: PostingTable
    folder: Path | None = None
    digest: str = ""

    @classmethod
    def build(cls, files: Iterable[IndexedFile]) -> Segment:
        """Return the segment of ``files``, in memory.

        ``files`` is read once and no text of it is kept, so it may be a stream.

        Raises:
            ValueError: A path comes twice.
        """
        builder = SegmentBuilder()
        for file in files:
            builder.add(file)
        return cls(*builder.tables())

    @classmethod
    def open(cls, folder: Path) -> Segment:
        """Return the segment in ``folder``, mapped: memory is used for what is looked at.

        Raises:
            IndexDamagedError: The folder is incomplete or contradicts itself.
            IndexSchemaError: Another version wrote it.
            FileNotFoundError: There is no such folder.
        """
        arrays, digest = read_folder(folder)
        try:
            segment = cls(
                FileTable(**_columns(arrays, "files")),
                ChunkTable(**_columns(arrays, "chunks")),
                PostingTable(**_columns(arrays, "postings")),
                folder,
                digest,
            )
        except TypeError as error:
            raise damaged(folder, str(error)) from error
        if not segment._is_consistent():
            raise damaged(folder, "lengths of its arrays contradict each other")
        return segment

    def write(self, folder: Path) -> Segment:
        """Write the new ``folder``, whole or not at all, and return the segment mapped from it.

        Raises:
            IndexWriteError: The system refused.
        """
        with new_folder(folder) as writer:
            for name in ("files", "chunks", "postings"):
                write_table(writer, name, getattr(self, name))
        return Segment.open(folder)

    def stamp(self, file: int) -> Stamp:
        """Return the stamp of a file."""
        return Stamp(
            int(self.files.mtimes_ns[file]),
            int(self.files.sizes_bytes[file]),
            int(self.files.content_hashes[file]),
        )

    def _is_consistent(self) -> bool:
        files, chunks, postings = self.files, self.chunks, self.postings
        divided = (
            (files.path_offsets, len(files), files.path_bytes),
            (files.first_chunks, len(files), chunks.keys),
            (chunks.header_offsets, len(chunks), chunks.header_bytes),
            (postings.offsets, len(postings.term_hashes), postings.chunks),
        )
        side_by_side: tuple[tuple[Sized, ...], ...] = (
            (files.path_hashes, files.path_rows, files.sizes_bytes, files.content_hashes, files),
            (chunks.start_lines, chunks.end_lines, chunks.lengths, chunks),
            (postings.chunks, postings.counts),
        )
        return all(
            len(offsets) == num_rows + 1 and offsets[0] == 0 and offsets[-1] == len(behind)
            for offsets, num_rows, behind in divided
        ) and all(len(set(map(len, columns))) == 1 for columns in side_by_side)


def write_table(
    writer: FolderWriter,
    name: str,
    table: FileTable | ChunkTable | PostingTable,
) -> None:
    """Write each column of ``table`` as the array ``name.column``."""
    for column in fields(table):
        array: AnyArray = getattr(table, column.name)
        writer.column(f"{name}.{column.name}", array.dtype).append(array)


def _columns(arrays: Mapping[str, AnyArray], table: str) -> dict[str, AnyArray]:
    prefix = f"{table}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
