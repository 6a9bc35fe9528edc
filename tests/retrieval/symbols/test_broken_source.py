"""Source that is half written, garbled or of another language."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.languages import GRAMMARS
from retrieval.symbols.extract import definitions_of, symbols_of
from retrieval.symbols.signatures import MAX_SIGNATURE
from retrieval.syntax import SyntaxTree

Parse = Callable[[str, str], SyntaxTree]
PATHS = [
    "a.py",
    "a.ts",
    "a.js",
    "Orders.java",
    "store.go",
    "lib.rs",
    "cache.cpp",
    "a.rb",
    "A.cs",
    "a.php",
]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "class A:\n",
        "def f(",
        "class A:\n    def g(self):",
        "\x00class A: pass\x00",
        "class \ud800: pass",
        "@",
        "@\nclass A: pass",
    ],
)
def test_odd_texts_are_taken(text: str, parse: Parse) -> None:
    assert symbols_of(parse("a.py", text)).language == "Python"


def test_what_follows_a_half_written_statement_is_still_found(parse: Parse) -> None:
    broken = "import os\nx = foo.\n\ndef after(a):\n    return a\n\nclass Late:\n    y: int\n"
    assert "Late" in {one.name for one in definitions_of(parse("a.py", broken))}


def test_source_that_nests_without_end_is_taken(parse: Parse) -> None:
    deep = "".join("    " * depth + f"class C{depth}:\n" for depth in range(300))
    assert definitions_of(parse("a.py", deep))[0].name == "C0"


def test_a_grammar_without_rules_defines_nothing(parse: Parse) -> None:
    assert symbols_of(parse("a.json", '{"a": 1}')).definitions == ()


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), cut=st.floats(0, 1))
def test_no_prefix_and_no_garbling_makes_it_raise(
    path: str, seed: int, cut: float, sources: Mapping[str, str], parse: Parse
) -> None:
    text = sources[path]
    text = text[: round(cut * len(text))]
    source = random.Random(seed)
    characters = list(text)
    for _ in range(source.randrange(6)):
        at = source.randrange(len(characters) + 1)
        characters[at : at + source.randrange(4)] = source.choice(
            [
                "{",
                "}",
                "(",
                ")",
                "\n",
                "\t",
                "class ",
                "\x00",
                "\ud800",
                "é",
                '"',
                "import ",
                ":",
                "::",
            ]
        )
    tree = parse(path, "".join(characters))
    num_lines = tree.text.count("\n") + 1
    for one in symbols_of(tree).definitions:
        assert 0 <= one.start_line < one.end_line <= num_lines
        assert one.name
        assert "\n" not in one.signature + one.doc
        assert len(one.signature) <= MAX_SIGNATURE


def test_every_grammar_takes_text_that_is_not_its_own(sources: Mapping[str, str]) -> None:
    text = "".join(sources.values())
    for grammar in GRAMMARS:
        assert symbols_of(SyntaxTree.parse(grammar, text)).language == grammar.name
