"""Decides, while text streams from the model, where the suggestion ends.

A rule fires at a definite character: the first one of a line (its indentation is then known), the
last one of a stop string, or a line's end. So the outcome cannot depend on how the stream was cut
into pieces, and a piece costs work in proportion to its own length and that of its line.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum

from completion.brackets import CLOSERS, BracketState, depth, find_surplus_closer, scan_brackets
from completion.cursor import indent_columns
from completion.stop_rules import (
    MAX_SENTINEL_CHARS,
    SENTINEL,
    RepetitionDetector,
    SuffixMatcher,
    is_run_on,
)
from completion.strategy import Scope, Strategy
from completion.types import CompletionRequest
from retrieval.languages import BlockStyle

_PIECE = re.compile(r"[^\n]*\n|[^\n]+")
_CLAUSE = re.compile(r"\s*(?:else|elif|except|finally|case|catch)\b|\s*[)\]}]")
_UNFINISHED = re.compile(
    r".*(?:(?<!\+)\+|(?<!-)-|=>|[*%=&|^,.:\\(\[{]|\b(?:and|or|not|in|is))\s*\Z"
)
_MAX_NUM_LEADING_BLANKS = 2
_MAX_NUM_BLANKS = 2


class StopReason(StrEnum):
    """Which rule ended the text."""

    END_OF_LINE = "end_of_line"
    END_OF_BLOCK = "end_of_block"
    REPEATS_SUFFIX = "repeats_suffix"
    REPETITION = "repetition"
    STOP_STRING = "stop_string"
    RUN_ON = "run_on"
    BLANK_LINES = "blank_lines"
    MAX_LINES = "max_lines"


class StopMonitor:
    """Follows one stream of text; not thread-safe, one per candidate."""

    def __init__(self, request: CompletionRequest, strategy: Strategy) -> None:
        self._strategy = strategy
        self._cursor = strategy.cursor
        self._stops = tuple(stop for stop in request.stop if stop)
        self._reach = max([MAX_SENTINEL_CHARS, *(len(stop) for stop in self._stops)])
        # A file that itself speaks of sentinels may well go on doing so.
        self._watches_sentinels = SENTINEL.search(request.document.text) is None
        self._suffix = SuffixMatcher(self._cursor)
        self._repetition = RepetitionDetector()
        cursor = self._cursor
        self._has_code_above = bool(request.prefix.strip())
        self._state = cursor.brackets  # where the current line begins
        self._start_depth = depth(scan_brackets(cursor.left, cursor.language, cursor.brackets))
        self._num_allowed_closers = cursor.num_missing_closers + len(cursor.right_closers)
        self._base = strategy.base_indentation
        self._statement_indent = indent_columns(cursor.left)
        self._text = ""
        self._end: int | None = None
        self._reason: StopReason | None = None
        self._line_start = 0
        self._line_is_judged = bool(cursor.left.strip())
        self._first_line_end: int | None = None
        self._num_lines = 0
        self._num_blanks = 0
        self._saw_header = False
        self._filled_end = 0  # behind the last filled line

    @property
    def reason(self) -> StopReason | None:
        """The rule that ended the text, or ``None`` while it may go on."""
        return self._reason

    @property
    def text(self) -> str:
        """What is kept so far, cut where a rule has ended it."""
        return self._text if self._end is None else self._text[: self._end]

    @property
    def complete_lines(self) -> str:
        """The finished lines, for a deadline or a spent budget; ``""`` if none is finished.

        Where code right of the cursor has to be met again, nothing behind the first line is
        finished before it has been.
        """
        if self._end is not None:
            return self.text
        if self._strategy.must_join:
            return self._text[: self._first_line_end or 0]
        return self._text[: self._filled_end]

    def push(self, delta: str) -> StopReason | None:
        """Take the next piece of the stream; return the rule that has ended the text, if any.

        Text behind the end is ignored, and so is everything pushed afterwards.
        """
        for match in _PIECE.finditer(delta):
            if self._reason is not None:
                break
            self._take(match.group())
        return self._reason

    def finish(self) -> StopReason | None:
        """Judge the last line when the model has ended by itself; return the rule that cut it."""
        if self._reason is None and self._text[self._line_start :].strip():
            self._finish_line(self._text[self._line_start :], len(self._text), at_end=True)
        return self._reason

    def _take(self, piece: str) -> None:
        searched_from = max(0, len(self._text) - self._reach)
        self._text += piece
        stop = self._find_stop(searched_from)
        first_char = self._first_char()
        if first_char is not None and (stop is None or first_char < stop[1]):
            self._line_is_judged = True
            self._judge_line_start(first_char)
        if self._reason is None and stop is not None:
            self._stop(stop[2], stop[0], strip=False)
        if self._reason is None and piece.endswith("\n"):
            line = self._text[self._line_start : -1]
            self._finish_line(line, len(self._text) - 1)
            self._line_start = len(self._text)
            self._line_is_judged = False

    def _find_stop(self, searched_from: int) -> tuple[int, int, StopReason] | None:
        """Return (start, end, reason) of the stop string that was completed first."""
        found = []
        for stop in self._stops:
            start = self._text.find(stop, searched_from)
            if start >= 0:
                found.append((start, start + len(stop), StopReason.STOP_STRING))
        if self._watches_sentinels and (match := SENTINEL.search(self._text, searched_from)):
            found.append((match.start(), match.end(), StopReason.RUN_ON))
        return min(found, key=lambda stop: (stop[1], stop[0]), default=None)

    def _first_char(self) -> int | None:
        """Return the offset of the current line's first character, if it has not been judged."""
        if self._line_is_judged:
            return None
        line = self._text[self._line_start :]
        stripped = line.lstrip()
        return len(self._text) - len(stripped) if stripped else None

    def _judge_line_start(self, offset: int) -> None:
        """Apply the rules that need no more of a line than its indentation and first character."""
        if self._state.inside:
            return
        blanks = self._text[self._line_start : offset]
        if self._line_start == 0:
            blanks = self._cursor.left + blanks
        columns = indent_columns(blanks + "x")
        if self._text[offset] in CLOSERS and depth(self._state) <= self._floor:
            self._stop(StopReason.END_OF_BLOCK, self._line_start)
            return
        if self._filled_end == 0:
            self._statement_indent = columns
        if self._base is None and self._strategy.scope is Scope.PARAGRAPH:
            self._base = columns
        if self._filled_end == 0 and not self._cursor.left.strip():
            return  # a first line that is indented oddly is put right later, not thrown away
        if self._ends_by_indentation(columns) or self._ends_paragraph(columns):
            self._stop(StopReason.END_OF_BLOCK, self._filled_end)

    def _ends_by_indentation(self, columns: int) -> bool:
        if self._strategy.scope is Scope.LINE or self._base is None or self._in_brackets:
            return False
        language = self._cursor.language
        if language is not None and language.block_style is BlockStyle.BRACES:
            return False
        if self._strategy.scope is Scope.STATEMENT and self._num_lines:
            return columns < self._statement_indent
        return columns < self._base

    def _ends_paragraph(self, columns: int) -> bool:
        if self._strategy.scope is not Scope.PARAGRAPH or not self._num_blanks:
            return False
        return columns <= (self._base or 0) and depth(self._state) <= self._start_depth

    @property
    def _in_brackets(self) -> bool:
        return bool(self._state.open) or bool(self._state.inside)

    @property
    def _floor(self) -> float:
        """The bracket depth below which the text would close what the suffix closes already."""
        if self._strategy.must_join:
            return -math.inf  # the brackets between here and the meeting point are not known
        return self._start_depth - self._num_allowed_closers

    def _finish_line(self, line: str, end: int, *, at_end: bool = False) -> None:
        """Apply the rules that need a whole line; ``line`` ends at ``end`` of the text."""
        if self._first_line_end is None and (line.strip() or self._strategy.must_join):
            self._first_line_end = end
        if not line.strip():
            self._finish_blank_line(line)
            return
        whole = self._cursor.left + line if self._line_start == 0 else line
        before = self._state
        self._state = scan_brackets(whole + "\n", self._cursor.language, before)
        if not before.inside and self._stops_before(whole, end, before, at_end=at_end):
            return
        self._num_blanks = 0
        self._num_lines += 1
        loop_end = self._repetition.add(whole, end)
        if loop_end is not None:
            self._stop(StopReason.REPETITION, loop_end)
            return
        self._filled_end = end
        if not at_end:
            self._stop_behind(whole)

    def _finish_blank_line(self, line: str) -> None:
        if self._line_start == 0 and self._cursor.left.strip():
            whole = self._cursor.left + line + "\n"
            self._state = scan_brackets(whole, self._cursor.language, self._state)
        else:
            self._num_blanks += 1
        if self._strategy.scope is Scope.LINE and not self._may_go_on_below:
            self._stop(StopReason.END_OF_LINE, self._filled_end)
            return
        limit = _MAX_NUM_BLANKS if self._filled_end else _MAX_NUM_LEADING_BLANKS + 1
        if self._num_blanks >= limit and not self._state.inside:
            self._stop(StopReason.BLANK_LINES, self._filled_end)

    @property
    def _may_go_on_below(self) -> bool:
        """Whether a one-line suggestion may begin by ending the cursor's line."""
        if self._cursor.left.strip() and self._num_blanks:
            return False
        return not self._cursor.right.strip() or self._cursor.opens_lines

    def _stops_before(self, whole: str, end: int, before: BracketState, *, at_end: bool) -> bool:
        """Whether a rule ends the text before or within the line that has just been read."""
        start = end - len(whole)  # negative by what is typed on the first line
        if is_run_on(whole) and (self._filled_end or self._has_code_above):
            self._stop(StopReason.RUN_ON, self._filled_end)
            return True
        repeated = self._suffix.match(whole, start, is_last=at_end)
        if repeated is not None:
            self._stop(StopReason.REPEATS_SUFFIX, max(0, repeated), strip=False, joined=True)
            return True
        if self._begins_next_statement(whole, before):
            self._stop(StopReason.END_OF_BLOCK, self._filled_end)
            return True
        return self._closes_too_much(whole, start, before)

    def _begins_next_statement(self, whole: str, before: BracketState) -> bool:
        if self._strategy.scope is not Scope.STATEMENT or self._num_lines == 0:
            return False
        if depth(before) > depth(self._cursor.brackets) or _CLAUSE.match(whole):
            return False
        return indent_columns(whole) <= self._statement_indent

    def _closes_too_much(self, whole: str, start: int, before: BracketState) -> bool:
        # A line of its own is the only unit in which surplus closers end a block; on the
        # cursor's line they may stand for those the editor has closed already.
        if self._strategy.scope is Scope.LINE or self._line_start == 0:
            return False
        surplus = find_surplus_closer(whole, self._cursor.language, before, self._floor)
        if surplus is None:
            return False
        self._stop(StopReason.END_OF_BLOCK, start + surplus)
        return True

    def _stop_behind(self, whole: str) -> None:
        """Apply the rules that end the text behind the line that has just been read."""
        if self._strategy.scope is Scope.LINE:
            self._stop(StopReason.END_OF_LINE, self._filled_end)
        elif self._unit_is_closed(whole):
            self._stop(StopReason.END_OF_BLOCK, self._filled_end)
        elif self._num_lines >= self._strategy.max_num_lines:
            self._stop(StopReason.MAX_LINES, self._filled_end)

    def _unit_is_closed(self, whole: str) -> bool:
        level = depth(self._state)
        scope = self._strategy.scope
        if scope is Scope.STATEMENT:
            is_back = level <= depth(self._cursor.brackets) and not self._state.inside
            self._saw_header |= is_back and whole.rstrip().endswith(":")
            return is_back and not self._saw_header and not _UNFINISHED.match(whole)
        if self._is_indented:
            return False
        if scope is Scope.BLOCK:
            return level < self._start_depth
        return self._num_allowed_closers > 0 and level <= self._floor

    @property
    def _is_indented(self) -> bool:
        language = self._cursor.language
        return language is not None and language.block_style is BlockStyle.INDENTATION

    def _stop(
        self, reason: StopReason, end: int, *, strip: bool = True, joined: bool = False
    ) -> None:
        self._reason = reason
        if self._strategy.must_join and not joined:
            end = min(end, self._first_line_end or end)
        kept = self._text[:end]
        self._end = len(kept.rstrip()) if strip else end
