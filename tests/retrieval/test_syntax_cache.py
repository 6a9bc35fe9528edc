"""Trees carried from version to version."""

from __future__ import annotations

import pytest

from retrieval.languages import Language, language_for
from retrieval.syntax import SyntaxTree
from retrieval.syntax_cache import SyntaxCache


@pytest.fixture
def python() -> Language:
    language = language_for("python")
    assert language is not None
    return language


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed whole."""
    texts: list[str] = []
    original = SyntaxTree.parse

    def counted(language: Language, text: str) -> SyntaxTree:
        texts.append(text)
        return original(language, text)

    monkeypatch.setattr(SyntaxTree, "parse", counted)
    return texts


def test_edits_spare_a_second_parse(python: Language, parses: list[str]) -> None:
    cache = SyntaxCache()
    cache.tree_for("u", 1, python, "x = 1")
    tree = cache.tree_for("u", 2, python, "é = 1", base_version=1, edits=[(0, 1, "é")])
    again = cache.tree_for("u", 2, python, "é = 1")
    assert again is tree
    assert tree.text == "é = 1"
    assert parses == ["x = 1"]


@pytest.mark.parametrize(
    ("base_version", "edits"),
    [(0, [(0, 1, "y")]), (1, [(0, 1, "z")]), (1, [(3, 1, "y")]), (1, [(0, 90, "y")]), (None, [])],
)
def test_edits_that_do_not_lead_to_the_text_are_not_believed(
    python: Language,
    parses: list[str],
    base_version: int | None,
    edits: list[tuple[int, int, str]],
) -> None:
    cache = SyntaxCache()
    cache.tree_for("u", 1, python, "x = 1")
    tree = cache.tree_for("u", 2, python, "y = 1", base_version=base_version, edits=edits)
    assert tree.text == "y = 1"
    assert parses == ["x = 1", "y = 1"]


def test_another_language_is_another_tree(python: Language) -> None:
    cache = SyntaxCache()
    cache.tree_for("u", 1, python, "x = 1")
    go = language_for("go")
    assert go is not None
    assert cache.tree_for("u", 1, go, "x = 1").language is go


def test_the_document_used_least_recently_is_forgotten(python: Language, parses: list[str]) -> None:
    cache = SyntaxCache(max_num_documents=2)
    for uri in ("a", "b", "a", "c", "a", "b"):
        cache.tree_for(uri, 1, python, uri)
    assert parses == ["a", "b", "c", "b"]
    cache.forget("b")
    cache.tree_for("b", 1, python, "b")
    assert parses[-1] == "b"
    assert len(parses) == 5
