"""Where a new line of Python may begin, and that decoding keeps to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.cursor import read_cursor
from completion.forced_text import TokenIndex
from completion.indentation import IndentationGuard, IndentationIndex, allowed_indentations
from completion.types import CompletionRequest, DocumentSnapshot

LOOP = "def f(xs):\n    for x in xs:\n        if x:\n            g(x)\n"


def allowed(text: str, language_id: str = "python") -> list[int]:
    """Return the allowed widths at ``|``; empty where anything may stand."""
    offset = text.index("|")
    document = DocumentSnapshot("file:///a", 1, language_id, text.replace("|", "", 1))
    request = CompletionRequest("1", document, offset)
    found = allowed_indentations(read_cursor(request), request.prefix)
    assert all(not blanks.strip() for blanks in found)
    return sorted(len(blanks) for blanks in found)


CASES = {
    "any block may end where nothing stands below": (LOOP + "|", [0, 4, 8, 12]),
    "what is typed already cannot be taken back": (LOOP + "        |", [8, 12]),
    "a header's block is not left empty": ("def f(x):\n    if x:\n|\n    return 1\n", [8]),
    "a body that goes on below": ("def f(x):\n    if x:\n|\n        return 1\n", [8]),
    "a comment does not hide the header": ("if x:  # always\n|\nf()\n", [4]),
    "a comment is no line of code": ("if x:\n# todo\n|\nf()\n", [4]),
    "the block below keeps its header": (LOOP + "|\n            h(x)\n", [8, 12]),
    "a unit is not left while its lines stand below": (
        'def f(x):\n    """Say it."""\n|\n    y = 1\n    return y\n',
        [4],
    ),
    "another method may begin": (
        "class A:\n    def f(self):\n        g()\n|\n    def h(self):\n        pass\n",
        [4, 8],
    ),
    "a line that goes on in brackets has its statement's level": (
        "def f(x):\n    g(x,\n      1)\n|\n",
        [0, 4],
    ),
    "lines of a docstring are no levels": ('def f(x):\n    """One.\n\n  two\n    """\n|\n', [0, 4]),
    "steps are the document's own": ("if a:\n  if b:\n    f()\n    g()\n  if c:\n|\n", [4]),
    "inside brackets anything may stand": ("f(\n|\n)\n", []),
    "inside a string anything may stand": ('x = """\n|\n"""\n', []),
    "code left of the cursor has begun the line": ("if x:\n    y = |\n", []),
    "code right of the cursor on its line": ("if x:\n    |y = 1\n", [4]),
    "an empty document": ("|", []),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_a_line_begins_where_the_lines_around_it_let_it(text: str, expected: list[int]) -> None:
    assert allowed(text) == expected


def test_tabs_stay_tabs() -> None:
    document = DocumentSnapshot("file:///a", 1, "python", "if x:\n\tif y:\n\t\tf()\n\tif z:\n")
    request = CompletionRequest("1", document, len(document.text))
    assert allowed_indentations(read_cursor(request), request.prefix) == {"\t\t"}


def test_languages_with_braces_are_left_alone() -> None:
    assert allowed("fn f() {\n|\n}\n", "rust") == []


@given(st.text("ab:#'\"()\n\t \\", max_size=60), st.integers(0, 60))
def test_no_text_raises(text: str, at: int) -> None:
    document = DocumentSnapshot("file:///a", 1, "python", text)
    request = CompletionRequest("1", document, min(at, len(text)))
    for blanks in allowed_indentations(read_cursor(request), request.prefix):
        assert not blanks.strip(" \t")


VOCABULARY = [b"", b" ", b"   ", b"       ", b"\t", b"\n", b"x", b" x", b"    x", b"\tx", b" \n"]
INDEX = IndentationIndex(TokenIndex(len(VOCABULARY), VOCABULARY.__getitem__))


def tokens(guard: IndentationGuard) -> set[bytes]:
    return {VOCABULARY[token_id] for token_id in guard.allowed().tolist()}


def test_a_guard_leads_to_one_of_the_indentations() -> None:
    guard = IndentationGuard("", frozenset({"    ", "        "}), INDEX)
    assert tokens(guard) == {b"   ", b"       ", b"    x"}
    guard.advance(b"   ")
    assert tokens(guard) == {b" ", b" x"}
    guard.advance(b" x")
    assert guard.is_done


def test_a_guard_counts_what_the_prompt_shows_already() -> None:
    guard = IndentationGuard("   ", frozenset({"    "}), INDEX)
    assert tokens(guard) == {b" ", b" x"}


def test_no_indentation_begins_with_the_word() -> None:
    assert tokens(IndentationGuard("", frozenset({""}), INDEX)) == {b"x"}
    assert tokens(IndentationGuard("", frozenset({"", "\t"}), INDEX)) == {b"x", b"\t", b"\tx"}


def test_a_vocabulary_without_a_way_there_allows_nothing() -> None:
    assert tokens(IndentationGuard("", frozenset({"\t\t\t"}), INDEX)) == set()
