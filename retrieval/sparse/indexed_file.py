"""What the index takes in: a file, its chunks, and where it defines which names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from retrieval.chunk import Chunk
from retrieval.stamp import Stamp


class NamedLines(Protocol):
    """A definition, as far as the index cares: ``name`` on lines ``[start_line, end_line)``."""

    @property
    def name(self) -> str:
        """The name as written."""

    @property
    def start_line(self) -> int:
        """First line, 0-based."""

    @property
    def end_line(self) -> int:
        """The line behind the last."""


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One version of one file. ``path`` is relative to the workspace, with forward slashes."""

    path: str
    stamp: Stamp
    chunks: Sequence[Chunk]
    definitions: Sequence[NamedLines] = ()
