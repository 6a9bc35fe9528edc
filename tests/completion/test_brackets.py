"""Bracket depth with strings and comments left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.brackets import (
    BracketState,
    ends_inside_string,
    find_surplus_closer,
    scan_brackets,
)
from retrieval.languages import language_for


@pytest.mark.parametrize(
    ("language_id", "text", "expected"),
    [
        ("python", "f(a, [b", BracketState("([")),
        ("python", "f(a)]", BracketState("", "]")),
        ("python", "x = '(' + \"[\" # {", BracketState()),
        ("python", 'x = """ ( \n', BracketState("", "", '"""')),
        ("python", 'x = """ ( """ + (', BracketState("(")),
        ("python", r"x = 'it\'s (' + (", BracketState("(")),
        ("typescript", "f(`a ( ${b}`, {", BracketState("({")),
        ("typescript", "/* ( */ { // [", BracketState("{")),
        ("rust", "fn f<'a>(x: &'a str) {", BracketState("{")),
        ("rust", "let c = '(';", BracketState()),
        ("c", "char c = '{'; if (x) {", BracketState("{")),
        ("go", "x := `\n(`\nf(", BracketState("(")),
        ("nothing", "it's (", BracketState("(")),
    ],
)
def test_only_brackets_of_the_code_count(
    language_id: str, text: str, expected: BracketState
) -> None:
    assert scan_brackets(text, language_for(language_id)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [("x = 'ab", True), ("x = 'ab'", False), ("# ab", True), ("x = f(", False), ("x = '''a", True)],
)
def test_it_knows_a_string_that_is_not_closed_yet(line: str, expected: bool) -> None:
    assert ends_inside_string(line, language_for("python"), BracketState()) is expected


def test_the_surplus_closer_is_the_first_below_the_floor() -> None:
    language = language_for("typescript")
    assert find_surplus_closer("f(a)) }", language, BracketState("{"), 1) == 4
    assert find_surplus_closer("f(a)) }", language, BracketState("{"), 0) == 6
    assert find_surplus_closer("f(a)) }", language, BracketState("{"), -1) is None


@given(st.lists(st.text(st.sampled_from("(){}[]'\"`#/*x\\ "), max_size=12), max_size=6))
def test_reading_line_by_line_is_reading_at_once(lines: list[str]) -> None:
    for language_id in ("python", "typescript", "nothing"):
        language = language_for(language_id)
        state = BracketState()
        for line in lines:
            state = scan_brackets(line + "\n", language, state)
        assert state == scan_brackets("".join(line + "\n" for line in lines), language)
