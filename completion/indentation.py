"""Which indentation a new line may have, where indentation is syntax.

A small model that has to begin a line by itself often gets its depth wrong: it ends a loop whose
body stands below, or leaves the block empty that the line above opened. What can stand there follows
from the lines around the cursor, so the other depths are ruled out before the first token is chosen.

    levels of the lines above   0 | 4 | 8     the line above opens a block: one level more
    the filled line below       8             4 could only be a header such as ``elif``: allowed
                                              0 would leave the line below without its block: not
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from completion.brackets import BracketState, scan_brackets
from completion.cursor import CursorContext, indent_columns, leading_blanks
from completion.forced_text import TokenIndex
from retrieval.languages import BlockStyle, Language

_WINDOW_CHARS = 20_000
_UNIT_KEYWORDS = ("def ", "async def ", "class ")


def allowed_indentations(cursor: CursorContext, prefix: str) -> frozenset[str]:
    """Return what the first line may begin with, as written; empty if anything may stand there.

    Args:
        cursor: The surroundings; its line has to be blank left of the cursor.
        prefix: The text before the cursor.
    """
    language = cursor.language
    if language is None or language.block_style is not BlockStyle.INDENTATION:
        return frozenset()
    if cursor.left.strip() or cursor.brackets.inside or cursor.brackets.open:
        return frozenset()
    if cursor.right.strip() and not cursor.opens_lines:
        return frozenset()
    lines = list(_logical_lines(prefix[: len(prefix) - len(cursor.left)], language))
    if not lines or cursor.left.strip(cursor.indent_unit[:1]):
        return frozenset()
    below = _columns_below(cursor, language)
    columns = _allowed_columns(lines, below, _columns(cursor.indent_unit), language)
    typed = _columns(cursor.left)
    return frozenset(_spelled(column, cursor.indent_unit) for column in columns if column >= typed)


def _allowed_columns(
    lines: list[str], below: int | None, unit: int, language: Language
) -> set[int]:
    """Return the columns, from the logical ``lines`` above and the column of the line below."""
    last = indent_columns(lines[-1])
    if _opens(lines[-1], language):
        return {last + unit, *([below] if below is not None and below > last else [])}
    levels: list[int] = []
    for line in lines:
        column = indent_columns(line)
        while levels and levels[-1] >= column:
            levels.pop()
        levels.append(column)
    if below is None:
        return set(levels)
    # What stands below is still inside the units that begin left of it, and so is the new line.
    units = [indent_columns(line) for line in lines if line.lstrip().startswith(_UNIT_KEYWORDS)]
    inside = max((column for column in units if column in levels and column < below), default=-1)
    return {level for level in levels if level >= below - unit and level > inside}


def _opens(line: str, language: Language) -> bool:
    """Whether ``line`` ends by opening a block, a comment behind it aside."""
    code = line.partition(f" {language.line_comment}")[0].rstrip()
    return code.endswith(language.block_openers)


def _logical_lines(text: str, language: Language) -> Iterator[str]:
    """Yield the filled lines that do not begin inside brackets, strings or comments.

    Only the last ``_WINDOW_CHARS`` are read: blocks that opened before have their first line there
    or do not matter here.
    """
    start = max(0, len(text) - _WINDOW_CHARS)
    start = text.find("\n", start) + 1 if start else 0
    state, is_continued = BracketState(), False
    for line in text[start:].splitlines():
        is_comment = line.lstrip().startswith(language.line_comment)
        is_inner = bool(state.open or state.inside or is_continued)
        if line.strip() and not is_inner and not is_comment:
            yield line
        state = scan_brackets(line + "\n", language, state)
        is_continued = line.endswith("\\") and not is_comment


def _columns_below(cursor: CursorContext, language: Language) -> int | None:
    for line in cursor.lines_behind:
        if not line.lstrip().startswith(language.line_comment):
            return indent_columns(line)
    return None


def _columns(blanks: str) -> int:
    return indent_columns(blanks + "x")


def _spelled(columns: int, unit: str) -> str:
    return "\t" * (columns // 4) if unit == "\t" else " " * columns


class IndentationIndex:
    """The tokens of a vocabulary by the blanks they begin with; built once per tokenizer."""

    def __init__(self, index: TokenIndex) -> None:
        groups: dict[tuple[bytes, bool], list[int]] = {}
        for text, token_id in index.entries():
            rest = text.lstrip(b" \t")
            if rest[:1] not in (b"\n", b"\r"):
                groups.setdefault((text[: len(text) - len(rest)], bool(rest)), []).append(token_id)
        self._groups = {key: np.array(ids, dtype=np.int64) for key, ids in groups.items()}

    def allowed(self, written: bytes, wanted: frozenset[bytes]) -> npt.NDArray[np.int64]:
        """Return the tokens that lead from the blanks ``written`` to one of ``wanted``.

        A token of blanks alone has to leave at most the one blank that tokenizers write in front of
        a word.
        """
        found = []
        for (blanks, has_rest), token_ids in self._groups.items():
            reached = written + blanks
            left = [len(text) - len(reached) for text in wanted if text.startswith(reached)]
            if 0 in left or (not has_rest and 1 in left):
                found.append(token_ids)
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


class IndentationGuard:
    """Follows the beginning of one continuation until its first line has begun."""

    def __init__(self, written: str, wanted: frozenset[str], index: IndentationIndex) -> None:
        """Guard a line of which the prompt shows the blanks ``written`` already."""
        self._written = written.encode()
        self._wanted = frozenset(text.encode() for text in wanted)
        self._index = index
        self.is_done = not wanted

    def allowed(self) -> npt.NDArray[np.int64]:
        """Return the token ids that may come next; empty if none leads anywhere."""
        return self._index.allowed(self._written, self._wanted)

    def advance(self, token_text: bytes) -> None:
        """Note that a token was chosen."""
        rest = token_text.lstrip(b" \t")
        self._written += token_text[: len(token_text) - len(rest)]
        self.is_done = self.is_done or bool(rest)


def leading_part(left: str, healed_text: str) -> str:
    """Return the part of the cursor's blanks that the prompt shows, before the healed text."""
    return leading_blanks(left)[: len(left) - len(healed_text)]
