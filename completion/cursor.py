"""What stands around the cursor: read from a request once, used by every rule on text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from completion.brackets import CLOSERS, BracketState, scan_brackets
from completion.types import CompletionRequest
from retrieval.languages import Language, language_for

_WINDOW_CHARS = 20_000  # brackets further away than this hardly decide anything at the cursor
_MAX_NUM_NEIGHBOURS = 8
_AUTO_CLOSED = re.compile(r"[\s)\]}\"'`;,]*\Z")


@dataclass(frozen=True, slots=True)
class CursorContext:
    r"""The surroundings of one cursor; offsets and lengths in code points.

    ``left`` and ``right`` are the halves of the cursor's line, without its ending. ``above`` and
    ``below`` are the nearest filled lines, in document order, line endings and trailing blanks
    removed. ``brackets`` is the state where the line begins. ``num_missing_closers`` counts the
    brackets opened before the cursor that nothing behind it closes. ``indent_unit`` is one step of
    indentation as this document writes it, and ``line_ending`` is its ``"\n"`` or ``"\r\n"``.
    """

    language: Language | None
    left: str
    right: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    brackets: BracketState
    num_missing_closers: int
    indent_unit: str
    line_ending: str

    @property
    def right_is_closed(self) -> bool:
        """Whether only blanks, closers, quotes and separators stand right of the cursor."""
        return is_only_closing(self.right)

    @property
    def right_closers(self) -> str:
        """The closing brackets that stand right of the cursor before any code does."""
        head = self.right[: len(self.right) - len(self.right.lstrip(CLOSERS + " \t"))]
        return "".join(char for char in head if char in CLOSERS)

    @property
    def opens_lines(self) -> bool:
        """Whether the cursor stands before the code of its line: what is inserted is whole lines.

        Code at column zero among indented lines is taken for the rest of a statement instead.
        """
        if self.left.strip() or not self.right.strip() or self.right_is_closed:
            return False
        if self.left:
            return not self.right[0].isspace() and self._is_indented_like_neighbours()
        return self.right[0].isspace() or not (self.above and self.above[-1][0].isspace())

    def _is_indented_like_neighbours(self) -> bool:
        columns = indent_columns(self.left + "x")
        known = {indent_columns(line) for line in (*self.above[-1:], *self.below[:1])}
        step = indent_columns(self.indent_unit + "x")
        return columns in known or (columns - step) in known

    @property
    def lines_behind(self) -> tuple[str, ...]:
        """The filled lines behind the cursor; the first is the rest of its line if that is code.

        Where whole lines are inserted, that first line is given with its indentation.
        """
        if self.right_is_closed:
            return self.below
        first = self.left + self.right if self.opens_lines else self.right
        return (first.rstrip(), *self.below)


def indent_columns(line: str) -> int:
    """Return the width of a line's indentation in columns, with tab stops every four.

    Only comparisons within one document are made with it, so the width of a tab is free.
    """
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def leading_blanks(line: str) -> str:
    """Return the indentation of ``line`` as it is written."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def right_of_cursor(request: CompletionRequest) -> str:
    """Return what stands behind the cursor on its line, without the line's ending."""
    text, offset = request.document.text, request.offset
    end = text.find("\n", offset)
    return text[offset : end if end >= 0 else len(text)].rstrip("\r")


def is_only_closing(right: str) -> bool:
    """Whether ``right`` holds only what editors add themselves and what separates: no code."""
    return _AUTO_CLOSED.match(right) is not None


def read_cursor(request: CompletionRequest) -> CursorContext:
    """Return the surroundings of the request's cursor."""
    document = request.document
    language = language_for(document.language_id, document.path)
    prefix = _whole_lines_of_tail(request.prefix)
    suffix = request.suffix[:_WINDOW_CHARS]
    head, newline, left = prefix.rpartition("\n")
    right, _, rest = suffix.partition("\n")
    start_of_line = scan_brackets(head + newline, language)
    at_cursor = scan_brackets(left, language, start_of_line)
    behind = scan_brackets(suffix, language, BracketState(inside=at_cursor.inside))
    return CursorContext(
        language=language,
        left=left,
        right=right.rstrip("\r"),
        above=_filled_lines(head[-4000:])[-_MAX_NUM_NEIGHBOURS:],
        below=_filled_lines(rest[:4000])[:_MAX_NUM_NEIGHBOURS],
        brackets=start_of_line,
        num_missing_closers=max(0, len(at_cursor.open) - len(behind.unmatched)),
        indent_unit=_indent_unit(head + newline + suffix, language),
        line_ending="\r\n" if _is_crlf(document.text) else "\n",
    )


def _whole_lines_of_tail(prefix: str) -> str:
    """Return the last lines that fit the window; of a line longer than that, its end."""
    if len(prefix) <= _WINDOW_CHARS:
        return prefix
    start = len(prefix) - _WINDOW_CHARS
    return prefix[max(start, prefix.find("\n", start) + 1) :]


def _filled_lines(text: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in text.split("\n") if line.strip())


def _is_crlf(text: str) -> bool:
    sample = text[:_WINDOW_CHARS]
    return sample.count("\r\n") * 2 > sample.count("\n")


def _indent_unit(text: str, language: Language | None) -> str:
    """Return a tab or the smallest step of spaces by which this document indents."""
    widths: dict[int, int] = {}
    num_tabs = num_spaces = previous = 0
    for line in text.split("\n")[:2000]:
        if not line.strip():
            continue
        num_tabs += line.startswith("\t")
        width = len(line) - len(line.lstrip(" "))
        num_spaces += width > 1
        if 1 < width - previous <= 8:
            widths[width - previous] = widths.get(width - previous, 0) + 1
        previous = width
    if num_tabs > num_spaces or (not num_spaces and language is not None and language.name == "Go"):
        return "\t"
    return " " * max(widths, key=lambda width: (widths[width], -width), default=4)
