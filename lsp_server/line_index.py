r"""Where lines start in one text, and LSP positions to offsets and back.

An index belongs to one text and is immutable. ``after_edit`` derives the index of the next version
by touching only the edited stretch; the rest is one vectorised copy, so that a keystroke in a file
of 50,000 lines costs microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from completion.types import TextEdit
from lsp_server.text_units import LINE_END, PositionEncoding, num_characters, num_code_units


@dataclass(frozen=True, slots=True, order=True)
class LspPosition:
    """A zero-based line and a column in units of the negotiated encoding; stays in lsp_server."""

    line: int
    character: int


@dataclass(frozen=True, slots=True, eq=False)
class LineIndex:
    """The line starts of one text.

    ``starts`` holds the offset of each line's first character, [num_lines], ascending, first entry 0.
    It is never written to after construction.
    """

    starts: NDArray[np.int64]

    @classmethod
    def of(cls, text: str) -> LineIndex:
        """Return the index of ``text``, scanning all of it."""
        starts = [0, *(match.end() for match in LINE_END.finditer(text))]
        return cls(np.array(starts, dtype=np.int64))

    @property
    def num_lines(self) -> int:
        """How many lines the text has; an empty text and one behind a final line end count."""
        return len(self.starts)

    def after_edit(self, edit: TextEdit, new_text: str) -> LineIndex:
        """Return the index of ``new_text``, which is this index's text after ``edit``.

        Whether a line starts at p depends on the characters at p - 1 and p alone, so with an edit
        of [start, end) into n characters:

            [0, start)            kept
            [start, start + n]    looked at again: the border characters have new neighbours
            (end, ...)            kept, moved by the change of length
        """
        shift = len(edit.inserted) - (edit.end - edit.start)
        kept_head = np.searchsorted(self.starts, edit.start, side="left")
        kept_tail = np.searchsorted(self.starts, edit.end, side="right")
        fresh = _starts_between(new_text, edit.start, edit.start + len(edit.inserted))
        tail = self.starts[kept_tail:]
        return LineIndex(np.concatenate((self.starts[:kept_head], fresh, tail + shift)))

    def line_of(self, offset: int) -> int:
        """Return the zero-based line that holds ``offset``."""
        return int(np.searchsorted(self.starts, offset, side="right")) - 1

    def line_start(self, line: int) -> int:
        """Return the offset of the first character of ``line``."""
        return int(self.starts[line])

    def line_end(self, text: str, line: int) -> int:
        """Return the offset behind the last character of ``line``, before its line end."""
        if line + 1 >= self.num_lines:
            return len(text)
        end = int(self.starts[line + 1]) - 1
        ends_in_crlf = text[end] == "\n" and end > self.starts[line] and text[end - 1] == "\r"
        return end - 1 if ends_in_crlf else end

    def offset_of(self, text: str, position: LspPosition, encoding: PositionEncoding) -> int:
        """Return the offset of ``position``.

        Past the end of its line a position means that end (LSP's rule), past the last line the end
        of the text. Inside a surrogate pair or a UTF-8 sequence it means the character's start.
        """
        if position.line < 0:
            return 0
        if position.line >= self.num_lines:
            return len(text)
        start, end = self.line_start(position.line), self.line_end(text, position.line)
        character = max(position.character, 0)
        return start + num_characters(text[start:end], character, encoding)

    def position_of(self, text: str, offset: int, encoding: PositionEncoding) -> LspPosition:
        r"""Return the position of ``offset``; between ``\r`` and ``\n`` it is the line's end."""
        line = self.line_of(offset)
        start = self.line_start(line)
        head = text[start : min(offset, self.line_end(text, line))]
        return LspPosition(line, num_code_units(head, encoding))


def _starts_between(text: str, first: int, last: int) -> NDArray[np.int64]:
    """Return the line starts p of ``text`` with ``first <= p <= last``."""
    starts = [0] if first == 0 else []
    for match in LINE_END.finditer(text, max(first - 1, 0), min(last + 1, len(text))):
        start = match.end()
        # The search stops one character behind `last`, so a "\r" there may hide its "\n".
        splits_crlf = text[start - 1] == "\r" and text[start : start + 1] == "\n"
        if first <= start <= last and not splits_crlf:
            starts.append(start)
    return np.array(starts, dtype=np.int64)
