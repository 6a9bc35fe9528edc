"""Drafts from counts of n-grams."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.speculation.ngrams import RepositoryNgrams
from completion.speculation.source import DraftPlace
from completion.speculation.windows import WINDOW

VOCAB_SIZE = 151_936


def learnt(*texts: list[int]) -> RepositoryNgrams:
    source = RepositoryNgrams(VOCAB_SIZE)
    for text in texts:
        source.learn_text(text)
    return source


def proposed(source: RepositoryNgrams, *tail: int) -> list[int]:
    return [proposal.token_id for proposal in source.propose(DraftPlace(tail, ()))]


def prior(source: RepositoryNgrams, *tail: int) -> float:
    return source.grades[source.propose(DraftPlace(tail, ()))[0].grade]


def counted(text: list[int], context: tuple[int, ...]) -> Counter[int]:
    """What followed ``context``, once for each window in front of it."""
    padded = [*[-1] * (WINDOW - 1), *text]
    windows = {tuple(padded[at : at + WINDOW]) for at in range(len(text))}
    end = len(context) + 1
    return Counter(w[-1] for w in windows if w[-end:-1] == context)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=200))
def test_it_proposes_what_slow_counting_finds(text: list[int]) -> None:
    source = learnt(text)
    for tail in {*itertools.pairwise(text), (9, text[0]), (9, 9)}:
        found = counted(text, tail) or counted(text, tail[1:])
        expected = sorted(found, key=lambda token_id: (-found[token_id], token_id))[:3]
        assert proposed(source, *tail) == expected


@given(st.lists(st.integers(0, 4), max_size=100))
def test_every_grade_is_one_that_it_has(text: list[int]) -> None:
    source = learnt(text)
    for tail in [(), *((a,) for a in range(6)), *((a, b) for a in range(6) for b in range(6))]:
        proposals = source.propose(DraftPlace(tail, ()))
        assert all(0 <= proposal.grade < len(source.grades) for proposal in proposals)
        assert len({proposal.token_id for proposal in proposals}) == len(proposals) <= 3


def test_it_proposes_what_followed_the_pair() -> None:
    assert proposed(learnt([1, 2, 3, 9, 2, 4]), 1, 2) == [3]


def test_where_the_pair_is_unknown_it_asks_the_last_token() -> None:
    assert proposed(learnt([1, 2, 3]), 8, 2) == [3]


def test_it_knows_nothing_behind_an_unknown_token() -> None:
    assert proposed(learnt([1, 2, 3]), 8, 9) == []


def test_a_place_without_text_has_no_drafts() -> None:
    assert proposed(learnt([1, 2, 3])) == []


def test_a_pair_is_better_evidence_than_one_token() -> None:
    source = learnt([1, 2, 3])
    assert prior(source, 1, 2) > prior(source, 8, 2)


def test_what_was_seen_more_often_is_better_evidence() -> None:
    once = learnt([1, 2, 3])
    often = learnt(*([at, 1, 2, 3] for at in range(10, 20)))
    assert prior(often, 1, 2) > prior(once, 1, 2)


def test_a_text_that_comes_again_is_counted_once() -> None:
    others = [[1, 2, 4], [9, 1, 2, 4]]
    assert proposed(learnt(*[[1, 2, 3]] * 5, *others), 1, 2) == [4, 3]


def test_typing_a_text_token_by_token_counts_it_once() -> None:
    prompt = list(range(100, 140))
    typed = [1, 2, 3, 4, 5, 6]
    grown = learnt(*(prompt + typed[:end] for end in range(7)))
    whole = learnt(prompt + typed)
    for name, array in grown.arrays().items():
        assert np.array_equal(array, whole.arrays()[name])


def test_memory_stays_below_two_megabytes() -> None:
    source = RepositoryNgrams(VOCAB_SIZE)
    rng = np.random.default_rng(0)
    for _ in range(30):
        source.learn_text(rng.integers(0, VOCAB_SIZE, 8000))
        assert source.num_bytes < 2_000_000


@pytest.mark.parametrize("text", [[1, -1], [1, VOCAB_SIZE]])
def test_tokens_of_another_vocabulary_are_refused(text: list[int]) -> None:
    with pytest.raises(ValueError, match="are not of a vocabulary"):
        RepositoryNgrams(VOCAB_SIZE).learn_text(text)


def test_a_vocabulary_has_to_fit_into_keys() -> None:
    with pytest.raises(ValueError, match="counts hold up to"):
        RepositoryNgrams(1 << 21)


def test_a_restored_source_proposes_the_same_and_knows_the_same_texts() -> None:
    source, restored = learnt([1, 2, 3, 4, 5]), RepositoryNgrams(VOCAB_SIZE)
    restored.restore(source.arrays())
    restored.learn_text([1, 2, 3, 4, 5])
    for name, array in source.arrays().items():
        assert np.array_equal(array, restored.arrays()[name])


def test_counts_with_tokens_of_a_larger_vocabulary_are_refused() -> None:
    small = RepositoryNgrams(4)
    with pytest.raises(ValueError, match="vocabulary of 4"):
        small.restore(learnt([1, 2, 3, 4, 5]).arrays())
    assert proposed(small, 2, 3) == []
