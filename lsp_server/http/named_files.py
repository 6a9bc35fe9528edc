"""Which workspace a file that a client names lies in, among those that have an index already.

A path that arrives over HTTP is a name: it opens no folder and no file is read. Where an editor of
this process has made an index of the folder, though, the model may be shown lines of it, as it is for
that editor.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from completion.types import DocumentSnapshot
from retrieval.workspaces import IndexSummary

_UNUSABLE = frozenset({"opening", "failed"})


def placed(document: DocumentSnapshot, indexes: Iterable[IndexSummary]) -> DocumentSnapshot:
    """Return ``document`` named by the innermost of ``indexes`` around it, unchanged without one."""
    named = _absolute_path(document)
    if named is None:
        return document
    # Links and dots must not lead from a folder that is indexed to one that is not.
    path = PurePath(os.path.realpath(named))
    around = [
        index.folder
        for index in indexes
        if index.state not in _UNUSABLE and path.is_relative_to(index.folder)
    ]
    if not around:
        return document
    folder = max(around, key=len)
    return replace(document, path=path.relative_to(folder).as_posix(), workspace=folder)


def _absolute_path(document: DocumentSnapshot) -> str | None:
    """Return where the document's path, or else its URI, says that it lies; None if nowhere."""
    if document.path is not None:
        return document.path if _is_usable(document.path) else None
    if not document.uri.startswith("file:///"):
        return None
    path = unquote(urlsplit(document.uri).path)
    return path if _is_usable(path) else None


def _is_usable(path: str) -> bool:
    return Path(path).is_absolute() and "\0" not in path
