"""The parts of the stop decision that need no stream: runs of text, repeated suffix, repetition."""

from __future__ import annotations

import re

from completion.brackets import CLOSERS
from completion.cursor import CursorContext

SENTINEL = re.compile(r"<[|｜][^|｜<>\n]{1,40}[|｜]>|<fim_(?:prefix|suffix|middle|pad)>|<file_sep>")
MAX_SENTINEL_CHARS = 48
_RUN_ON = re.compile(
    r"(?:#+|//+|/\*+|--)\s*(?:Example (?:usage|of usage|use)|Usage example"
    r"|(?:Test|Testing) the (?:function|code))\b"
    r"|#{2,3} [A-Z]"
    r"|(?:\*\*)?(?:Explanation|Output|Note|Answer|Solution|Result)(?:\*\*)?:(?:\*\*)?"
    r"(?:\s*$|\s+[A-Z][a-z]+ [a-z]+)"
    r"|(?:Here(?:'s| is| are)|This (?:code|function|program|implementation|solution)"
    r"|In this (?:code|example|function)|The (?:above|given|provided|following)) "
)
_LEAVES_BLOCK = re.compile(r"(?:return|raise|throw|break|continue|goto)\b")
_MIN_NUM_TELLING_CHARS = 8
_MIN_NUM_LOOP_CHARS = 4
_MAX_NUM_BLOCK_LINES = 8


def is_run_on(line: str) -> bool:
    """Whether ``line`` is how an instruct model goes on talking once the code has ended."""
    return line.lstrip().startswith("```") or _RUN_ON.match(line) is not None


def is_closing(line: str) -> bool:
    """Whether ``line`` only closes brackets; bracket depth, not text, tells whose it is."""
    return not line.strip(CLOSERS + " \t;,")


def is_telling(line: str) -> bool:
    """Whether meeting ``line`` again can hardly be chance."""
    stripped = line.strip()
    return sum(char.isalnum() for char in stripped) >= _MIN_NUM_TELLING_CHARS


def is_loop_line(line: str) -> bool:
    """Whether three of ``line`` in a row are a loop, not a column of short values."""
    return sum(char.isalnum() for char in line) >= _MIN_NUM_LOOP_CHARS


class SuffixMatcher:
    """Watches finished lines for the moment when they begin to repeat the text after the cursor.

    One telling line is enough; otherwise it takes two lines in a row, of which one does more than
    close brackets. A line that leaves its block (``return 0``) stands in many branches alike, so
    it tells something only where nothing of the block follows it.
    """

    def __init__(self, cursor: CursorContext) -> None:
        self._in_line = "" if cursor.right_is_closed else cursor.right.rstrip()
        self._opens_lines = cursor.opens_lines
        self._targets = list(cursor.lines_behind[:2])
        self.one_line_settles = self._one_line_settles()
        self._candidate: int | None = None

    def match(self, line: str, start: int, *, is_last: bool) -> int | None:
        """Return the offset in the generated text where it begins to repeat the suffix.

        ``None`` until ``line`` has settled it. ``line`` is a whole line, with what stands left of
        the cursor if it is the first one; ``start`` is where it begins in the generated text.
        ``is_last`` says that the model ended with it.
        """
        line = line.rstrip()
        if self._candidate is not None and self._targets[1:] == [line]:
            both_close = is_closing(line) and is_closing(self._targets[0])
            if not both_close:
                return self._candidate
        self._candidate = None
        place = self._place(line)
        if place is None:
            return None
        if self.one_line_settles or (self._joins_in_line and (is_last or start <= 0)):
            return start + place
        self._candidate = start + place
        return None

    @property
    def _joins_in_line(self) -> bool:
        return bool(self._in_line) and not self._opens_lines

    def _one_line_settles(self) -> bool:
        if not self._targets or is_closing(self._targets[0]):
            return False
        first, *rest = self._targets
        if not self._joins_in_line and _LEAVES_BLOCK.match(first.lstrip()):
            return not rest or (not rest[0][0].isspace() and first[0].isspace())
        return is_telling(first) or (self._joins_in_line and not rest)

    def _place(self, line: str) -> int | None:
        """Return the column in ``line`` where the first target begins."""
        if not self._targets:
            return None
        target = self._targets[0]
        if self._joins_in_line:
            return len(line) - len(target) if line.endswith(target) else None
        return len(line) - len(self._in_line or line) if line == target else None


class RepetitionDetector:
    """Watches filled lines for loops: one line three times, or a block over and over."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ends: list[int] = []

    def add(self, line: str, end: int) -> int | None:
        """Return the offset behind the first round of a loop that ``line`` completes.

        ``end`` is the offset in the generated text where ``line`` ends.
        """
        self._lines.append(line.rstrip())
        self._ends.append(end)
        lines = self._lines
        if lines[-3:] == [lines[-1]] * 3 and is_loop_line(lines[-1]):
            return self._ends[-3]
        for size in range(2, min(_MAX_NUM_BLOCK_LINES, len(lines) // 2) + 1):
            num_rounds = 3 if size < 4 else 2
            if len(lines) < size * num_rounds:
                continue
            block = lines[-size:]
            if lines[-size * num_rounds :] == block * num_rounds and any(map(is_loop_line, block)):
                return self._ends[-size * (num_rounds - 1) - 1]
        return None
