"""Which folder a file belongs to, where no editor says it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from completion.types import DocumentSnapshot
from lsp_server.config_files import PROJECT_FILE_NAME

# What lies in the root of a project: a repository first, as packages may lie in it.
_REPOSITORIES = (".git", ".hg", ".jj")
_PROJECTS = (PROJECT_FILE_NAME, "pyproject.toml", "package.json", "Cargo.toml", "go.mod", "pom.xml")


def workspace_root(path: Path) -> Path | None:
    """Return the root of the repository around ``path``, or else of the innermost project.

    None outside of both: a home folder full of loose files is nothing to index. The root is never
    the home folder itself, nor that of the file system.
    """
    start = Path(os.path.abspath(path))
    wide = too_wide()
    around = [at for at in (start, *start.parents) if os.path.realpath(at) not in wide]
    for marks in (_REPOSITORIES, _PROJECTS):
        for folder in around:
            if any(os.path.lexists(folder / mark) for mark in marks):
                return folder
    return None


def in_workspace(document: DocumentSnapshot) -> DocumentSnapshot:
    """Return ``document`` named by the folder that it lies in, unchanged outside of every project."""
    if document.path is None or document.workspace:
        return document
    path = Path(os.path.abspath(document.path))
    root = workspace_root(path.parent)
    if root is None:
        return document
    return replace(document, path=path.relative_to(root).as_posix(), workspace=str(root))


def too_wide() -> frozenset[str]:
    """Return folders that are no workspace, whoever opens them: the root, and the user's home."""
    # Not Path.home(), which raises where a user has no home.
    return frozenset(map(os.path.realpath, (os.sep, os.path.expanduser("~"))))
