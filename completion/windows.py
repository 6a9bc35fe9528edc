"""Which part of a long document the prompt shows.

A window that slid with every line would change its first token, and with it every cached key. So its
edges stay where they are, moving only with edits in front of them, for as long as the text between
them fits and the cursor is not too near to one of them. A cursor that moves inside of the window
changes what is prefix and what is suffix, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from completion.types import DocumentSnapshot, TextEdit
from kvedit.retokenize import Retokenizer, TokenizedText
from models.tokenizer import Tokenizer

_MAX_CHARS_PER_TOKEN = 8  # more text than this per token is not even tokenised
_FEW_CHARS_PER_TOKEN = 3  # source code has at least that many nearly everywhere


@dataclass(frozen=True, slots=True)
class WindowBudget:
    """How many tokens prefix and suffix may have together, and how they share them.

    A newly placed window leaves ``slack`` of it unused, so that the text can grow before it moves.
    It stays while the cursor has at least the shares ``min_prefix`` and ``min_suffix`` on its sides.
    """

    num_tokens: int
    suffix_share: float
    slack: float
    min_prefix: float = 0.25
    min_suffix: float = 0.05

    @property
    def fresh_suffix(self) -> int:
        """Tokens of the suffix in a newly placed window."""
        return int(self.num_tokens * self.suffix_share * (1 - self.slack))

    def fresh_prefix(self, num_suffix: int) -> int:
        """Return the tokens of the prefix in a newly placed window with that much suffix."""
        return max(16, int(self.num_tokens * (1 - self.slack)) - num_suffix)

    def accepts(self, num_prefix: int, num_suffix: int, *, is_first: bool, is_last: bool) -> bool:
        """Whether a window may stay; ``is_first`` and ``is_last``: it reaches that end of the text."""
        return (
            num_prefix + num_suffix <= self.num_tokens
            and (is_first or num_prefix >= self.num_tokens * self.min_prefix)
            and (is_last or num_suffix >= self.num_tokens * self.min_suffix)
        )


@dataclass(frozen=True, slots=True)
class FittedText:
    """A cut of a text: ``text[start:end]`` and its tokens."""

    start: int
    end: int
    token_ids: list[int]


def spell(tokenizer: Tokenizer, token_ids: Sequence[int]) -> bytes:
    """Return the UTF-8 bytes of ``token_ids``, which may begin or end inside a character."""
    return b"".join(map(tokenizer.token_bytes, token_ids))


def fit_tail(
    tokenizer: Tokenizer,
    text: str,
    max_num_tokens: int,
    *,
    by_line: bool = True,
    encode: Callable[[str], list[int]] | None = None,
) -> FittedText:
    """Return the longest end of ``text`` within the budget, from a line's start if ``by_line``.

    A single line that is longer than the budget is cut inside. ``encode`` is a faster way to what
    ``tokenizer.encode`` returns.
    """
    encode = encode or tokenizer.encode
    start = max(0, len(text) - max_num_tokens * _MAX_CHARS_PER_TOKEN)
    start = _next_line(text, start) if by_line and start else start
    while True:
        token_ids = encode(text[start:])
        surplus = len(token_ids) - max_num_tokens
        if surplus <= 0:
            return FittedText(start, len(text), token_ids)
        dropped = len(spell(tokenizer, token_ids[:surplus]).decode(errors="ignore"))
        cut = start + max(dropped, 1)
        start = _next_line(text, cut) if by_line else cut


def fit_head(
    tokenizer: Tokenizer,
    text: str,
    max_num_tokens: int,
    *,
    encode: Callable[[str], list[int]] | None = None,
) -> FittedText:
    """Return the longest beginning of ``text`` within the budget that ends at a line's end.

    A single line that is longer than the budget is cut inside. ``encode`` is a faster way to what
    ``tokenizer.encode`` returns.
    """
    encode = encode or tokenizer.encode
    end = min(len(text), max_num_tokens * _MAX_CHARS_PER_TOKEN)
    while True:
        token_ids = encode(text[:end])
        if len(token_ids) <= max_num_tokens:
            return FittedText(0, end, token_ids)
        kept = len(spell(tokenizer, token_ids[:max_num_tokens]).decode(errors="ignore"))
        cut = min(kept, end - 1)
        # Behind a newline, or inside the only line.
        end = text.rfind("\n", 1, cut) + 1 or cut


def _next_line(text: str, offset: int) -> int:
    """Return the next start of a line at or behind ``offset``; ``offset`` itself if none follows."""
    if offset == 0 or text[offset - 1] == "\n":
        return offset
    newline = text.find("\n", offset)
    return offset if newline < 0 or newline + 1 == len(text) else newline + 1


@dataclass(frozen=True, slots=True)
class _TokenizedWindows:
    """The texts that both sides showed last: the next ones differ from them in a line or two."""

    retokenizer: Retokenizer
    prefix: TokenizedText
    suffix: TokenizedText

    def copy(self) -> _TokenizedWindows:
        return _TokenizedWindows(self.retokenizer, self.prefix.copy(), self.suffix.copy())


class StickyWindows:
    """The edges of one document's windows; follows its edits. Engine thread only."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._start: int | None = None
        self._end: int | None = None
        self._anchor: int | None = None
        self._shown: _TokenizedWindows | None = None

    def copy(self) -> StickyWindows:
        """Return windows that move on their own from here."""
        twin = StickyWindows()
        twin._version, twin._anchor = self._version, self._anchor
        twin._start, twin._end = self._start, self._end
        twin._shown = None if self._shown is None else self._shown.copy()
        return twin

    def follow(self, document: DocumentSnapshot) -> None:
        """Move the edges with the edits that led to ``document``; forget them if those are unknown."""
        if self._version != document.version:
            if self._version is None or self._version != document.base_version:
                self._start = self._end = self._anchor = None
            else:
                self._start = _moved(self._start, document.edits)
                self._end = _moved(self._end, document.edits)
                self._anchor = _moved(self._anchor, document.edits, follows=False)
        self._version = document.version

    def visible(self, text: str, cursor: int, budget: WindowBudget) -> tuple[int, int]:
        """Return, as offsets, what of ``text`` a prompt at ``cursor`` will show, as far as is known.

        The edges of the window if it stays; else about as much text as the budget holds.
        """
        kept = self._kept(text, cursor, cursor, budget)
        if kept is not None:
            return kept
        num_after = int(budget.num_tokens * budget.suffix_share)
        start = cursor - (budget.num_tokens - num_after) * _FEW_CHARS_PER_TOKEN
        return max(0, start), min(len(text), cursor + num_after * _FEW_CHARS_PER_TOKEN)

    def around(
        self, retokenizer: Retokenizer, text: str, above: int, below: int, budget: WindowBudget
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return the tokens of the prefix, which ends at ``above``, and of the suffix from ``below``.

        Args:
            retokenizer: The model's vocabulary.
            text: The document.
            above: Where the prefix ends.
            below: The cursor, where the suffix begins.
            budget: What the window may hold.
        """
        shown = self._tokenized(retokenizer)
        kept = self._kept(text, above, below, budget)
        if kept is not None:
            start, end = kept
            prefix, suffix = (
                shown.prefix.update(text[start:above]),
                shown.suffix.update(text[below:end]),
            )
            is_first, is_last = start == 0, end == len(text)
            if budget.accepts(len(prefix), len(suffix), is_first=is_first, is_last=is_last):
                return prefix, suffix
        return self._place(shown, text, above, below, budget)

    def _kept(
        self, text: str, above: int, below: int, budget: WindowBudget
    ) -> tuple[int, int] | None:
        """Return the edges if they can still be those of a window around the cursor."""
        start, end = self._start, self._end
        if start is None or end is None or not start <= above <= below <= end <= len(text):
            return None
        if start and text[start - 1] != "\n":
            return None
        return None if end - start > budget.num_tokens * _MAX_CHARS_PER_TOKEN else (start, end)

    def _place(
        self, shown: _TokenizedWindows, text: str, above: int, below: int, budget: WindowBudget
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Put the window around the cursor: all of the text if it fits, else with room to grow."""
        tokenizer, prefix, suffix = shown.retokenizer.tokenizer, text[:above], text[below:]
        most = int(budget.num_tokens * budget.suffix_share)
        after = fit_head(tokenizer, suffix, most, encode=shown.suffix.update)
        before = fit_tail(
            tokenizer, prefix, budget.num_tokens - len(after.token_ids), encode=shown.prefix.update
        )
        if before.start > 0:
            if after.end < len(suffix):
                after = fit_head(tokenizer, suffix, budget.fresh_suffix, encode=shown.suffix.update)
            num_prefix = budget.fresh_prefix(len(after.token_ids))
            before = fit_tail(tokenizer, prefix, num_prefix, encode=shown.prefix.update)
        elif after.end < len(suffix):
            num_suffix = int(budget.num_tokens * (1 - budget.slack)) - len(before.token_ids)
            num_suffix = max(num_suffix, budget.fresh_suffix)
            after = fit_head(tokenizer, suffix, num_suffix, encode=shown.suffix.update)
        self._start, self._end = before.start, below + after.end
        return before.token_ids, after.token_ids

    def anchor(self, text: str, cursor: int, max_num_lines: int) -> int:
        """Return the line start behind which text counts as typed lately; it stays for some lines."""
        line = max(text.rfind("\n", 0, cursor), text.rfind("\r", 0, cursor)) + 1
        anchor = self._anchor
        is_near = anchor is not None and anchor <= line
        if anchor is None or not is_near or text.count("\n", anchor, line) >= max_num_lines:
            self._anchor = anchor = line
        return anchor

    def _tokenized(self, retokenizer: Retokenizer) -> _TokenizedWindows:
        """Return what was shown last, in ids of the vocabulary."""
        if self._shown is None or self._shown.retokenizer is not retokenizer:
            self._shown = _TokenizedWindows(
                retokenizer, TokenizedText(retokenizer), TokenizedText(retokenizer)
            )
        return self._shown


def _moved(offset: int | None, edits: Sequence[TextEdit], *, follows: bool = True) -> int | None:
    """Return where ``edits`` leave ``offset``; ``follows``: behind what is inserted right there."""
    for edit in edits:
        if offset is None:
            return None
        is_before = edit.end <= offset if follows else edit.end <= offset and edit.start < offset
        if is_before:
            offset += len(edit.inserted) - (edit.end - edit.start)
        elif edit.start < offset:
            return None  # the edge itself was rewritten
    return offset
