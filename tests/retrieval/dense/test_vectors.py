"""The vector index against a dict and a comparison of everything."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.dense.embedder import Vectors, normalised
from retrieval.dense.inverted import InvertedVectors
from retrieval.dense.threads import one_thread
from retrieval.dense.vectors import MAX_NUM_FLAT, VectorIndex

DIMENSION = 4
LARGEST = 2**64 - 1
KEYS = st.integers(0, 12) | st.sampled_from([2**63 - 1, 2**63, LARGEST - 1, LARGEST])
STEP = st.tuples(st.sampled_from(["add", "remove", "retain", "train"]), st.lists(KEYS, max_size=20))


def index_of(vectors: dict[int, npt.NDArray[np.float32]]) -> VectorIndex:
    index = VectorIndex("test", DIMENSION)
    index.add(list(vectors), rows(list(vectors.values())))
    return index


def rows(vectors: Sequence[npt.NDArray[np.float32]]) -> Vectors:
    return np.array(vectors, np.float32).reshape(len(vectors), DIMENSION)


def random_rows(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    generator = np.random.default_rng(seed)
    return normalised(generator.normal(size=(count, dimension)).astype(np.float32))


def clustered(count: int, dimension: int, seed: int = 0) -> Vectors:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(count // 40, dimension))
    around = centres[generator.integers(0, len(centres), count)]
    noisy = around + 0.8 * generator.normal(size=around.shape)
    return normalised(noisy.astype(np.float32))


def found(index: VectorIndex, vector: npt.NDArray[np.float32], k: int) -> list[int]:
    return [neighbour.key for neighbour in index.search(vector, k)]


def applied(
    index: VectorIndex, expected: dict[int, npt.NDArray[np.float32]], step: str, keys: list[int]
) -> None:
    """Do ``step`` to the index and to the dict that it is compared with."""
    if step == "add":
        added = random_rows(len(keys), seed=len(expected) + sum(keys) % 1000)
        index.add(keys, added)
        expected.update(zip(keys, added, strict=True))
    elif step == "remove":
        assert index.remove(keys) == len(expected.keys() & set(keys))
        for key in keys:
            expected.pop(key, None)
    elif step == "retain":
        assert index.retain(keys) == len(expected.keys() - set(keys))
        for key in expected.keys() - set(keys):
            del expected[key]
    else:
        index.train()


@settings(max_examples=150)
@given(st.lists(STEP, max_size=8))
def test_what_is_in_the_index_is_what_a_dict_would_hold(
    steps: list[tuple[str, list[int]]],
) -> None:
    expected: dict[int, npt.NDArray[np.float32]] = {}
    index = index_of(expected)
    for step, keys in steps:
        applied(index, expected, step, keys)
        assert len(index) == len(expected)
        assert all(key in index for key in expected)
    # So few vectors have so few lists that a search reads all of them.
    reached = set(found(index, random_rows(1)[0], len(expected)))
    assert expected.keys() - {LARGEST} <= reached <= expected.keys()


@settings(max_examples=150)
@given(st.lists(STEP.filter(lambda step: step[0] != "train"), max_size=8), st.integers(0, 25))
def test_a_small_index_finds_exactly_the_nearest(
    steps: list[tuple[str, list[int]]], k: int
) -> None:
    expected: dict[int, npt.NDArray[np.float32]] = {}
    index = index_of(expected)
    for step, keys in steps:
        applied(index, expected, step, keys)
    query = random_rows(1, seed=5)[0]
    neighbours = index.search(query, k)
    scores = sorted((float(vector @ query) for vector in expected.values()), reverse=True)
    assert [n.score for n in neighbours] == pytest.approx(scores[:k], abs=1e-6)
    for neighbour in neighbours:
        assert neighbour.score == pytest.approx(float(expected[neighbour.key] @ query), abs=1e-6)


def test_of_equal_keys_in_one_call_the_last_counts() -> None:
    index = VectorIndex("test", DIMENSION)
    index.add([7, 8, 7], np.eye(3, DIMENSION, dtype=np.float32))
    assert len(index) == 2
    assert index.search(np.eye(3, DIMENSION, dtype=np.float32)[2], 1)[0].key == 7


def test_training_pays_where_comparing_all_takes_long() -> None:
    index = VectorIndex("test", 2)
    index.add(range(MAX_NUM_FLAT), random_rows(MAX_NUM_FLAT, dimension=2))
    assert not index.is_worth_training
    index.add([MAX_NUM_FLAT], random_rows(1, dimension=2))
    assert index.is_worth_training


def test_training_pays_again_once_there_are_four_times_as_many() -> None:
    index = index_of(dict(enumerate(random_rows(400))))
    index.train()
    assert not index.is_worth_training
    index.add(range(400, 1599), random_rows(1199))
    assert not index.is_worth_training
    index.add([1599], random_rows(1))
    assert index.is_worth_training
    index.train()
    assert not index.is_worth_training
    assert len(index) == 1600


@pytest.fixture(scope="module")
def trained() -> tuple[VectorIndex, Vectors]:
    vectors = clustered(6000, 64)
    index = VectorIndex("test", 64)
    index.add(range(len(vectors)), vectors)
    index.train()
    return index, vectors


def recall(index: VectorIndex, vectors: Vectors, queries: Vectors) -> float:
    """Return the share of the 10 nearest rows that are among the 10 found."""
    nearest = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    hits = [
        len(set(best.tolist()) & set(found(index, query, 10)))
        for best, query in zip(nearest, queries, strict=True)
    ]
    return sum(hits) / (10 * len(hits))


def test_a_large_index_finds_nearly_all_of_the_nearest(
    trained: tuple[VectorIndex, Vectors],
) -> None:
    index, vectors = trained
    shifted = vectors[::60] + 0.05 * random_rows(100, dimension=64)
    assert recall(index, vectors, normalised(shifted)) > 0.95  # 0.98 here; a byte costs the rest


def test_a_large_index_finds_nearly_all_after_every_vector_was_replaced() -> None:
    vectors = clustered(3000, 32, seed=1)
    index = VectorIndex("test", 32)
    index.add(range(len(vectors)), clustered(3000, 32, seed=2))
    index.train()
    for start in range(0, len(vectors), 100):
        index.add(range(start, start + 100), vectors[start : start + 100])
    assert len(index) == len(vectors)
    assert recall(index, vectors, vectors[::30]) > 0.8  # 0.86 here: the lists are those of others


def test_scores_of_a_large_index_are_near_to_the_true_ones(
    trained: tuple[VectorIndex, Vectors],
) -> None:
    index, vectors = trained
    for neighbour in index.search(vectors[0], 20):
        assert neighbour.score == pytest.approx(vectors[neighbour.key] @ vectors[0], abs=0.01)


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((1, DIMENSION + 1), np.float32),
        np.zeros((2, DIMENSION), np.float32),
        np.full((1, DIMENSION), np.nan, np.float32),
        np.full((1, DIMENSION), -np.inf, np.float32),
    ],
)
def test_vectors_of_no_use_are_refused(vectors: Vectors) -> None:
    index = index_of({1: random_rows(1)[0]})
    with pytest.raises(ValueError, match=r"shape|finite"):
        index.add([2], vectors)
    with pytest.raises(ValueError, match=r"shape|finite"):
        index.search(vectors if len(vectors) > 1 else vectors[0], 1)
    assert len(index) == 1


def test_the_zero_vector_is_as_far_from_everything() -> None:
    index = index_of({1: np.zeros(DIMENSION, np.float32), 2: random_rows(1)[0]})
    assert found(index, random_rows(1)[0], 2) == [2, 1]
    assert {n.score for n in index.search(np.zeros(DIMENSION, np.float32), 2)} == {0.0}


def test_an_empty_index_finds_nothing_and_trains_on_nothing() -> None:
    index = VectorIndex("test", DIMENSION)
    index.train()
    index.add([], random_rows(0))
    assert index.search(random_rows(1)[0], 10) == []


@pytest.mark.timeout(60)
def test_searches_go_on_during_training(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(dict(enumerate(random_rows(50))))
    train = InvertedVectors.trained
    seen: list[list[int]] = []

    def searched_meanwhile(keys: npt.NDArray[np.uint64], vectors: Vectors) -> InvertedVectors:
        seen.append(found(index, random_rows(50)[7], 1))  # would wait for ever
        return train(keys, vectors)

    monkeypatch.setattr(InvertedVectors, "trained", searched_meanwhile)
    index.train()
    assert seen == [[7]]


def test_threads_may_search_while_others_change_and_save(tmp_path: Path) -> None:
    vectors = random_rows(600)
    index = VectorIndex("test", DIMENSION, tmp_path)
    index.add(range(300), vectors[:300])
    failures: list[BaseException] = []

    def search() -> None:
        try:
            for at in range(300):
                assert len(index.search(vectors[at], 5)) == 5
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for at in range(0, 300, 10):
        index.add(range(300 + at, 310 + at), vectors[300 + at : 310 + at])
        index.remove(range(at, at + 5))
        if at % 100 == 50:
            index.train()
            index.save()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(index) == 450


def test_faiss_takes_one_thread_and_leaves_the_number_as_it_was() -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        with one_thread() as limited:
            assert limited.omp_get_max_threads() == 1
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    check = (
        "import sys, retrieval.dense.filler, retrieval.dense.static, retrieval.dense.sentence;"
        "retrieval.dense.filler.VectorIndex('test', 2);"
        "print(sorted({'faiss', 'torch', 'sentence_transformers'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    shown = subprocess.run(
        [sys.executable, "-c", check], cwd=root, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n"
