"""The sources that need no state, or next to none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import pytest

from retrieval.query import Query
from retrieval.snippet import Snippet, SnippetSource
from retrieval.sources.boosts import changed_files, open_files, same_file
from retrieval.sources.clipboard import clipboard_snippets
from retrieval.sources.definitions import definition_snippet
from retrieval.sources.open_files import OpenFiles
from retrieval.sources.similar import explained, shared_names, similar_snippets
from retrieval.sparse.corpus import Hit


def hit(path: str, start_line: int, end_line: int, score: float) -> Hit:
    return Hit(path, start_line, end_line, 0, score, ())


HITS = [hit("a.py", 2, 4, 6.0), hit("gone.py", 0, 9, 5.0), hit("b.py", 0, 1, 3.0)]


def lines_of(path: str, start: int, end: int) -> str | None:
    return None if path == "gone.py" else f"{path} {start}-{end}\n"


def test_hits_become_snippets_with_comparable_scores() -> None:
    assert similar_snippets(HITS, 12.0, lines_of) == [
        Snippet("a.py", 2, 4, "a.py 2-4\n", 0.5, SnippetSource.SIMILAR),
        Snippet("b.py", 0, 1, "b.py 0-1\n", 0.25, SnippetSource.SIMILAR),
    ]


def test_nothing_is_similar_to_nothing() -> None:
    assert similar_snippets(HITS, 0.0, lines_of) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("nothing = 1", []),
        ("x = TokenKind()", ["TokenKind"]),
        ("parse_config(TokenKind)", ["parse_config", "TokenKind"]),
        ("parse_file()", ["parse"]),
        ("parse_config(parse_file)", ["parse_config"]),
        ("rare, parse_config, TokenKind", ["rare", "parse_config"]),
    ],
)
def test_the_names_that_count_most_are_named(text: str, names: list[str]) -> None:
    weights = {
        "parse_config": 1.0,
        "parse": 1.0,
        "config": 1.0,
        "tokenkind": 0.5,
        "token": 0.5,
        "kind": 0.5,
        "rare": 0.9,
    }
    idf = {"rare": 9.0, "parse_config": 6.0, "tokenkind": 6.0}
    assert shared_names(text, Query(weights), lambda term: idf.get(term, 2.0)) == names


def test_similar_snippets_are_explained_once() -> None:
    query = Query({"alpha": 1.0})
    snippet = Snippet("a.py", 0, 1, "alpha\n", 1.0, SnippetSource.SIMILAR)
    reason = explained(snippet, query, lambda _: 1.0).reason
    assert reason == "shares alpha"
    kept = Snippet("a.py", 0, 1, "alpha\n", 1.0, SnippetSource.SIMILAR, "shares beta")
    edit = Snippet("a.py", 0, 1, "alpha\n", 1.0, SnippetSource.RECENT_EDIT, "edited just now")
    other = Snippet("a.py", 0, 1, "beta\n", 1.0, SnippetSource.SIMILAR)
    for each in (kept, edit, other):
        assert explained(each, query, lambda _: 1.0) == each


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x = Cache(", "defines Cache, used in this line"),
        ("x = CacheKey(", "defines Cache, imported here"),
        ("", "defines Cache, imported here"),
    ],
)
def test_a_definition_says_what_for(line: str, reason: str) -> None:
    found = definition_snippet("c.py", 3, 90, "class Cache:\n", "Cache", line=line, score=0.5)
    assert found == Snippet("c.py", 3, 90, "class Cache:\n", 0.5, SnippetSource.DEFINITION, reason)


@pytest.mark.parametrize(
    ("boost", "source"),
    [
        (open_files, SnippetSource.OPEN_FILE),
        (changed_files, SnippetSource.CHANGED_FILE),
        (lambda similar, paths: same_file(similar, *paths), SnippetSource.SAME_FILE),
    ],
)
def test_a_boost_ranks_what_is_similar_in_its_files(
    boost: Callable[[Iterable[Snippet], Collection[str]], list[Snippet]], source: SnippetSource
) -> None:
    similar = [
        Snippet(path, at, at + 1, f"{at}\n", 1.0 / (at + 1), SnippetSource.SIMILAR)
        for at, path in enumerate(["a.py", "b.py", "a.py"])
    ]
    found = boost(similar, ["a.py"])
    assert [(each.start_line, each.source) for each in found] == [(0, source), (2, source)]
    assert boost(similar, ["z.py"]) == []


def test_open_files_are_listed_by_last_use() -> None:
    opened = OpenFiles(max_num_files=3)
    for path in ("a", "b", "c", "a", "d"):
        opened.note(path)
    assert opened.paths() == ("d", "a", "c")
    opened.forget("a")
    opened.forget("never heard of")
    assert opened.paths() == ("d", "c")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", None),
        ("ab", None),
        ("  a\n ", None),
        ("abc", "abc"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("x" * 2_000, "x" * 2_000),
        ("x" * 2_001, None),
        ("key = SECRET", "key = ***"),
        ("SECRET", "***"),
    ],
)
def test_the_clipboard_is_a_snippet_of_no_file(text: str, shown: str | None) -> None:
    found = clipboard_snippets(text, lambda text: text.replace("SECRET", "***"))
    assert [each.text for each in found] == ([] if shown is None else [shown])
    assert all((each.path, each.start_line) == ("", 0) for each in found)


def test_a_clipboard_of_nothing_but_secrets_is_no_help() -> None:
    assert clipboard_snippets("SECRET\n", lambda text: text.replace("SECRET", "")) == []
