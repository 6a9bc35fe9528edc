"""Sources that find nothing of their own: of what is similar, they prefer some files.

Each returns the same snippets in the same order, as a ranking of its own. A file that shares nothing
with the place of the cursor is no context for being open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from retrieval.snippet import Snippet, SnippetSource


def same_file(similar: Iterable[Snippet], path: str) -> list[Snippet]:
    """Return those of the document at ``path``."""
    return _of(similar, (path,), SnippetSource.SAME_FILE)


def open_files(similar: Iterable[Snippet], paths: Collection[str]) -> list[Snippet]:
    """Return those of the files at ``paths``, which the editor shows or showed lately."""
    return _of(similar, paths, SnippetSource.OPEN_FILE)


def changed_files(similar: Iterable[Snippet], paths: Collection[str]) -> list[Snippet]:
    """Return those of the files at ``paths``, which differ from the last commit."""
    return _of(similar, paths, SnippetSource.CHANGED_FILE)


def _of(similar: Iterable[Snippet], paths: Collection[str], source: SnippetSource) -> list[Snippet]:
    return [replace(each, source=source) for each in similar if each.path in paths]
