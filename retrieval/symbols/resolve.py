"""The definitions that matter where someone types: of names imported, of the receiver, of a call.

``Resolver.prepare`` does all reading and parsing, in the background; the ``Scope`` that it returns
answers from what was prepared and costs a lookup.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from retrieval.languages import grammar_for
from retrieval.symbols.expressions import Step, cursor_at, hints_for
from retrieval.symbols.extract import symbols_of
from retrieval.symbols.modules import Modules
from retrieval.symbols.names import Module, Names, Target
from retrieval.symbols.outline import MAX_OUTLINE, outline
from retrieval.symbols.symbol import HOLDERS, STAR, TYPES, FileSymbols, Import, Resolved, SymbolKind
from retrieval.symbols.workspace import FileIndex, Workspace
from retrieval.syntax import SyntaxTree

MAX_NUM_PREPARED = 300  # files that one document may lead to
MAX_NUM_KEPT = 1000  # files whose symbols are remembered
MAX_NUM_CHARACTERS = 500_000  # of a file that is looked into
_MAX_NUM_VARIABLES = 8  # whose types one question looks for
_MIN_PARTIAL = 2  # characters before names that begin so are worth showing
_MAX_NUM_BEGINNING = 8
_WORD = re.compile(r"[^\W\d]\w*")
_RUST_PATH = re.compile(r"\b(?:crate|super|self|[a-z]\w*)(?:::\w+)+")
_MAX_NUM_WRITTEN_OUT = 200
_OWN = frozenset({"self", "this", "cls", "Self"})

_Variables = dict[str, Target | None]  # the types of those that one question came across


class Scope:
    """What the names of one document lead to. Immutable; threads may share it."""

    def __init__(
        self,
        path: str,
        symbols_of_file: Callable[[str], FileSymbols | None],
        names: Names,
        imported: tuple[Resolved, ...],
    ) -> None:
        self._path = path
        self._symbols_of = symbols_of_file
        self._symbols = symbols_of_file(path) or FileSymbols("")
        self._names = names
        self._imported = imported

    def imported_definitions(self) -> list[Resolved]:
        """Return the definitions in the workspace that the document's imports bring in.

        Of modules and stars, those whose names the document mentions.
        """
        return list(self._imported)

    def definitions_for(self, tree: SyntaxTree, offset: int) -> list[Resolved]:
        """Return the definitions that what is typed at ``offset`` refers to, the likeliest first.

        Behind ``receiver.`` that is its type and then those of its members that begin with what
        is typed. Then comes the function whose arguments are typed, then the names that begin
        with what is typed. Empty where nothing is known.
        """
        cursor = cursor_at(tree.text, offset)
        found: list[Resolved] = []
        if cursor.receiver:
            found += self.members(tree, offset, cursor.receiver, cursor.partial)
        callee = self._evaluate(tree, offset, cursor.callee, {})
        if isinstance(callee, Resolved):
            found.append(callee)
        if not cursor.receiver and len(cursor.partial) >= _MIN_PARTIAL:
            found += self._beginning_with(cursor.partial)
        return list(dict.fromkeys(found))

    def resolve(self, name: str) -> Resolved | None:
        """Return the definition that the document calls ``name`` (``"module.name"`` too), if any."""
        target = self._names.evaluate(self._path, [Step(part) for part in name.split(".")])
        return target if isinstance(target, Resolved) else None

    def outline(self, resolved: Resolved, *, max_num_characters: int = MAX_OUTLINE) -> str:
        """Return the outline of a definition, for a type with what it inherits."""
        symbols = self._symbols_of(resolved.path)
        members = self._names.members(resolved) if resolved.definition.kind in HOLDERS else []
        return outline(
            resolved.definition,
            [member.definition for member in members],
            symbols.language if symbols is not None else "",
            max_num_characters=max_num_characters,
        )

    def members(
        self, tree: SyntaxTree, offset: int, receiver: Sequence[Step], partial: str = ""
    ) -> list[Resolved]:
        """Return the type of an expression at ``offset`` and its members that begin so."""
        target = self._evaluate(tree, offset, receiver, {})
        if target is None:
            return []
        holder = self._names.value_of(target, is_called=receiver[-1].is_called)
        if holder is None:
            return []
        found = [r for r in self._names.members(holder) if _begins(r, partial)]
        found.sort(key=lambda resolved: resolved.definition.name.startswith("_"))
        return [holder, *found] if isinstance(holder, Resolved) else found

    def _evaluate(
        self, tree: SyntaxTree, offset: int, steps: Sequence[Step], variables: _Variables
    ) -> Target | None:
        """Return what an expression at ``offset`` names; the last step is not called."""
        if not steps:
            return None
        name = steps[0].name
        if name not in variables and len(variables) < _MAX_NUM_VARIABLES:
            variables[name] = None  # until it is known, so that one set to itself ends
            variables[name] = self._held(tree, offset, name, variables)
        held = variables.get(name)
        if held is not None:
            # What a variable holds has been found already, not what its call would give.
            return self._names.walk(held, [Step(name), *steps[1:]])
        return self._names.evaluate(self._path, steps)

    def _held(
        self, tree: SyntaxTree, offset: int, name: str, variables: _Variables
    ) -> Target | None:
        """Return the type of a variable, or of the object whose method ``offset`` stands in."""
        if name in _OWN:
            return self._own_type(tree.text.count("\n", 0, offset))
        for hint in dict.fromkeys(hints_for(self._symbols.language, tree.text, offset, name)):
            if hint.value:
                value = self._evaluate(tree, offset, hint.value, variables)
                is_called = hint.value[-1].is_called
                found = self._names.value_of(value, is_called=is_called) if value else None
            else:
                found = self._names.hinted(self._path, hint)
            if found is not None:
                return found
        return None

    def _own_type(self, line: int) -> Target | None:
        before = [one for one in self._symbols.definitions if one.start_line <= line]
        last = max(before, key=lambda one: one.start_line, default=None)
        if last is None:
            return None
        qualified = last.qualified if last.kind in TYPES else last.container
        steps = [Step(part) for part in qualified.split(".") if part]
        return self._names.evaluate(self._path, steps)

    def _beginning_with(self, partial: str) -> Iterator[Resolved]:
        aliases = [one.alias for one in self._symbols.imports if one.name]
        names = dict.fromkeys((*aliases, *self._symbols.members()))
        beginning = sorted(
            (name for name in names if name.startswith(partial)), key=lambda name: name != partial
        )
        for name in beginning[:_MAX_NUM_BEGINNING]:
            target = self._names.find(self._path, name)
            if isinstance(target, Resolved):
                yield target


class Resolver:
    """Prepares scopes over one workspace, and remembers the symbols of its files."""

    def __init__(self, workspace: Workspace, *, max_num_kept: int = MAX_NUM_KEPT) -> None:
        self._workspace = workspace
        self._max_num_kept = max_num_kept
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, bytes], FileSymbols] = OrderedDict()
        self._indexed: tuple[Collection[str], Modules] | None = None

    def prepare(self, path: str, tree: SyntaxTree) -> Scope:
        """Return the scope of a document, reading and parsing what its imports lead to.

        At most ``MAX_NUM_PREPARED`` files are looked into; what lies behind them is unknown to the
        scope. May be called from any thread.
        """
        symbols = symbols_of(tree)
        files = _Files(self, path, symbols)
        names = Names(files.symbols, self._modules())
        words = set(_WORD.findall(tree.text))
        imported = [
            one for wanted in symbols.imports for one in _brought(names, path, wanted, words)
        ]
        imported += _written_out(names, path, symbols.language, tree.text)
        own = [Resolved(path, definition) for definition in symbols.definitions]
        for resolved in (*imported, *own):
            _look_around(names, resolved)
        files.close()
        return Scope(path, files.symbols, names, tuple(dict.fromkeys(imported)))

    def symbols(self, path: str) -> FileSymbols | None:
        """Return the symbols of a file as it is now, or None if there is none to look into."""
        grammar = grammar_for("", path)
        text = self._workspace.read(path) if grammar is not None else None
        if grammar is None or text is None or len(text) > MAX_NUM_CHARACTERS:
            return None
        key = (
            path,
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(),
        )
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        symbols = symbols_of(SyntaxTree.parse(grammar, text))
        with self._lock:
            self._kept[key] = symbols
            while len(self._kept) > self._max_num_kept:
                self._kept.popitem(last=False)
        return symbols

    def _modules(self) -> Modules:
        paths = self._workspace.paths()
        with self._lock:
            if self._indexed is None or self._indexed[0] is not paths:
                self._indexed = paths, Modules(FileIndex(paths), self._workspace.read)
            return self._indexed[1]


class _Files:
    """The symbols that one scope has got; once closed, it gets no more."""

    def __init__(self, resolver: Resolver, path: str, symbols: FileSymbols) -> None:
        self._resolver: Resolver | None = resolver
        self._known: dict[str, FileSymbols | None] = {path: symbols}

    def symbols(self, path: str) -> FileSymbols | None:
        if path not in self._known:
            if self._resolver is None or len(self._known) > MAX_NUM_PREPARED:
                return None
            self._known[path] = self._resolver.symbols(path)
        return self._known[path]

    def close(self) -> None:
        self._resolver = None


def _brought(names: Names, path: str, wanted: Import, words: set[str]) -> Iterator[Resolved]:
    """Yield what an import brings in; of a module or a star only what ``words`` mention."""
    if wanted.name == STAR:
        module = names.follow(path, replace(wanted, name=""))
        if module is None:  # packages of Java are folders, and each name is a file
            mentioned = sorted(word for word in words if word[:1].isupper())
            targets = [names.follow(path, replace(wanted, name=word)) for word in mentioned]
            yield from (one for one in targets if isinstance(one, Resolved) and one.path != path)
            return
    else:
        module = names.follow(path, wanted)
    if isinstance(module, Resolved):
        yield module
    elif isinstance(module, Module):
        for resolved in names.members(module):
            if resolved.definition.name in words and resolved.path != path:
                yield resolved


def _written_out(names: Names, path: str, language: str, text: str) -> Iterator[Resolved]:
    """Yield what code of Rust names by a path without importing it."""
    if language != "Rust":
        return
    written = sorted({match[0] for match in _RUST_PATH.finditer(text)})
    for name in written[:_MAX_NUM_WRITTEN_OUT]:
        target = names.evaluate(path, [Step(part) for part in name.split("::")])
        if isinstance(target, Resolved) and target.path != path:
            yield target


def _look_around(names: Names, resolved: Resolved) -> None:
    """Make a scope know what members of ``resolved`` lead to, so that lookups find it."""
    holder = names.value_of(resolved, is_called=True)
    if holder is None:
        return
    for member in names.members(holder):
        if member.definition.kind is not SymbolKind.MODULE:
            value = names.value_of(member, is_called=True)
            if value is not None:
                names.members(value)


def _begins(resolved: Resolved, partial: str) -> bool:
    return resolved.definition.name.lower().startswith(partial.lower())
