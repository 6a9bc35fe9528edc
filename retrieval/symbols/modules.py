"""Which files an import means, by the rules of its language.

These are the rules of the tools as far as the paths of the workspace and its manifests tell;
nothing outside of it is looked at, so what is installed elsewhere is not found.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Iterator

from retrieval.symbols.javascript_modules import JavaScriptModules
from retrieval.symbols.rust_modules import RustModules
from retrieval.symbols.symbol import Import
from retrieval.symbols.workspace import FileIndex, Place, ancestors, joined

_MAX_NUM_PLACES = 3  # of the same path below different roots
_SOURCE_FOLDERS = frozenset({"src", "lib", "python", "source"})
_GO_MODULE = re.compile(r'^module\s+"?([^\s"]+)', re.MULTILINE)
_MAX_NUM_PACKAGE_FILES = 200


class Modules:
    """Where imports lead in one set of files; its manifests are read when it is made."""

    def __init__(self, index: FileIndex, read: Callable[[str], str | None]) -> None:
        self._index = index
        self._go_modules = _go_modules(index, read)
        scripts = JavaScriptModules(index, read)
        self._places: dict[str, Callable[[str, Import], Iterator[Place]]] = {
            "Python": self._python,
            "JavaScript": scripts.places,
            "TypeScript": scripts.places,
            "TSX": scripts.places,
            "Java": self._java,
            "Go": self._go,
            "Rust": RustModules(index, read).places,
            "C": self._c,
            "C++": self._c,
        }

    def places(self, language: str, importer: str, wanted: Import) -> Iterator[Place]:
        """Yield the places that ``wanted`` may mean, the likeliest first.

        The caller replaces the name of a star by the one it looks for.
        """
        find = self._places.get(language)
        if find is not None:
            yield from find(importer, wanted)

    def _python(self, importer: str, wanted: Import) -> Iterator[Place]:
        parts = [part for part in wanted.module.split(".") if part]
        for root in self._python_roots(importer, wanted.level, parts):
            module = joined(root, "/".join(parts))
            file = self._python_file(module)
            if not wanted.name and file is not None:
                yield Place((file,))
            elif wanted.name:
                if file is not None:
                    yield Place((file,), (wanted.name,))
                submodule = self._python_file(joined(module, wanted.name))
                if submodule is not None:
                    yield Place((submodule,))

    def _python_file(self, module: str) -> str | None:
        return self._index.first(
            f"{module}.py", joined(module, "__init__.py"), f"{module}.pyi", f"{module}/__init__.pyi"
        )

    def _python_roots(self, importer: str, level: int, parts: list[str]) -> list[str]:
        """Return the folders that ``parts`` may be below of."""
        folder = posixpath.dirname(importer)
        if level:
            around = list(ancestors(folder))
            return [around[level - 1]] if level <= len(around) else []
        if not parts or parts[0] in sys.stdlib_module_names:
            return []
        around = [*ancestors(folder)]
        roots = [root for root in around if self._index.has_folder(joined(root, parts[0]))]
        roots += [root for root in around if self._index.has(joined(root, f"{parts[0]}.py"))]
        path = "/".join(parts)
        for suffix in (f"{path}.py", f"{path}/__init__.py", f"{parts[0]}/__init__.py"):
            for found in self._index.ending(suffix, importer)[:_MAX_NUM_PLACES]:
                root = found[: -len(suffix)].rstrip("/")
                if len(parts) > 1 or posixpath.basename(root) in _SOURCE_FOLDERS:
                    roots.append(root)
        # A folder inside of a package is no place that Python looks for others in.
        return [r for r in dict.fromkeys(roots) if not self._index.has(joined(r, "__init__.py"))]

    def _java(self, importer: str, wanted: Import) -> Iterator[Place]:
        if wanted.level:
            own = joined(posixpath.dirname(importer), f"{wanted.name}.java")
            if self._index.has(own):
                yield Place((own,), (wanted.name,))
            return
        parts = [*wanted.module.split("."), wanted.name]
        for end in range(len(parts), max(0, len(parts) - 3), -1):
            suffix = "/".join(parts[:end]) + ".java"
            for path in self._index.ending(suffix, importer)[:_MAX_NUM_PLACES]:
                yield Place((path,), tuple(parts[end - 1 :]))

    def _go(self, importer: str, wanted: Import) -> Iterator[Place]:
        folder = posixpath.dirname(importer) if wanted.level else self._go_folder(wanted.module)
        if folder is None:
            return
        files = tuple(
            path
            for path in self._index.inside(folder)
            if path.endswith(".go") and (path == importer or not path.endswith("_test.go"))
        )
        if files:
            yield Place(files[:_MAX_NUM_PACKAGE_FILES], (wanted.name,) if wanted.name else ())

    def _go_folder(self, package: str) -> str | None:
        for module, folder in self._go_modules:
            if package == module or package.startswith(module + "/"):
                return joined(folder, package[len(module) :].lstrip("/"))
        return None

    def _c(self, importer: str, wanted: Import) -> Iterator[Place]:
        beside = joined(posixpath.dirname(importer), wanted.module)
        paths = [beside] if self._index.has(beside) else self._index.ending(wanted.module, importer)
        for path in paths[:1]:
            yield Place((path,), (wanted.name,) if wanted.name else ())


def _go_modules(index: FileIndex, read: Callable[[str], str | None]) -> list[tuple[str, str]]:
    """Return the modules and their folders, those inside of others before them."""
    found = []
    for path in index.manifests("go.mod"):
        match = _GO_MODULE.search(read(path) or "")
        if match is not None:
            found.append((match[1], posixpath.dirname(path)))
    return sorted(found, key=lambda row: -len(row[0]))
