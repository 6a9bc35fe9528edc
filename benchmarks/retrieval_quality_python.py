"""Which lines of Python files use what other files of the repository define, by their syntax trees.

A name counts only if it cannot mean anything else: not where a file also binds it by itself.
"""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.retrieval_quality_definitions import Definition, Use

_ROOTS = ("src/", "lib/", "")  # of the folders that packages lie in; the first that fits


@dataclass(frozen=True, slots=True)
class _Module:
    """``name`` came by ``from module import name``; the module itself where ``name`` is empty."""

    module: str
    name: str = ""


@dataclass(slots=True)
class _Namespace:
    """What the top level of a file defines, imports, and imports all names from."""

    defined: dict[str, tuple[int, ...]] = field(default_factory=dict)
    imported: dict[str, _Module] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)


class PythonUses:
    """The uses of one repository; files that Python cannot parse have none and define nothing."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._paths = {_module_name(path): path for path in files if path.endswith(".py")}
        self._namespaces: dict[str, _Namespace] = {}

    def uses(self, path: str) -> list[Use]:
        """Return what the file at ``path`` uses of other files, by offset, imports left out."""
        text = self._files[path]
        tree = _parsed(text)
        own = _bound_names(tree)
        imported = {
            name: found for name, found in _imports(tree, path) if name not in own and name != "*"
        }
        starts = _line_starts(text)
        found = [
            Use(path, starts[line] + _num_code_points(text, starts[line], column), definition)
            for line, column, definition in self._named(tree, imported)
            if definition.path != path
        ]
        return sorted(found, key=lambda use: use.offset)

    def _named(
        self, tree: ast.Module, imported: Mapping[str, _Module]
    ) -> Iterator[tuple[int, int, Definition]]:
        """Yield line, column in bytes and definition of each name, and of attributes of modules."""
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) if name in imported:
                    definition = self._resolved(imported[name], set())
                    if isinstance(definition, Definition):
                        yield node.lineno - 1, node.col_offset, definition
                case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in imported:
                    module = self._resolved(imported[name], set())
                    end = node.end_col_offset
                    if isinstance(module, str) and node.end_lineno and end:
                        definition = self._resolved(_Module(module, attribute), set())
                        if isinstance(definition, Definition):
                            column = end - len(attribute.encode())
                            yield node.end_lineno - 1, column, definition

    def _resolved(self, wanted: _Module, seen: set[_Module]) -> Definition | str | None:
        """Return a definition, or the name of a module of the repository, or ``None``."""
        path = self._paths.get(wanted.module)
        if path is None or wanted in seen:
            return None
        seen.add(wanted)
        if not wanted.name:
            return wanted.module
        namespace = self._namespace(path)
        if wanted.name in namespace.defined:
            return Definition(path, wanted.name, namespace.defined[wanted.name])
        if wanted.name in namespace.imported:
            return self._resolved(namespace.imported[wanted.name], seen)
        submodule = f"{wanted.module}.{wanted.name}"
        if submodule in self._paths:
            return submodule
        stars = namespace.stars if not wanted.name.startswith("_") else []
        found = (self._resolved(_Module(module, wanted.name), seen) for module in stars)
        return next((each for each in found if each is not None), None)

    def _namespace(self, path: str) -> _Namespace:
        if path not in self._namespaces:
            self._namespaces[path] = _read_namespace(self._files[path], path)
        return self._namespaces[path]


def _parsed(text: str) -> ast.Module:
    """Return the syntax tree of ``text``, an empty one if Python cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the escapes of other people's strings
            return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _read_namespace(text: str, path: str) -> _Namespace:
    namespace = _Namespace()
    for node in _top_level(_parsed(text)):
        for name in _defined_names(node):
            line = node.lineno - 1
            namespace.defined[name] = (*namespace.defined.get(name, ()), line)
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        for name, found in _imports(node, path) if is_import else ():
            if name == "*":
                namespace.stars.append(found.module)
            else:
                namespace.imported[name] = found
    return namespace


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that bind names of the module, those under conditions as well."""
    waiting = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If | ast.Try):
            handlers = node.handlers if isinstance(node, ast.Try) else []
            inner = [*node.body, *(each for one in handlers for each in one.body), *node.orelse]
            waiting += reversed(inner)
        else:
            yield node


def _defined_names(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Assign():
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _imports(tree: ast.AST, path: str) -> Iterator[tuple[str, _Module]]:
    """Yield what import statements in ``tree`` bind; ``*`` for all names of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for each in node.names:
                    # `import a.b` binds `a`, whose attributes are modules: nothing is used of it.
                    if each.asname or "." not in each.name:
                        yield each.asname or each.name, _Module(each.name)
            case ast.ImportFrom():
                module = _absolute(path, node.level, node.module or "")
                for each in node.names:
                    yield each.asname or each.name, _Module(module, each.name)


def _absolute(path: str, level: int, module: str) -> str:
    if not level:
        return module
    is_package = posixpath.basename(path) == "__init__.py"
    parts = _module_name(path).split(".")
    base = parts[: len(parts) - level + is_package]
    return ".".join([*base, module] if module else base)


def _bound_names(tree: ast.Module) -> set[str]:
    """Return the names that the file binds anywhere in another way than by an import."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
    return found


def _module_name(path: str) -> str:
    root = next(root for root in _ROOTS if path.startswith(root))
    stem = path[len(root) :].removesuffix(".py").removesuffix("/__init__")
    return stem.replace("/", ".")


def _line_starts(text: str) -> list[int]:
    starts = [0]
    starts += (at + 1 for at, char in enumerate(text) if char == "\n")
    return starts


def _num_code_points(text: str, start: int, num_bytes: int) -> int:
    """Return how many code points of ``text`` from ``start`` make up ``num_bytes`` of UTF-8."""
    line = text[start : start + num_bytes].encode()
    return len(line[:num_bytes].decode(errors="ignore"))
