"""Which files of a workspace are indexed, as far as that shows without opening them.

Who decides, the first that says anything: ``.fimbleignore`` files, from the folder of the file
upwards; ``.gitignore`` files likewise, up to the root of the repository; its ``info/exclude``; the
user's global excludes; the table of folders of dependencies. Nothing includes again what holds
secrets, the history of a repository, or what lies in an ignored folder. A repository inside of
another starts anew with its own files. ``.gitignore`` counts outside of repositories, too.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrieval.files.exclusion import Exclusion
from retrieval.files.names import (
    CLOSED_FOLDERS,
    DEPENDENCY_FOLDERS,
    FOLDER_MARKERS,
    exclusion_by_name,
    holds_records,
)
from retrieval.files.patterns import PatternList
from retrieval.files.regular import read_regular_file
from retrieval.files.repository import find_repository, git_folders

GIT_IGNORE, OWN_IGNORE = ".gitignore", ".fimbleignore"
MAX_NUM_BYTES = 1_000_000
MAX_NUM_RECORD_BYTES = 64_000  # of JSON, CSV and their like, which grow without telling more
_MAX_NUM_PATTERN_BYTES = 1_000_000
_DEPENDENCIES = PatternList(DEPENDENCY_FOLDERS)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Patterns for paths below a folder whose path, with its slash, is ``num_chars`` long."""

    patterns: PatternList
    num_chars: int


@dataclass(frozen=True, slots=True)
class FolderRules:
    """What is ignored directly in one folder. ``path`` is absolute and ends with a slash.

    ``shared`` are the user's global excludes, which count in every repository.
    """

    path: str
    own: tuple[_Layer, ...] = ()
    git: tuple[_Layer, ...] = ()
    shared: tuple[PatternList, ...] = field(default=(), repr=False)

    def ignores(self, name: str, *, is_folder: bool) -> bool:
        """Whether the file or folder ``name`` is ignored here."""
        if name in CLOSED_FOLDERS:  # as a file, .git tells where the repository of a worktree is
            return True
        path = self.path + name
        for layer in (*self.own, *self.git):
            verdict = layer.patterns.verdict(path[layer.num_chars :], name, is_folder=is_folder)
            if verdict is not None:
                return verdict
        return False

    def below(self, name: str) -> FolderRules:
        """Return the rules of the folder ``name`` in this one as if it held no ignore files."""
        return replace(self, path=f"{self.path}{name}/")

    def having(self, names: Collection[str]) -> FolderRules:
        """Return these rules with those that the folder itself brings, given what it holds."""
        rules = self
        if ".git" in names:
            rules = rules.of_repository()
        if GIT_IGNORE in names:
            rules = replace(rules, git=(*rules._layer(GIT_IGNORE), *rules.git))
        if OWN_IGNORE in names:
            rules = replace(rules, own=(*rules._layer(OWN_IGNORE), *rules.own))
        return rules

    def of_repository(self) -> FolderRules:
        """Return these rules where this folder is the root of a repository."""
        excludes = (folder / "info" / "exclude" for folder in git_folders(Path(self.path)))
        lists = [found for path in excludes if (found := _patterns_of(path)) is not None]
        all_lists = (*lists, *self.shared, _DEPENDENCIES)
        return replace(self, git=tuple(_Layer(found, len(self.path)) for found in all_lists))

    def _layer(self, name: str) -> tuple[_Layer, ...]:
        patterns = _patterns_of(Path(self.path, name))
        return () if patterns is None else (_Layer(patterns, len(self.path)),)


class FileRules:
    """The rules of one workspace folder as its ignore files were when they were first needed.

    Make a new one when an ignore file changed. Every method may be called from any thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        global_excludes: Path | None = None,
        max_num_bytes: int = MAX_NUM_BYTES,
    ) -> None:
        """Decide about the files in ``folder``; ``global_excludes`` are the user's own patterns."""
        self.folder = folder.resolve()
        self.max_num_bytes = max_num_bytes
        # People keep this one file elsewhere and link to it; links in a workspace are not followed.
        self._global_excludes = global_excludes.resolve() if global_excludes else None
        self._lock = threading.Lock()
        self._known: dict[str, FolderRules | None] = {}

    def exclusion(self, path: str) -> Exclusion | None:
        """Return why ``path``, relative to the folder, is not indexed, or ``None`` if it is.

        What is not there (any more) is ``UNREADABLE`` unless its path alone excludes it.
        """
        parent, _, name = path.rpartition("/")
        rules = None if path.startswith("/") else self.folder_rules(parent)
        if rules is None:
            return Exclusion.IGNORED
        try:
            status = os.lstat(rules.path + name)
        except (OSError, ValueError):
            return self.exclusion_in(rules, name, None) or Exclusion.UNREADABLE
        return self.exclusion_in(rules, name, status)

    def is_indexed(self, path: str) -> bool:
        """Whether ``path``, relative to the folder, is a file that belongs into the index."""
        return self.exclusion(path) is None

    def exclusion_in(
        self, rules: FolderRules, name: str, status: os.stat_result | None
    ) -> Exclusion | None:
        """Return why the file ``name`` of the folder of ``rules`` is not indexed, or ``None``.

        ``status`` is what ``lstat`` says of it; ``None`` leaves out what depends on that.
        """
        if rules.ignores(name, is_folder=False):
            return Exclusion.IGNORED
        if status is not None and stat.S_ISLNK(status.st_mode):
            return Exclusion.LINK
        by_name = exclusion_by_name(name)
        if by_name is not None or status is None:
            return by_name
        if not stat.S_ISREG(status.st_mode) or not _is_utf8(name):
            return Exclusion.UNREADABLE
        return Exclusion.TOO_LARGE if status.st_size > self._max_num_bytes(name) else None

    def folder_rules(self, path: str) -> FolderRules | None:
        """Return the rules in a folder of the workspace, ``None`` if it is ignored or a link.

        ``path`` is relative, ``""`` the workspace's folder itself. A folder that cannot be listed
        has the rules of the one above it.
        """
        names = path.split("/") if path else []
        if any(name in ("", ".", "..") for name in names):
            return None
        with self._lock:
            rules = self._remembered("", None, "")
            for at, name in enumerate(names):
                if rules is None:
                    return None
                rules = self._remembered("/".join(names[: at + 1]), rules, name)
            return rules

    def _remembered(self, path: str, above: FolderRules | None, name: str) -> FolderRules | None:
        """Return the rules of ``path``: the folder ``name`` below ``above``, or the workspace's."""
        if path not in self._known:
            self._known[path] = _opened(self.outside()) if above is None else _entered(above, name)
        return self._known[path]

    def outside(self) -> FolderRules:
        """Return the rules of the workspace's folder as those above it and the user make them.

        It is never ignored itself: the user opened it.
        """
        root = find_repository(self.folder) or self.folder
        patterns = _patterns_of(self._global_excludes) if self._global_excludes else None
        rules = FolderRules(_with_slash(root), shared=() if patterns is None else (patterns,))
        rules = rules.of_repository()
        for name in self.folder.relative_to(root).parts:
            rules = rules.having((GIT_IGNORE, OWN_IGNORE)).below(name)
        return rules

    def _max_num_bytes(self, name: str) -> int:
        if holds_records(name):
            return min(self.max_num_bytes, MAX_NUM_RECORD_BYTES)
        return self.max_num_bytes


def _opened(rules: FolderRules) -> FolderRules:
    return rules.having(_names_in(rules.path))


def _entered(above: FolderRules, name: str) -> FolderRules | None:
    if above.ignores(name, is_folder=True) or os.path.islink(above.path + name):
        return None
    names = _names_in(above.path + name)
    return None if names & FOLDER_MARKERS else above.below(name).having(names)


def _names_in(path: str) -> frozenset[str]:
    """Return what the folder ``path`` holds, nothing if it cannot be listed."""
    try:
        return frozenset(os.listdir(path))
    except (OSError, ValueError):
        return frozenset()


def _patterns_of(path: Path) -> PatternList | None:
    content = read_regular_file(path, _MAX_NUM_PATTERN_BYTES)
    if content is None or len(content) > _MAX_NUM_PATTERN_BYTES:
        return None
    return PatternList.parse(content.decode("utf-8", "surrogateescape"))


def _with_slash(folder: Path) -> str:
    return folder.as_posix().rstrip("/") + "/"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
