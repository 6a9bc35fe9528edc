"""Statements that import and export, taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import tree_sitter

from retrieval.symbols.rules import imports_query
from retrieval.symbols.signatures import decoded
from retrieval.symbols.symbol import STAR, Import
from retrieval.syntax import SyntaxTree

OWN_FOLDER = Import("", STAR, "", level=1)
_MAX_NUM_USED = 500  # names that one ``use`` of Rust may bring in
_STRING = re.compile(r"""["'`]([^"'`\n]*)["'`]""")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ALL = re.compile(rb"^__all__\b[^\n=]*\+?=\s*[\[(]([^\])]*)[\])]", re.MULTILINE)
_BRACES = re.compile(r"\{([^{}]*)\}")
_RENAMED = re.compile(
    r"\s*(?:type\s+)?([\w$]+)(?:\s*(?:\bas\b|:)\s*([\w$]+))?\s*(?:=.*)?", re.DOTALL
)
_NAMESPACE = re.compile(r"\*\s*as\s+([\w$]+)")
_DEFAULT = re.compile(r"import\s+(?:type\s+)?([\w$]+)\s*(?:,|from|=)")
_REQUIRED = re.compile(r"([\w$]+)\s*=")
_EXPORTED = re.compile(
    r"export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?"
    r"(default\s+)?(?:async\s+)?(?:abstract\s+)?"
    r"(?:(?:class|function\s*\*?|interface|const\s+enum|enum|type|const|let|var|namespace)\s+)?"
    r"([\w$]+)?"
)


def imports_of(tree: SyntaxTree) -> tuple[Import, ...]:
    """Return the imports wherever they stand, in the order of the source."""
    read = _READERS.get(tree.language.name)
    if read is None:
        return ()
    return tuple(found for node in _statements(tree) for found in read(node, tree.source))


def exports_of(tree: SyntaxTree) -> Mapping[str, str]:
    """Return the local name of each exported one, for languages whose files list what they export.

    That is ``__all__`` of Python and ``export`` of JavaScript and TypeScript.
    """
    if tree.language.name == "Python":
        names = (name for match in _ALL.finditer(tree.source) for name in _strings(match[1]))
        return {name: name for name in names}
    if tree.language.name not in {"JavaScript", "TypeScript", "TSX"}:
        return {}
    exports: dict[str, str] = {}
    for node in _statements(tree):
        if node.type == "export_statement":
            exports |= _exported(_text(node, tree.source))
    return exports


def _statements(tree: SyntaxTree) -> list[tree_sitter.Node]:
    query = imports_query(tree.language)
    if query is None:
        return []
    found = tree_sitter.QueryCursor(query).captures(tree.root).get("import", [])
    return sorted(found, key=lambda node: node.start_byte)


def _text(node: tree_sitter.Node, source: bytes) -> str:
    return decoded(source[node.start_byte : node.end_byte])


def _strings(source: bytes) -> list[str]:
    return _STRING.findall(decoded(source))


def _python(node: tree_sitter.Node, source: bytes) -> Iterator[Import]:
    module, level = "", 0
    from_module = node.child_by_field_name("module_name")
    if from_module is not None:
        written = "".join(_text(from_module, source).split())
        module = written.lstrip(".")
        level = len(written) - len(module)
    for name_node in node.children_by_field_name("name"):
        name, _, alias = (part.strip() for part in _text(name_node, source).partition(" as "))
        if from_module is None:
            yield Import(name, "", alias or name, 0, True)
        else:
            yield Import(module, name, alias or name, level, True)
    if from_module is not None and any(c.type == "wildcard_import" for c in node.named_children):
        yield Import(module, STAR, "", level, True)


def _javascript(node: tree_sitter.Node, source: bytes) -> Iterator[Import]:
    written = node.child_by_field_name("source")
    value = node.child_by_field_name("value")
    called = value.child_by_field_name("function") if value is not None else None
    if called is not None and _text(called, source) != "require":
        return  # any other call, and its arguments may be a whole application
    if written is None and node.type == "export_statement":
        return
    text = _COMMENT.sub(" ", _text(node, source))
    if written is None:
        yield from _required(text)
        return
    module = _text(written, source).strip("\"'`")
    clause = text[: text.rfind(module)]
    is_reexport = node.type == "export_statement"
    for name, alias in _renamed(clause):
        yield Import(module, name, alias, 0, is_reexport)
    namespace = _NAMESPACE.search(clause)
    if namespace is not None:
        yield Import(module, "", namespace[1], 0, is_reexport)
    elif is_reexport and "*" in clause:
        yield Import(module, STAR, "", 0, True)
    default = _DEFAULT.match(clause)
    if default is not None:
        yield Import(module, "default", default[1])


def _required(text: str) -> Iterator[Import]:
    call = text.rfind("require")
    module = _STRING.search(text, call) if call >= 0 else None
    if module is None:
        return
    binding = text[:call]
    pairs = list(_renamed(binding))
    for name, alias in pairs:
        yield Import(module[1], name, alias)
    whole = _REQUIRED.search(binding) if not pairs else None
    if whole is not None:
        yield Import(module[1], "", whole[1])


def _renamed(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, alias) of ``{ a, b as c, d: e }``."""
    braces = _BRACES.search(text)
    for part in braces[1].split(",") if braces else ():
        match = _RENAMED.fullmatch(part)
        if match is not None:
            yield match[1], match[2] or match[1]


def _exported(text: str) -> dict[str, str]:
    head = _COMMENT.sub(" ", text[:4000])
    if re.match(r"export\s+(?:type\s+)?\{", head):
        return {alias: name if " from " not in head else alias for name, alias in _renamed(head)}
    match = _EXPORTED.match(head[head.find("export") :])
    if match is None or not match[2]:
        return {}
    return {"default" if match[1] else match[2]: match[2]}


def _java(node: tree_sitter.Node, source: bytes) -> Iterator[Import]:
    if node.type == "package_declaration":
        yield OWN_FOLDER
        return
    words = _text(node, source).replace(";", " ").split()
    module, _, name = words[-1].rpartition(".")
    yield Import(module, name, "" if name == STAR else name)


def _go(node: tree_sitter.Node, source: bytes) -> Iterator[Import]:
    if node.type == "package_clause":
        yield OWN_FOLDER
        return
    path, name = node.child_by_field_name("path"), node.child_by_field_name("name")
    if path is None:
        return
    module = _text(path, source).strip('"`')
    alias = _text(name, source) if name is not None else ""
    if alias == ".":
        yield Import(module, STAR, "")
    elif alias != "_":
        last = [part for part in module.split("/") if not re.fullmatch(r"v\d+", part)] or [""]
        yield Import(module, "", alias or last[-1])


def _rust(node: tree_sitter.Node, source: bytes) -> Iterator[Import]:
    is_public = _text(node, source).startswith("pub")
    if node.type == "mod_item":
        declared = node.child_by_field_name("name")
        if declared is not None:
            own = _text(declared, source)
            yield Import("self", own, own, 0, is_public)
        return
    argument = node.child_by_field_name("argument")
    text = _COMMENT.sub(" ", _text(argument, source)) if argument is not None else ""
    for number, path in enumerate(_used(" ".join(text.split()), 0)):
        if number >= _MAX_NUM_USED:
            return
        path, _, alias = path.partition(" as ")
        path = path.removesuffix("::self")
        module, _, name = path.rpartition("::")
        if name == STAR:
            yield Import(module, STAR, "", 0, is_public)
        elif alias != "_":
            yield Import(module, name, alias or name, 0, is_public)


def _used(text: str, depth: int) -> Iterator[str]:
    """Yield the paths that a tree of ``use`` spells out: ``a::{b, c::*}`` is ``a::b, a::c::*``."""
    head, brace, rest = text.partition("{")
    if not brace or depth > 20:
        yield text.strip()
        return
    for part in _split(rest.rpartition("}")[0] or rest):
        for path in _used(part, depth + 1):
            if path:
                yield head.strip() + path


def _split(text: str) -> Iterator[str]:
    """Yield the parts between the commas that stand outside of braces."""
    depth = start = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _c(node: tree_sitter.Node, source: bytes) -> Iterator[Import]:
    path = node.child_by_field_name("path")
    if path is not None:
        yield Import(_text(path, source).strip('"<>'), STAR, "", 0, True)


_READERS: Mapping[str, Callable[[tree_sitter.Node, bytes], Iterator[Import]]] = {
    "Python": _python,
    "JavaScript": _javascript,
    "TypeScript": _javascript,
    "TSX": _javascript,
    "Java": _java,
    "Go": _go,
    "Rust": _rust,
    "C": _c,
    "C++": _c,
}
