"""The settings files of the folders that an editor has open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from lsp_server.config_files import PROJECT_FILE_NAME, read_project_file
from lsp_server.options import Options, Problem
from lsp_server.settings import Reach, SettingSpec
from lsp_server.trust import TrustStore


def is_project_file(path: str | None) -> bool:
    """Whether ``path`` is called like a project's file."""
    return path is not None and PurePath(path).name == PROJECT_FILE_NAME


class Projects:
    """What the open folders' files say; lives on the event loop.

    The first folder chooses the model, of which a client has one. What a request may differ in
    follows the folder of its document.
    """

    def __init__(self, store: TrustStore) -> None:
        self._store = store
        self._folders: list[str] = []
        self._options: dict[str, Options] = {}
        self._problems: list[Problem] = []

    @property
    def first(self) -> str | None:
        """The folder that chooses the model, ``None`` if none is open."""
        return self._folders[0] if self._folders else None

    def change(self, added: Iterable[str], removed: Iterable[str] = ()) -> None:
        """Take in and drop folders by path; unknown ones are fine."""
        dropped = set(removed)
        kept = [folder for folder in self._folders if folder not in dropped]
        new = [folder for folder in dict.fromkeys(added) if folder not in kept]
        self._folders = [*kept, *new]
        self._options = {folder: self._options[folder] for folder in kept}
        for folder in new:
            self._read(folder)

    def reload(self) -> None:
        """Read all files again."""
        for folder in self._folders:
            self._read(folder)

    def take_problems(self) -> tuple[Problem, ...]:
        """Return what was found wrong with the files since this was last asked."""
        problems, self._problems = tuple(self._problems), []
        return problems

    def folder_of(self, path: str | None) -> str | None:
        """Return the innermost folder that holds ``path``, ``None`` outside all of them."""
        if path is None:
            return None
        holding = [f for f in self._folders if PurePath(path).is_relative_to(f)]
        return max(holding, key=lambda folder: len(PurePath(folder).parts), default=None)

    def layer(self, folder: str | None) -> Options:
        """Return the options for documents in ``folder``; ``None`` stands for outside of all."""
        first = self._options[self._folders[0]] if self._folders else Options({})
        own = Options({}) if folder is None else self._options[folder]
        if own is first:
            return first
        values = {**first.only(_is_for_all).values, **own.only(_is_for_one).values}
        return Options(values, (), own.origin)

    def _read(self, folder: str) -> None:
        file = read_project_file(Path(folder), self._store)
        known = self._options.get(folder, Options({})).problems
        self._options[folder] = Options({}) if file is None else file.options
        new = [problem for problem in self._options[folder].problems if problem not in known]
        self._problems += new


def _is_for_one(spec: SettingSpec) -> bool:
    return spec.rule.reach is Reach.DOCUMENT


def _is_for_all(spec: SettingSpec) -> bool:
    return not _is_for_one(spec)
