"""Names followed to the files that define them, by the rules of each language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from retrieval.symbols.resolve import Resolver
from retrieval.symbols.symbol import Resolved

Prepare = Callable[[Mapping[str, str], str], Any]

PYTHON = {
    "src/shop/__init__.py": "from .cart import Cart as Basket\nfrom .stock import *\n",
    "src/shop/cart.py": (
        "from shop.base import Base\nfrom shop import stock\n\n"
        "class Cart(Base):\n"
        "    '''What is bought.'''\n"
        "    items: list[int]\n"
        "    store: stock.Store\n"
        "    def __init__(self, owner: 'Person'):\n        self.owner = owner\n"
        "    def total(self) -> int: ...\n"
        "    @classmethod\n    def load(cls, path: str) -> 'Cart': ...\n"
        "    def _secret(self): ...\n\n"
        "class Person:\n    name: str\n"
    ),
    "src/shop/base.py": "class Base:\n    def save(self): ...\n    def total(self): ...\n",
    "src/shop/stock.py": (
        "__all__ = ['Store', 'open_store']\n"
        "class Store:\n    def count(self, item: str) -> int: ...\n"
        "def open_store(path: str, *, strict: bool = True) -> Store: ...\n"
        "class Hidden: ...\n"
    ),
    "src/shop/sub/tool.py": "def turn(): ...\n",
    "src/logging.py": "class Logger: ...\n",
    "tests/helper.py": "def build(): ...\n",
}
TYPESCRIPT = {
    "tsconfig.json": '{ // aliases\n "compilerOptions": {"baseUrl": ".", "paths": {"@app/*": ["src/*"],}} }',
    "src/models/index.ts": "export * from './user';\nexport { Role as Kind } from './role';\nexport { default as Page } from './page';\n",
    "src/models/user.ts": (
        "import { Api } from '../api.js';\n"
        "export interface Named { name: string }\n"
        "export class User implements Named {\n"
        "  name = '';\n"
        "  constructor(private readonly api: Api) {}\n"
        "  async load(id: string): Promise<User> { return this; }\n"
        "}\n"
        "export function makeUser(id: string): User { return null; }\n"
    ),
    "src/models/role.ts": "export enum Role { Admin, Guest }\nconst hidden = 1;\n",
    "src/models/page.tsx": "export default class Page { render(): void {} }\n",
    "src/api.ts": "export class Api { fetch(path: string): void {} }\n",
    "packages/kit/package.json": '{"name": "@acme/kit", "main": "dist/index.js"}',
    "packages/kit/src/index.ts": "export const spin = (speed: number): void => {};\n",
}
JAVA = {
    "app/src/com/acme/model/Order.java": (
        "package com.acme.model;\npublic class Order extends Base {\n"
        "  public int total() { return 1; }\n"
        "  public static Order empty() { return null; }\n"
        "  public static class Line { int amount; }\n}\n"
    ),
    "app/src/com/acme/model/Base.java": "package com.acme.model;\npublic class Base { public void save() {} }\n",
    "app/src/com/acme/Near.java": "package com.acme;\nclass Near { void go() {} }\n",
}
GO = {
    "go.mod": "module example.com/shop\n\ngo 1.22\n",
    "store/store.go": (
        "package store\n\ntype Store struct {\n\tName string\n\tclock *Clock\n}\n\n"
        "func New(name string) (*Store, error) { return nil, nil }\n"
    ),
    "store/read.go": "package store\n\nfunc (s *Store) Read(key string) string { return key }\n\ntype Clock struct { Now int }\n",
    "store/store_test.go": "package store\n\nfunc Helper() {}\n",
    "near.go": "package main\n\ntype Near struct { Far int }\n",
}
RUST = {
    "Cargo.toml": '[package]\nname = "my-shop"\n',
    "src/lib.rs": "pub mod store;\npub use store::disk::Disk as Drive;\npub mod inline { pub struct Deep { pub x: u8 } }\n",
    "src/store/mod.rs": "pub mod disk;\npub use self::disk::open;\npub trait Store { fn load(&self, key: &str) -> u8; }\n",
    "src/store/disk.rs": (
        "use super::Store;\n"
        "pub struct Disk { pub size: usize }\n"
        "impl Disk {\n    pub fn new(size: usize) -> Self { todo!() }\n    pub fn read(&self) -> u8 { 1 }\n}\n"
        "pub fn open(path: &str) -> Disk { todo!() }\n"
    ),
    "src/main.rs": "fn main() {}\n",
}
# Folders without the manifests that would say what they are called.
BARE = {
    "crates/kit-base/src/lib.rs": "pub mod shapes;\npub fn root() {}\n",
    "crates/kit-base/src/shapes.rs": "pub struct Shape { pub sides: u8 }\n",
    "crates/app/src/main.rs": "fn main() {}\n",
    "web/src/parts/wheel.ts": "export class Wheel {}\n",
    "web/src/react.ts": "export class Other {}\n",
}
# Types behind others, and members that are named without a call.
WRAPPED = {
    "src/lib.rs": (
        "pub struct Tape { pub side: u8 }\n"
        "pub struct Deck { pub tape: Option<Box<Tape>> }\n"
        "impl Deck {\n    pub fn first(&self) -> Result<&Tape, Error> { todo!() }\n"
        "    pub async fn wind(&self) -> Tape { todo!() }\n}\n"
    ),
    "deck.ts": "export class Tape { side = 1 }\nexport class Deck {\n  get tape(): Tape { return t; }\n  wind(): Tape { return t; }\n}\n",
    "deck.py": "class Tape:\n    side: int\nclass Deck:\n    @property\n    def tape(self) -> Tape: ...\n    def wind(self) -> Tape: ...\n",
}
C = {
    "include/list.h": "struct List { int size; };\nint list_add(struct List *list, int value);\n",
    "include/all.h": '#include "list.h"\n',
}

# What a file that is added to the workspace imports, and the definitions that this brings in.
IMPORTED: list[tuple[Mapping[str, str], str, str, list[str]]] = [
    (PYTHON, "src/shop/app.py", "from shop import Basket", ["src/shop/cart.py:Cart"]),
    (PYTHON, "src/shop/app.py", "from . import Basket as B", ["src/shop/cart.py:Cart"]),
    (PYTHON, "src/shop/app.py", "from . import stock\nstock.open_store", ["src/shop/stock.py:open_store"]),
    (PYTHON, "src/shop/sub/app.py", "from ..cart import Person", ["src/shop/cart.py:Person"]),
    (PYTHON, "src/shop/app.py", "from shop.sub import tool\ntool.turn()", ["src/shop/sub/tool.py:turn"]),
    (PYTHON, "src/shop/app.py", "import shop.sub.tool as t\nt.turn()", ["src/shop/sub/tool.py:turn"]),
    (PYTHON, "src/shop/app.py", "import shop.sub.tool\nshop.sub.tool.turn()", ["src/shop/sub/tool.py:turn"]),
    (PYTHON, "tests/test_a.py", "from shop.stock import Store", ["src/shop/stock.py:Store"]),
    (PYTHON, "tests/test_a.py", "from helper import build", ["tests/helper.py:build"]),
    (PYTHON, "tests/test_a.py", "from shop.stock import *\nStore, Hidden", ["src/shop/stock.py:Store"]),
    (PYTHON, "src/shop/app.py", "from shop import Store", ["src/shop/stock.py:Store"]),
    (PYTHON, "src/shop/app.py", "from logging import Logger", []),
    (PYTHON, "src/shop/app.py", "from cart import Cart\nimport nothing.here\nfrom .... import x", []),
    (TYPESCRIPT, "src/app.ts", "import { User, Kind } from './models';", ["src/models/user.ts:User", "src/models/role.ts:Role"]),
    (TYPESCRIPT, "src/app.ts", "import { User as U } from '@app/models/user';", ["src/models/user.ts:User"]),
    (TYPESCRIPT, "src/app.ts", "import { User } from 'src/models';", ["src/models/user.ts:User"]),
    (TYPESCRIPT, "src/app.ts", "import Page from './models/page';", ["src/models/page.tsx:Page"]),
    (TYPESCRIPT, "src/app.ts", "import { Page } from './models';", ["src/models/page.tsx:Page"]),
    (TYPESCRIPT, "src/app.ts", "import * as m from './models';\nm.makeUser()", ["src/models/user.ts:makeUser"]),
    (TYPESCRIPT, "src/app.js", "const { Api } = require('./api');", ["src/api.ts:Api"]),
    (TYPESCRIPT, "src/app.ts", "import { spin } from '@acme/kit';", ["packages/kit/src/index.ts:spin"]),
    (TYPESCRIPT, "src/app.ts", "import React from 'react';\nimport x from './missing';", []),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nimport com.acme.model.Order;", ["app/src/com/acme/model/Order.java:Order"]),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nimport com.acme.model.*;\nclass App { Order order; }", ["app/src/com/acme/model/Order.java:Order"]),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nimport static com.acme.model.Order.empty;", ["app/src/com/acme/model/Order.java:Order.empty"]),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nimport com.acme.model.Order.Line;", ["app/src/com/acme/model/Order.java:Order.Line"]),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nclass App { Near near; }", ["app/src/com/acme/Near.java:Near"]),
    (GO, "main.go", 'package main\nimport "example.com/shop/store"\nvar s = store.New("a")', ["store/store.go:New"]),
    (GO, "main.go", 'package main\nimport . "example.com/shop/store"\nvar c Clock', ["store/read.go:Clock"]),
    (GO, "main.go", "package main\nvar n Near", ["near.go:Near"]),
    (GO, "main.go", 'package main\nimport "fmt"\nfunc main() { fmt.Println(store.Helper) }', []),
    (RUST, "src/app.rs", "use crate::store::disk::{Disk, open as o};", ["src/store/disk.rs:Disk", "src/store/disk.rs:open"]),
    (RUST, "src/app.rs", "use crate::Drive;", ["src/store/disk.rs:Disk"]),
    (RUST, "src/app.rs", "use crate::store::open;", ["src/store/disk.rs:open"]),
    (RUST, "src/app.rs", "use crate::inline::Deep;", ["src/lib.rs:inline.Deep"]),
    (RUST, "src/store/tape.rs", "use super::Store;", ["src/store/mod.rs:Store"]),
    (RUST, "src/store/tape.rs", "use super::disk::*;\nfn f(d: Disk) {}", ["src/store/disk.rs:Disk"]),
    (RUST, "tests/it.rs", "use my_shop::store::Store;", ["src/store/mod.rs:Store"]),
    (BARE, "crates/app/src/a.rs", "use kit_base::{root, shapes::Shape};", ["crates/kit-base/src/lib.rs:root", "crates/kit-base/src/shapes.rs:Shape"]),
    (BARE, "crates/app/src/a.rs", "use kit::root;", []),
    (BARE, "web/src/a.ts", "import { Wheel } from 'src/parts/wheel';", ["web/src/parts/wheel.ts:Wheel"]),
    (BARE, "web/src/pages/a.ts", "import { Wheel } from '@/parts/wheel';", ["web/src/parts/wheel.ts:Wheel"]),
    (BARE, "web/src/a.ts", "import { Other } from 'react';", []),
    (C, "src/main.c", '#include "all.h"\nint main() { list_add(0, 1); }', ["include/list.h:list_add"]),
]  # fmt: skip

# What is typed in a file, and what comes of it. "¦" stands for the cursor.
TYPED: list[tuple[Mapping[str, str], str, str, list[str]]] = [
    (PYTHON, "src/shop/app.py", "from shop import Basket\nBasket.lo¦", ["Cart", "Cart.load"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\nb = Basket('me')\nb.¦",
     ["Cart", "Cart.items", "Cart.store", "Cart.owner", "Cart.total", "Cart.load", "Base.save",
      "Cart.__init__", "Cart._secret"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\nb = Basket.load('p')\nb.tot¦", ["Cart", "Cart.total"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\ndef f(b: Basket | None):\n    b.tot¦", ["Cart", "Cart.total"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\ndef f(b: list[Basket]):\n    b.tot¦", []),
    (PYTHON, "src/shop/app.py", "from shop import Basket\ndef f(b: Basket):\n    b.owner.¦", ["Person", "Person.name"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\nb: Basket\nb.store.count(¦", ["Store.count"]),
    (PYTHON, "src/shop/app.py", "from shop import open_store\nwith open_store('x') as s:\n    s.co¦", ["Store", "Store.count"]),
    (PYTHON, "src/shop/app.py", "from shop import open_store\nopen_store('a', st¦", ["open_store"]),
    (PYTHON, "src/shop/app.py", "from shop import open_store\nopen_store('a').cou¦", ["Store", "Store.count"]),
    (PYTHON, "src/shop/app.py", "from shop import stock\nstock.¦", ["Store", "open_store"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\nx = Bas¦", ["Cart"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\nclass A:\n    def __init__(self, b: Basket):\n        self.b = b\n\n    def f(self):\n        self.b.to¦", ["Cart", "Cart.total"]),
    (PYTHON, "src/shop/app.py", "from shop import Basket\nclass A(Basket):\n    def f(self):\n        self.sa¦", ["A", "Base.save"]),
    (PYTHON, "src/shop/app.py", "x = 1\nx.¦", []),
    (TYPESCRIPT, "src/app.ts", "import { User } from './models';\nconst u = new User(api);\nu.lo¦", ["User", "User.load"]),
    (TYPESCRIPT, "src/app.ts", "import { User } from './models';\nfunction f(u: User) {\n  u?.name.x;\n  u.api.¦", ["Api", "Api.fetch"]),
    (TYPESCRIPT, "src/app.ts", "import { User } from './models';\nasync function f(u: User) {\n  const v = await u.load('1');\n  v.na¦", ["User", "User.name"]),
    (TYPESCRIPT, "src/app.ts", "import { makeUser } from './models';\nmakeUser(¦", ["makeUser"]),
    (TYPESCRIPT, "src/app.ts", "import { User } from './models';\nclass A {\n  constructor(private user: User) {}\n  go() {\n    this.user.lo¦\n  }\n}\n", ["User", "User.load"]),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nimport com.acme.model.Order;\nclass App {\n  void f() {\n    Order order = Order.empty();\n    order.¦",
     ["Order", "Order.total", "Order.empty", "Order.Line", "Base.save"]),
    (JAVA, "app/src/com/acme/App.java", "package com.acme;\nclass App {\n  void f(Near near) {\n    near.g¦", ["Near", "Near.go"]),
    (GO, "main.go", 'package main\nimport "example.com/shop/store"\nfunc f() {\n\ts, err := store.New("a")\n\ts.R¦', ["Store", "Store.Read"]),
    (GO, "main.go", 'package main\nimport "example.com/shop/store"\nfunc f(s *store.Store) {\n\ts.¦', ["Store", "Store.Name", "Store.clock", "Store.Read"]),
    (GO, "main.go", 'package main\nimport "example.com/shop/store"\nfunc f() {\n\tstore.¦', ["Clock", "Store", "New"]),
    (GO, "main.go", "package main\nfunc f() {\n\tn := &Near{Far: 1}\n\tn.¦", ["Near", "Near.Far"]),
    (GO, "store/more.go", "package store\nfunc (s *Store) Name2() {\n\ts.clock.¦", ["Clock", "Clock.Now"]),
    (RUST, "src/app.rs", "use crate::store::disk::Disk;\nfn f() {\n    let d = Disk::new(3);\n    d.re¦", ["Disk", "Disk.read"]),
    (RUST, "src/app.rs", "use crate::store;\nfn f(d: &mut store::disk::Disk) {\n    d.¦", ["Disk", "Disk.size", "Disk.new", "Disk.read"]),
    (RUST, "src/app.rs", "fn f() {\n    let d = crate::store::open(\"x\");\n    d.re¦", ["Disk", "Disk.read"]),
    (RUST, "src/app.rs", "use crate::Drive;\nfn f() {\n    Drive::ne¦", ["Disk", "Disk.new"]),
    (RUST, "src/app.rs", "use crate::Drive;\nfn f() {\n    let d = Drive { ¦", ["Disk"]),
    (WRAPPED, "src/app.rs", "use crate::Deck;\nfn f(d: Deck) {\n    d.tape.as_ref().unwrap().¦", ["Tape", "Tape.side"]),
    (WRAPPED, "src/app.rs", "use crate::Deck;\nasync fn f(d: Deck) {\n    d.wind().await.¦", ["Tape", "Tape.side"]),
    (WRAPPED, "src/app.rs", "use crate::Deck;\nfn f(d: Deck) {\n    if let Ok(t) = d.first() {\n        t.¦", ["Tape", "Tape.side"]),
    (WRAPPED, "app.ts", "import { Deck } from './deck';\nfunction f(d: Deck) {\n  d.tape.¦", ["Tape", "Tape.side"]),
    (WRAPPED, "app.ts", "import { Deck } from './deck';\nfunction f(d: Deck) {\n  d.wind.¦", []),
    (WRAPPED, "app.ts", "import { Deck } from './deck';\nfunction f(d: Deck) {\n  d.tape.unwrap().¦", []),
    (WRAPPED, "app.py", "from deck import Deck\ndef f(d: Deck):\n    d.tape.¦", ["Tape", "Tape.side"]),
    (WRAPPED, "app.py", "from deck import Deck\ndef f(d: Deck):\n    d.wind.¦", []),
    (C, "src/main.c", '#include "all.h"\nint main() {\n  list_add(¦', ["list_add"]),
]  # fmt: skip


def places(found: list[Resolved]) -> list[str]:
    return [f"{one.path}:{one.definition.qualified}" for one in found]


@pytest.mark.parametrize(("files", "path", "text", "expected"), IMPORTED)
def test_imports_bring_in_the_definitions_that_they_name(
    files: Mapping[str, str], path: str, text: str, expected: list[str], prepare: Prepare
) -> None:
    assert places(prepare({**files, path: text}, path).scope.imported_definitions()) == expected


@pytest.mark.parametrize(("files", "path", "text", "expected"), TYPED)
def test_what_is_typed_leads_to_its_definitions(
    files: Mapping[str, str], path: str, text: str, expected: list[str], prepare: Prepare
) -> None:
    prepared = prepare({**files, path: text.replace("¦", "")}, path)
    found = prepared.scope.definitions_for(prepared.tree, text.index("¦"))
    assert [one.definition.qualified for one in found] == expected


@pytest.mark.parametrize(("files", "path", "text", "expected"), TYPED)
def test_answers_read_nothing(
    files: Mapping[str, str], path: str, text: str, expected: list[str], prepare: Prepare
) -> None:
    prepared = prepare({**files, path: text.replace("¦", "")}, path)
    prepared.workspace.read_paths.clear()
    prepared.workspace.files.clear()
    found = prepared.scope.definitions_for(prepared.tree, text.index("¦"))
    assert [one.definition.qualified for one in found] == expected
    assert prepared.workspace.read_paths == []


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "from b import X\n", "b.py": "from c import X\n", "c.py": "from b import X\n"},
        {"a.py": "from b import *\nX", "b.py": "from c import *\n", "c.py": "from b import *\nfrom c import *\n"},
        {"a.ts": "import { X } from './b';", "b.ts": "export * from './c';", "c.ts": "export * from './b';"},
        {"a.py": "from b import B\nB().x.", "b.py": "class B(B):\n    x = x.x\nclass C(D): ...\nclass D(C): ...\n"},
        {"a.py": "x = y.z()\ny = x.z()\nx.", "b.py": ""},
        {"a.py": "from b import A\nA.", "b.py": "class A(B.C): ...\nclass B(A.D): ...\n"},
    ],
)  # fmt: skip
def test_cycles_end(files: Mapping[str, str], prepare: Prepare) -> None:
    path = next(iter(files))
    prepared = prepare(files, path)
    found = prepared.scope.definitions_for(prepared.tree, len(files[path]))
    assert {one.definition.name for one in found} <= {"A", "B", "x"}


def test_stars_in_all_directions_cost_no_more_than_one_look_at_each_file(prepare: Prepare) -> None:
    stars = "".join(f"from m{n} import *\n" for n in range(40))
    files = {f"m{n}.py": stars for n in range(40)} | {"a.py": "from m0 import missing\n"}
    assert prepare(files, "a.py").scope.imported_definitions() == []


def test_variables_that_are_set_to_one_another_are_each_looked_at_once(prepare: Prepare) -> None:
    text = "".join(f"v{n % 9} = v{(n * 7 + 1) % 9}.call{n}()\n" for n in range(600)) + "v3."
    prepared = prepare({"a.py": text}, "a.py")
    assert prepared.scope.definitions_for(prepared.tree, len(text)) == []


def test_what_changed_in_a_file_is_seen_by_the_next_scope(prepare: Prepare) -> None:
    text = "from b import B\nB.|"
    prepared = prepare({"a.py": text[:-1], "b.py": "class B:\n    old: int\n"}, "a.py")
    resolver = Resolver(prepared.workspace)
    for field in ("old", "new"):
        prepared.workspace.files["b.py"] = f"class B:\n    {field}: int\n"
        found = resolver.prepare("a.py", prepared.tree).definitions_for(
            prepared.tree, len(text) - 1
        )
        assert [one.definition.name for one in found] == ["B", field]


def test_a_file_that_came_is_found_once_the_paths_are_another_object(prepare: Prepare) -> None:
    prepared = prepare({"a.py": "from b import B\n"}, "a.py")
    resolver = Resolver(prepared.workspace)
    assert resolver.prepare("a.py", prepared.tree).imported_definitions() == []
    prepared.workspace.add("b.py", "class B: ...\n")
    found = resolver.prepare("a.py", prepared.tree).imported_definitions()
    assert places(found) == ["b.py:B"]


def test_files_too_long_to_look_into_are_left_out(prepare: Prepare) -> None:
    long = "class B: ...\n" + "#" * 1_000_000
    assert (
        prepare({"a.py": "from b import B", "b.py": long}, "a.py").scope.imported_definitions()
        == []
    )


def test_names_are_resolved_with_and_without_their_module(prepare: Prepare) -> None:
    text = "import shop.stock as st\nfrom shop import Basket\n"
    scope = prepare({**PYTHON, "src/shop/app.py": text}, "src/shop/app.py").scope
    resolved = [scope.resolve(name) for name in ("Basket", "st.Store", "st.Store.count", "nothing")]
    names = [one.definition.qualified if one is not None else None for one in resolved]
    assert names == ["Cart", "Store", "Store.count", None]
