"""Statements that import and export."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retrieval.symbols.extract import symbols_of
from retrieval.symbols.symbol import Import
from retrieval.syntax import SyntaxTree

Parse = Callable[[str, str], SyntaxTree]

OWN_FOLDER = Import("", "*", "", level=1)
CASES: list[tuple[str, str, list[Import]]] = [
    ("a.py", "import os.path", [Import("os.path", "", "os.path", 0, True)]),
    ("a.py", "import numpy as np, sys", [
        Import("numpy", "", "np", 0, True),
        Import("sys", "", "sys", 0, True),
    ]),
    ("a.py", "from . import x", [Import("", "x", "x", 1, True)]),
    ("a.py", "from ..a.b import (\n  c as d,  # why\n  e,\n)", [
        Import("a.b", "c", "d", 2, True),
        Import("a.b", "e", "e", 2, True),
    ]),
    ("a.py", "from a import *", [Import("a", "*", "", 0, True)]),
    ("a.py", "def f():\n    from a import b\n", [Import("a", "b", "b", 0, True)]),
    ("a.py", "if TYPE_CHECKING:\n    from a import b\n", [Import("a", "b", "b", 0, True)]),
    ("a.py", "from __future__ import annotations\n", []),
    ("a.ts", "import A, { b, type c as d, /* no */ } from './x';", [
        Import("./x", "b", "b"),
        Import("./x", "c", "d"),
        Import("./x", "default", "A"),
    ]),
    ("a.ts", "import * as ns from 'pkg';", [Import("pkg", "", "ns")]),
    ("a.ts", "import type { A } from './x';", [Import("./x", "A", "A")]),
    ("a.ts", "import './effects';", []),
    ("a.ts", "export * from './x';", [Import("./x", "*", "", 0, True)]),
    ("a.ts", "export * as ns from './x';", [Import("./x", "", "ns", 0, True)]),
    ("a.ts", "export { a, b as c } from './x';", [
        Import("./x", "a", "a", 0, True),
        Import("./x", "b", "c", 0, True),
    ]),
    ("a.ts", "import fs = require('./x');", [Import("./x", "", "fs")]),
    ("a.js", "const x = require('./x');", [Import("./x", "", "x")]),
    ("a.js", "const { a, b: c } = require('./x');", [
        Import("./x", "a", "a"),
        Import("./x", "b", "c"),
    ]),
    ("a.js", "const a = other('./x', require('./y'));", []),
    ("A.java", "package p;\nimport a.b.C;\nimport static a.b.C.m;\nimport a.b.*;", [
        OWN_FOLDER,
        Import("a.b", "C", "C"),
        Import("a.b.C", "m", "m"),
        Import("a.b", "*", ""),
    ]),
    ("a.go", 'package p\nimport "x.org/a/b"\nimport (\n\tc "d"\n\t. "e"\n\t_ "f"\n\t"g/v2"\n)', [
        OWN_FOLDER,
        Import("x.org/a/b", "", "b"),
        Import("d", "", "c"),
        Import("e", "*", ""),
        Import("g/v2", "", "g"),
    ]),
    ("a.rs", "use crate::a::{self, b, c as d, e::{f, g::*}};", [
        Import("crate", "a", "a"),
        Import("crate::a", "b", "b"),
        Import("crate::a", "c", "d"),
        Import("crate::a::e", "f", "f"),
        Import("crate::a::e::g", "*", ""),
    ]),
    ("a.rs", "pub use self::x::Y;\nmod m;\npub mod n;\nmod inline {}", [
        Import("self::x", "Y", "Y", 0, True),
        Import("self", "m", "m"),
        Import("self", "n", "n", 0, True),
    ]),
    ("a.c", '#include "x/y.h"\n#include <z.h>\n', [
        Import("x/y.h", "*", "", 0, True),
        Import("z.h", "*", "", 0, True),
    ]),
]  # fmt: skip
EXPORTS: list[tuple[str, str, dict[str, str]]] = [
    ("a.py", "__all__ = ['a',\n  \"b\"]\n__all__ += ('c',)\n", {"a": "a", "b": "b", "c": "c"}),
    ("a.py", "x = 1\n", {}),
    ("a.ts", "export class A {}\nexport const b = 1;", {"A": "A", "b": "b"}),
    ("a.ts", "export default class Main {}", {"default": "Main"}),
    ("a.ts", "export default main;", {"default": "main"}),
    ("a.ts", "export { a, b as c };", {"a": "a", "c": "b"}),
    ("a.ts", "export { a as b } from './x';", {"b": "b"}),
    ("a.ts", "export async function f() {}\nexport abstract class G {}", {"f": "f", "G": "G"}),
    ("a.ts", "export type { T } from './x';\nexport type U = 1;", {"T": "T", "U": "U"}),
]


@pytest.mark.parametrize(("path", "text", "expected"), CASES)
def test_imports_are_taken_apart(
    path: str, text: str, expected: list[Import], parse: Parse
) -> None:
    assert list(symbols_of(parse(path, text)).imports) == expected


@pytest.mark.parametrize(("path", "text", "expected"), EXPORTS)
def test_exports_name_what_others_see(
    path: str, text: str, expected: dict[str, str], parse: Parse
) -> None:
    assert symbols_of(parse(path, text)).exports == expected
