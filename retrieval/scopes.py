"""What has a name in a syntax tree and holds other things, over all grammars."""

from __future__ import annotations

import tree_sitter

_MAX_HEADER_CHARS = 120
_MAX_NUM_SCOPES = 4
_SCOPES = frozenset(
    {
        # classes and what is like them
        "abstract_class_declaration",
        "class",
        "class_declaration",
        "class_definition",
        "class_specifier",
        "enum_declaration",
        "enum_item",
        "enum_specifier",
        "impl_item",
        "interface_declaration",
        "internal_module",
        "mod_item",
        "module",
        "namespace_declaration",
        "namespace_definition",
        "record_declaration",
        "singleton_class",
        "struct_declaration",
        "struct_item",
        "struct_specifier",
        "trait_declaration",
        "trait_item",
        "type_spec",
        "union_specifier",
        # functions
        "constructor_declaration",
        "function_declaration",
        "function_definition",
        "function_item",
        "generator_function_declaration",
        "local_function_statement",
        "macro_definition",
        "method",
        "method_declaration",
        "method_definition",
        "property_declaration",
        "singleton_method",
        "variable_declarator",
        # what has a name in texts that are no code
        "block_mapping_pair",
        "keyframes_statement",
        "media_statement",
        "pair",
        "rule_set",
        "section",
    }
)


Scope = tuple[int, str]  # the line where something with a name opens, and that line's text


def entered(
    scopes: tuple[Scope, ...], node: tree_sitter.Node, lines: list[str]
) -> tuple[Scope, ...]:
    """Return ``scopes``, outermost first, with that of ``node`` if it opens one.

    At most four are kept, the outermost, each of at most 120 characters. Two that open on one line,
    as a variable and the function that it holds, count once.
    """
    if node.type not in _SCOPES or len(scopes) >= _MAX_NUM_SCOPES:
        return scopes
    line = _named_line(node)
    if scopes and scopes[-1][0] == line:
        return scopes
    return (*scopes, (line, lines[line].strip()[:_MAX_HEADER_CHARS]))


def _named_line(node: tree_sitter.Node) -> int:
    """Return the line with the name: annotations and types may stand above it."""
    named = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    return (named or node).start_point.row
