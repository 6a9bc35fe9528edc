"""What clients copied, and for how long that is known."""

from __future__ import annotations

import pytest

from retrieval.sources.clipboard import MAX_NUM_CHARACTERS, Clipboards


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clipboards(clock: Clock) -> Clipboards:
    return Clipboards(600.0, clock)


def test_each_client_has_what_it_copied_last(clipboards: Clipboards) -> None:
    clipboards.note("one", "first")
    clipboards.note("one", "second")
    assert (clipboards.text("one"), clipboards.text("other")) == ("second", "")


def test_what_was_copied_is_known_for_ten_minutes(clipboards: Clipboards, clock: Clock) -> None:
    clipboards.note("one", "text")
    clock.now += 599.0
    assert clipboards.text("one") == "text"
    clock.now += 1.0
    assert clipboards.text("one") == ""


def test_dropping_the_old_keeps_the_new(clipboards: Clipboards, clock: Clock) -> None:
    clipboards.note("one", "old")
    clock.now += 600.0
    clipboards.note("other", "new")
    clipboards.drop_old()
    clock.now -= 600.0  # would find it, if it were still there
    assert (clipboards.text("one"), clipboards.text("other")) == ("", "new")


def test_what_is_too_long_takes_the_place_of_what_was_copied_before(clipboards: Clipboards) -> None:
    clipboards.note("one", "x" * MAX_NUM_CHARACTERS)
    assert len(clipboards.text("one")) == MAX_NUM_CHARACTERS
    clipboards.note("one", "x" * (MAX_NUM_CHARACTERS + 1))
    assert clipboards.text("one") == ""


def test_a_client_that_is_gone_is_forgotten(clipboards: Clipboards) -> None:
    clipboards.note("one", "text")
    for owner in ("one", "nobody"):
        clipboards.forget(owner)
    assert clipboards.text("one") == ""
