"""Recognising languages."""

from __future__ import annotations

import pytest
import tree_sitter

from retrieval.languages import GRAMMARS, Grammar, grammar_for, language_for, load_grammar


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
        ("csharp", None, "C#"),
        ("", "index.php", "PHP"),
        ("", "site/SConstruct", "Python"),
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
    assert grammar_for(language_id, path) is None


@pytest.mark.parametrize(
    ("language_id", "path", "expected"),
    [
        ("ruby", None, "Ruby"),
        ("shellscript", "x.py", "Bash"),
        ("", "lib/tasks/a.rake", "Ruby"),
        ("", "Gemfile", "Ruby"),
        ("", "home/.bashrc", "Bash"),
        ("", "run.sh", "Bash"),
        ("", "index.html", "HTML"),
        ("", "style.css", "CSS"),
        ("jsonc", "settings", "JSON"),
        ("", "a.yml", "YAML"),
        ("", "README.md", "Markdown"),
    ],
)
def test_some_languages_can_be_parsed_and_nothing_more_is_known_of_them(
    language_id: str, path: str | None, expected: str
) -> None:
    grammar = grammar_for(language_id, path)
    assert grammar is not None
    assert grammar.name == expected
    assert language_for(language_id, path) is None


def test_a_known_name_counts_only_as_a_whole() -> None:
    assert grammar_for("", "Gemfile.lock") is None
    assert grammar_for("", "Dockerfile") is None


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_every_grammar_loads_and_parses(grammar: Grammar) -> None:
    tree = tree_sitter.Parser(load_grammar(grammar)).parse(b"x")
    assert tree.root_node.end_byte == 1


def test_no_two_languages_claim_the_same_id_or_name() -> None:
    claims = [
        name for row in GRAMMARS for name in row.language_ids + row.extensions + row.file_names
    ]
    assert len(claims) == len(set(claims))
