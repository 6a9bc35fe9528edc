"""What stands around the cursor, and what lines say about a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.symbols.expressions import Cursor, Hint, Step, cursor_at, hints_for, steps_of

CURSORS = [
    ("", Cursor("")),
    ("na", Cursor("na")),
    ("a.", Cursor("", (Step("a"),))),
    ("x = a.b().c", Cursor("c", (Step("a"), Step("b", True)))),
    ("a\n    .b()\n    .", Cursor("", (Step("a"), Step("b", True)))),
    ("a::B::", Cursor("", (Step("a"), Step("B")))),
    ("a?.b!.c", Cursor("c", (Step("a"), Step("b")))),
    ("p->q", Cursor("q", (Step("p"),))),
    ("f(x, y=g(1), z", Cursor("z", (), (Step("f"),))),
    ("a.f(b.", Cursor("", (Step("b"),), (Step("a"), Step("f")))),
    ("f([1, {2: ", Cursor("", (), (Step("f"),))),
    ("def f(a", Cursor("a")),
    ("f(1)", Cursor("")),
    ("1.", Cursor("")),
    ("items[0].x", Cursor("x")),
    ("f(a)(b).c", Cursor("c", (Step("f", True),))),
    (").", Cursor("")),
    ("let x = a::Box { y: 1, z", Cursor("z", (), (Step("a"), Step("Box")))),
    ("    f();\n    Box { y: Lid { ", Cursor("", (), (Step("Lid"),))),
    ("f(|| Box { ", Cursor("", (), (Step("Box"),))),
    ("fn f() -> Box { ", Cursor("")),
    ("impl A for Box { x", Cursor("x")),
    ("function f(): Box { ", Cursor("")),
    ("<b.C one={() => { }} tw", Cursor("tw")),
    ("<B one={() => x} tw", Cursor("tw", (), (Step("B"),))),
    ("<B one={f(", Cursor("", (), (Step("f"),))),
    ("<B one={1}> x", Cursor("x")),
]
EXPRESSIONS = [
    ("a", (Step("a"),)),
    ("await new a.B<T>(1)", (Step("a"), Step("B", True))),
    ("&p.T{X: 1}", (Step("p"), Step("T", True))),
    ("Vec::<u8>::new()", (Step("Vec"), Step("new", True))),
    ("f(", (Step("f", True),)),
    ("a.b;", (Step("a"), Step("b"))),
    ("newest()", (Step("newest", True),)),
    ("a + b", None),
    ("a[0]", None),
    ("'text'", None),
    ("", None),
]
HINTS = [
    ("Python", "x: A = f()", [Hint(type="A")]),
    ("Python", "x = A(1)", [Hint(value=(Step("A", True),))]),
    ("Python", "with A() as x:", [Hint(value=(Step("A", True),))]),
    ("Python", "x == A\nx += 1\nxx = A()\ny.x1 = 2", []),
    (
        "Python",
        "x = A()\nx = B()",
        [Hint(value=(Step("B", True),)), Hint(value=(Step("A", True),))],
    ),
    ("TypeScript", "let x: A<B> | null = null;", [Hint(type="A<B> | null")]),
    ("JavaScript", "const x = new A();", [Hint(value=(Step("A", True),))]),
    ("Java", "final A<B> x = f();", [Hint(type="A<B>")]),
    ("Java", "var x = f();", [Hint(value=(Step("f", True),))]),
    ("Java", "return x;", []),
    ("C++", "const A& x", [Hint(type="A")]),
    ("Go", "x, err := p.New()", [Hint(value=(Step("p"), Step("New", True)))]),
    ("Go", "func f(x *p.T)", [Hint(type="*p.T")]),
    ("Rust", "let mut x: &A = y;", [Hint(type="&A")]),
    ("Rust", "let x = A::new();", [Hint(value=(Step("A"), Step("new", True)))]),
    ("Rust", "if let Some(x) = a.b() {", [Hint(value=(Step("a"), Step("b", True)))]),
    ("Rust", "while let Ok(mut x) = a.b()? {", [Hint(value=(Step("a"), Step("b", True)))]),
    ("Rust", "if f(x) == a {", []),
]


@pytest.mark.parametrize(("text", "expected"), CURSORS)
def test_the_cursor_knows_its_receiver_and_its_call(text: str, expected: Cursor) -> None:
    assert cursor_at(text, len(text)) == expected


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS)
def test_expressions_are_taken_as_steps(text: str, expected: tuple[Step, ...] | None) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(("language", "text", "expected"), HINTS)
def test_lines_tell_the_type_of_a_name(language: str, text: str, expected: list[Hint]) -> None:
    assert list(hints_for(language, text, len(text), "x")) == expected


@given(st.text(alphabet="ab.:(){}[]<>-?!&* \n\r\t=,;'\"\x00\ud800", max_size=60))
def test_any_text_is_taken(text: str) -> None:
    for offset in range(len(text) + 1):
        cursor = cursor_at(text, offset)
        assert text[:offset].endswith(cursor.partial)
    for language in ("Python", "Go", "Java", "Rust"):
        assert len(list(hints_for(language, text, len(text), "a"))) <= text.count("a")
