"""Merges against segments built of what they keep, and which segments are merged when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.chunk import Chunk
from retrieval.sparse import merge as merging
from retrieval.sparse.corpus import LiveSegment
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.merge import merge, plan_merge
from retrieval.sparse.segment import Segment
from retrieval.stamp import Stamp


def random_file(name: str, rng: np.random.Generator) -> IndexedFile:
    chunks = [
        Chunk(row, row + 1, ("é" * int(rng.integers(3)),), words(rng))
        for row in range(int(rng.integers(6)))
    ]
    stamp = Stamp(*rng.integers(1 << 60, size=3).tolist())
    return IndexedFile(name, stamp, chunks)


def words(rng: np.random.Generator) -> str:
    return " ".join(f"w{number}" for number in np.minimum(rng.zipf(1.4, 30), 400))


def assert_same(found: Segment, wanted: Segment) -> None:
    for table in ("files", "chunks", "postings"):
        for column in getattr(wanted, table).__dataclass_fields__:
            arrays = getattr(getattr(found, table), column), getattr(getattr(wanted, table), column)
            np.testing.assert_array_equal(*arrays, err_msg=f"{table}.{column}")


@pytest.mark.parametrize("share_dead", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("num_segments", [1, 2, 5])
@pytest.mark.parametrize("num_postings_per_range", [7, 1000, 10**9])
def test_a_merge_equals_a_segment_of_the_files_that_remain(
    share_dead: float,
    num_segments: int,
    num_postings_per_range: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merging, "_NUM_POSTINGS_PER_RANGE", num_postings_per_range)
    rng = np.random.default_rng(num_segments)
    folders, dead, remaining = [], [], []
    for at in range(num_segments):
        files = [random_file(f"{at}/{row}.py", rng) for row in range(int(rng.integers(8)))]
        died = frozenset(row for row in range(len(files)) if rng.random() < share_dead)
        remaining += [file for row, file in enumerate(files) if row not in died]
        folders.append(tmp_path / str(at))
        dead.append(died)
        Segment.build(files).write(folders[-1])
    merged = merge(folders, dead, tmp_path / "merged")
    assert_same(merged, Segment.build(remaining))


def test_what_dies_during_a_merge_is_dead_behind_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    index = SparseIndex()
    for at in range(2):
        files = [random_file(f"{at}/{row}.py", rng) for row in range(4)]
        index.add(Segment.build(files).write(tmp_path / str(at)))
    index.remove(["0/1.py"])
    inputs = index.segments
    folders = [tmp_path / "0", tmp_path / "1"]
    merged = merge(folders, [live.dead for live in inputs], tmp_path / "merged")
    index.remove(["0/2.py", "1/0.py"])
    index.add(Segment.build([random_file("1/3.py", rng)]))
    before = dict(index.stamps())
    index.replace(inputs, merged)
    assert dict(index.stamps()) == before
    assert sorted(before) == ["0/0.py", "0/3.py", "1/1.py", "1/2.py", "1/3.py"]
    assert [len(live.dead) for live in index.segments] == [3, 0]


def test_a_merge_of_what_is_not_in_the_index_is_refused() -> None:
    segment = Segment.build([])
    with pytest.raises(ValueError, match="not in the index"):
        SparseIndex().replace([LiveSegment(segment)], segment)


def segment_of(num_chunks: int) -> Segment:
    files = [
        IndexedFile(f"{row}.py", Stamp(0, 0, 0), [Chunk(0, 1, (), "aa")])
        for row in range(num_chunks)
    ]
    return Segment.build(files)


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ([], []),
        ([5], []),
        ([1, 1, 1], []),
        ([1, 1, 1, 1], [1, 1, 1, 1]),
        ([100, 20, 5, 1], []),
        ([1, 100, 2, 5, 1], [2, 5, 1, 1]),
        ([100, 16, 5, 5, 5], [5, 5, 5, 16]),
        ([100, 20, 10, 10, 10], [10, 10, 10, 20, 100]),
    ],
)
def test_small_segments_are_merged_until_each_outweighs_the_smaller_ones(
    sizes: list[int], merged: list[int]
) -> None:
    planned = plan_merge([LiveSegment(segment_of(size)) for size in sizes])
    assert sorted(len(live.segment.files) for live in planned) == sorted(merged)


@pytest.mark.parametrize(("num_dead", "is_merged"), [(0, False), (24, False), (25, True)])
def test_a_segment_is_rewritten_when_a_quarter_of_it_is_dead(
    num_dead: int, is_merged: bool
) -> None:
    planned = plan_merge([LiveSegment(segment_of(100), frozenset(range(num_dead)))])
    assert bool(planned) == is_merged


def test_planning_and_merging_comes_to_an_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    index = SparseIndex()
    for step in range(20):
        segment = Segment.build([random_file(f"{rng.integers(30)}.py", rng)])
        index.add(segment.write(tmp_path / f"{step}"))
        if inputs := plan_merge(index.segments):
            folders = [live.segment.folder for live in inputs if live.segment.folder]
            merged = merge(folders, [live.dead for live in inputs], tmp_path / f"{step}-merged")
            index.replace(inputs, merged)
            assert not plan_merge(index.segments)
    assert len(index.segments) <= 4
