"""What a name in a file stands for, followed through imports and re-exports, members and types.

Nothing here reads or parses: symbols come from a callable, and where that has none for a file the
trail ends. Cycles end it too.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from retrieval.symbols.expressions import Hint, Step
from retrieval.symbols.modules import Modules
from retrieval.symbols.symbol import (
    CALLABLES,
    HOLDERS,
    STAR,
    TYPES,
    Definition,
    FileSymbols,
    Import,
    Resolved,
)
from retrieval.symbols.types import base_names, hint_of, is_getter, type_names
from retrieval.symbols.workspace import Place

_MAX_NUM_HOPS = 12  # files, bases and types that one question is followed through
_MAX_NUM_DOTS = 5  # of a module that an import binds with its dots
# Methods of the types around another, as Option's; the trail follows only the one inside.
_HANDING_ON = frozenset(
    {"as_deref", "as_deref_mut", "as_mut", "as_ref", "await", "borrow", "borrow_mut", "clone"}
    | {"expect", "get_mut", "lock", "read", "to_owned", "unwrap", "unwrap_or_default", "write"}
)


@dataclass(frozen=True, slots=True)
class Module:
    """What the files ``paths`` define together: one of them in most languages."""

    paths: tuple[str, ...]


Target = Resolved | Module


@dataclass(frozen=True, slots=True)
class _Trail:
    """How far one question has led. ``seen`` are the names looked up in files, each once."""

    seen: set[tuple[str, str]]
    num_hops: int = 0

    def onto(self, path: str, name: str) -> _Trail | None:
        """Return the trail one hop on, or None if it was there before or has led far enough."""
        if (path, name) in self.seen or self.num_hops >= _MAX_NUM_HOPS:
            return None
        self.seen.add((path, name))
        return _Trail(self.seen, self.num_hops + 1)

    def anew(self) -> _Trail:
        """Return the trail of a question that this one raises: the same names may come again."""
        return _Trail(set(), self.num_hops + 1)


class Names:
    """Looks names up. As safe for threads as the callable that it is given."""

    def __init__(self, symbols: Callable[[str], FileSymbols | None], modules: Modules) -> None:
        self._symbols = symbols
        self._modules = modules

    def find(self, path: str, name: str) -> Target | None:
        """Return what code at top level of a file means by ``name``, or None if that is unknown."""
        return self._find(path, name, _Trail(set()))

    def follow(self, path: str, wanted: Import) -> Target | None:
        """Return what an import of the file ``path`` brings in; not for a star."""
        return self._follow(path, wanted, _Trail(set()))

    def evaluate(self, path: str, steps: Sequence[Step]) -> Target | None:
        """Return what ``a.b().c`` at top level of a file names; the last step is not called."""
        return self._evaluate(path, steps, _Trail(set()))

    def walk(self, target: Target, steps: Sequence[Step]) -> Target | None:
        """Return what the last of ``steps`` names, where ``target`` is what the first one names."""
        return self._walk(target, steps, _Trail(set()))

    def value_of(self, target: Target, *, is_called: bool) -> Target | None:
        """Return what the members behind a name belong to: a module, a type or None."""
        return self._value_of(target, is_called, _Trail(set()))

    def hinted(self, path: str, hint: Hint) -> Target | None:
        """Return the type that a line of ``path`` names for something, or None if it is unknown."""
        return self._hinted(path, hint, "", _Trail(set()))

    def members(self, target: Target) -> list[Resolved]:
        """Return the public names of a module, or the members of a type, its own before inherited."""
        trail = _Trail(set())
        found: dict[str, Resolved] = {}
        if isinstance(target, Module):
            for path in target.paths:
                for resolved in self._public(path, trail):
                    found.setdefault(resolved.definition.name, resolved)
        else:
            for holder in self._lineage(target, trail):
                for resolved in self._own_members(holder):
                    found.setdefault(resolved.definition.name, resolved)
        return list(found.values())

    def _value_of(self, target: Target, is_called: bool, trail: _Trail) -> Target | None:
        if isinstance(target, Module) or target.definition.kind in HOLDERS:
            return target
        if (
            target.definition.kind in CALLABLES
            and not is_called
            and not is_getter(target.definition)
        ):
            return None
        symbols = self._symbols(target.path)
        hint = hint_of(target.definition, symbols.language) if symbols is not None else None
        if hint is None or trail.num_hops >= _MAX_NUM_HOPS:
            return None
        return self._hinted(target.path, hint, target.definition.container, trail.anew())

    def _hinted(self, path: str, hint: Hint, container: str, trail: _Trail) -> Target | None:
        if hint.value:
            target = self._evaluate(path, hint.value, trail)
            if target is None:
                return None
            return self._value_of(target, hint.value[-1].is_called, trail)
        for name in type_names(hint.type, container):
            target = self._evaluate(path, _steps(name), trail)
            if isinstance(target, Resolved) and target.definition.kind in TYPES:
                return target
        return None

    def _evaluate(self, path: str, steps: Sequence[Step], trail: _Trail) -> Target | None:
        for num_steps in range(min(len(steps), _MAX_NUM_DOTS), 0, -1):
            head = steps[:num_steps]
            if any(step.is_called for step in head[:-1]):
                continue
            target = self._find_path(path, [step.name for step in head], trail.anew())
            if target is not None:
                return self._walk(target, steps[num_steps - 1 :], trail)
        return None

    def _walk(self, target: Target, steps: Sequence[Step], trail: _Trail) -> Target | None:
        found: Target | None = target
        for before, step in itertools.pairwise(steps):
            holder = self._value_of(found, before.is_called, trail) if found is not None else None
            found = self._member(holder, step.name, trail.anew()) if holder is not None else None
            if found is None and step.name in _HANDING_ON and self._is_of_rust(holder):
                found = holder
        return found

    def _is_of_rust(self, target: Target | None) -> bool:
        symbols = self._symbols(target.path) if isinstance(target, Resolved) else None
        return symbols is not None and symbols.language == "Rust"

    def _find_path(self, path: str, names: list[str], trail: _Trail) -> Target | None:
        """Return what a name means that an import may have bound with its dots, or a path of Rust."""
        if len(names) == 1:
            return self._find(path, names[0], trail)
        symbols = self._symbols(path)
        if symbols is None:
            return None
        if symbols.language == "Rust":
            wanted = Import("::".join(names[:-1]), names[-1], names[-1])
            return self._follow(path, wanted, trail)
        dotted = ".".join(names)
        imported = next((one for one in symbols.imports if one.alias == dotted), None)
        return self._follow(path, imported, trail) if imported is not None else None

    def _find(self, path: str, name: str, trail: _Trail) -> Target | None:
        symbols = self._symbols(path)
        if symbols is None:
            return None
        return self._among(path, name, symbols, symbols.imports, trail)

    def _exported(self, path: str, name: str, trail: _Trail) -> Target | None:
        """Return what others get as ``name`` from a file."""
        symbols = self._symbols(path)
        if symbols is None:
            return None
        local = symbols.exports.get(name, name)
        imports = [one for one in symbols.imports if one.is_reexport or one.alias == local]
        return self._among(path, local, symbols, imports, trail)

    def _among(
        self, path: str, name: str, symbols: FileSymbols, imports: Sequence[Import], trail: _Trail
    ) -> Target | None:
        further = trail.onto(path, name)
        if further is None:
            return None
        definition = symbols.members().get(name)
        if definition is not None:
            return Resolved(path, definition)
        wanted = [one for one in imports if one.alias == name]
        wanted += [replace(one, name=name) for one in imports if one.name == STAR]
        targets = (self._follow(path, one, further) for one in wanted)
        return next((target for target in targets if target is not None), None)

    def _follow(self, path: str, wanted: Import, trail: _Trail) -> Target | None:
        symbols = self._symbols(path)
        places = self._modules.places(symbols.language, path, wanted) if symbols else ()
        targets = (self._at(place, trail) for place in places)
        return next((target for target in targets if target is not None), None)

    def _at(self, place: Place, trail: _Trail) -> Target | None:
        if not place.names:
            return Module(place.paths)
        for path in place.paths:
            target = self._exported(path, place.names[0], trail)
            for name in place.names[1:]:
                target = self._member(target, name, trail) if target is not None else None
            if target is not None:
                return target
        return None

    def _member(self, target: Target, name: str, trail: _Trail) -> Target | None:
        if isinstance(target, Resolved):
            for holder in self._lineage(target, trail):
                for resolved in self._own_members(holder):
                    if resolved.definition.name == name:
                        return resolved
            return None
        for path in target.paths:
            found = self._exported(path, name, trail) or self._submodule(path, name, trail)
            if found is not None:
                return found
        return None

    def _submodule(self, path: str, name: str, trail: _Trail) -> Target | None:
        is_package = posixpath.basename(path) in {"__init__.py", "__init__.pyi"}
        return self._follow(path, Import("", name, name, level=1), trail) if is_package else None

    def _own_members(self, holder: Resolved) -> Iterator[Resolved]:
        for path in self._files_around(holder.path):
            symbols = self._symbols(path)
            if symbols is not None:
                members = symbols.members(holder.definition.qualified)
                yield from (Resolved(path, definition) for definition in members.values())

    def _files_around(self, path: str) -> tuple[str, ...]:
        """Return the files that may define members of a type of ``path``: the package, for Go."""
        symbols = self._symbols(path)
        if symbols is None or symbols.language != "Go":
            return (path,)
        own_folder = Import("", "", "", level=1)
        paths = next((p.paths for p in self._modules.places("Go", path, own_folder)), ())
        return (path, *(other for other in paths if other != path))

    def _lineage(self, target: Resolved, trail: _Trail) -> Iterator[Resolved]:
        """Yield a type and those it inherits from."""
        further = trail.onto(target.path, target.definition.qualified + ".")
        if further is None:
            return
        yield target
        symbols = self._symbols(target.path)
        for name in base_names(target.definition, symbols.language) if symbols is not None else ():
            base = self._evaluate(target.path, _steps(name), further)
            if isinstance(base, Resolved) and base.definition.kind in TYPES:
                yield from self._lineage(base, further)

    def _public(self, path: str, trail: _Trail) -> Iterator[Resolved]:
        """Yield what others see of a file, its own definitions before what it hands on."""
        symbols = self._symbols(path)
        further = trail.onto(path, STAR)
        if symbols is None or further is None:
            return
        for definition in symbols.members().values():
            if _is_public(definition, symbols):
                yield Resolved(path, definition)
        is_package = symbols.language != "Python" or posixpath.basename(path).startswith("__init__")
        for one in symbols.imports if is_package else ():
            if not one.is_reexport:
                continue
            target = self._follow(path, replace(one, name="") if one.name == STAR else one, further)
            if isinstance(target, Resolved):
                yield target
            elif target is not None and one.name == STAR:
                for module_path in target.paths:
                    yield from self._public(module_path, further)


def _is_public(definition: Definition, symbols: FileSymbols) -> bool:
    if symbols.language == "Go":
        return definition.name[0].isupper()
    if symbols.language == "Rust":
        return definition.signature.startswith("pub")
    if symbols.exports:
        return definition.name in symbols.exports.values()
    return symbols.language != "Python" or not definition.name.startswith("_")


def _steps(name: str) -> list[Step]:
    return [Step(part) for part in name.replace("::", ".").split(".")]
