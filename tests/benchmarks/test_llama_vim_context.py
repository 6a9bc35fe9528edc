from __future__ import annotations

import pytest

from benchmarks.llama_vim_context import (
    Buffer,
    LlamaConfig,
    context_after,
    context_at_cursor,
    suggestion_at,
)
from benchmarks.llama_vim_memory import CompletionCache, chunk_similarity

CONFIG = LlamaConfig(n_prefix=3, n_suffix=2)
TEN_LINES = "".join(f"line {line_idx}\n" for line_idx in range(10))


def buffer_at(marked: str) -> Buffer:
    """Return the buffer of a text whose cursor is a bar."""
    return Buffer.at("f.py", marked.replace("|", ""), marked.index("|"))


def check_shown(marked: str, content: str, shown: str) -> None:
    """Check the text with the suggestion accepted, where None stands for nothing to accept."""
    buffer = buffer_at(marked)
    suggestion = suggestion_at(buffer, content)
    before, after = marked.split("|")
    kept = before[: len(before) - suggestion.num_removed]
    assert f"{kept}[{suggestion.text}]{after}" == shown


@pytest.mark.parametrize(
    ("marked", "lines", "line_idx", "column"),
    [
        ("|", ("",), 0, 0),
        ("a\n|", ("a", ""), 1, 0),
        ("|a\n", ("a",), 0, 0),
        ("a\nb|c\nd", ("a", "bc", "d"), 1, 1),
        ("|\n", ("",), 0, 0),
    ],
)
def test_buffer_has_the_lines_that_vim_has(
    marked: str, lines: tuple[str, ...], line_idx: int, column: int
) -> None:
    assert buffer_at(marked) == Buffer("f.py", lines, line_idx, column)


def test_offset_outside_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="offset 3"):
        Buffer.at("f.py", "ab", 3)


def test_context_holds_the_configured_lines_around_the_cursor() -> None:
    place = TEN_LINES.index(" 5")
    context = context_at_cursor(Buffer.at("f.py", TEN_LINES, place), CONFIG)
    assert context.prefix == "line 2\nline 3\nline 4\n"
    assert (context.middle, context.line_suffix) == ("line", " 5")
    assert context.suffix == " 5\nline 6\nline 7\n"


def test_blank_line_is_completed_from_its_start() -> None:
    context = context_at_cursor(buffer_at("def f():\n    |  \nx"), CONFIG)
    assert (context.middle, context.suffix, context.indent) == ("", "\nx\n", 0)


def test_context_behind_a_suggestion_is_that_of_the_accepted_text() -> None:
    context = context_after(buffer_at("a\nb\nc\nd = |\ne"), 3, ("1", "x", "y"), 0, CONFIG)
    accepted = context_at_cursor(buffer_at("a\nb\nc\nd = 1\nx\ny|\ne"), CONFIG)
    assert context == accepted


@pytest.mark.parametrize(
    ("marked", "content", "shown"),
    [
        ("a = |", "1\n\n", "a = [1]"),
        ("a = |", "\n\n", "a = []"),
        ("f(|)", "x", "f([x])"),
        ("f(|)", ")", "f([])"),
        ("f(|)", "x):\n    y", "f([x):\n    y])"),
        ("a|\n\nb", "\n\nb", "a[]\n\nb"),
        ("a|\nb = 1", "\nb = 1", "a[]\nb = 1"),
        ("a|\nb = 1", "\nb = 2", "a[\nb = 2]\nb = 1"),
        ("a|\n\nab\nc", "b", "a[]\n\nab\nc"),
        ("a|\nab\ncde", "b\ncd", "a[]\nab\ncde"),
        ("a|\nab\ncde", "b\nce", "a[b\nce]\nab\ncde"),
        ("a|\nab\nc\nd", "b\nc\nd", "a[]\nab\nc\nd"),
        ("    |", "    x = 1", "    [x = 1]"),
        ("    |", "  x = 1", "  [x = 1]"),
        ("    |", "        x = 1", "    [    x = 1]"),
        ("  |  ", "    x = 1", "  [x = 1]  "),
    ],
)
def test_suggestion_is_shown_without_what_is_there_already(
    marked: str, content: str, shown: str
) -> None:
    check_shown(marked, content, shown)


def test_answer_fits_a_place_whose_window_starts_up_to_three_lines_later() -> None:
    cache = CompletionCache(10)
    buffer = buffer_at("a\nb\nc\nd|\n")
    cache.put(context_at_cursor(buffer, CONFIG).keys(), "\ne\nf\ng")
    later = context_at_cursor(buffer_at("a\nb\nc\nd\n|\n"), CONFIG)
    assert cache.find(later) == "e\nf\ng"
    much_later = context_at_cursor(buffer_at("a\nb\nc\nd\ne\nf\n|\n"), CONFIG)
    assert cache.find(much_later) is None


def test_cache_forgets_the_answer_used_longest_ago() -> None:
    cache = CompletionCache(2)
    cache.put(["a"], "1")
    cache.put(["b"], "2")
    cache.get("a")
    cache.put(["c"], "3")
    assert [cache.get(key) for key in "abc"] == ["1", None, "3"]


@pytest.mark.parametrize(
    ("first", "second", "similarity"),
    [((), (), 1.0), (("a b",), ("b.a",), 1.0), (("a",), ("b",), 0.0), (("a b",), ("a c",), 0.5)],
)
def test_similarity_counts_common_words(
    first: tuple[str, ...], second: tuple[str, ...], similarity: float
) -> None:
    assert chunk_similarity(first, second) == similarity
