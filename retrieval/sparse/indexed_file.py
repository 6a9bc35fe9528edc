"""What the index takes in: a file and its chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.chunk import Chunk
from retrieval.stamp import Stamp


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One version of one file. ``path`` is relative to the workspace, with forward slashes."""

    path: str
    stamp: Stamp
    chunks: Sequence[Chunk]
