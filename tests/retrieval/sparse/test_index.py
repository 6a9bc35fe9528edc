"""An index that changes, against a list that is scored one chunk after the other."""

from __future__ import annotations

import math
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunk import Chunk
from retrieval.sparse.corpus import Hit
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.merge import merge
from retrieval.sparse.segment import Segment
from retrieval.stamp import Stamp
from retrieval.terms import terms_of

PATHS = ["a.py", "b/c.py", "d.py"]
WORDS = ["aa", "bb", "cc", "ddEe", "ff_gg"]
QUERY = {"aa": 1.0, "bb": 0.5, "ee": 2.0, "ff_gg": 0.25, "unknown": 3.0}
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), max_size=5)
FILES = st.dictionaries(st.sampled_from(PATHS), TEXTS, min_size=1)
STEPS = st.one_of(
    st.tuples(st.just("add"), FILES),
    st.tuples(st.just("remove"), st.lists(st.sampled_from([*PATHS, "never.py"]))),
    st.tuples(st.just("edit"), st.tuples(st.sampled_from(PATHS), TEXTS)),
    st.tuples(st.just("close"), st.sampled_from(PATHS)),
    st.tuples(st.just("merge"), st.integers(1, 4)),
)


def chunks_of(texts: Sequence[str]) -> list[Chunk]:
    return [Chunk(2 * row, 2 * row + 2, ("class A:",), text) for row, text in enumerate(texts)]


def file_of(path: str, texts: Sequence[str]) -> IndexedFile:
    return IndexedFile(path, Stamp(len(texts), 1, 2), chunks_of(texts))


@dataclass
class Model:
    """What the index is to hold. A file in a segment is (path, texts, whether it is alive)."""

    segments: list[list[tuple[str, list[str], bool]]] = field(default_factory=list)
    documents: dict[str, list[str]] = field(default_factory=dict)

    def bury(self, paths: Sequence[str]) -> None:
        self.segments = [
            [(path, texts, alive and path not in paths) for path, texts, alive in segment]
            for segment in self.segments
        ]

    def saved(self) -> dict[str, list[str]]:
        return {path: texts for segment in self.segments for path, texts, alive in segment if alive}

    def expected(self) -> list[tuple[float, str, int]]:
        """Return (score, path, start line) of all that match, best first."""
        saved = self.saved()
        in_segments = [text for part in self.segments for _, texts, _ in part for text in texts]
        in_delta = [
            text
            for path, texts in self.documents.items()
            for text in (Counter(texts) - Counter(saved.get(path, []))).elements()
        ]
        counted = [Counter(terms_of(text)) for text in in_segments + in_delta]
        measured = in_segments or in_delta
        average = sum(len(terms_of(text)) for text in measured) / max(1, len(measured))
        visible = {**saved, **self.documents}
        found = []
        for path, texts in visible.items():
            for row, text in enumerate(texts):
                score = score_of(text, counted, average)
                if score:
                    found.append((score, path, 2 * row))
        return sorted(found, key=lambda one: (-round(one[0], 9), one[1], one[2]))


def score_of(text: str, counted: Sequence[Counter[str]], average: float) -> float:
    terms = Counter(terms_of(text))
    norm = 1.5 * (0.25 + 0.75 * terms.total() / max(average, 1.0))
    return sum(
        weight
        * math.log((len(counted) + 1) / sum(term in other for other in counted))
        * (terms[term] * 2.5 / (terms[term] + norm))
        for term, weight in QUERY.items()
        if term in terms
    )


class Pair:
    """The index and its model, changed in step."""

    def __init__(self, folder: Path) -> None:
        self.index = SparseIndex()
        self.model = Model()
        self._folder = folder
        self._num_folders = 0

    def step(self, kind: str, argument: object) -> None:
        getattr(self, kind)(argument)

    def add(self, files: dict[str, list[str]]) -> None:
        segment = Segment.build(file_of(path, texts) for path, texts in files.items())
        self.index.add(segment)
        self.model.bury(list(files))
        self.model.segments.append([(path, texts, True) for path, texts in files.items()])

    def remove(self, paths: list[str]) -> None:
        self.index.remove(paths)
        self.model.bury(paths)

    def edit(self, edit: tuple[str, list[str]]) -> None:
        path, texts = edit
        self.index.set_overlay(path, chunks_of(texts))
        self.model.documents[path] = texts

    def close(self, path: str) -> None:
        self.index.drop_overlay(path)
        self.model.documents.pop(path, None)

    def merge(self, num_segments: int) -> None:
        inputs = self.index.segments[:num_segments]
        if not inputs:
            return
        folders = [self._folder_of(live.segment) for live in inputs]
        merged = merge(folders, [live.dead for live in inputs], self._new_folder())
        self.index.replace(inputs, merged)
        first, rest = self.model.segments[:num_segments], self.model.segments[num_segments:]
        self.model.segments = [[file for part in first for file in part if file[2]], *rest]

    def _folder_of(self, segment: Segment) -> Path:
        return segment.folder or segment.write(self._new_folder()).folder or Path()

    def _new_folder(self) -> Path:
        self._num_folders += 1
        return self._folder / str(self._num_folders)


def check(pair: Pair) -> None:
    expected = pair.model.expected()
    hits = pair.index.search(QUERY, 1000)
    assert [(hit.path, hit.start_line) for hit in hits] == [(at, line) for _, at, line in expected]
    assert [hit.score for hit in hits] == pytest.approx([one[0] for one in expected], rel=1e-9)
    assert pair.index.search(QUERY, 3) == hits[:3]
    visible = {**pair.model.saved(), **pair.model.documents}
    for hit in hits:
        (chunk,) = [one for one in chunks_of(visible[hit.path]) if one.start_line == hit.start_line]
        assert (hit.end_line, hit.key, hit.header) == (chunk.end_line, chunk.key, chunk.header)
    check_keys(pair.index, visible)
    assert dict(pair.index.stamps()) == {
        path: Stamp(len(texts), 1, 2) for path, texts in pair.model.saved().items()
    }


def check_keys(index: SparseIndex, visible: Mapping[str, Sequence[str]]) -> None:
    """Chunks are found by their keys wherever they stand, and all keys are known."""
    placed = [
        (chunk.key, path, chunk.start_line)
        for path, texts in visible.items()
        for chunk in chunks_of(texts)
    ]
    keys = index.chunk_keys()
    assert len(keys) == len(set(keys))
    assert set(keys) >= {key for key, _, _ in placed}
    scores = {key: float(key % 3) for key in keys[::2]}
    hidden = {PATHS[0]: [(2, 4)]}
    found = index.with_keys(scores, hidden)
    assert [(hit.key, hit.path, hit.start_line) for hit in found] == sorted(
        (one for one in placed if one[0] in scores and one[1:] != (PATHS[0], 2)),
        key=lambda one: (-scores[one[0]], one[1], one[2]),
    )
    assert all(hit.score == scores[hit.key] for hit in found)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=12))
def test_after_any_changes_scores_and_ranking_are_those_of_the_model(
    steps: list[tuple[str, object]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        for kind, argument in steps:
            pair.step(kind, argument)
            check(pair)


@settings(max_examples=20)
@given(st.lists(STEPS, min_size=3, max_size=12))
def test_after_a_merge_an_index_answers_like_one_built_anew(
    steps: list[tuple[str, object]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        for kind, argument in steps:
            pair.step(kind, argument)
        for path in PATHS:
            pair.index.drop_overlay(path)
        pair.merge(len(pair.index.segments))
        anew = SparseIndex()
        anew.add(Segment.build(file_of(*file) for file in pair.model.saved().items()))
        assert pair.index.search(QUERY, 1000) == anew.search(QUERY, 1000)


def index_of(**files: Sequence[str]) -> SparseIndex:
    index = SparseIndex()
    index.add(Segment.build(file_of(f"{name}.py", texts) for name, texts in files.items()))
    return index


def places(hits: Sequence[Hit]) -> list[tuple[str, int]]:
    return [(hit.path, hit.start_line) for hit in hits]


def test_equal_chunks_are_ranked_by_path_and_line_wherever_they_are_kept() -> None:
    index = index_of(c=["aa bb", "aa bb"], a=["aa bb"])
    index.add(Segment.build([file_of("b.py", ["aa bb"])]))
    index.set_overlay("aaa.py", chunks_of(["aa bb"]))
    hits = index.search({"aa": 1.0, "bb": 0.3}, 10)
    assert len({hit.score for hit in hits}) == 1
    assert places(hits) == [("a.py", 0), ("aaa.py", 0), ("b.py", 0), ("c.py", 0), ("c.py", 2)]
    assert index.search({"aa": 1.0, "bb": 0.3}, 2) == hits[:2]


def test_lines_inserted_above_move_the_hits_of_an_open_document() -> None:
    index = index_of(a=["aa", "bb"])
    index.set_overlay("a.py", [Chunk(7, 9, ("class A:",), "aa"), Chunk(9, 12, ("class A:",), "bb")])
    assert places(index.search({"bb": 1.0}, 5)) == [("a.py", 9)]


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize(
    ("hidden", "remaining"),
    [((0, 1), [2, 4]), ((1, 3), [4]), ((2, 2), [0, 2, 4]), ((4, 99), [0, 2]), ((0, 99), [])],
)
def test_no_hit_overlaps_hidden_lines(
    is_open: bool, hidden: tuple[int, int], remaining: list[int]
) -> None:
    index = index_of(a=["aa", "aa bb", "aa cc"])
    if is_open:
        index.set_overlay("a.py", chunks_of(["aa", "aa dd", "aa cc"]))
    hits = index.search({"aa": 1.0}, 9, hidden={"a.py": [hidden], "b.py": [(0, 9)]})
    assert sorted(hit.start_line for hit in hits) == remaining


def test_what_is_hidden_does_not_take_the_place_of_what_is_not() -> None:
    index = index_of(a=["aa aa", "aa bb"])
    assert places(index.search({"aa": 1.0}, 1, hidden={"a.py": [(0, 2)]})) == [("a.py", 2)]


@pytest.mark.parametrize("query", [{}, {"aa": 0.0}, {"aa": -1.0}, {"never": 1.0}])
def test_a_query_that_asks_for_nothing_finds_nothing(query: dict[str, float]) -> None:
    assert index_of(a=["aa"]).search(query, 5) == []


def test_an_empty_index_finds_nothing() -> None:
    assert SparseIndex().search(QUERY, 5) == []


def test_a_chunk_of_average_length_with_all_terms_has_the_querys_own_score() -> None:
    index = index_of(a=["aa bb cc"], b=["cc bb cc"])
    best = index.search({"aa": 1.0, "bb": 1.0, "cc": 1.0}, 1)[0]
    assert best.score == pytest.approx(index.self_score({"aa": 1.0, "bb": 1.0, "cc": 1.0}))
    assert index.self_score({"aa": 1.0, "never": 1.0}) > index.self_score({"aa": 1.0})


def test_stamps_are_a_mapping_of_live_files() -> None:
    stamps = index_of(a=["aa"], b=[]).stamps()
    assert len(stamps) == 2
    assert stamps["b.py"] == Stamp(0, 1, 2)
    assert "c.py" not in stamps


def test_a_search_beside_changes_sees_one_state() -> None:
    index = index_of(a=["aa"])
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for texts in (["aa", "aa bb"], ["bb", "cc", "aa"]):
                index.set_overlay("a.py", chunks_of(texts))
                index.add(Segment.build([file_of("b.py", texts)]))
            index.drop_overlay("a.py")

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(100):
            for hit in index.search({"aa": 1.0}, 10):
                assert hit.path in ("a.py", "b.py")
    finally:
        stop.set()
        writer.join()
