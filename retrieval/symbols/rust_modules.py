"""Where paths of Rust lead: modules are files, crates are folders with a manifest."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence

from retrieval.symbols.symbol import Import
from retrieval.symbols.workspace import FileIndex, Place, ancestors, joined

_CRATE_NAME = re.compile(r"""^\s*name\s*=\s*["']([\w-]+)["']""", re.MULTILINE)
_ROOTS = ("lib.rs", "main.rs")


class RustModules:
    """Looks paths up in the crates of one set of files."""

    def __init__(self, index: FileIndex, read: Callable[[str], str | None]) -> None:
        self._index = index
        self._crates: dict[str, str] = {}
        for path in index.manifests("Cargo.toml"):
            name = _CRATE_NAME.search(read(path) or "")
            if name is not None:
                source = joined(posixpath.dirname(path), "src")
                self._crates.setdefault(name[1].replace("-", "_"), source)
        for path in index.named("lib.rs"):
            # A manifest may be out of sight, or take its name from elsewhere; folders mostly agree.
            source = posixpath.dirname(path)
            is_inside = posixpath.basename(source) == "src"
            folder = posixpath.dirname(source) if is_inside else source
            self._crates.setdefault(posixpath.basename(folder).replace("-", "_"), source)

    def places(self, importer: str, wanted: Import) -> Iterator[Place]:
        """Yield the places that a ``use``, a ``mod`` or a path in the code may mean."""
        parts = [part for part in (*wanted.module.split("::"), wanted.name) if part]
        source = self._source_folder(importer)
        own = _module_path(importer, source)
        if not parts:
            return
        if parts[0] == "crate":
            yield from self._below(source, parts[1:])
        elif parts[0] in {"self", "super"}:
            while parts and parts[0] in {"self", "super"}:
                own = own[:-1] if parts[0] == "super" else own
                parts = parts[1:]
            yield from self._below(source, [*own, *parts])
        else:
            child = self._file(source, [*own, parts[0]])
            if child is not None:
                yield from self._below(source, [*own, *parts])
            elif parts[0] in self._crates:
                yield from self._below(self._crates[parts[0]], parts[1:])

    def _below(self, source: str, parts: Sequence[str]) -> Iterator[Place]:
        """Yield the file that the most of ``parts`` name, and the rest as names inside of it."""
        for num_modules in range(len(parts), 0, -1):
            path = self._file(source, parts[:num_modules])
            if path is not None:
                yield Place((path,), tuple(parts[num_modules:]))
                return
        for root in _ROOTS:
            if self._index.has(joined(source, root)):
                yield Place((joined(source, root),), tuple(parts))

    def _file(self, source: str, parts: Sequence[str]) -> str | None:
        path = joined(source, "/".join(parts))
        return self._index.first(f"{path}.rs", f"{path}/mod.rs")

    def _source_folder(self, importer: str) -> str:
        """Return the folder that ``crate`` stands for in a file: ``src``, or that of its target."""
        folder = posixpath.dirname(importer)
        for around in ancestors(folder):
            if any(self._index.has(joined(around, root)) for root in _ROOTS):
                return around
            if self._index.has(joined(around, "Cargo.toml")):
                break
        return folder


def _module_path(importer: str, source: str) -> list[str]:
    parts = posixpath.relpath(importer, source or ".").removesuffix(".rs").split("/")
    return parts[:-1] if parts[-1] in {"lib", "main", "mod"} else parts
