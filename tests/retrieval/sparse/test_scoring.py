"""BM25 against rank_bm25, bounded search against exact, and the selection of the highest."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Plus

from retrieval.chunk import Chunk
from retrieval.sparse.corpus import LiveSegment
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.scoring import Bm25, leading
from retrieval.sparse.segment import Segment
from retrieval.stamp import Stamp
from retrieval.terms import terms_of


def segment_of(texts: Sequence[str], folder: str = "") -> Segment:
    chunks = [Chunk(row, row + 1, (), text) for row, text in enumerate(texts)]
    return Segment.build([IndexedFile(f"{folder}file.py", Stamp(0, 0, 0), chunks)])


def random_texts(num_texts: int, seed: int) -> list[str]:
    """Return texts whose words are as unevenly frequent as those of source code."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(f"word{number}" for number in np.minimum(rng.zipf(1.3, rng.integers(1, 60)), 5000))
        for _ in range(num_texts)
    ]


@pytest.mark.parametrize("num_texts", [1, 2, 33, 400])
@pytest.mark.parametrize("num_segments", [1, 3])
def test_scores_are_those_of_rank_bm25(num_texts: int, num_segments: int) -> None:
    texts = random_texts(num_texts, seed=num_texts)
    oracle = BM25Plus([terms_of(text) for text in texts], delta=0)
    index = SparseIndex()
    bounds = [num_texts * part // num_segments for part in range(num_segments + 1)]
    for start, end in itertools.pairwise(bounds):
        index.add(segment_of(texts[start:end], f"{start:04}/"))
    query = {"word1": 2, "word2": 1, "word3": 1, "word7": 3, "word40": 1, "word1000": 2, "new": 1}
    wanted = oracle.get_scores([term for term, weight in query.items() for _ in range(weight)])
    hits = index.search(query, num_texts)
    found = {int(hit.path[:4]) + hit.start_line: hit.score for hit in hits}
    assert list(found) == sorted(
        np.flatnonzero(wanted).tolist(), key=lambda at: (-round(wanted[at], 9), at)
    )
    assert list(found.values()) == pytest.approx([wanted[at] for at in found], rel=1e-9)


def test_a_search_beyond_the_budget_returns_exact_scores_and_nearly_the_exact_ranking() -> None:
    texts = random_texts(8000, seed=1)
    segment = segment_of(texts)
    exact = SparseIndex([LiveSegment(segment)], Bm25(max_num_scanned=1 << 60))
    bounded = SparseIndex([LiveSegment(segment)], Bm25(max_num_scanned=4000, max_num_probed=200))
    rng = random.Random(2)
    num_same = 0
    for _ in range(20):
        words = terms_of(" ".join(rng.sample(texts, 3)))
        query = {word: rng.random() for word in words}
        everything = {hit.start_line: hit.score for hit in exact.search(query, len(texts))}
        hits = bounded.search(query, 10)
        for hit in hits:
            assert hit.score == pytest.approx(everything[hit.start_line], rel=1e-9)
        num_same += len({hit.start_line for hit in hits} & set(list(everything)[:10]))
    assert num_same >= 0.85 * 200


def test_a_budget_of_nothing_finds_nothing_and_fails_at_nothing() -> None:
    index = SparseIndex([LiveSegment(segment_of(["aa bb", "aa"]))], Bm25(max_num_scanned=0))
    assert index.search({"aa": 1.0}, 3) == []


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), max_size=400), st.integers(1, 20))
def test_the_highest_scores_are_selected_with_all_that_equal_the_last(
    scores: list[float], num_wanted: int
) -> None:
    positive = sorted((score for score in scores if score), reverse=True)
    lowest = positive[min(num_wanted, len(positive)) - 1] if positive else 1.0
    wanted = [at for at, score in enumerate(scores) if score >= lowest]
    assert leading(np.array(scores, np.float64), num_wanted).tolist() == wanted
