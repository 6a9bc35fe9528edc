"""Segments: what they hold of a file, on disk and back, and what of a damaged one is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.chunk import Chunk
from retrieval.sparse import arrays
from retrieval.sparse.errors import IndexDamagedError, IndexSchemaError, IndexWriteError
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.segment import Segment
from retrieval.stamp import Stamp

FILES = [
    IndexedFile("empty.py", Stamp(-1, 0, 0), ()),
    IndexedFile(
        "pkg/größe \udc80.py",
        Stamp(1 << 62, 1 << 40, (1 << 64) - 1),
        [
            Chunk(0, 3, (), "import os\r\nimport sys\r\n"),
            Chunk(3, 9, ("class Größe:", "def \udc80(self):"), "\treturn self.value\x00\n"),
            Chunk(9, 9, (), ""),
        ],
    ),
    IndexedFile("one_line.js", Stamp(5, 6, 7), [Chunk(0, 1, (), "ab cd;" * 200_000)]),
]


def contents(segment: Segment) -> dict[str, list[int]]:
    return {
        f"{table}.{column}": getattr(getattr(segment, table), column).tolist()
        for table in ("files", "chunks", "postings")
        for column in getattr(segment, table).__dataclass_fields__
    }


@pytest.mark.parametrize("files", [[], FILES[:1], FILES], ids=["none", "empty", "several"])
def test_a_segment_comes_back_from_disk_as_it_was(files: list[IndexedFile], tmp_path: Path) -> None:
    built = Segment.build(files)
    written = built.write(tmp_path / "segment")
    assert contents(written) == contents(built)
    assert contents(Segment.open(tmp_path / "segment")) == contents(built)


def test_what_a_file_consists_of_is_found_again(tmp_path: Path) -> None:
    index = SparseIndex()
    index.add(Segment.build(FILES).write(tmp_path / "segment"))
    (hit,) = index.search({"value": 1.0}, 5)
    file, chunk = FILES[1], FILES[1].chunks[1]
    assert (hit.path, hit.start_line, hit.end_line) == (file.path, 3, 9)
    assert (hit.key, hit.header) == (chunk.key, chunk.header)
    assert dict(index.stamps()) == {file.path: file.stamp for file in FILES}


def test_counts_stop_where_a_byte_ends_and_lengths_do_not() -> None:
    segment = Segment.build(FILES[2:])
    assert segment.postings.counts.tolist() == [255, 255]
    assert segment.chunks.lengths.tolist() == [400_000]


@given(st.lists(st.text("abc_ B\n1é", max_size=30), max_size=6))
def test_postings_are_sorted_and_complete(texts: list[str]) -> None:
    chunks = [Chunk(row, row + 1, (), text) for row, text in enumerate(texts)]
    postings = Segment.build([IndexedFile("a", Stamp(0, 0, 0), chunks)]).postings
    assert (np.diff(postings.term_hashes) > 0).all()
    assert (np.diff(postings.offsets) > 0).all()
    for start, end in zip(postings.offsets, postings.offsets[1:], strict=False):
        assert (np.diff(postings.chunks[start:end].astype(int)) > 0).all()


def test_a_path_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="came twice"):
        Segment.build([FILES[0], FILES[2], FILES[0]])


def cut_short(folder: Path) -> None:
    path = folder / "postings.chunks.npy"
    path.write_bytes(path.read_bytes()[:-1])


def change_a_byte(folder: Path) -> None:
    path = folder / "chunks.keys.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def put_a_shorter_array(folder: Path) -> None:
    np.save(folder / "chunks.keys.npy", np.zeros(1, np.uint64))


def put_a_pickle(folder: Path) -> None:
    np.save(folder / "chunks.keys.npy", np.array([{}]), allow_pickle=True)


def empty_an_array(folder: Path) -> None:
    (folder / "files.sizes_bytes.npy").write_bytes(b"")


def lose_an_array(folder: Path) -> None:
    (folder / "files.mtimes_ns.npy").unlink()


def lose_a_column(folder: Path) -> None:
    change_table(folder, lambda table: table["arrays"].pop("files.sizes_bytes"))


def lose_the_table(folder: Path) -> None:
    (folder / "contents.json").unlink()


def garble_the_table(folder: Path) -> None:
    (folder / "contents.json").write_bytes(b"\xff{")


def misunderstand_the_table(folder: Path) -> None:
    (folder / "contents.json").write_text("[1]")


def change_table(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "contents.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        change_a_byte,
        put_a_shorter_array,
        put_a_pickle,
        empty_an_array,
        lose_an_array,
        lose_a_column,
        lose_the_table,
        garble_the_table,
        misunderstand_the_table,
    ],
)
def test_damage_is_noticed(damage: Callable[[Path], None], tmp_path: Path) -> None:
    Segment.build(FILES).write(tmp_path / "segment")
    damage(tmp_path / "segment")
    with pytest.raises(IndexDamagedError, match="build the index anew"):
        Segment.open(tmp_path / "segment")


def test_arrays_that_contradict_each_other_are_noticed(tmp_path: Path) -> None:
    good = Segment.build(FILES)
    with arrays.new_folder(tmp_path / "bad") as writer:
        for name, values in contents(good).items():
            table, column = name.split(".")
            kept = values[:-1] if name == "files.first_chunks" else values
            dtype = getattr(getattr(good, table), column).dtype
            writer.column(name, dtype).append(np.array(kept, dtype))
    with pytest.raises(IndexDamagedError, match="contradict"):
        Segment.open(tmp_path / "bad")


def test_another_layout_is_told_from_damage(tmp_path: Path) -> None:
    Segment.build(FILES).write(tmp_path / "segment")
    change_table(tmp_path / "segment", lambda table: table.update(schema=99))
    with pytest.raises(IndexSchemaError, match="layout 99"):
        Segment.open(tmp_path / "segment")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrays.os, "fsync", no_room)
    with pytest.raises(IndexWriteError, match="No space left"):
        Segment.build(FILES).write(tmp_path / "segment")
    assert list(tmp_path.iterdir()) == []
