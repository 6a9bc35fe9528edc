"""From a file on disk to what the index takes in: read, redact, parse, cut."""

from __future__ import annotations

import os
from pathlib import Path

from retrieval.chunking import chunk_text
from retrieval.files.reading import TextFile, read_text
from retrieval.files.secrets import redact
from retrieval.languages import grammar_for
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.stamp import Stamp
from retrieval.syntax import SyntaxTree


def prepare(folder: Path, path: str, max_file_bytes: int) -> IndexedFile | None:
    """Return the file ``path`` of the workspace ``folder``, ready to be indexed.

    One that must not be shown has no chunks: the index remembers its stamp, so that it is not read
    again before it changes. None if there is no such file any more.
    """
    found = read_text(folder / path, max_file_bytes)
    if isinstance(found, TextFile):
        return prepare_text(path, redact(found.text), found.stamp)
    return left_out(folder, path)


def left_out(folder: Path, path: str) -> IndexedFile | None:
    """Return the file ``path`` as one that is not shown; None if there is no such file."""
    try:
        status = os.lstat(folder / path)
    except (OSError, ValueError):
        return None
    return IndexedFile(path, Stamp(status.st_mtime_ns, status.st_size, 0), ())


def prepare_text(path: str, text: str, stamp: Stamp) -> IndexedFile:
    """Return ``text``, which holds no secrets, ready to be indexed as the file ``path``."""
    grammar = grammar_for("", path)
    tree = None if grammar is None else SyntaxTree.parse(grammar, text)
    return IndexedFile(path, stamp, chunk_text(text, tree))
