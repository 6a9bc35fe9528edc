"""Trees by file name, sources of each language, and workspaces that map paths to texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pytest

from retrieval.languages import grammar_for
from retrieval.symbols.resolve import Resolver, Scope
from retrieval.syntax import SyntaxTree

PYTHON = '''\
"""A module."""
import os
LIMIT: int = 3


@dataclass(frozen=True)
class Cache(Base[int], metaclass=Meta):
    """Keeps what was asked for.

    More about it.
    """

    size: int
    NAMES = {"a": 1}

    def __init__(self, store: Store, *, limit=5):
        self.store = store
        self.limit = limit
        self.entries: dict[str, int] = {}
        local = 1

    @property
    def full(self) -> bool:  # asked often
        def helper(): ...
        return True

    class Entry:
        key: str


try:
    def load(
        path: str,  # where from
        *, strict: bool = True,
    ) -> Cache: ...
except ImportError:
    load = None
'''
TYPESCRIPT = """\
/** Reads users.
 *  Slowly. */
@Injectable({ scope: "x" })
export class Users<T> extends Base<T> implements Reader {
  private static readonly LIMIT = 3;
  name?: string;
  constructor(private readonly http: Http, plain: number) { super(); }
  async get(id: string, options: Options = {}): Promise<User> { const a = 1; return a; }
  handler = (event: Event): void => { };
}
export interface Reader { read(id: string): User; size: number }
export enum Color { Red, Green = "g" }
export type Id = string | number;
// Makes users.
export const make = async (a: number): Promise<Users> => { };
export default function main() { function inner() {} }
namespace Inner { export function deep(): void {} }
"""
JAVA = """\
package com.acme.app;
/**
 * Holds orders.
 */
@Entity(name = "orders")
public class Orders<T> extends Base implements Closeable {
  @Inject private final Map<String, Order> byId = new HashMap<>();
  public Orders(int size) { }
  @Override
  public Order find(String id) throws IOException { return null; }
  enum State { OPEN, CLOSED }
}
record Point(int x, int y) {}
"""
GO = """\
package store

// Cache keeps entries.
type Cache[K comparable] struct {
	Size, Limit int
	entries map[K]string
}
type Reader interface { Read(p []byte) (int, error) }
type (
	ID string
)
const (
	First = iota
	Second
)
// Get looks a key up.
func (c *Cache[K]) Get(key K) (string, error) { return "", nil }
func New(size int) *Cache[string] { return nil }
var Default = New(3)
"""
RUST = """\
/// A cache.
#[derive(Debug)]
pub struct Cache<T> { pub size: usize, inner: Vec<T> }
struct Unit;
pub struct Pair(u8, u8);
impl<T> Cache<T> {
    pub const LIMIT: usize = 3;
    pub fn new(size: usize) -> Self { fn local() {} todo!() }
}
impl<T> fmt::Display for Cache<T> { fn fmt(&self) -> Result { } }
pub trait Store { fn load(&self, key: &str) -> Option<Entry>; }
pub enum Kind { Small, Large(u8) }
mod outside;
pub mod inside { pub fn deep() {} }
macro_rules! square { ($x:expr) => { $x * $x }; }
"""
CPP = """\
#define LIMIT 3
namespace acme {
// Keeps entries.
class Cache : public Base {
 public:
  explicit Cache(int size);
  int get(const std::string& key) const { return 1; }
  int size_;
};
}
int acme::Cache::other(int a) { return a; }
template <typename T> struct Box { T value; };
enum class Color { Red, Green };
typedef struct { int x; } Point;
struct Declared;
int *make(int size);
"""
RUBY = """\
module M
  # Runs.
  class A < B
    def run(x)
      y
    end
    def self.go; end
  end
end
"""
CSHARP = """\
namespace N { public class A : B { public int P { get; set; } public A() {} public void F(int a) { } }
enum E { X } }
"""
PHP = """\
<?php
namespace A;
class C extends B { private ?D $x = null; public function f(int $a): C { } }
function g(int $x): int { }
"""
JAVASCRIPT = """\
class A { #n = 1; size = 2; constructor(x) { this.x = x; } }
exports.load = function (path) { };
other.thing = function () { };
const { a, b } = require('x'), c = 1;
"""
SOURCES = {
    "a.py": PYTHON,
    "a.ts": TYPESCRIPT,
    "Orders.java": JAVA,
    "store.go": GO,
    "lib.rs": RUST,
    "cache.cpp": CPP,
    "a.rb": RUBY,
    "A.cs": CSHARP,
    "a.php": PHP,
    "a.js": JAVASCRIPT,
}


@dataclass
class MappedWorkspace:
    files: dict[str, str]
    read_paths: list[str] = field(default_factory=list)
    known: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.known = frozenset(self.files)

    def paths(self) -> Collection[str]:
        return self.known

    def add(self, path: str, text: str) -> None:
        self.files[path] = text
        self.known = frozenset(self.files)

    def read(self, path: str) -> str | None:
        self.read_paths.append(path)
        return self.files.get(path)


@dataclass
class Prepared:
    workspace: MappedWorkspace
    scope: Scope
    tree: SyntaxTree


Parse = Callable[[str, str], SyntaxTree]
Prepare = Callable[[Mapping[str, str], str], Prepared]


def _parse(path: str, text: str) -> SyntaxTree:
    grammar = grammar_for("", path)
    assert grammar is not None
    return SyntaxTree.parse(grammar, text)


@pytest.fixture(scope="session")
def parse() -> Parse:
    return _parse


@pytest.fixture(scope="session")
def prepare() -> Prepare:
    """Prepare the scope of one of the files."""

    def prepared(files: Mapping[str, str], path: str) -> Prepared:
        workspace = MappedWorkspace(dict(files))
        tree = _parse(path, files[path])
        return Prepared(workspace, Resolver(workspace).prepare(path, tree), tree)

    return prepared


@pytest.fixture(scope="session")
def sources() -> Mapping[str, str]:
    """Small sources with what defines something in their language, by the name of their file."""
    return SOURCES
