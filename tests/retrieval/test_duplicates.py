"""What counts as shown twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.duplicates import (
    Window,
    adds_nothing,
    is_verbatim,
    lines_of,
    normalised_lines,
    num_lines,
    num_shared_lines,
    union,
)
from retrieval.snippet import Snippet, SnippetSource


def snippet(
    start: int, text: str, path: str = "a.py", source: SnippetSource = SnippetSource.SIMILAR
) -> Snippet:
    return Snippet(path, start, start + num_lines(text), text, 1.0, source)


@given(st.text(alphabet="a\r\n\x0c\u2028"))
def test_lines_end_with_a_line_feed_and_nothing_else(text: str) -> None:
    lines = lines_of(text)
    assert "".join(lines) == text
    assert num_lines(text) == len(lines)
    assert all("\n" not in line[:-1] for line in lines)
    assert all(lines)


def test_blank_lines_and_indentation_do_not_tell_lines_apart() -> None:
    assert normalised_lines("\n\tif  x:\r\n \n    if x:\n") == {"if x:"}


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [("new = 1\n", False), ("  old =  1\n", True), ("old = 1\nnew = 1\n", False), (" \n", True)],
)
def test_a_window_shows_what_repeats_its_lines(text: str, is_shown: bool) -> None:
    window = Window.of("a.py", 0, "old = 1\nolder = 2\n")
    shown = snippet(70, text, path="b.py")
    assert window.shows(shown, normalised_lines(text)) == is_shown


@pytest.mark.parametrize(
    ("start", "is_shown"), [(0, False), (8, False), (9, True), (11, True), (12, False)]
)
def test_a_window_shows_what_has_a_line_in_it(start: int, is_shown: bool) -> None:
    window = Window.of("a.py", 10, "u\nv\n")
    lines = snippet(start, "x\ny\n")
    assert window.shows(lines, normalised_lines(lines.text)) == is_shown
    elsewhere = snippet(start, "x\ny\n", path="b.py")
    assert not window.shows(elsewhere, normalised_lines(elsewhere.text))


@pytest.mark.parametrize(
    ("num_same", "num_new", "is_repeated"),
    [(9, 1, True), (8, 1, False), (0, 1, False), (0, 0, True)],
)
def test_nine_lines_of_ten_make_a_repetition(
    num_same: int, num_new: int, is_repeated: bool
) -> None:
    shown = {f"old {at}" for at in range(20)}
    lines = {*(f"old {at}" for at in range(num_same)), *(f"new {at}" for at in range(num_new))}
    assert adds_nothing(lines, shown) == is_repeated


def test_outlines_have_no_lines() -> None:
    assert is_verbatim(snippet(0, "def f(): ...\n"))
    assert not is_verbatim(snippet(0, "def f(): ...\n", source=SnippetSource.DEFINITION))
    assert not is_verbatim(Snippet("a.py", 0, 9, "x\n", 1.0, SnippetSource.SIMILAR))


@pytest.mark.parametrize(
    ("start", "other", "num_shared"), [(0, 2, -1), (0, 1, 0), (0, 0, 1), (3, 2, 0), (9, 2, -6)]
)
def test_shared_lines_are_counted(start: int, other: int, num_shared: int) -> None:
    assert num_shared_lines(snippet(start, "x"), snippet(other, "x")) == num_shared
    assert num_shared_lines(snippet(start, "x"), snippet(other, "x", path="b.py")) < 0


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=9), st.data())
def test_a_union_is_what_the_file_has_there(names: list[str], data: st.DataObject) -> None:
    lines = [f"{name}\n" for name in names]
    cuts = st.tuples(st.integers(0, len(lines)), st.integers(0, len(lines))).map(sorted)
    (start, end), (other_start, other_end) = data.draw(cuts), data.draw(cuts)
    one = snippet(start, "".join(lines[start:end]))
    other = snippet(other_start, "".join(lines[other_start:other_end]))
    if num_shared_lines(one, other) < 0:
        return
    first, last = min(start, other_start), max(end, other_end)
    assert union(one, other) == snippet(first, "".join(lines[first:last]))


def test_lines_that_disagree_are_not_united() -> None:
    assert union(snippet(0, "a\nb\n"), snippet(1, "c\nd\n")) is None
