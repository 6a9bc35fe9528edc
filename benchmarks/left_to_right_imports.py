"""Which names of a source file come from other files of its repository, by simple rules.

What these rules overlook, such as names that a package passes on, only makes a case rarer: a line is
never said to use another file because of a name that leads nowhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.traces.recordings import language_id_of

_PYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>[.\w]+)[ \t]+)?import[ \t]+(?P<names>\([^)]*\)|[^\n]+)",
    re.MULTILINE,
)
_PYTHON_COMMENT = re.compile(r"#[^\n]*")
_TYPESCRIPT = re.compile(
    r"""^import\s+(?:type\s+)?(?P<names>[^;"']*?)\s+from\s+["'](?P<module>[^"'\n]+)["']""",
    re.MULTILINE,
)
_RUST = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?use[ \t]+(?P<tree>[^;]+);", re.MULTILINE)
_PYTHON_FILES = (".py", "/__init__.py")
_TYPESCRIPT_FILES = (".ts", ".tsx", "/index.ts", "/index.tsx")
_RUST_FILES = (".rs", "/mod.rs", "/lib.rs")
_RUST_ROOTS = ("lib.rs", "main.rs", "mod.rs")
_MIN_NAME_CHARS = 2  # a single letter is found everywhere


@dataclass(frozen=True, slots=True)
class ImportedName:
    """``name`` as a file uses it, and the file it comes from.

    There it is called ``defined``, which is empty where the name stands for the whole file.
    """

    name: str
    defined: str
    path: str

    def is_used_in(self, code: str) -> bool:
        """Whether ``code`` names it; an attribute of something else that is called so is not it."""
        return re.search(rf"(?<![\w.]){re.escape(self.name)}\b", code) is not None


@dataclass(frozen=True, slots=True)
class Imports:
    """What a file imports from its repository, and the lines of all its import statements."""

    names: tuple[ImportedName, ...]
    lines: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Statement:
    """One import statement: where it stands, and (module, defined, name) of what it imports."""

    start: int
    end: int
    imported: tuple[tuple[str, str, str], ...]


class Repository:
    """The source files of a package by path, and where their imports lead."""

    def __init__(self, name: str, sources: Mapping[str, str]) -> None:
        self.name, self.sources = name, sources
        self._top_folders = sorted({path.partition("/")[0] for path in sources if "/" in path})
        self._crates = {
            posixpath.basename(posixpath.dirname(folder)): folder
            for path in sources
            if posixpath.basename(path) == "lib.rs" and (folder := posixpath.dirname(path))
        }

    def imports(self, path: str) -> Imports:
        """Return what the file at ``path`` imports from other files of the repository."""
        text = self.sources[path]
        language = language_id_of(path).removesuffix("react")
        statements = list(_STATEMENTS[language](text)) if language in _STATEMENTS else []
        names: dict[str, ImportedName] = {}
        for module, defined, name in (each for found in statements for each in found.imported):
            source, defined = self._source(path, language, module, defined)
            if source and source != path and len(name) >= _MIN_NAME_CHARS:
                names.setdefault(name, ImportedName(name, defined, source))
        return Imports(tuple(names.values()), frozenset(_lines_of(text, statements)))

    def _source(self, path: str, language: str, module: str, defined: str) -> tuple[str, str]:
        """Return the file that an import leads to, empty if to none, and what is meant in it."""
        match language:
            case "python":
                return self._python_source(path, module, defined)
            case "typescript":
                roots = [posixpath.dirname(path)] if module[0] == "." else _folders_above(path)
                return self._first(roots, module, _TYPESCRIPT_FILES), defined
            case _:
                return self._rust_source(path, module.split("::"))

    def _python_source(self, path: str, module: str, defined: str) -> tuple[str, str]:
        named = module.lstrip(".")
        num_dots = len(module) - len(named)
        if num_dots:
            roots = _folders_above(path)[num_dots - 1 : num_dots]
        else:
            # Inside of a package, `import types` does not mean the package's own types.py.
            folders = [*_folders_above(path), *self._top_folders]
            roots = [each for each in folders if f"{each}/__init__.py" not in self.sources]
        folder = named.replace(".", "/")
        if defined:
            submodule = self._first(roots, posixpath.join(folder, defined), _PYTHON_FILES)
            if submodule:
                return submodule, ""
        return self._first(roots, folder, _PYTHON_FILES), defined

    def _rust_source(self, path: str, segments: Sequence[str]) -> tuple[str, str]:
        folder, name = posixpath.dirname(path), posixpath.basename(path)
        own = folder if name in _RUST_ROOTS else posixpath.splitext(path)[0]
        match segments[0]:
            case "crate":
                root = self._crate_of(folder)
            case "self" | "super":
                num_up = sum(segment == "super" for segment in segments)
                root = [own, *_folders_above(own)][num_up]
            case crate:
                root = self._crates.get(crate, "")
        rest = [segment for segment in segments[1:] if segment != "super"]
        for num_named in range(len(rest), -1, -1):
            found = self._first([root] if root else [], "/".join(rest[:num_named]), _RUST_FILES)
            if found:
                return found, "" if num_named == len(rest) else rest[-1]
        return "", ""

    def _crate_of(self, folder: str) -> str:
        """Return the nearest folder above that holds a crate's root, empty if none does."""
        above = [folder, *_folders_above(folder)]
        roots = (f"{each}/{name}" for each in above for name in ("lib.rs", "main.rs"))
        return posixpath.dirname(next((root for root in roots if root in self.sources), ""))

    def _first(self, roots: Sequence[str], module: str, endings: Sequence[str]) -> str:
        for root in roots:
            stem = posixpath.normpath(posixpath.join(root, module))
            found = next((stem + end for end in endings if stem + end in self.sources), "")
            if found:
                return found
        return ""


def _folders_above(path: str) -> list[str]:
    """Return the folders that ``path`` lies in, the nearest first, the repository's own last."""
    folders = []
    while path:
        path = posixpath.dirname(path)
        folders.append(path)
    return folders


def _lines_of(text: str, statements: Sequence[_Statement]) -> Iterator[int]:
    for found in statements:
        first = text.count("\n", 0, found.start)
        yield from range(first, first + text.count("\n", found.start, found.end) + 1)


def _python_statements(text: str) -> Iterator[_Statement]:
    for match in _PYTHON.finditer(text):
        listed = _PYTHON_COMMENT.sub("", match["names"]).strip().strip("()")
        pairs = [_renamed(each) for each in listed.split(",")]
        if match["module"] is None:
            imported = tuple((defined, "", name) for defined, name in pairs)
        else:
            imported = tuple((match["module"], defined, name) for defined, name in pairs)
        yield _Statement(match.start(), match.end(), _known(imported))


def _typescript_statements(text: str) -> Iterator[_Statement]:
    for match in _TYPESCRIPT.finditer(text):
        listed = match["names"].replace("{", ",").replace("}", ",")
        pairs = [_renamed(each.strip().removeprefix("type ")) for each in listed.split(",")]
        imported = (
            (match["module"], "" if defined == "*" else defined, name) for defined, name in pairs
        )
        yield _Statement(match.start(), match.end(), _known(tuple(imported)))


def _rust_statements(text: str) -> Iterator[_Statement]:
    for match in _RUST.finditer(text):
        tree = "".join(match["tree"].replace(" as ", "@").split())
        imported = []
        for route in _routes(tree):
            module, _, renamed = route.partition("@")
            module = module.removesuffix("::self")
            imported.append((module, "", renamed or module.rpartition("::")[2]))
        yield _Statement(match.start(), match.end(), _known(tuple(imported)))


def _routes(tree: str) -> Iterator[str]:
    """Yield every full path of a use tree: ``a::{b, c::d}`` has two."""
    head, brace, rest = tree.partition("{")
    if not brace:
        yield tree
        return
    for part in _split_at_depth_0(rest.rpartition("}")[0]):
        yield from (head + route for route in _routes(part))


def _split_at_depth_0(text: str) -> Iterator[str]:
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "," and not depth:
            yield text[start:at]
            start = at + 1
    if text[start:]:
        yield text[start:]


def _renamed(listed: str) -> tuple[str, str]:
    """Return what an entry of an import list is called in its file, and here."""
    defined, _, name = listed.strip().partition(" as ")
    return defined.strip(), (name or defined).strip()


def _known(imported: tuple[tuple[str, str, str], ...]) -> tuple[tuple[str, str, str], ...]:
    """Return the entries that give a name to something; ``*`` names nothing, nor do typing slips."""
    return tuple(
        entry for entry in imported if entry[0] and re.fullmatch(r"[A-Za-z_][\w.]*", entry[2])
    )


_STATEMENTS = {
    "python": _python_statements,
    "typescript": _typescript_statements,
    "rust": _rust_statements,
}
