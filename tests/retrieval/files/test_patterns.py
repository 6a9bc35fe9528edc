"""Ignore files, against git itself."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from retrieval.files.patterns import PatternList
from retrieval.files.rules import FileRules
from retrieval.files.walk import FoundFile, walk

TREE = (
    "a",
    "ab",
    "b.c",
    "A",
    "a b",
    "x/a",
    "x/ab",
    "x/b.c",
    "x/y/a",
    "x/y/b.c",
    "x/y/z/a",
    "x/[a]",
    "y/a",
    "y/x/a",
    "y/x/y/ab",
    "y/-",
    "y/!a",
    "y/#a",
    "z/x/y/a/b",
)
GLOBS = st.sampled_from(
    [
        *(*"abxyz*?-", "**", "**", "*", ".c", "\\a", "\\"),
        *(
            "[ab]",
            "[!a]",
            "[a-c]",
            "[^x]",
            "[]a]",
            "[a-]",
            "[z-a]",
            "[\\]]",
            "[!-~]",
            "[%--]",
            "[a",
        ),
        *("[[:upper:]]", "[[:nope:]]", "[[:alpha:]-z]"),
    ]
)
SEGMENTS = st.one_of(st.just("**"), st.lists(GLOBS, min_size=1, max_size=3).map("".join))
# Not supported, for nobody writes it: a slash that is escaped or in brackets; and "a**/", of which
# git takes the letters off before it looks at the stars.
UNSUPPORTED = re.compile(r"\\/|\[[^\]/]*/|[^/*]\*\*+/")
LINES = st.builds(
    lambda mark, lead, segments, tail: mark + lead + "/".join(segments) + tail,
    st.sampled_from(["", "", "", "!", "#", "\\!", "\\#"]),
    st.sampled_from(["", "", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=4),
    st.sampled_from(["", "", "/", " ", "\\ ", "\r", "//"]),
)


@pytest.fixture
def tree(folder: Path, write: Callable[[dict[str, str]], None], git: Callable[..., str]) -> Path:
    git("init", "-q")
    write(dict.fromkeys(TREE, ""))
    return folder


def found_in(folder: Path) -> set[str]:
    return {at.path for at in walk(FileRules(folder)) if isinstance(at, FoundFile)}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=5), st.lists(LINES, max_size=3))
@example(["/*", "!/x", "x/*", "!x/y"], [])
@example(["x/**", "!x/a"], ["!b.c"])
@example(["*", "!*/", "!b.c"], [])
@example(["a\\/b", "x/**/a"], ["/a"])
@example(["\ufeffa"], [""])
@example([], ["***/**"])
def test_the_same_files_are_left_as_git_leaves(
    tree: Path, git: Callable[..., str], outer: list[str], inner: list[str]
) -> None:
    outer, inner = (list(itertools.filterfalse(UNSUPPORTED.search, at)) for at in (outer, inner))
    (tree / ".gitignore").write_bytes("\n".join(outer).encode())
    (tree / "x" / ".gitignore").write_bytes("\n".join(inner).encode())
    ignored = git("check-ignore", "-z", "--stdin", "--no-index", stdin="\0".join(TREE).encode())
    expected = set(TREE) - set(ignored.split("\0"))
    assert found_in(tree) & set(TREE) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 40 + "b",
        "a*" * 40 + "b/c",
        "**/a/" * 20 + "b",
        "a/**/" * 20 + "b",
        "[a]*?*" * 20 + "b",
    ],
)
def test_no_pattern_makes_matching_slow(pattern: str) -> None:
    patterns = PatternList([pattern])
    for path in ("a" * 250, "/".join("a" * 60)):
        name = path.rpartition("/")[2]
        # With backtracking, each of these would take longer than the universe has existed.
        assert patterns.verdict(path, name, is_folder=False) is None


@given(st.lists(st.text(max_size=20), max_size=5), st.text(min_size=1, max_size=20))
def test_no_text_is_refused(lines: list[str], path: str) -> None:
    name = path.rpartition("/")[2]
    assert PatternList(lines).verdict(path, name, is_folder=True) in (True, False, None)


def test_the_last_matching_pattern_decides() -> None:
    verdict = functools.partial(
        PatternList.parse("*.log\r\n!keep.log\r\nlogs/\n").verdict, is_folder=False
    )
    assert verdict("x/a.log", "a.log") is True
    assert verdict("x/keep.log", "keep.log") is False
    assert verdict("logs", "logs") is None
    assert PatternList(["logs/"]).verdict("logs", "logs", is_folder=True) is True
