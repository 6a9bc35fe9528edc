"""The policy of how much to suggest; ``‸`` marks the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.strategy import Scope, StrategyMode, choose_strategy
from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind
from retrieval.languages import language_for
from retrieval.syntax import SyntaxTree

Ask = Callable[..., CompletionRequest]

AUTOMATIC = [
    ("python", "def f(a, b):‸", Scope.BLOCK),
    ("python", "def f(a, b):\n    ‸", Scope.BLOCK),
    (
        "python",
        "class A:\n    def f(self):\n        ‸\n\n    def g(self):\n        pass\n",
        Scope.BLOCK,
    ),
    ("python", "for x in y:\n    ‸\nprint(1)\n", Scope.BLOCK),
    ("python", "x = 1\n‸\ny = 2\n", Scope.PARAGRAPH),
    ("python", "def f():\n    x = 1\n    ‸\n    return x\n", Scope.PARAGRAPH),
    ("python", "x = fo‸", Scope.LINE),
    ("python", "x = foo(‸)", Scope.LINE),
    ("python", "x = ‸ + 1\n", Scope.LINE),
    ("python", "# a note on ‸\n", Scope.LINE),
    ("python", "x = 'half a ‸", Scope.LINE),
    ("python", 'def f():\n    """Do ‸\n    """\n', Scope.LINE),
    ("python", "d = {'a':‸", Scope.LINE),
    ("typescript", "function f(a) {‸}", Scope.BLOCK),
    ("typescript", "function f(a) {\n  ‸\n}\n", Scope.BLOCK),
    ("typescript", "const a = ‸;\n", Scope.LINE),
    ("javascript", "function f() {\n  a();\n  ‸\n}\n", Scope.PARAGRAPH),
    ("java", "class A {\n  int f() {\n    ‸\n  }\n}\n", Scope.BLOCK),
    ("go", "func f() {\n\tif a {\n\t\t‸\n\t}\n}\n", Scope.BLOCK),
    ("rust", "fn f() {\n    let a = ‸\n}\n", Scope.LINE),
    ("cpp", "int main() {\n  ‸\n", Scope.BLOCK),
    ("c", "int x = 1; // a ‸", Scope.LINE),
    ("cobol", "while x:\n    ‸", Scope.BLOCK),
    ("cobol", "if (x) {\n    ‸\n}\n", Scope.BLOCK),
    ("cobol", "some text ‸", Scope.LINE),
]
INVOKED = [
    ("python", "def f(a, b):\n    ‸", Scope.BLOCK),
    ("python", "def f(a):\n    for x in a:‸", Scope.FUNCTION),
    ("python", "def f():\n    x = 1\n    ‸\n    return x\n", Scope.FUNCTION),
    ("python", "def f():\n    x = ‸\n    return x\n", Scope.STATEMENT),
    ("python", "x = ‸ + 1\n", Scope.FUNCTION),
    ("python", "# a note on ‸\n", Scope.LINE),
    ("typescript", "const a = ‸;\n", Scope.STATEMENT),
]


@pytest.mark.parametrize(("language_id", "marked", "expected"), AUTOMATIC)
def test_an_automatic_request_gets_the_unit_at_the_cursor(
    ask: Ask, language_id: str, marked: str, expected: Scope
) -> None:
    strategy = choose_strategy(ask(marked, language_id))
    assert strategy.scope is expected
    assert (strategy.mode is StrategyMode.LINE) == (expected is Scope.LINE)


@pytest.mark.parametrize(("language_id", "marked", "expected"), INVOKED)
def test_an_explicit_request_is_answered_more_generously(
    ask: Ask, language_id: str, marked: str, expected: Scope
) -> None:
    assert choose_strategy(ask(marked, language_id, invoked=True)).scope is expected


def test_a_line_costs_fewer_tokens_than_a_block_and_the_request_has_the_last_word(ask: Ask) -> None:
    line, block = ask("x = ‸"), ask("def f():\n    ‸")
    assert choose_strategy(line).max_new_tokens < choose_strategy(block).max_new_tokens
    assert choose_strategy(replace(block, max_new_tokens=7)).max_new_tokens == 7


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("def f():\n    ‸", 1),
        ("class A:\n    def f(self):‸", 5),
        ("if x:\n    y = 1\n    ‸\n", 4),
        ("x = 1\n‸\n", None),
    ],
)
def test_the_base_indentation_is_that_of_the_unit(
    ask: Ask, marked: str, expected: int | None
) -> None:
    assert choose_strategy(ask(marked)).base_indentation == expected


def test_code_on_the_right_has_to_be_met_again(ask: Ask) -> None:
    assert choose_strategy(ask("x = (‸) + [y]\n", invoked=True)).must_join
    assert not choose_strategy(ask("x = (‸)\n", invoked=True)).must_join
    assert not choose_strategy(ask("def f():\n‸    return 1\n", invoked=True)).must_join


def test_a_tree_of_another_version_is_not_believed(ask: Ask) -> None:
    language = language_for("python")
    assert language is not None
    request = ask("x = fo‸")
    stale = SyntaxTree.parse(language, "def f():\n    '")
    assert choose_strategy(request, tree=stale) == choose_strategy(request)


@given(
    st.sampled_from(["python", "typescript", "go", "rust", "java", "cpp", "nothing"]),
    st.text(st.one_of(st.sampled_from("{}()[]:'\"#/\n\t "), st.characters()), max_size=60),
    st.booleans(),
    st.data(),
)
def test_any_text_has_a_strategy(
    language_id: str, text: str, invoked: bool, data: st.DataObject
) -> None:
    request = CompletionRequest(
        "1",
        DocumentSnapshot("u", 1, language_id, text),
        data.draw(st.integers(0, len(text))),
        TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC,
    )
    assert choose_strategy(request).max_num_lines >= 1
