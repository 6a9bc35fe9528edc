"""Definitions, imports and exports of one file, read from its syntax tree.

Broken source is normal input: what can be recognised is returned, and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tree_sitter

from retrieval.symbols.fields import CONSTRUCTORS, instance_fields
from retrieval.symbols.imports import exports_of, imports_of
from retrieval.symbols.rules import RULES, Rule
from retrieval.symbols.signatures import decoded, doc_of, signature_of
from retrieval.symbols.symbol import CALLABLES, TYPES, Definition, FileSymbols, SymbolKind
from retrieval.syntax import SyntaxTree

_COMMON_JS = ("exports.", "module.exports.")
_MAX_DEPTH = 40  # of nodes walked through; garbled source nests without end
_MAX_NAME_BYTES = 256
_NAME = re.compile(r"(?:(.*)(?:::|\.))?([#$@~]?\w[\w$]*[?!=]?)", re.DOTALL)
_TYPE_NAME = re.compile(r"([A-Za-z_]\w*)\s*(?:<.*|\[.*)?$", re.DOTALL)
_FUNCTION_VALUES = frozenset({"arrow_function", "function_expression", "generator_function"})
_KINDS_OF_TYPES = {"struct_type": SymbolKind.CLASS, "interface_type": SymbolKind.INTERFACE}  # Go
# What stands where others have a body, and is part of the signature.
_NO_BODIES = ("_specifier", "_type", "type_identifier", "ordered_field_declaration_list")
_VARIABLES = frozenset({SymbolKind.FIELD, SymbolKind.VARIABLE})
_NAME_TYPES = frozenset(
    {
        "identifier",
        "type_identifier",
        "property_identifier",
        "private_property_identifier",
        "field_identifier",
        "constant",
        "name",
        "variable_name",
        "scope_resolution",
        "type",
    }
)
_IN_TYPES = {SymbolKind.FUNCTION: SymbolKind.METHOD, SymbolKind.VARIABLE: SymbolKind.FIELD}


def symbols_of(tree: SyntaxTree) -> FileSymbols:
    """Return what the file defines, imports and exports; empty for an unknown grammar."""
    return FileSymbols(
        language=tree.language.name,
        definitions=tuple(definitions_of(tree)),
        imports=imports_of(tree),
        exports=exports_of(tree),
    )


def definitions_of(tree: SyntaxTree) -> list[Definition]:
    """Return the definitions at top level and those inside of types, in the order of the source.

    What functions define for themselves is left out. Fields that a constructor sets are included
    for Python, JavaScript and TypeScript.
    """
    rules = RULES.get(tree.language.name)
    if rules is None:
        return []
    walk = _Walk(tree, rules)
    walk.below(tree.root, _Place())
    return walk.found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is: inside of which definition, and behind which node that leads to one."""

    container: str = ""
    is_type: bool = False
    lead: tree_sitter.Node | None = None
    depth: int = 0


class _Walk:
    def __init__(self, tree: SyntaxTree, rules: Mapping[str, Rule]) -> None:
        self.found: list[Definition] = []
        self._has_docstrings = tree.language.name == "Python"
        self._source = tree.source
        self._rules = rules

    def below(self, node: tree_sitter.Node, place: _Place) -> None:
        """Collect the definitions among the children of ``node``."""
        children = node.named_children
        for child in children:
            rule = self._rules.get(child.type)
            if rule is None:
                continue
            if rule.kind is not None:
                self._define(child, rule, place)
            elif place.depth < _MAX_DEPTH:
                self._pass(child, rule, place)

    def _pass(self, node: tree_sitter.Node, rule: Rule, place: _Place) -> None:
        """Walk through a node that defines nothing itself."""
        container, is_type, lead = place.container, place.is_type, None
        if rule.members:
            container, is_type = self._type_name(node.child_by_field_name(rule.name)), True
            node = node.child_by_field_name(rule.members) or node
        elif place.lead is not None:
            lead = place.lead
        elif rule.leads and not _is_group(node):
            lead = node
        self.below(node, _Place(container, is_type, lead, place.depth + 1))

    def _define(self, node: tree_sitter.Node, rule: Rule, place: _Place) -> None:
        kind, body = self._kind_and_body(node, rule, place)
        if rule.needs_members and body is None:
            return
        names = list(self._names(node, rule))
        for outer, name, is_called in names:
            if is_called:
                kind = SymbolKind.METHOD if place.is_type or outer else SymbolKind.FUNCTION
            container = place.container or outer or self._receiver(node, kind)
            self._add(node, body, place.lead, (name, kind, container))
            if kind is SymbolKind.METHOD and name in CONSTRUCTORS:
                self._add_fields(node, body, container)
        if rule.members and body is not None and names and place.depth < _MAX_DEPTH:
            name = names[0][1]
            inner = f"{place.container}.{name}" if place.container else name
            self.below(body, _Place(inner, kind in TYPES, None, place.depth + 1))

    def _kind_and_body(
        self, node: tree_sitter.Node, rule: Rule, place: _Place
    ) -> tuple[SymbolKind, tree_sitter.Node | None]:
        assert rule.kind is not None
        kind, body = rule.kind, None
        if rule.members or kind in CALLABLES:
            body = node.child_by_field_name(rule.members or "body")
            if body is not None and rule.members == "type":
                kind = _KINDS_OF_TYPES.get(body.type, kind)
        elif kind in _VARIABLES:
            value = node.child_by_field_name("value") or node.child_by_field_name("right")
            if value is not None and value.type in _FUNCTION_VALUES:
                kind, body = SymbolKind.FUNCTION, value.child_by_field_name("body")
        return (_IN_TYPES.get(kind, kind) if place.is_type else kind), body

    def _names(self, node: tree_sitter.Node, rule: Rule) -> Iterator[tuple[str, str, bool]]:
        """Yield what the node defines: the qualifier of a name, the name, whether it is called."""
        if not rule.name:
            yield "", self._text(node), False
        elif rule.name == "declarator":
            for declarator in node.children_by_field_name("declarator"):
                yield from self._declared(declarator)
        else:
            *path, last = rule.name.split(".")
            for step in path:
                node = node.child_by_field_name(step) or node
            if path and not self._text(node).startswith(_COMMON_JS):
                return
            for name in node.children_by_field_name(last):
                if name.type in _NAME_TYPES:
                    yield from self._named(name, is_called=False)

    def _declared(self, declarator: tree_sitter.Node) -> Iterator[tuple[str, str, bool]]:
        """Yield the name at the bottom of a declarator of C."""
        is_called = False
        for _ in range(_MAX_DEPTH):
            is_called |= declarator.type == "function_declarator"
            inner = declarator.child_by_field_name("declarator")
            if inner is None:
                yield from self._named(declarator, is_called=is_called)
                return
            declarator = inner

    def _named(self, node: tree_sitter.Node, *, is_called: bool) -> Iterator[tuple[str, str, bool]]:
        match = _NAME.fullmatch(self._text(node))
        if match is not None:
            outer = _TYPE_NAME.search(match[1] or "")
            yield outer[1] if outer else "", match[2], is_called

    def _receiver(self, node: tree_sitter.Node, kind: SymbolKind) -> str:
        """Return the type that a method of Go belongs to."""
        if kind is not SymbolKind.METHOD:
            return ""
        receiver = node.child_by_field_name("receiver")
        return self._type_name(receiver.named_child(0)) if receiver is not None else ""

    def _type_name(self, node: tree_sitter.Node | None) -> str:
        match = _TYPE_NAME.search(self._text(node)) if node is not None else None
        return match[1] if match else ""

    def _add(
        self,
        node: tree_sitter.Node,
        body: tree_sitter.Node | None,
        lead: tree_sitter.Node | None,
        named: tuple[str, SymbolKind, str],
    ) -> None:
        outer = node if lead is None else lead
        name, kind, container = named
        start, end = outer.start_byte, outer.end_byte
        docstring = body.start_byte if body is not None and self._has_docstrings else None
        if body is not None:
            end = self._signature_end(body, end)
        signature = signature_of(self._source, start, end)
        first, last = _lines(outer)
        doc = doc_of(self._source, start, docstring)
        self.found.append(Definition(name, kind, container, first, last, signature, doc))

    def _signature_end(self, body: tree_sitter.Node, end: int) -> int:
        if body.type in _KINDS_OF_TYPES:
            brace = self._source.find(b"{", body.start_byte, body.end_byte)
            return brace if brace >= 0 else end
        return end if body.type.endswith(_NO_BODIES) else body.start_byte

    def _add_fields(
        self, node: tree_sitter.Node, body: tree_sitter.Node | None, container: str
    ) -> None:
        for name, signature, field in instance_fields(node, body, self._source):
            first, last = _lines(field)
            self.found.append(Definition(name, SymbolKind.FIELD, container, first, last, signature))

    def _text(self, node: tree_sitter.Node) -> str:
        return decoded(
            self._source[node.start_byte : min(node.end_byte, node.start_byte + _MAX_NAME_BYTES)]
        )


def _is_group(node: tree_sitter.Node) -> bool:
    """Whether a keyword of Go leads to several definitions in brackets."""
    second = node.child(1) if node.child_count > 1 else None
    return second is not None and second.type in {"(", "var_spec_list"}


def _lines(node: tree_sitter.Node) -> tuple[int, int]:
    end = node.end_point
    first = node.start_point[0]
    return first, max(first + 1, end[0] + (end[1] > 0))
