"""Where modules of JavaScript and TypeScript are: beside the file, by tsconfig, by package."""

from __future__ import annotations

import functools
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from retrieval.symbols.symbol import Import
from retrieval.symbols.workspace import FileIndex, Place, ancestors, joined

_EXTENSIONS = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_WRITTEN_FOR = {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
_CONFIGS = ("tsconfig.json", "jsconfig.json")
_ENTRIES = ("source", "types", "typings", "module", "main")
_USUAL_ENTRIES = ("src/index", "index", "lib/index", "src/main")
_ALIAS_OF_ROOT = re.compile(r"[@~]/")
_MAX_NUM_EXTENDED = 5
_COMMENT_OR_STRING = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Aliases:
    """What a ``tsconfig.json`` says: names without a dot are looked up below ``base``."""

    base: str | None = None
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Package:
    """A package of the workspace and where in its folder its main module may be."""

    folder: str
    entries: tuple[str, ...]


class JavaScriptModules:
    """Looks modules up in one set of files."""

    def __init__(self, index: FileIndex, read: Callable[[str], str | None]) -> None:
        self._index = index
        self._read = read
        self._aliases = {
            path: self._read_aliases(path, _MAX_NUM_EXTENDED)
            for name in _CONFIGS
            for path in index.manifests(name)
        }
        self._packages: dict[str, _Package] = {}
        for path in index.manifests("package.json"):
            manifest = _parsed(read(path))
            name = manifest.get("name")
            if isinstance(name, str):
                entries = [entry for key in _ENTRIES if isinstance(entry := manifest.get(key), str)]
                package = _Package(posixpath.dirname(path), (*entries, *_USUAL_ENTRIES))
                self._packages.setdefault(name, package)

    def places(self, importer: str, wanted: Import) -> Iterator[Place]:
        """Yield the file that a module means, if it is one of the workspace."""
        for base in self._bases(importer, wanted.module):
            path = self._file(base)
            if path is not None:
                yield Place((path,), (wanted.name,) if wanted.name else ())
                return

    def _bases(self, importer: str, module: str) -> Iterator[str]:
        if module.startswith("."):
            yield joined(posixpath.dirname(importer), module)
            return
        aliases = self._aliases_around(importer)
        for pattern, targets in aliases.paths.items():
            head, star, tail = pattern.partition("*")
            fits = module.startswith(head) and module.endswith(tail) if star else module == pattern
            if fits and len(module) >= len(head) + len(tail):
                middle = module[len(head) : len(module) - len(tail)] if star else ""
                yield from (target.replace("*", middle, 1) for target in targets)
        if aliases.base is not None:
            yield joined(aliases.base, module)
        yield from self._in_package(module)
        yield from _above(importer, module)

    def _in_package(self, module: str) -> Iterator[str]:
        parts = module.split("/")
        num_parts = 2 if module.startswith("@") else 1
        package = self._packages.get("/".join(parts[:num_parts]))
        if package is None:
            return
        rest = "/".join(parts[num_parts:])
        inside = (rest, f"src/{rest}") if rest else package.entries
        yield from (joined(package.folder, entry) for entry in inside)

    def _file(self, base: str) -> str | None:
        stem, extension = posixpath.splitext(base)
        written = [stem + other for other in _WRITTEN_FOR.get(extension, ())]
        guessed = [base + extension for extension in _EXTENSIONS]
        index = [joined(base, f"index{extension}") for extension in _EXTENSIONS]
        return self._index.first(base, *written, *guessed, *index)

    def _aliases_around(self, importer: str) -> _Aliases:
        for folder in ancestors(posixpath.dirname(importer)):
            for name in _CONFIGS:
                if joined(folder, name) in self._aliases:
                    return self._aliases[joined(folder, name)]
        return _Aliases()

    def _read_aliases(self, config: str, num_left: int) -> _Aliases:
        manifest = _parsed(self._read(config))
        folder = posixpath.dirname(config)
        inherited = _Aliases()
        extended = manifest.get("extends")
        if isinstance(extended, str) and extended.startswith(".") and num_left:
            path = joined(folder, extended)
            inherited = self._read_aliases(
                self._index.first(path, f"{path}.json") or "", num_left - 1
            )
        options = manifest.get("compilerOptions")
        options = options if isinstance(options, dict) else {}
        base, paths = options.get("baseUrl"), options.get("paths")
        own_base = joined(folder, base) if isinstance(base, str) else inherited.base
        if not isinstance(paths, dict):
            return _Aliases(own_base, inherited.paths)
        below = functools.partial(joined, own_base if own_base is not None else folder)
        return _Aliases(
            own_base,
            {
                str(pattern): tuple(below(t) for t in targets if isinstance(t, str))
                for pattern, targets in paths.items()
                if isinstance(targets, list)
            },
        )


def _above(importer: str, module: str) -> Iterator[str]:
    """Yield where a path without a dot leads if it begins in a folder around ``importer``.

    That is what most aliases of bundlers say, in configurations that are programs.
    """
    path = _ALIAS_OF_ROOT.sub("", module)
    if "/" in module:
        yield from (joined(folder, path) for folder in ancestors(posixpath.dirname(importer)))


def _parsed(text: str | None) -> Mapping[str, object]:
    """Return an object of JSON, comments and trailing commas allowed; empty if it is none."""
    bare = _COMMENT_OR_STRING.sub(lambda match: match[1] or " ", text or "")
    try:
        value = json.loads(_TRAILING_COMMA.sub(lambda match: match[1] or "", bare))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
