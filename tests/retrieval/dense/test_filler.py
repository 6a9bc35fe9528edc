"""What is embedded in idle time, in which order, and where a fill goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from retrieval.dense import vectors as vectors_module
from retrieval.dense.embedder import Vectors
from retrieval.dense.filler import Candidate, DenseFiller
from retrieval.dense.vectors import VectorIndex


@dataclass
class Recorder:
    """An embedder that notes its batches, and fails on the text "bad"."""

    name: str = "recorder"
    dimension: int = 2
    is_fast: bool = True
    batches: list[list[str]] = field(default_factory=list)

    def embed(self, texts: Sequence[str]) -> Vectors:
        if "bad" in texts:
            raise RuntimeError("bad text")
        self.batches.append(list(texts))
        return np.ones((len(texts), 2), np.float32)


@dataclass
class Workspace:
    """A filler with all that it works on; ``texts`` are the backlog."""

    texts: dict[int, str | None]
    index: VectorIndex = field(default_factory=lambda: VectorIndex("recorder", 2))
    embedder: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.filler = DenseFiller(self.embedder, self.index, self.backlog, batch_size=2)

    def backlog(self) -> Iterator[Candidate]:
        return (candidate(key, text) for key, text in list(self.texts.items()))


def candidate(key: int, text: str | None) -> Candidate:
    return Candidate(key, lambda: text)


def always() -> bool:
    return True


def times(count: int) -> Callable[[], bool]:
    """Return an answer that is yes ``count`` times."""
    answers = iter([True] * count)
    return lambda: next(answers, False)


def workspace(texts: str = "abcde") -> Workspace:
    return Workspace({ord(text): text for text in texts})


def test_the_backlog_is_embedded_in_its_order() -> None:
    space = workspace()
    assert space.filler.fill(always)
    assert space.embedder.batches == [["a", "b"], ["c", "d"], ["e"]]
    assert all(ord(text) in space.index for text in "abcde")


def test_a_fill_stops_between_batches_and_goes_on_where_it_was() -> None:
    space = workspace()
    assert not space.filler.fill(times(1))
    assert space.embedder.batches == [["a", "b"]]
    assert not space.filler.fill(times(0))
    assert space.filler.fill(always)
    assert space.embedder.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_what_was_edited_last_comes_first() -> None:
    space = workspace("abc")
    space.filler.prefer([candidate(1, "1"), candidate(2, "2"), candidate(3, "3")])
    space.filler.prefer([candidate(1, "1 again")])
    space.filler.fill(times(1))
    space.filler.prefer([candidate(4, "4")])
    space.filler.fill(always)
    assert space.embedder.batches == [["1 again", "3"], ["4", "2"], ["a", "b"], ["c"]]


def test_of_too_many_edits_the_oldest_wait_for_the_backlog() -> None:
    space = workspace("")
    space.filler.prefer([candidate(key, str(key)) for key in range(1025)])
    space.filler.fill(always)
    assert 0 not in space.index
    assert len(space.index) == 1024


def test_what_has_a_vector_is_not_read_again() -> None:
    space = workspace("abc")
    space.index.add([ord("b")], np.ones((1, 2), np.float32))
    space.filler.fill(always)
    space.filler.restart()
    space.filler.prefer([candidate(ord("a"), "a")])
    assert space.filler.fill(always)
    assert space.embedder.batches == [["a", "c"]]


def test_a_restart_finds_what_is_new_in_the_backlog() -> None:
    space = workspace("a")
    space.filler.fill(always)
    space.texts[ord("z")] = "z"
    space.filler.fill(always)
    assert space.embedder.batches == [["a"]]
    space.filler.restart()
    space.filler.fill(always)
    assert space.embedder.batches == [["a"], ["z"]]


def test_texts_that_are_gone_are_left_out() -> None:
    space = Workspace({1: "a", 2: None, 3: "c"})
    assert space.filler.fill(always)
    assert space.embedder.batches == [["a", "c"]]
    assert 2 not in space.index


def test_equal_chunks_are_embedded_once() -> None:
    space = workspace("")
    space.filler = DenseFiller(
        space.embedder, space.index, lambda: [candidate(1, "a")] * 3, batch_size=2
    )
    space.filler.fill(always)
    assert space.embedder.batches == [["a"]]


def test_a_text_that_cannot_be_embedded_does_not_stop_the_rest() -> None:
    space = Workspace({1: "a", 2: "bad", 3: "c"})
    with pytest.raises(RuntimeError, match="bad text"):
        space.filler.fill(always)
    assert space.filler.fill(always)
    assert space.embedder.batches == [["c"]]


def test_a_finished_fill_is_saved_and_saved_once(tmp_path: Path) -> None:
    space = Workspace({1: "a"}, VectorIndex("recorder", 2, tmp_path))
    space.filler.fill(always)
    assert 1 in VectorIndex.open(tmp_path, "recorder", 2)
    before = (tmp_path / "manifest.json").stat().st_mtime_ns
    assert space.filler.fill(always)
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == before


def test_a_fill_that_dies_loses_a_share_of_its_work_only(tmp_path: Path) -> None:
    texts: dict[int, str | None] = dict.fromkeys(range(4100), "a")
    space = Workspace(texts, VectorIndex("recorder", 2, tmp_path))
    space.filler.fill(times(2000))
    assert len(VectorIndex.open(tmp_path, "recorder", 2)) >= 2048


def test_a_large_index_is_trained_when_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "MAX_NUM_FLAT", 3)
    space = workspace()
    assert not space.filler.fill(times(3))
    assert space.index.is_worth_training
    assert space.filler.fill(always)
    assert not space.index.is_worth_training
    assert len(space.index) == 5


@pytest.mark.parametrize("index", [VectorIndex("other", 2), VectorIndex("recorder", 3)])
def test_an_index_of_another_embedder_is_refused(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="the index is of"):
        Workspace({}, index)
