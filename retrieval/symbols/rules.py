"""Which nodes of each grammar define a name, and which merely stand around those that do.

Definitions are found by walking down from the root through these nodes alone. Bodies of functions
are never entered, which makes the walk ten times as fast as a query over the whole tree. Imports
may stand anywhere, so they are found by the queries at the end.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import tree_sitter

from retrieval.languages import Language, load_grammar
from retrieval.symbols.symbol import SymbolKind


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one type of node.

    A node without a ``kind`` defines nothing and is walked through; ``leads`` then tells whether
    what it holds begins where it begins, keyword and decorators included. ``name`` is the path of
    fields to the name, joined by dots; empty if the node is the name. ``members`` is the field of
    what holds the members; without a ``kind``, those of the type that ``name`` names. Nodes with
    ``needs_members`` only announce a definition where they hold none.
    """

    kind: SymbolKind | None = None
    name: str = "name"
    members: str = ""
    leads: bool = False
    needs_members: bool = False


_THROUGH = Rule()
_LEADS = Rule(leads=True)
_CLASS = Rule(SymbolKind.CLASS, members="body")
_INTERFACE = Rule(SymbolKind.INTERFACE, members="body")
_ENUM = Rule(SymbolKind.ENUM, members="body")
_TYPE = Rule(SymbolKind.TYPE)
_FUNCTION = Rule(SymbolKind.FUNCTION)
_METHOD = Rule(SymbolKind.METHOD)
_FIELD = Rule(SymbolKind.FIELD)
_VARIABLE = Rule(SymbolKind.VARIABLE)
_MODULE = Rule(SymbolKind.MODULE, members="body", needs_members=True)
_MACRO = Rule(SymbolKind.MACRO)


def _table(types_by_rule: Mapping[Rule, str]) -> Mapping[str, Rule]:
    return {name: rule for rule, names in types_by_rule.items() for name in names.split()}


_JAVASCRIPT = {
    _THROUGH: "program expression_statement statement_block ERROR",
    _LEADS: "export_statement lexical_declaration variable_declaration ambient_declaration",
    _CLASS: "class_declaration abstract_class_declaration class",
    _INTERFACE: "interface_declaration",
    _ENUM: "enum_declaration",
    _TYPE: "type_alias_declaration",
    _FUNCTION: "function_declaration generator_function_declaration function_signature",
    _METHOD: "method_definition method_signature abstract_method_signature",
    _FIELD: "public_field_definition property_signature enum_assignment",
    Rule(SymbolKind.FIELD, name="property"): "field_definition",
    Rule(SymbolKind.FIELD, name=""): "property_identifier",  # a member of an enum
    _MODULE: "internal_module module",
    _VARIABLE: "variable_declarator",
    Rule(SymbolKind.VARIABLE, name="left.property"): "assignment_expression",
}
_C = {
    _THROUGH: "translation_unit declaration_list preproc_if preproc_ifdef preproc_else preproc_elif "
    "linkage_specification namespace_definition field_declaration_list ERROR",
    _LEADS: "template_declaration",
    Rule(SymbolKind.CLASS, members="body", needs_members=True): "struct_specifier class_specifier "
    "union_specifier",
    _ENUM: "enum_specifier",
    _TYPE: "alias_declaration",
    Rule(SymbolKind.TYPE, name="declarator", members="type"): "type_definition",
    Rule(SymbolKind.FUNCTION, name="declarator"): "function_definition",
    Rule(SymbolKind.VARIABLE, name="declarator"): "declaration",
    Rule(SymbolKind.FIELD, name="declarator"): "field_declaration",
    _FIELD: "enumerator",
    _MACRO: "preproc_def preproc_function_def",
}
_JAVASCRIPT_RULES = _table(_JAVASCRIPT)
_C_RULES = _table(_C)

RULES: Mapping[str, Mapping[str, Rule]] = {
    "Python": _table(
        {
            _THROUGH: "module block expression_statement if_statement else_clause elif_clause "
            "try_statement except_clause finally_clause with_statement ERROR",
            _LEADS: "decorated_definition",
            _CLASS: "class_definition",
            _FUNCTION: "function_definition",
            Rule(SymbolKind.VARIABLE, name="left"): "assignment",
            Rule(SymbolKind.TYPE, name="left"): "type_alias_statement",
        }
    ),
    "JavaScript": _JAVASCRIPT_RULES,
    "TypeScript": _JAVASCRIPT_RULES,
    "TSX": _JAVASCRIPT_RULES,
    "Java": _table(
        {
            _THROUGH: "program enum_body_declarations ERROR",
            _LEADS: "field_declaration constant_declaration",
            _CLASS: "class_declaration record_declaration",
            _INTERFACE: "interface_declaration annotation_type_declaration",
            _ENUM: "enum_declaration",
            _METHOD: "method_declaration constructor_declaration compact_constructor_declaration "
            "annotation_type_element_declaration",
            _FIELD: "enum_constant variable_declarator",
        }
    ),
    "Go": _table(
        {
            _THROUGH: "source_file var_spec_list field_declaration_list ERROR",
            _LEADS: "type_declaration const_declaration var_declaration",
            _FUNCTION: "function_declaration",
            _METHOD: "method_declaration method_elem",
            Rule(SymbolKind.TYPE, members="type"): "type_spec",
            _TYPE: "type_alias",
            _VARIABLE: "const_spec var_spec",
            _FIELD: "field_declaration",
        }
    ),
    "Rust": _table(
        {
            _THROUGH: "source_file declaration_list foreign_mod_item ERROR",
            _CLASS: "struct_item union_item",
            _INTERFACE: "trait_item",
            _ENUM: "enum_item",
            Rule(name="type", members="body"): "impl_item",
            _FUNCTION: "function_item function_signature_item",
            _TYPE: "type_item associated_type",
            _VARIABLE: "const_item static_item",
            _FIELD: "field_declaration enum_variant",
            _MODULE: "mod_item",
            _MACRO: "macro_definition",
        }
    ),
    "C": _C_RULES,
    "C++": _C_RULES,
    "C#": _table(
        {
            _THROUGH: "compilation_unit namespace_declaration declaration_list variable_declaration "
            "ERROR",
            _LEADS: "field_declaration",
            _CLASS: "class_declaration struct_declaration record_declaration",
            _INTERFACE: "interface_declaration",
            _ENUM: "enum_declaration",
            _METHOD: "method_declaration constructor_declaration",
            _FIELD: "property_declaration variable_declarator enum_member_declaration",
        }
    ),
    "Ruby": _table(
        {
            _THROUGH: "program body_statement ERROR",
            _CLASS: "class",
            _MODULE: "module",
            _FUNCTION: "method singleton_method",
            Rule(SymbolKind.VARIABLE, name="left"): "assignment",
        }
    ),
    "PHP": _table(
        {
            _THROUGH: "program namespace_definition compound_statement ERROR",
            _LEADS: "property_declaration",
            _CLASS: "class_declaration",
            _INTERFACE: "interface_declaration trait_declaration",
            _ENUM: "enum_declaration",
            _FUNCTION: "function_definition",
            _METHOD: "method_declaration",
            _FIELD: "property_element enum_case",
        }
    ),
}

_IMPORTS = {
    "Python": "[(import_statement) (import_from_statement)] @import",
    "JavaScript": "[(import_statement) (export_statement)] @import "
    "(variable_declarator value: (call_expression function: (identifier))) @import",
    "Java": "[(package_declaration) (import_declaration)] @import",
    "Go": "[(package_clause) (import_spec)] @import",
    "Rust": "[(use_declaration) (mod_item !body)] @import",
    "C": "(preproc_include) @import",
}
_IMPORTS |= {
    "TypeScript": _IMPORTS["JavaScript"],
    "TSX": _IMPORTS["JavaScript"],
    "C++": _IMPORTS["C"],
}


@functools.cache
def imports_query(language: Language) -> tree_sitter.Query | None:
    """Return the query whose captures ``import`` are the statements that import or export."""
    source = _IMPORTS.get(language.name)
    return tree_sitter.Query(load_grammar(language), source) if source else None
