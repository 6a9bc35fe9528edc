"""Drafts recycled from passes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.speculation.recycled import NUM_SUCCESSORS, RecycledTokens
from completion.speculation.source import DraftPlace, VerifiedPass

VOCAB_SIZE = 100
Rows = list[tuple[int, int]]  # tokens, each with its likeliest successor


def learn(source: RecycledTokens, rows: Rows) -> None:
    likeliest = np.array([successors(first) for _, first in rows], dtype=np.int64)
    token_ids = [token_id for token_id, _ in rows]
    source.learn(VerifiedPass(token_ids, [None] * len(rows), likeliest.reshape(-1, NUM_SUCCESSORS)))


def successors(first: int) -> list[int]:
    return [(first + rank) % VOCAB_SIZE for rank in range(NUM_SUCCESSORS)]


def proposed(source: RecycledTokens, *tail: int) -> list[int]:
    return [proposal.token_id for proposal in source.propose(DraftPlace(tail, ()))]


row = st.tuples(st.integers(0, 11), st.integers(0, VOCAB_SIZE - 1))
passes = st.lists(st.lists(row, min_size=1, max_size=6), max_size=12)


@given(passes, st.integers(1, 12))
def test_it_remembers_like_a_dictionary_in_order_of_writing(
    passes: list[Rows], capacity: int
) -> None:
    source, known = RecycledTokens(VOCAB_SIZE, capacity), dict[int, int]()
    for rows in passes:
        learn(source, rows)
        for token_id, first in rows:
            known.pop(token_id, None)
            known[token_id] = first
            if len(known) > capacity:
                del known[next(iter(known))]
    for token_id in range(12):
        expected = successors(known[token_id]) if token_id in known else []
        assert proposed(source, 50, token_id) == expected


@given(passes, st.integers(1, 12), st.integers(1, 12))
def test_a_restored_source_has_what_it_has_room_for_the_newest_first(
    passes: list[Rows], capacity: int, other_capacity: int
) -> None:
    source, restored = (RecycledTokens(VOCAB_SIZE, each) for each in (capacity, other_capacity))
    learn(restored, [(3, 77), (99, 5)])
    for rows in passes:
        learn(source, rows)
    stored = source.arrays()
    restored.restore(stored)
    kept = stored["token_ids"][-other_capacity:].tolist()
    for token_id in range(VOCAB_SIZE):
        expected = proposed(source, token_id) if token_id in kept else []
        assert proposed(restored, token_id) == expected
    learn(restored, [(20, 1)])  # takes the place of the oldest
    assert restored.arrays()["token_ids"].tolist() == [*kept, 20][-other_capacity:]


def test_the_grade_is_the_rank() -> None:
    source = RecycledTokens(VOCAB_SIZE)
    learn(source, [(1, 2)])
    grades = [proposal.grade for proposal in source.propose(DraftPlace((1,), ()))]
    assert grades == list(range(len(source.grades)))


def test_a_place_without_text_has_no_drafts() -> None:
    assert proposed(RecycledTokens(VOCAB_SIZE)) == []


def test_fewer_successors_replace_more() -> None:
    source = RecycledTokens(VOCAB_SIZE)
    learn(source, [(1, 2)])
    source.learn(VerifiedPass([1], [None], np.array([[5, 6]])))
    assert proposed(source, 1) == [5, 6]


@pytest.mark.parametrize("vocab_size", [32_000, 151_936, 262_144])
def test_memory_stays_below_two_megabytes(vocab_size: int) -> None:
    assert RecycledTokens(vocab_size).num_bytes < 2_000_000


@pytest.mark.parametrize("capacity", [0, 1 << 16])
def test_a_capacity_that_no_row_number_holds_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="a capacity from 1"):
        RecycledTokens(1 << 17, capacity)


def rows_of(*token_ids: int, dtype: npt.DTypeLike = np.int32) -> dict[str, npt.NDArray[np.generic]]:
    shape = (len(token_ids), NUM_SUCCESSORS)
    return {"token_ids": np.array(token_ids, dtype), "successors": np.zeros(shape, np.int32)}


@pytest.mark.parametrize(
    "arrays",
    [
        rows_of(1, 1),
        rows_of(-1),
        rows_of(VOCAB_SIZE),
        rows_of(1, dtype=np.int64),
        rows_of(1) | {"successors": np.full((1, NUM_SUCCESSORS), VOCAB_SIZE, np.int32)},
        rows_of(1) | {"successors": np.full((1, NUM_SUCCESSORS), -2, np.int32)},
        rows_of(1) | {"successors": np.zeros((1, 3), np.int32)},
        rows_of(1) | {"token_ids": np.zeros((1, 1), np.int32)},
        rows_of(1) | {"successors": np.zeros((1, NUM_SUCCESSORS), np.float32)},
    ],
    ids=[
        "doubled",
        "negative",
        "large",
        "wide",
        "large_rows",
        "negative_rows",
        "narrow",
        "nested",
        "float",
    ],
)
def test_arrays_that_are_no_rows_are_refused(arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    source = RecycledTokens(VOCAB_SIZE)
    learn(source, [(1, 2)])
    with pytest.raises(ValueError, match=r"tokens|successors"):
        source.restore(arrays)
    assert proposed(source, 1) == successors(2)
