"""The files of a workspace, looked up by name, by folder and by the end of their path."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

MANIFESTS = frozenset({"Cargo.toml", "go.mod", "jsconfig.json", "package.json", "tsconfig.json"})
MAX_NUM_MANIFESTS = 200  # of one name that are read to learn how packages are called


class Workspace(Protocol):
    """What resolving needs of a folder. Paths are relative to it, with forward slashes."""

    def paths(self) -> Collection[str]:
        """Return every file.

        The same object as long as no file came or went and none of ``MANIFESTS`` changed: what is
        derived from them is kept until another object is returned.
        """

    def read(self, path: str) -> str | None:
        """Return the text of a file, of its open document if it has one, or None without either."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an import may lead: ``names`` one inside of the other in one of the files ``paths``.

    Without names it leads to the module that the files make up.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...] = ()


class FileIndex:
    """Lookups over a fixed set of paths."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = frozenset(paths)
        self._by_name: dict[str, list[str]] = {}
        self._by_folder: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            folder, name = posixpath.split(path)
            self._by_name.setdefault(name, []).append(path)
            self._by_folder.setdefault(folder, []).append(path)
        self._folders = {parent for folder in self._by_folder for parent in ancestors(folder)}

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._paths

    def has_folder(self, folder: str) -> bool:
        """Whether any file is in ``folder`` or below it."""
        return folder in self._folders

    def first(self, *candidates: str) -> str | None:
        """Return the first path that there is."""
        return next((path for path in candidates if path in self._paths), None)

    def named(self, name: str) -> list[str]:
        """Return the files of that name, sorted."""
        return self._by_name.get(name, [])

    def inside(self, folder: str) -> list[str]:
        """Return the files right inside of ``folder``, sorted."""
        return self._by_folder.get(folder, [])

    def ending(self, suffix: str, near: str) -> list[str]:
        """Return the files that are ``suffix`` in some folder, those nearest to ``near`` first."""
        found = [
            path
            for path in self.named(posixpath.basename(suffix))
            if path == suffix or path.endswith("/" + suffix)
        ]
        return sorted(found, key=lambda path: (-_num_shared_folders(path, near), len(path)))

    def manifests(self, name: str) -> list[str]:
        """Return the manifests of that name, the outermost first; not more than are worth reading."""
        return sorted(self.named(name), key=lambda path: path.count("/"))[:MAX_NUM_MANIFESTS]


def ancestors(folder: str) -> Iterator[str]:
    """Yield ``folder`` and those around it, the workspace's own, ``""``, last."""
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""


def joined(folder: str, path: str) -> str:
    """Return ``path`` as seen from ``folder``, without ``.`` and ``..``."""
    normal = posixpath.normpath(posixpath.join(folder, path))
    return "" if normal == "." else normal


def _num_shared_folders(path: str, other: str) -> int:
    shared = 0
    for one, two in zip(path.split("/"), other.split("/"), strict=False):
        if one != two:
            break
        shared += 1
    return shared
