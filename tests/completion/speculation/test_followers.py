"""Counts of what follows what, against a dictionary."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.speculation.followers import FollowerCounts

Seen = list[tuple[int, int]]  # contexts with their followers

pieces = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=80), max_size=4
)


def add(counts: FollowerCounts, seen: Seen) -> None:
    contexts = np.array([context for context, _ in seen], dtype=np.int64)
    counts.add(contexts, np.array([follower for _, follower in seen], dtype=np.int64))


def likeliest(seen: Seen, context: int, num: int) -> tuple[list[tuple[int, int]], int]:
    found = Counter(follower for known, follower in seen if known == context)
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:num], found.total()


@given(pieces, st.integers(0, 30))
def test_with_room_for_all_it_counts_like_a_dictionary(pieces: list[Seen], num: int) -> None:
    counts = FollowerCounts(capacity=10_000)
    for piece in pieces:
        add(counts, piece)
    seen = [one for piece in pieces for one in piece]
    for context in range(5):
        assert counts.likeliest(context, num) == likeliest(seen, context, num)


@given(pieces, st.integers(1, 40))
def test_it_never_holds_more_than_it_may(pieces: list[Seen], capacity: int) -> None:
    counts = FollowerCounts(capacity)
    for piece in pieces:
        add(counts, piece)
        assert len(counts) <= capacity


@given(pieces, st.integers(1, 40))
def test_what_fades_is_never_counted_too_often(pieces: list[Seen], capacity: int) -> None:
    counts, exact = FollowerCounts(capacity), defaultdict(Counter[int])
    for piece in pieces:
        add(counts, piece)
        for context, follower in piece:
            exact[context][follower] += 1
    for context in range(5):
        found, total = counts.likeliest(context, 100)
        assert total == sum(count for _, count in found) <= exact[context].total()
        assert all(0 < count <= exact[context][follower] for follower, count in found)


def test_without_room_what_was_seen_once_goes_first() -> None:
    counts = FollowerCounts(capacity=40)
    add(counts, [(0, 1)] * 4 + [(0, follower) for follower in range(2, 41)])
    add(counts, [(1, 1)])
    assert counts.likeliest(0, 3) == ([(1, 2)], 2)
    assert counts.likeliest(1, 3) == ([(1, 1)], 1)


def test_a_count_stops_at_what_two_bytes_hold() -> None:
    counts = FollowerCounts(capacity=800_000)
    for _ in range(2):
        add(counts, [(0, 1)] * 40_000)
    assert counts.likeliest(0, 1) == ([(1, 0xFFFF)], 0xFFFF)


def test_the_largest_context_has_followers_like_any_other() -> None:
    counts = FollowerCounts(capacity=4)
    largest = (1 << 42) - 1
    add(counts, [(largest, 5)])
    assert counts.likeliest(largest, 1) == ([(5, 1)], 1)


@given(pieces)
def test_restored_counts_are_the_same(pieces: list[Seen]) -> None:
    counts, restored = FollowerCounts(10_000), FollowerCounts(10_000)
    for piece in pieces:
        add(counts, piece)
    restored.restore(*counts.arrays())
    assert all(restored.likeliest(at, 9) == counts.likeliest(at, 9) for at in range(5))


@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        (np.array([2, 1]), np.array([1, 1], np.uint16)),
        (np.array([1, 1]), np.array([1, 1], np.uint16)),
        (np.array([-1, 1]), np.array([1, 1], np.uint16)),
        (np.array([1, 2]), np.array([1, 0], np.uint16)),
        (np.array([1, 2]), np.array([1], np.uint16)),
        (np.array([1, 2]), np.array([1, 1], np.int64)),
        (np.array([[1, 2]]), np.array([[1, 1]], np.uint16)),
        (np.array([1.0, 2.0]), np.array([1, 1], np.uint16)),
        (np.arange(9), np.ones(9, np.uint16)),
    ],
    ids=["unsorted", "doubled", "negative", "zero", "short", "wide", "nested", "float", "large"],
)
def test_arrays_that_are_no_counts_are_refused(
    keys: np.typing.NDArray[np.generic], counts: np.typing.NDArray[np.generic]
) -> None:
    kept = FollowerCounts(capacity=8)
    add(kept, [(0, 1)])
    with pytest.raises(ValueError, match="counts"):
        kept.restore(keys, counts)
    assert kept.likeliest(0, 1) == ([(1, 1)], 1)


def test_there_has_to_be_room() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FollowerCounts(capacity=0)
