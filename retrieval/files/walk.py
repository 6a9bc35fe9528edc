"""All files of a workspace that belong into the index, and the reason for every one that does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.files.exclusion import Exclusion
from retrieval.files.names import FOLDER_MARKERS
from retrieval.files.rules import FileRules, FolderRules


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to be indexed. ``path`` is relative to the workspace's folder, with forward slashes."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ExcludedFile:
    """A file that is not indexed, or a folder with all that is in it; its path ends with a slash."""

    path: str
    reason: Exclusion


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder about to be entered: its own path, and the rules as those above it make them."""

    path: str
    rules: FolderRules


def walk(rules: FileRules) -> Iterator[FoundFile | ExcludedFile]:
    """Yield every file of the workspace once, folder by folder, each sorted by name.

    Ignored folders are not entered. What vanishes meanwhile is left out or ``UNREADABLE``. The order
    is the same on each run over the same files.
    """
    for _, entries in walk_folders(rules):
        yield from entries


def walk_folders(
    rules: FileRules, start: str = ""
) -> Iterator[tuple[str, list[FoundFile | ExcludedFile]]]:
    """Yield each folder that is entered, ``start`` first, with what ``walk`` tells of its entries.

    Of an entry that is a folder something is told only if it is not entered. Nothing is yielded if
    ``start``, relative to the workspace's folder, is ignored.
    """
    waiting = _starting(rules, start)
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder.rules.path) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError:
            yield folder.path, [ExcludedFile(_as_folder(folder.path), Exclusion.UNREADABLE)]
            continue
        names = frozenset(entry.name for entry in entries)
        if folder.path and names & FOLDER_MARKERS:
            yield folder.path, [ExcludedFile(_as_folder(folder.path), Exclusion.IGNORED)]
            continue
        here = _Folder(folder.path, folder.rules.having(names))
        yield (
            here.path,
            [_told(rules, here, entry) for entry in entries if not _is_entered(here, entry)],
        )
        waiting += [_below(here, entry) for entry in reversed(entries) if _is_entered(here, entry)]


def _starting(rules: FileRules, path: str) -> list[_Folder]:
    if not path:
        return [_Folder("", rules.outside())]
    parent, _, name = path.rpartition("/")
    above = rules.folder_rules(parent)
    if above is None or rules.folder_rules(path) is None:
        return []
    return [_Folder(path, above.below(name))]


def _is_entered(folder: _Folder, entry: os.DirEntry[str]) -> bool:
    is_folder = entry.is_dir(follow_symlinks=False)
    return is_folder and not folder.rules.ignores(entry.name, is_folder=True)


def _below(folder: _Folder, entry: os.DirEntry[str]) -> _Folder:
    return _Folder(_joined(folder.path, entry.name), folder.rules.below(entry.name))


def _told(rules: FileRules, folder: _Folder, entry: os.DirEntry[str]) -> FoundFile | ExcludedFile:
    path = _joined(folder.path, entry.name)
    if entry.is_dir(follow_symlinks=False):
        return ExcludedFile(_as_folder(path), Exclusion.IGNORED)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return ExcludedFile(path, Exclusion.UNREADABLE)
    reason = rules.exclusion_in(folder.rules, entry.name, status)
    if reason is not None:
        return ExcludedFile(path, reason)
    return FoundFile(path, status.st_size, status.st_mtime_ns)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _as_folder(path: str) -> str:
    return f"{path}/" if path else "./"
