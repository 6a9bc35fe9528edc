"""Where documents lie: paths of URIs, and paths as the workspace's folders name them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from pygls import uris

# Schemes whose path is that of a file: one on disk, the notebook of a cell, one not yet saved.
_SCHEMES = ("file", "vscode-notebook-cell", "untitled")


def path_of(uri: str) -> str | None:
    """Return the absolute path that ``uri`` names, ``None`` if it names none.

    ``untitled:`` has a path only where the editor already knows what the file will be called.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in _SCHEMES:
        return None
    try:
        path = uris.to_fs_path(f"file:{rest}")
    except ValueError:  # a malformed host
        return None
    return path if path and PurePath(path).is_absolute() else None


class WorkspaceFolders:
    """The folders the editor has open; lives on the event loop."""

    def __init__(self) -> None:
        self._paths: list[PurePath] = []

    @property
    def paths(self) -> list[str]:
        """The folders' absolute paths."""
        return [str(path) for path in self._paths]

    def change(self, added: Iterable[str], removed: Iterable[str] = ()) -> None:
        """Take in and drop folders by URI; unknown ones are fine."""
        dropped = {path_of(uri) for uri in removed}
        kept = [path for path in self._paths if str(path) not in dropped]
        new = [PurePath(path) for uri in added if (path := path_of(uri)) is not None]
        # The innermost first: it is the one a document is named by.
        self._paths = sorted({*kept, *new}, key=lambda path: len(path.parts), reverse=True)

    def locate(self, path: str) -> tuple[str, str]:
        """Return the folder that ``path`` lies in, and ``path`` relative to it with slashes.

        Outside all folders, no folder and ``path`` as it is.
        """
        for folder in self._paths:
            if PurePath(path).is_relative_to(folder):
                return str(folder), PurePath(path).relative_to(folder).as_posix()
        return "", path
