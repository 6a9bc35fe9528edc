"""What a file says about names: which it defines, which it brings in, which it hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

STAR = "*"  # the name of an import that brings in everything


class SymbolKind(StrEnum):
    """What a name stands for."""

    CLASS = "class"  # structs, records and unions as well
    INTERFACE = "interface"  # traits and protocols as well
    ENUM = "enum"
    TYPE = "type"  # a name for another type
    FUNCTION = "function"
    METHOD = "method"
    FIELD = "field"  # of a class; the members of an enum as well
    VARIABLE = "variable"  # constants as well
    MODULE = "module"  # one that is written inside of a file
    MACRO = "macro"


TYPES = frozenset({SymbolKind.CLASS, SymbolKind.INTERFACE, SymbolKind.ENUM, SymbolKind.TYPE})
HOLDERS = TYPES | {SymbolKind.MODULE}  # what has members
CALLABLES = frozenset({SymbolKind.FUNCTION, SymbolKind.METHOD})


@dataclass(frozen=True, slots=True)
class Definition:
    """A name and the lines ``[start_line, end_line)`` that define it, 0-based.

    ``container`` names what it is a member of, outermost first, joined by dots: ``"Outer.Inner"``;
    empty at top level. ``signature`` is the opening up to the body on one line, at most
    ``extract.MAX_SIGNATURE`` characters. ``doc`` is the first line of its documentation or empty.
    """

    name: str
    kind: SymbolKind
    container: str
    start_line: int
    end_line: int
    signature: str
    doc: str = ""

    @property
    def qualified(self) -> str:
        """The name with what contains it: ``"Outer.Inner.method"``."""
        return f"{self.container}.{self.name}" if self.container else self.name


@dataclass(frozen=True, slots=True)
class Import:
    """A name that a file takes from a module.

    ``module`` is as the language writes it, without the leading dots of a relative one, which
    ``level`` counts. ``name`` is ``""`` for the module itself and ``STAR`` for everything in it.
    ``alias`` is what the file calls it, ``""`` for a star. ``is_reexport`` tells whether others can
    get at it through this file. Level 1 without a module means the folder of the file.
    """

    module: str
    name: str
    alias: str
    level: int = 0
    is_reexport: bool = False


@dataclass(frozen=True, slots=True)
class FileSymbols:
    """The symbols of one file; ``language`` is the name in the table of languages.

    ``definitions`` stand in the order of the source. ``exports`` map the names that others see to
    those that the file uses, where it lists them; an empty one says nothing.
    """

    language: str
    definitions: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()
    exports: Mapping[str, str] = field(default_factory=dict)
    _members: Mapping[str, Mapping[str, Definition]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        members: dict[str, dict[str, Definition]] = {}
        for definition in self.definitions:
            # The first of several is kept: overloads begin with what is most worth showing.
            members.setdefault(definition.container, {}).setdefault(definition.name, definition)
        object.__setattr__(self, "_members", members)

    def members(self, container: str = "") -> Mapping[str, Definition]:
        """Return by name what ``container`` holds; without one, the names at top level."""
        return self._members.get(container, {})


@dataclass(frozen=True, slots=True)
class Resolved:
    """A definition and the file that holds it, relative to the workspace."""

    path: str
    definition: Definition
