"""Definitions, their signatures and their documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from retrieval.symbols.extract import definitions_of
from retrieval.symbols.signatures import MAX_SIGNATURE
from retrieval.syntax import SyntaxTree

Parse = Callable[[str, str], SyntaxTree]

EXPECTED = {
    "a.py": """\
variable LIMIT | LIMIT: int = 3
class Cache | @dataclass class Cache(Base[int], metaclass=Meta): | Keeps what was asked for.
field Cache.size | size: int
field Cache.NAMES | NAMES = {"a": 1}
method Cache.__init__ | def __init__(self, store: Store, *, limit=5):
field Cache.store | store: Store
field Cache.limit | limit = limit
field Cache.entries | entries: dict[str, int]
method Cache.full | @property def full(self) -> bool:
class Cache.Entry | class Entry:
field Cache.Entry.key | key: str
function load | def load(path: str, *, strict: bool = True) -> Cache:
variable load | load = None""",
    "a.ts": """\
class Users | export class Users<T> extends Base<T> implements Reader | Reads users.
field Users.LIMIT | private static readonly LIMIT = 3
field Users.name | name?: string
method Users.constructor | constructor(private readonly http: Http, plain: number)
field Users.http | private readonly http: Http
method Users.get | async get(id: string, options: Options = {}): Promise<User>
method Users.handler | handler = (event: Event): void =>
interface Reader | export interface Reader
method Reader.read | read(id: string): User
field Reader.size | size: number
enum Color | export enum Color
field Color.Red | Red
field Color.Green | Green = "g"
type Id | export type Id = string | number
function make | export const make = async (a: number): Promise<Users> => | Makes users.
function main | export default function main()
module Inner | namespace Inner
function Inner.deep | export function deep(): void""",
    "Orders.java": """\
class Orders | public class Orders<T> extends Base implements Closeable | Holds orders.
field Orders.byId | private final Map<String, Order> byId = new HashMap<>()
method Orders.Orders | public Orders(int size)
method Orders.find | public Order find(String id) throws IOException
enum Orders.State | enum State
field Orders.State.OPEN | OPEN
field Orders.State.CLOSED | CLOSED
class Point | record Point(int x, int y)""",
    "store.go": """\
class Cache | type Cache[K comparable] struct | Cache keeps entries.
field Cache.Size | Size, Limit int
field Cache.Limit | Size, Limit int
field Cache.entries | entries map[K]string
interface Reader | type Reader interface
method Reader.Read | Read(p []byte) (int, error)
type ID | ID string
variable First | First = iota
variable Second | Second
method Cache.Get | func (c *Cache[K]) Get(key K) (string, error) | Get looks a key up.
function New | func New(size int) *Cache[string]
variable Default | var Default = New(3)""",
    "lib.rs": """\
class Cache | pub struct Cache<T> | A cache.
field Cache.size | pub size: usize
field Cache.inner | inner: Vec<T>
class Unit | struct Unit
class Pair | pub struct Pair(u8, u8)
field Cache.LIMIT | pub const LIMIT: usize = 3
method Cache.new | pub fn new(size: usize) -> Self
method Cache.fmt | fn fmt(&self) -> Result
interface Store | pub trait Store
method Store.load | fn load(&self, key: &str) -> Option<Entry>
enum Kind | pub enum Kind
field Kind.Small | Small
field Kind.Large | Large(u8)
module inside | pub mod inside
function inside.deep | pub fn deep()
macro square | macro_rules! square { ($x:expr) => { $x * $x }; }""",
    "cache.cpp": """\
macro LIMIT | #define LIMIT 3
class Cache | class Cache : public Base | Keeps entries.
method Cache.Cache | explicit Cache(int size)
method Cache.get | int get(const std::string& key) const
field Cache.size_ | int size_
method Cache.other | int acme::Cache::other(int a)
class Box | template <typename T> struct Box
field Box.value | T value
enum Color | enum class Color
field Color.Red | Red
field Color.Green | Green
type Point | typedef struct { int x; } Point
field Point.x | int x
function make | int *make(int size)""",
    "a.rb": """\
module M | module M
class M.A | class A < B | Runs.
method M.A.run | def run(x)
method M.A.go | def self.go; end""",
    "A.cs": """\
class A | public class A : B
field A.P | public int P { get; set; }
method A.A | public A()
method A.F | public void F(int a)
enum E | enum E
field E.X | X""",
    "a.php": """\
class C | class C extends B
field C.$x | private ?D $x = null
method C.f | public function f(int $a): C
function g | function g(int $x): int""",
    "a.js": """\
class A | class A
field A.#n | #n = 1
field A.size | size = 2
method A.constructor | constructor(x)
field A.x | x = x
function load | exports.load = function (path)
variable c | const { a, b } = require('x'), c = 1""",
}


def shown(tree: SyntaxTree) -> str:
    return "\n".join(
        f"{one.kind} {one.qualified} | {one.signature}" + (f" | {one.doc}" if one.doc else "")
        for one in definitions_of(tree)
    )


@pytest.mark.parametrize("path", EXPECTED)
def test_definitions_are_those_that_others_can_name(
    path: str, sources: Mapping[str, str], parse: Parse
) -> None:
    assert shown(parse(path, sources[path])) == EXPECTED[path]


@pytest.mark.parametrize("path", EXPECTED)
def test_line_ends_of_windows_change_nothing(
    path: str, sources: Mapping[str, str], parse: Parse
) -> None:
    assert shown(parse(path, sources[path].replace("\n", "\r\n"))) == EXPECTED[path]


def test_lines_begin_with_decorators_and_end_behind_the_body(
    sources: Mapping[str, str], parse: Parse
) -> None:
    lines = {
        one.qualified: (one.start_line, one.end_line)
        for one in definitions_of(parse("a.py", sources["a.py"]))
    }
    assert lines["Cache"] == (5, 28)
    assert lines["Cache.full"] == (21, 25)
    assert lines["Cache.store"] == (16, 17)


def test_a_signature_is_one_line_of_limited_length(parse: Parse) -> None:
    parameters = ",\n".join(f"    parameter_{n}: int" for n in range(100))
    (found,) = definitions_of(parse("a.py", f"def f(\n{parameters}\n) -> int:\n    return 1\n"))
    assert len(found.signature) == MAX_SIGNATURE
    assert found.signature.startswith("def f(parameter_0: int, parameter_1: int")


def test_a_long_comment_is_known_by_its_first_line(parse: Parse) -> None:
    more = "".join(f"/// Line {n}.\n" for n in range(60))
    (found,) = definitions_of(parse("a.rs", f"/// Does it.\n{more}pub fn f() {{}}\n"))
    assert found.doc == "Does it."
