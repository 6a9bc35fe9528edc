"""Recognising languages."""

from __future__ import annotations

import pytest
import tree_sitter

from retrieval.languages import LANGUAGES, Language, language_for, load_grammar


@pytest.mark.parametrize(
    ("language_id", "path", "expected"),
    [
        ("python", None, "Python"),
        ("Python", None, "Python"),
        ("plaintext", "/src/a.rs", "Rust"),
        ("", "a/b/c.TSX", "TSX"),
        ("typescript", "wrong.py", "TypeScript"),
        ("javascriptreact", None, "JavaScript"),
        ("", "lib.hpp", "C++"),
        ("", "lib.h", "C"),
        ("go", "", "Go"),
        ("", "Main.java", "Java"),
    ],
)
def test_the_editors_word_counts_before_the_file_name(
    language_id: str, path: str | None, expected: str
) -> None:
    language = language_for(language_id, path)
    assert language is not None
    assert language.name == expected


@pytest.mark.parametrize(("language_id", "path"), [("", None), ("cobol", "a.cob"), ("", "py")])
def test_an_unknown_language_is_none(language_id: str, path: str | None) -> None:
    assert language_for(language_id, path) is None


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_grammar_loads_and_parses(language: Language) -> None:
    tree = tree_sitter.Parser(load_grammar(language)).parse(b"x")
    assert tree.root_node.end_byte == 1


def test_no_two_languages_claim_the_same_id_or_extension() -> None:
    claims = [name for row in LANGUAGES for name in row.language_ids + row.extensions]
    assert len(claims) == len(set(claims))
