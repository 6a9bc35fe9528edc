"""The fields that a constructor gives its object."""

from __future__ import annotations

import re
from collections.abc import Iterator

import tree_sitter

from retrieval.symbols.signatures import decoded, one_line

CONSTRUCTORS = frozenset({"__init__", "constructor"})
_MODIFIER = re.compile(rb"(?:public|private|protected|readonly|override)\b")
_NAME = re.compile(r"[#\w$]+")


def instance_fields(
    constructor: tree_sitter.Node, body: tree_sitter.Node | None, source: bytes
) -> Iterator[tuple[str, str, tree_sitter.Node]]:
    """Yield name, signature and node of every field that a constructor sets.

    The signature is ``name: type`` where the type is written or that of the parameter that is
    stored, else ``name = value``. Parameters of TypeScript that declare a field are fields.
    """
    types: dict[str, str] = {}
    parameters = constructor.child_by_field_name("parameters")
    for parameter in parameters.named_children if parameters is not None else ():
        text = decoded(source[parameter.start_byte : parameter.end_byte])
        name, _, rest = text.partition(":")
        types[name.strip().rstrip("?")] = rest.partition("=")[0].strip()
        pattern = parameter.child_by_field_name("pattern")
        if pattern is not None and _MODIFIER.match(source, parameter.start_byte):
            yield decoded(source[pattern.start_byte : pattern.end_byte]), one_line(text), parameter
    for statement in body.named_children if body is not None else ():
        if statement.type == "expression_statement":
            yield from _assigned(statement.named_child(0), types, source)


def _assigned(
    node: tree_sitter.Node | None, types: dict[str, str], source: bytes
) -> Iterator[tuple[str, str, tree_sitter.Node]]:
    if node is None or node.type not in {"assignment", "assignment_expression"}:
        return
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or left.type not in {"attribute", "member_expression"}:
        return
    owner, _, name = decoded(source[left.start_byte : left.end_byte]).rpartition(".")
    if owner not in {"self", "this"} or not _NAME.fullmatch(name):
        return
    annotation = node.child_by_field_name("type")
    value = decoded(source[right.start_byte : right.end_byte]) if right is not None else ""
    if annotation is not None:
        declared = decoded(source[annotation.start_byte : annotation.end_byte])
    else:
        declared = types.get(value, "")
    yield name, one_line(f"{name}: {declared}" if declared else f"{name} = {value}"), node
