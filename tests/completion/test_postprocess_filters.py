"""Each filter on its own, as a table of cases. ``‸`` marks the cursor."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from completion.postprocess import FILTERS, duplicates, repetition, scope, secrets, whitespace
from completion.postprocess import brackets as bracket_filters
from completion.postprocess.draft import Draft, Filter
from completion.strategy import choose_strategy
from completion.types import CompletionRequest, NoSuggestionReason

Ask = Callable[..., CompletionRequest]
Outcome = str | tuple[str, int] | NoSuggestionReason


def check(apply: Filter, request: CompletionRequest, text: str, expected: Outcome) -> None:
    draft = Draft(text, request, choose_strategy(request))
    result = apply(draft)
    if isinstance(result, NoSuggestionReason):
        assert result == expected
    elif isinstance(expected, tuple):
        assert (result.text, result.num_replaced) == expected
    else:
        assert result.text == expected
        assert result.num_replaced == 0


def table(*cases: tuple[str, str, str, Outcome]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("language_id", "marked", "text", "expected"), cases)


@table(
    ("python", "x = ‸", "", NoSuggestionReason.EMPTY_OUTPUT),
    ("python", "x = ‸", " ", " "),
)
def test_empty_output(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(scope.reject_empty, ask(marked, language_id), text, expected)


@table(
    ("python", "x = ‸", "  \n\t", NoSuggestionReason.BLANK_OUTPUT),
    ("python", "x = ‸", "1", "1"),
)
def test_blank_output(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(scope.reject_blank, ask(marked, language_id), text, expected)


@table(
    ("python", "x = ‸", "1<|fim_pad|>2", "1"),
    ("go", "x := ‸", "<fim_prefix>y", ""),
    ("python", "A = '<|endoftext|>'\nx = ‸", "'<|fim_pad|>'", "'<|fim_pad|>'"),
    ("typescript", "const a = <‸", "b | c>d", "b | c>d"),
)
def test_literal_sentinels(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(scope.remove_sentinels, ask(marked, language_id), text, expected)


@table(
    ("python", "def f():\n    ‸", "return 1\nf()\n", "return 1"),
    ("typescript", "function f() {\n  ‸\n}\n", "return 1;\n}\nf();", "return 1;"),
    ("java", "class A {\n  ‸\n}\n", "int a;\n  int b;\n}\n", "int a;\n  int b;"),
    (
        "python",
        "def f():\n    ‸\n    return total_of_all\n",
        "return total_of_all",
        NoSuggestionReason.REPEATS_SUFFIX,
    ),
)
def test_scope_is_limited_by_indentation_brackets_and_suffix(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(scope.limit_scope, ask(marked, language_id), text, expected)


@table(
    ("python", "x = ‸", "1\ny = 2", "1"),
    ("python", "x = 1‸", "\ny = 2\nz = 3", "\ny = 2"),
    ("python", "def f():\n    ‸", "a = 1\n    b = 2", "a = 1\n    b = 2"),
)
def test_a_single_line_is_one(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(scope.trim_to_single_line, ask(marked, language_id), text, expected)


@table(
    ("python", "total_sum = 0\n‸", "total_sum = 0", NoSuggestionReason.REPEATS_PREFIX),
    ("python", "total_sum = 0\n‸", "total_sum = 1", "total_sum = 1"),
    (
        "go",
        "\tfirstCall()\n\tsecondCall()\n\t‸",
        "firstCall()\n\tsecondCall()",
        NoSuggestionReason.REPEATS_PREFIX,
    ),
    ("python", "total_sum = 0‸", "\ntotal_sum = 0", NoSuggestionReason.REPEATS_PREFIX),
    ("c", "  }\n‸", "  }", "  }"),
    ("python", "total_sum = 0\n‸", "total_sum = 0\nx = 1", "total_sum = 0\nx = 1"),
)
def test_lines_directly_above(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(duplicates.reject_repeated_lines_above, ask(marked, language_id), text, expected)


@table(
    (
        "python",
        "‸\nfinal_result = 1\nprint(final_result)\n",
        "a = 1\nfinal_result = 1\nprint(final_result)",
        "a = 1",
    ),
    ("python", "‸\nfinal_result = 1\n", "a = 1\nfinal_result = 1", "a = 1"),
    ("rust", "‸\nlet value = 1;\n", "let value = 1;", NoSuggestionReason.REPEATS_SUFFIX),
    ("go", "{\n\ta(‸\n}\n", "b)\n}", "b)\n}"),
    ("python", "‸\nx = 1\ny = 2\n", "a = 1\nx = 1", "a = 1\nx = 1"),
    (
        "python",
        "if a:\n    pass\nz = 0\n‸total_sum = 1\n",
        "b = 2\ntotal_sum = 1",
        "b = 2",
    ),
)
def test_suffix_lines_at_the_end(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(duplicates.remove_suffix_lines, ask(marked, language_id), text, expected)


@table(
    (
        "python",
        "‸\nresults = compute_everything(first, second)\n",
        "results = compute_everything(first, secnd)",
        NoSuggestionReason.REPEATS_SUFFIX,
    ),
    (
        "java",
        "‸\n  int first = 1;\n  int second = 2;\n  int third = 3;\n",
        "int first = 1;\n  int second = 2;\n  int third = 4;",
        NoSuggestionReason.REPEATS_SUFFIX,
    ),
    (
        "python",
        "‸\nresults = compute_everything(first, second)\n",
        "results = compute_nothing(first, second)",
        "results = compute_nothing(first, second)",
    ),
    ("python", "‸\nx = 1\n", "x = 2", "x = 2"),
)
def test_near_copies_of_the_suffix(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(duplicates.reject_near_copy_of_suffix, ask(marked, language_id), text, expected)


@table(
    ("python", "f(‸, other)", "a, other)", "a"),
    ("python", "f(‸, other) + 1", "a, other", "a"),
    ("typescript", "f(‸ + rest);", "a + rest);", "a"),
    ("go", "x := ‸ + total", " + total", NoSuggestionReason.REPEATS_SUFFIX),
    ("python", "f(‸ab)", "a", "a"),
    ("python", "f(‸)", "a)", "a)"),
)
def test_overlap_with_code_on_the_right(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(duplicates.remove_overlap_with_right, ask(marked, language_id), text, expected)


@table(
    ("python", "pri‸nt(x)", "nt", NoSuggestionReason.REPEATS_SUFFIX),
    ("python", "pri‸nt(x)", "nt_all", ("nt_all", 2)),
    ("python", "user_‸me + 1", "first_name", "first_na"),
    ("java", "get‸Name();", "First", "First"),
    ("python", "x = ‸name", "name_of", "name_of"),
)
def test_the_rest_of_a_word_is_not_doubled(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(duplicates.avoid_word_remainder, ask(marked, language_id), text, expected)


@table(
    ("python", "print(‸)", "x)", ("x)", 1)),
    ("python", "print(f(‸))", "x))", ("x))", 2)),
    ("python", "print(f(‸))", "x)", ("x)", 1)),
    ("python", "print(‸)", "x", "x"),
    ("python", "print(‸)", "f(x)", "f(x)"),
    ("python", "a[f(‸)]", "x)] = 1", ("x)] = 1", 2)),
    ("python", "print(‸)", "x))", ("x)", 1)),
    ("python", "print(‸", "x)", "x)"),
    ("typescript", "f(() => {‸})", "\n  a();\n})", ("\n  a();\n})", 2)),
    ("rust", "foo(‸);", "'(', x)", ("'(', x)", 1)),
    ("go", "f(‸ )", "a)", ("a)", 2)),
)
def test_closers_take_the_place_of_those_on_the_right(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(bracket_filters.balance_closing_brackets, ask(marked, language_id), text, expected)


@table(
    ("python", "print('‸')", "a b')", ("a b')", 2)),
    ("typescript", 'f("‸", x)', 'a"', ('a"', 1)),
    ("typescript", "return `a ${‸}`;", "name}`;", ("name}`;", 3)),
    ("python", "print('‸')", "a b", "a b"),
    ("go", "f(‸)", '"a"', '"a"'),
)
def test_a_quote_that_ends_the_string_is_not_doubled(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(bracket_filters.avoid_doubled_quote, ask(marked, language_id), text, expected)


@table(
    ("cpp", "a = ‸;", "b;", ("b;", 1)),
    ("java", "a = ‸ ;", "b;", ("b;", 2)),
    ("python", "[a, ‸, c]", "b,", ("b,", 1)),
    ("rust", "let a = ‸;", "b", "b"),
)
def test_a_separator_is_not_doubled(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(bracket_filters.avoid_doubled_separator, ask(marked, language_id), text, expected)


@table(
    ("typescript", "if (a) {\n  ‸\n}\n", "b();\n}", "b();"),
    ("java", "if (a) {\n  ‸\n}\n", "if (b) {\n  c();\n}", "if (b) {\n  c();\n}"),
    ("go", "if a {\n\t‸", "b()\n}", "b()\n}"),
    ("cpp", "a({\n  ‸\n});\n", "b\n});", "b"),
)
def test_a_doubled_closing_line(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(
        bracket_filters.remove_duplicated_block_closing_line,
        ask(marked, language_id),
        text,
        expected,
    )


@table(
    ("python", "def f():\n    ‸", "step()\n    step()\n    step()\n", "step()"),
    ("c", "  next();\n  ‸", "next();\n  next();\n  next();", NoSuggestionReason.REPETITIVE_OUTPUT),
    ("python", "x = [\n    ‸", "0,\n    0,\n    0,", "0,\n    0,\n    0,"),
    ("python", "def f():\n    ‸", "step()\n    step()", "step()\n    step()"),
)
def test_repetitive_lines(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(repetition.remove_repetitive_lines, ask(marked, language_id), text, expected)


@table(
    ("python", "‸", "open()\nread()\nopen()\nread()\nopen()\nread()", "open()\nread()"),
    ("python", "‸", "open()\nread()\nopen()\nread()", "open()\nread()\nopen()\nread()"),
    ("python", "‸", "go()\na1\nb2\nc3\nd4\na1\nb2\nc3\nd4", "go()\na1\nb2\nc3\nd4\na1\nb2\nc3\nd4"),
    (
        "go",
        "‸",
        "x\nopen()\nread()\nskip()\nshut()\nopen()\nread()\nskip()\nshut()",
        "x\nopen()\nread()\nskip()\nshut()",
    ),
)
def test_repetitive_blocks(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(repetition.remove_repetitive_blocks, ask(marked, language_id), text, expected)


@table(
    ("python", "def f():\n    ‸", "    return 1", "return 1"),
    ("python", "def f():\n  ‸", "return 1", "return 1"),
    ("python", "def f():\n    if a:\n    ‸", "    return 1", "    return 1"),
    ("python", "def f():\n    a = 1\n    ‸", "    return 1", "return 1"),
    ("go", "func f() {\n\t‸", "\treturn 1", "return 1"),
    ("python", "x = ‸", "  1", "  1"),
)
def test_indentation_that_is_typed_already(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(whitespace.normalise_first_indentation, ask(marked, language_id), text, expected)


@table(
    ("go", "func f() {\n\t‸", "if a {\n        b()\n    }", "if a {\n\t\tb()\n\t}"),
    ("python", "def f():\n    ‸", "if a:\n\t\tb()", "if a:\n        b()"),
    ("typescript", "f() {\n  a {\n    ‸", "b {\n\t\t\tc", "b {\n      c"),
    ("python", "def f():\n    ‸", "x = 'a\tb'\n    y", "x = 'a\tb'\n    y"),
)
def test_tabs_or_spaces_as_the_document_has_them(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(whitespace.normalise_indentation_style, ask(marked, language_id), text, expected)


@table(
    ("python", "x = ‸", " 1", "1"),
    ("python", "x =‸", " 1", " 1"),
    ("python", "    ‸", "  x", "  x"),
)
def test_leading_space(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(whitespace.trim_leading_space, ask(marked, language_id), text, expected)


@table(
    ("python", "x = ‸", "1  \n", "1"),
    ("python", "def f():\n    ‸", "a = 1  \n    b = 2 \n", "a = 1\n    b = 2"),
    ("python", "return ‸for x in y]", "[x ", "[x "),
    ("python", "return ‸ for x in y]", "[x ", "[x"),
)
def test_trailing_space(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(whitespace.trim_trailing_space, ask(marked, language_id), text, expected)


@table(
    ("python", "def f():\n‸    return 1\n", "    x = 1", "    x = 1\n"),
    ("python", "def f():\n    ‸return 1\n", "x = 1", "x = 1\n    "),
    ("python", "def f():\n    x = ‸\n", "1", "1"),
    ("python", "x = ‸ + 1\n", "1", "1"),
)
def test_whole_lines_end_with_their_newline(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(whitespace.end_whole_lines, ask(marked, language_id), text, expected)


# Made up, and put together so that no scanner finds them.
AWS_KEY = "AKIA" + "QZXJWVKPTMRBHDNS"
RANDOM = "q7Zp0LmX3vBc8RtY1KdWs5NfHe2GjUaT9oI4"
KEY_HEADER = "-----BEGIN RSA " + "PRIVATE KEY-----\n"
KEY_LINES = f"MIIE{RANDOM}{RANDOM}\n{RANDOM}{RANDOM[:28]}"


@table(
    ("python", "‸", f"connect('{AWS_KEY}')", NoSuggestionReason.HOLDS_SECRET),
    ("python", "‸", f"x = 1\nmy_key = '{RANDOM}'", NoSuggestionReason.HOLDS_SECRET),
    ("python", "api_key = '‸'\n", RANDOM, NoSuggestionReason.HOLDS_SECRET),
    ("python", f"x = '{AWS_KEY[:9]}‸'\n", AWS_KEY[9:], NoSuggestionReason.HOLDS_SECRET),
    ("none", "‸", KEY_HEADER + KEY_LINES, NoSuggestionReason.HOLDS_SECRET),
    ("none", f"{KEY_HEADER}‸", KEY_LINES, NoSuggestionReason.HOLDS_SECRET),
    ("none", f"{KEY_HEADER.strip()}\r\n‸", KEY_LINES, NoSuggestionReason.HOLDS_SECRET),
    ("none", f"{KEY_LINES}\n{KEY_HEADER}‸", KEY_LINES, KEY_LINES),  # the author's own
    ("python", f"x = '{AWS_KEY}'\n‸", f"connect('{AWS_KEY}')", f"connect('{AWS_KEY}')"),
    ("python", f"connect('{AWS_KEY}'‸)\n", ", retry=True", ", retry=True"),
    ("python", "api_key = ‸\n", "os.environ['API_KEY']", "os.environ['API_KEY']"),
    ("python", "‸", f"if '{KEY_HEADER.strip()}' in text:", f"if '{KEY_HEADER.strip()}' in text:"),
)
def test_a_secret_that_the_document_lacks_is_not_shown(
    ask: Ask, language_id: str, marked: str, text: str, expected: Outcome
) -> None:
    check(secrets.reject_secrets, ask(marked, language_id), text, expected)


@pytest.mark.parametrize(
    ("one", "other", "limit", "expected"),
    [("", "", 0, 0), ("kitten", "sitting", 5, 3), ("abc", "abd", 0, 1), ("a", "abcdef", 2, 3)],
)
def test_edit_distance_stops_at_its_limit(one: str, other: str, limit: int, expected: int) -> None:
    assert duplicates.edit_distance(one, other, limit) == expected


def test_every_filter_of_the_pipeline_has_its_table() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    tested = set(re.findall(r"check\(\s*\w+\.(\w+),", source))
    assert {apply.__name__ for apply in FILTERS} <= tested
