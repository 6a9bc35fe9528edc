"""Where streamed text ends. In the tables ``‸`` marks the cursor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.stopping import StopMonitor, StopReason
from completion.strategy import Scope, choose_strategy
from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind

Ask = Callable[..., CompletionRequest]


def run(
    request: CompletionRequest, text: str, *, scope: Scope | None = None, size: int = 1000
) -> StopMonitor:
    monitor = StopMonitor(request, choose_strategy(request, scope=scope))
    for start in range(0, len(text), size):
        if monitor.push(text[start : start + size]) is not None:
            return monitor
    monitor.finish()
    return monitor


def check(
    request: CompletionRequest, text: str, kept: str, reason: StopReason | None, **options: Scope
) -> None:
    monitor = run(request, text, **options)
    assert (monitor.text, monitor.reason) == (kept, reason)


PYTHON = [
    ("x = ‸", "1\ny = 2\n", "1", StopReason.END_OF_LINE),
    ("x = 1‸\n", "\ny = 2\nz = 3\n", "\ny = 2", StopReason.END_OF_LINE),
    ("x = 1‸\n", "\n\n\ndef f():\n", "", StopReason.END_OF_LINE),
    ("x = f(‸, 1)", "\n    a\n", "", StopReason.END_OF_LINE),
    ("def f():\n    ‸", "a = 1\n    return a\n\nprint(f())\n", "a = 1\n    return a", StopReason.END_OF_BLOCK),
    ("def f():‸", "\n    a = [\n1,\n]\n    return a\nf()", "\n    a = [\n1,\n]\n    return a", StopReason.END_OF_BLOCK),
    ("def f():\n    ‸", 'x = """\ntext\n"""\n    return x\nf()\n', 'x = """\ntext\n"""\n    return x', StopReason.END_OF_BLOCK),
    ("class A:\n    def f(self):\n        ‸\n", "return 1\n\n    def g(self):\n", "return 1", StopReason.END_OF_BLOCK),
    ("a = 1\n‸\nz = 1\n", "b = 2\nc = 3\n\nd = 4\n", "b = 2\nc = 3", StopReason.END_OF_BLOCK),
    ("a = 1\n‸\nz = 1\n", "for b in c:\n    d()\n\n    e()\n\nf()\n", "for b in c:\n    d()\n\n    e()", StopReason.END_OF_BLOCK),
    ("x = [\n    1,\n    ‸\n]\n", "2,\n    3,\n]\ny = 1\n", "2,\n    3,", StopReason.END_OF_BLOCK),
    ("def f():\n    ‸", "a = 1\n\n\n\n    b = 2\n", "a = 1", StopReason.BLANK_LINES),
    ("def f():\n    ‸", "\n\n\n\n", "", StopReason.BLANK_LINES),
    ("def f(a):\n    ‸", "return a\n    ```\nThis", "return a", StopReason.RUN_ON),
    ("def f(a):\n    ‸", "return a<|endoftext|>x", "return a", StopReason.RUN_ON),
    ("def f(a):\n    ‸", "go_on()\n    " * 3, "go_on()", StopReason.REPETITION),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "text", "kept", "reason"), PYTHON)
def test_python_ends_by_indentation_lines_and_runs(
    ask: Ask, marked: str, text: str, kept: str, reason: StopReason
) -> None:
    check(ask(marked), text, kept, reason)


BRACES = [
    ("typescript", "function f() {\n  ‸\n}\n", "return 1;\n}\n\nfunction g() {", "return 1;"),
    ("typescript", "function f() {‸", "\n  return 1;\n}\n\nfunction g() {", "\n  return 1;\n}"),
    ("typescript", "function f() {‸}\n", "\n  return 1;\n}\n\nfunction g() {", "\n  return 1;\n}"),
    ("javascript", "a(() => {\n  ‸\n});\n", "if (b) {\n    c('}');\n  }\n});\n", "if (b) {\n    c('}');\n  }"),
    ("java", "class A {\n  int f() {\n    ‸\n  }\n}\n", "return 1;\n  }\n\n  int g() {\n", "return 1;"),
    ("go", "func f() int {\n\t‸\n}\n", "// }\n\treturn 1\n}\n\nfunc g() {", "// }\n\treturn 1"),
    ("rust", "fn f<'a>(x: &'a str) {\n    ‸\n}\n", "let b = '}';\n    g(b);\n}\n", "let b = '}';\n    g(b);"),
    ("cpp", "int f() {\n  ‸", "return 1;\n}\n\nint g() {\n", "return 1;\n}"),
    ("c", "while (a) {\n  ‸\n}\n", "b();\n  c();\n}\nd();\n", "b();\n  c();"),
]  # fmt: skip


@pytest.mark.parametrize(("language_id", "marked", "text", "kept"), BRACES)
def test_braces_end_where_the_depth_falls_below_the_start(
    ask: Ask, language_id: str, marked: str, text: str, kept: str
) -> None:
    check(ask(marked, language_id), text, kept, StopReason.END_OF_BLOCK)


def test_an_unknown_language_ends_by_indentation_and_brackets(ask: Ask) -> None:
    check(ask("if x:\n    ‸", "cobol"), "a\nb\n", "a", StopReason.END_OF_BLOCK)
    check(ask("x {\n    ‸\n}\n", "cobol"), "a\n}\n", "a", StopReason.END_OF_BLOCK)


SUFFIX = [
    ("def f():\n    ‸\n    return result_of_all\n", "x = 1\n    return result_of_all\n", "x = 1", True),
    ("def f():\n    ‸\n    x = 1\n    return x\n", "y = 2\n    x = 1\n    return x\n", "y = 2", True),
    ("def f():\n    ‸\n    x = 1\n    return x\n", "y = 2\n    x = 1\n    z = 3\n", "y = 2\n    x = 1\n    z = 3\n", False),
    ("def f(a):\n    if a:\n        ‸\n        return 0\n    return 1\n", "b()\n        return 0\n    return 1\n", "b()", True),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "text", "kept", "stops"), SUFFIX)
def test_text_that_begins_to_repeat_the_suffix_is_cut_before_it(
    ask: Ask, marked: str, text: str, kept: str, stops: bool
) -> None:
    monitor = run(ask(marked, invoked=True), text)
    assert monitor.text.rstrip() == kept.rstrip()
    assert (monitor.reason is StopReason.REPEATS_SUFFIX) is stops


def test_a_hole_within_a_line_ends_where_the_line_goes_on(ask: Ask) -> None:
    request = ask("for a in ‸ if keep(a)]\n", invoked=True)
    check(request, "first(\n    b) if keep(a)]\nmore", "first(\n    b)", StopReason.REPEATS_SUFFIX)


def test_a_hole_within_a_line_keeps_one_line_if_the_rest_is_never_met(ask: Ask) -> None:
    request = ask("for a in ‸ if keep(a)]\n", invoked=True)
    monitor = run(request, "first\n" + "\n\n\n")
    assert monitor.text == "first"


def test_a_statement_takes_the_block_it_opens_and_no_more(ask: Ask) -> None:
    text = "b:\n        c()\n    else:\n        d()\n    e()\n"
    kept = "b:\n        c()\n    else:\n        d()"
    request = ask("def f():\n    if a ‸", invoked=True)
    check(request, text, kept, StopReason.END_OF_BLOCK)


def test_stop_strings_cut_even_across_lines(ask: Ask) -> None:
    request = ask("def f():\n    ‸", stop=("b\n    c",))
    check(request, "a\n    b\n    c\n", "a\n    ", StopReason.STOP_STRING)


def test_a_document_about_sentinels_may_go_on_about_them(ask: Ask) -> None:
    request = ask("PAD = '<|fim_pad|>'\nEND = ‸")
    check(request, "'<|endoftext|>'\n", "'<|endoftext|>'", StopReason.END_OF_LINE)


def test_a_block_has_a_longest_length(ask: Ask) -> None:
    text = "".join(f"v{number} = {number}\n    " for number in range(200))
    monitor = run(ask("def f():\n    ‸"), text)
    assert monitor.reason is StopReason.MAX_LINES
    assert len(monitor.text.split("\n")) == 40


def test_only_finished_lines_count_at_a_deadline(ask: Ask) -> None:
    request = ask("def f():\n    ‸")
    monitor = StopMonitor(request, choose_strategy(request))
    monitor.push("a = 1")
    assert monitor.complete_lines == ""
    monitor.push("\n    b = ")
    assert monitor.complete_lines == "a = 1"
    assert monitor.text == "a = 1\n    b = "
    monitor.push("2\nc")
    assert monitor.complete_lines == monitor.text == "a = 1\n    b = 2"


def test_nothing_is_taken_after_the_end(ask: Ask) -> None:
    request = ask("x = ‸")
    monitor = StopMonitor(request, choose_strategy(request))
    assert monitor.push("1\n2") is StopReason.END_OF_LINE
    assert monitor.push("345") is StopReason.END_OF_LINE
    assert monitor.text == "1"


LINES = st.sampled_from(
    ["x = 1", "    y = f(a)", "        pass", "", "    ", "}", "  })", "return x", "else:",
     "```", "<|end|>", "'''", "    [", "# Example usage", "    z = 3", "def g():", "STOP", "日本 = 😀"]
)  # fmt: skip
PLACES = st.sampled_from(
    [
        ("python", "def f():\n    ", "\n    return x\n"),
        ("python", "x = 1\n", "\n    y = f(a)\n        pass\n"),
        ("python", "x = ", " + y\n"),
        ("python", "x = 1", "\nz\n"),
        ("typescript", "f(() => {\n", "\n})\n"),
        ("typescript", "if (x) {", "}\nreturn x\n"),
        ("go", "func f() {\n\t", "\n}"),
        ("nothing", "a\n    ", "\n  b"),
    ]
)


@given(PLACES, st.booleans(), st.lists(LINES, max_size=10), st.lists(st.integers(1, 9), min_size=1))
def test_the_result_does_not_depend_on_how_the_stream_is_cut(
    place: tuple[str, str, str], invoked: bool, lines: list[str], sizes: list[int]
) -> None:
    language_id, prefix, suffix = place
    request = CompletionRequest(
        "1",
        DocumentSnapshot("u", 1, language_id, prefix + suffix),
        len(prefix),
        TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC,
        stop=("STOP", "1\n  "),
    )
    strategy = choose_strategy(request)
    text = "\n".join(lines)
    whole = StopMonitor(request, strategy)
    whole.push(text)
    pieces = StopMonitor(request, strategy)
    position = 0
    while position < len(text):
        size = sizes[position % len(sizes)]
        pieces.push(text[position : position + size])
        position += size
        if pieces.reason is None:
            assert pieces.text == text[:position]
    assert (pieces.text, pieces.reason, pieces.complete_lines) == (
        whole.text,
        whole.reason,
        whole.complete_lines,
    )
    assert (pieces.finish(), pieces.text) == (whole.finish(), whole.text)
    assert text.startswith(whole.text)
    assert whole.text.startswith(whole.complete_lines)
