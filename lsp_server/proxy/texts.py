"""Texts of open documents, kept line by line so that a change costs what it changes.

A change leads to the same text as in ``lsp_server.session``; a test compares the two. The session
indexes a whole text with numpy, which would double the proxy's memory and delay its start.
"""

from __future__ import annotations

import itertools

from lsp_server.text_units import (
    LINE_END,
    PositionEncoding,
    num_characters,
    without_lone_surrogates,
)

Position = tuple[int, int]  # zero-based line, and column in units of the negotiated encoding


class Lines:
    """One text; every line but the last carries its line end."""

    def __init__(self, text: str) -> None:
        self._lines = _split(without_lone_surrogates(text))

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self._lines)

    def replace(
        self, start: Position, end: Position, inserted: str, encoding: PositionEncoding
    ) -> None:
        """Put ``inserted`` in the place of what stands between two positions, in any order."""
        first, last = sorted((self._place(start, encoding), self._place(end, encoding)))
        head = self._lines[first[0]][: first[1]]
        tail = self._lines[last[0]][last[1] :]
        merged = "".join((head, without_lone_surrogates(inserted), tail))
        line = first[0]
        if line > 0 and merged.startswith("\n") and self._lines[line - 1].endswith("\r"):
            line -= 1  # the two have become one line end
            merged = self._lines[line] + merged
        fresh = _split(merged)
        if last[0] + 1 < len(self._lines):
            fresh.pop()  # the tail carries its line end, behind which the next line stands
        self._lines[line : last[0] + 1] = fresh

    def _place(self, position: Position, encoding: PositionEncoding) -> tuple[int, int]:
        """Return the line and the character in it; past the end of either means that end."""
        line, column = position
        if line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        body = self._lines[line].rstrip("\r\n")  # no other line end can stand inside a line
        return line, num_characters(body, column, encoding)


def _split(text: str) -> list[str]:
    """Return the lines of ``text`` with their ends; the last has none and may be empty."""
    starts = [0, *(match.end() for match in LINE_END.finditer(text)), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(starts)]
