"""Definitions as their users see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from retrieval.symbols.extract import symbols_of
from retrieval.symbols.outline import outline
from retrieval.syntax import SyntaxTree

Parse = Callable[[str, str], SyntaxTree]
Prepare = Callable[[Mapping[str, str], str], Any]

CASES = {
    "python class": (
        "a.py",
        "@dataclass(frozen=True)\nclass A(B):\n    '''Is an A.'''\n    x: int = 1\n"
        "    @property\n    def y(self) -> int:\n        return 1\n"
        "    def z(self, a, *, b=2):\n        return b\n",
        '@dataclass\nclass A(B):\n    """Is an A."""\n    x: int = 1\n    @property\n'
        "    def y(self) -> int: ...\n    def z(self, a, *, b=2): ...",
    ),
    "python function": (
        "a.py",
        "def f(a: int) -> str:\n    '''Does it.'''\n    return 'secret'\n",
        'def f(a: int) -> str:\n    """Does it."""',
    ),
    "python function without documentation": ("a.py", "def f(): return 1\n", "def f():\n    ..."),
    "python constant": ("a.py", "LIMIT = 3\n", "LIMIT = 3"),
    "typescript class": (
        "a.ts",
        "/** Reads. */\nexport class A extends B {\n  x = 1;\n  get(k: string): T { return secret; }\n}\n",
        "/** Reads. */\nexport class A extends B {\n    x = 1;\n    get(k: string): T;\n}",
    ),
    "typescript class with a method that is a function": (
        "a.ts",
        "class A {\n  get = (k: string): T => secret;\n}\n",
        "class A {\n    get = (k: string): T => { ... };\n}",
    ),
    "typescript enum": ("a.ts", "enum E { A, B = 2 }\n", "enum E {\n    A,\n    B = 2,\n}"),
    "typescript function": ("a.ts", "export const f = (a: number): T => { };\n", "export const f = (a: number): T => { ... };"),
    "java class": (
        "A.java",
        "// Holds.\nclass A {\n  private int x;\n  @Override public int get() { return x; }\n}\n",
        "/** Holds. */\nclass A {\n    private int x;\n    public int get();\n}",
    ),
    "go struct": (
        "a.go",
        "package p\n// A is one.\ntype A struct {\n\tX int\n}\nfunc (a *A) Get() int { return a.X }\n",
        "// A is one.\ntype A struct {\n    X int\n}\nfunc (a *A) Get() int",
    ),
    "go interface": (
        "a.go",
        "package p\ntype R interface {\n\tRead() int\n}\n",
        "type R interface {\n    Read() int\n}",
    ),
    "rust struct": (
        "a.rs",
        "/// One.\npub struct A { pub x: u8 }\nimpl A { pub fn new() -> Self { todo!() } }\n",
        "/// One.\npub struct A {\n    pub x: u8,\n}\nimpl A {\n    pub fn new() -> Self;\n}",
    ),
    "rust trait": (
        "a.rs",
        "pub trait T { fn f(&self); }\n",
        "pub trait T {\n    fn f(&self);\n}",
    ),
    "ruby class": ("a.rb", "class A < B\n  def f(x)\n    y\n  end\nend\n", "class A < B\n  def f(x); end\nend"),
}  # fmt: skip


def outlined(tree: SyntaxTree, *, max_num_characters: int) -> str:
    symbols = symbols_of(tree)
    first = symbols.definitions[0]
    members = list(symbols.members(first.qualified).values())
    return outline(first, members, symbols.language, max_num_characters=max_num_characters)


@pytest.mark.parametrize("name", CASES)
def test_an_outline_is_code_without_bodies(name: str, parse: Parse) -> None:
    path, text, expected = CASES[name]
    assert outlined(parse(path, text), max_num_characters=800) == expected


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("max_num_characters", [0, 40, 80, 120])
def test_an_outline_keeps_to_its_budget_but_for_the_signature(
    name: str, max_num_characters: int, parse: Parse
) -> None:
    path, text, _ = CASES[name]
    tree = parse(path, text)
    at_least = len(outlined(tree, max_num_characters=0))
    shown = outlined(tree, max_num_characters=max_num_characters)
    assert len(shown) <= max(at_least, max_num_characters)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.rs", "pub struct A { pub x: u8 }\n", "pub struct A { ... }"),
        ("a.rs", "pub struct A;\nimpl A { fn f() {} }\n", "pub struct A;"),
        ("a.rs", "pub trait A { fn f(); }\n", "pub trait A { ... }"),
        ("a.ts", "class A { x = 1 }\n", "class A { ... }"),
        ("a.go", "package p\ntype A struct {\n\tX int\n}\n", "type A struct"),
    ],
)
def test_a_type_whose_members_find_no_room_does_not_look_empty(
    path: str, text: str, expected: str, parse: Parse
) -> None:
    assert outlined(parse(path, text), max_num_characters=0) == expected


def test_private_members_give_way_first(parse: Parse) -> None:
    text = "class A:\n    def _inner(self): ...\n    def __len__(self): ...\n    def outer(self): ...\n"
    shown = outlined(parse("a.py", text), max_num_characters=80)
    assert shown == "class A:\n    def __len__(self): ...\n    def outer(self): ..."


def test_a_scope_shows_what_is_inherited_and_what_stands_in_other_files(prepare: Prepare) -> None:
    files = {
        "go.mod": "module m\n",
        "p/a.go": "package p\ntype A struct {\n\tX int\n}\n",
        "p/b.go": "package p\nfunc (a *A) Get() int { return a.X }\n",
        "main.go": 'package main\nimport "m/p"\nvar a p.A\n',
    }
    scope = prepare(files, "main.go").scope
    (found,) = scope.imported_definitions()
    assert scope.outline(found) == "type A struct {\n    X int\n}\nfunc (a *A) Get() int"
