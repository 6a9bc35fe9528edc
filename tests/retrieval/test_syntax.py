"""The questions asked about the cursor, on whole, broken and non-ASCII text.

In the tables ``|`` marks the cursor.
"""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.languages import GRAMMARS, Grammar, grammar_for, language_for
from retrieval.syntax import SyntaxTree


def at_cursor(language_id: str, marked: str) -> tuple[SyntaxTree, int]:
    offset = marked.index("|")
    language = grammar_for(language_id)
    assert language is not None
    return SyntaxTree.parse(language, marked[:offset] + marked[offset + 1 :]), offset


@pytest.mark.parametrize(
    ("language_id", "marked", "expected"),
    [
        ("python", "x = 1  # no|te\n", True),
        ("python", "x = 1  # note|\n", True),
        ("python", "x = 1  # note\n|", False),
        ("python", "x =| 1  # note\n", False),
        ("python", "# 日本語 😀|", True),
        ("typescript", "/* a | b */ x", True),
        ("typescript", "/* a b */| x", False),
        ("go", "// hello|", True),
        ("rust", "/* a */ let x = |1;", False),
        ("c", "int a; // b|", True),
        ("csharp", "int a; // b|", True),
        ("php", "<?php # b|", True),
        ("ruby", "a # b|", True),
    ],
)
def test_it_knows_comments(language_id: str, marked: str, expected: bool) -> None:
    tree, offset = at_cursor(language_id, marked)
    assert tree.in_comment(offset) is expected


@pytest.mark.parametrize(
    ("language_id", "marked", "expected"),
    [
        ("python", "x = 'a|b'", True),
        ("python", "x = 'ab'|", False),
        ("python", "x = '😀😀😀' + y|", False),
        ("python", "x = '😀😀|😀' + y", True),
        ("python", "x = f'a {na|me} b'", False),
        ("python", 'def f():\n    """Do|c."""\n', True),
        ("typescript", "const a = `b ${c|} d`", False),
        ("typescript", "const a = `b| ${c} d`", True),
        ("java", 'class A { String s = "a|b"; }', True),
        ("go", "var s = `a\n|b`", True),
        ("rust", 'let s = "é|";', True),
        ("cpp", "char c = 'x|';", True),
        ("csharp", 'var a = $"b|";', True),
        ("csharp", 'var a = $"b {c|} d";', False),
        ("php", '<?php $a = "b|";', True),
    ],
)
def test_it_knows_strings(language_id: str, marked: str, expected: bool) -> None:
    tree, offset = at_cursor(language_id, marked)
    assert tree.in_string(offset) is expected


@pytest.mark.parametrize(
    ("language_id", "marked", "expected"),
    [
        ("python", "def f():|", True),
        ("python", "def f():\n    |", True),
        ("python", "def f():\n    |\n\ndef g(): pass\n", True),
        ("python", "def f(\n    a,\n):\n    |", True),
        ("python", "class A:\n    def f(self):\n        |\n    def g(self): pass\n", True),
        ("python", "def f():\n    |\n    return 1\n", False),
        ("python", "def f():\n    x = 1\n    |", False),
        ("python", "x[1:|", False),
        ("python", "d = {'a':|", False),
        ("python", "f = lambda x:|", False),
        ("python", "# note:|", False),
        ("python", "for é in 日本:\n    |", True),
        ("typescript", "function f() {|", True),
        ("typescript", "function f() {\n  |\n}\n", True),
        ("typescript", "function f() {\n  a();\n  |\n}\n", False),
        ("typescript", "function f() {\n  |\n  a();\n}\n", False),
        ("java", "class A {\n  void f() {\n    |\n  }\n}\n", True),
        ("go", "func f() {\n\t|\n}\n", True),
        ("rust", "fn f() {|}\n", True),
        ("cpp", "if (x) {\n  |\n", True),
        ("csharp", "class A {\n  int F() {\n    |\n  }\n}\n", True),
        ("php", "<?php function f() {\n  |\n}\n", True),
        ("ruby", "def f\n  |\nend\n", False),
        ("c", "int x = 1;\n|", False),
    ],
)
def test_it_sees_where_an_empty_block_starts(language_id: str, marked: str, expected: bool) -> None:
    tree, offset = at_cursor(language_id, marked)
    assert tree.empty_block_at(offset) is expected


def test_the_enclosing_block_and_function_are_given_in_code_points() -> None:
    text = "s = '😀日'\ndef f():\n    if s:\n        pass\n    return s\n"
    language = language_for("python")
    assert language is not None
    tree = SyntaxTree.parse(language, text)
    offset = text.index("pass") + 2
    block = tree.enclosing_block(offset)
    function = tree.enclosing_function(offset)
    assert block is not None
    assert text[block.start : block.end].strip() == "pass"
    assert function is not None
    assert text[function.start : function.end].strip() == text[text.index("def") :].strip()
    assert tree.enclosing_function(3) is None


def test_the_end_of_a_brace_block_is_behind_its_brace() -> None:
    tree, offset = at_cursor("go", "func f() {\n\tif a {\n\t\tb(|)\n\t}\n\tc()\n}\n")
    block = tree.enclosing_block(offset)
    assert block is not None
    assert tree.text[: block.end].endswith("b()\n\t}")


def test_a_node_is_named_by_the_grammar() -> None:
    tree, offset = at_cursor("python", "é = fo|o(1)")
    node = tree.node_at(offset)
    assert (node.kind, tree.text[node.start : node.end]) == ("identifier", "foo")


FRAGMENTS = st.text(
    st.one_of(st.sampled_from("{}()[]:'\"`/*#\n\t\\ \r"), st.characters()), max_size=40
)


@given(st.sampled_from(GRAMMARS), FRAGMENTS, st.data())
def test_no_question_raises_on_any_text(language: Grammar, text: str, data: st.DataObject) -> None:
    tree = SyntaxTree.parse(language, text)
    offset = data.draw(st.integers(0, len(text)))
    node = tree.node_at(offset)
    assert 0 <= node.start <= node.end <= len(text)
    tree.in_comment(offset)
    tree.in_string(offset)
    tree.empty_block_at(offset)
    tree.enclosing_block(offset)
    tree.enclosing_function(offset)


EDITS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), FRAGMENTS), max_size=4)


def place(text: str, edits: list[tuple[float, float, str]]) -> list[tuple[int, int, str]]:
    placed = []
    for one, other, inserted in edits:
        start, end = sorted((int(one * len(text)), int(other * len(text))))
        placed.append((start, end, inserted))
        text = text[:start] + inserted + text[end:]
    return placed


@given(st.sampled_from(GRAMMARS), FRAGMENTS, EDITS)
def test_an_edited_tree_holds_the_edited_text(
    language: Grammar, text: str, edits: list[tuple[float, float, str]]
) -> None:
    placed = place(text, edits)
    expected = text
    for start, end, inserted in placed:
        expected = expected[:start] + inserted + expected[end:]
    tree = SyntaxTree.parse(language, text).edited(placed)
    assert tree.text == expected
    whole = tree.node_at(0)
    assert whole.end <= len(expected)


def test_an_incremental_parse_answers_like_a_fresh_one() -> None:
    language = language_for("python")
    assert language is not None
    text = "s = '日本😀'\ndef f(a):\n    return a\n"
    edits = [
        (text.index("a)"), text.index("a)") + 1, "bé, c"),
        (5, 6, "😀 x"),
        (len(text) + 5, len(text) + 5, "\n\nclass A:\n    x = '1'"),
    ]
    edited = SyntaxTree.parse(language, text).edited(edits)
    fresh = SyntaxTree.parse(language, edited.text)
    for offset in range(len(edited.text) + 1):
        assert edited.node_at(offset) == fresh.node_at(offset)
        assert edited.in_string(offset) == fresh.in_string(offset)


def test_a_parse_that_comes_to_no_end_is_given_up() -> None:
    language = language_for("typescriptreact")
    assert language is not None
    endless = "(-/\n`b/*`}A.a.--c*/"
    tree = SyntaxTree.parse(language, endless)
    assert (tree.text, tree.root.end_byte) == (endless, 0)
    ended = tree.edited([(0, len(endless), "let a = 1")])
    assert ended.node_at(4) == SyntaxTree.parse(language, "let a = 1").node_at(4)


def test_editing_leaves_the_old_tree_as_it_was() -> None:
    tree, _ = at_cursor("python", "x = 1|")
    before = tree.node_at(0)
    tree.edited([(0, 1, "long_name")])
    assert tree.text == "x = 1"
    assert tree.node_at(0) == before


def test_nothing_of_a_text_is_kept_once_its_trees_are_gone() -> None:
    language = language_for("python")
    assert language is not None
    text = "total = 'é'  # 20\n" * 10_000

    def parse_often() -> None:
        tree = SyntaxTree.parse(language, text)
        for at in range(5):
            tree = tree.edited([(at, at, "x")])

    parse_often()
    tracemalloc.start()
    try:
        parse_often()
        # A single copy of the text kept by any of the six parses would be 190 kB.
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()
