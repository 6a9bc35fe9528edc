"""Which part of a long document the prompt shows.

A window that slid with every line would change its first token, and with it every cached key. So an
edge stays where it is, moving only with edits in front of it, until the text between edge and
cursor is more than the budget or much less than it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from completion.types import CompletionRequest, DocumentSnapshot, TextEdit
from models.tokenizer import Tokenizer

_MAX_CHARS_PER_TOKEN = 8  # more text than this per token is not even tokenised


@dataclass(frozen=True, slots=True)
class TokenWindow:
    """A budget in tokens, and the part of it that may stay unused before the window moves."""

    budget: int
    slack: float

    @property
    def fresh_budget(self) -> int:
        """What a newly placed window fills, so that the text can grow before it moves."""
        return int(self.budget * (1 - self.slack))

    def accepts(self, num_tokens: int, *, reaches_end: bool) -> bool:
        """Whether a window of ``num_tokens`` may stay; one that shows all cannot be too small."""
        too_small = num_tokens < self.budget * (1 - 2 * self.slack) and not reaches_end
        return num_tokens <= self.budget and not too_small


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
    tokenizer: Tokenizer, text: str, max_num_tokens: int, *, by_line: bool = True
) -> FittedText:
    """Return the longest end of ``text`` within the budget, from a line's start if ``by_line``.

    A single line that is longer than the budget is cut inside.
    """
    start = max(0, len(text) - max_num_tokens * _MAX_CHARS_PER_TOKEN)
    start = _next_line(text, start) if by_line and start else start
    while True:
        token_ids = tokenizer.encode(text[start:])
        surplus = len(token_ids) - max_num_tokens
        if surplus <= 0:
            return FittedText(start, len(text), token_ids)
        dropped = len(spell(tokenizer, token_ids[:surplus]).decode(errors="ignore"))
        cut = start + max(dropped, 1)
        start = _next_line(text, cut) if by_line else cut


def fit_head(tokenizer: Tokenizer, text: str, max_num_tokens: int) -> FittedText:
    """Return the longest beginning of ``text`` within the budget that ends at a line's end.

    A single line that is longer than the budget is cut inside.
    """
    end = min(len(text), max_num_tokens * _MAX_CHARS_PER_TOKEN)
    while True:
        token_ids = tokenizer.encode(text[:end])
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


class StickyWindows:
    """The edges of one document's windows; follows its edits. Engine thread only."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._start: int | None = None
        self._end: int | None = None

    def copy(self) -> StickyWindows:
        """Return windows that move on their own from here."""
        twin = StickyWindows()
        twin._version, twin._start, twin._end = self._version, self._start, self._end
        return twin

    def follow(self, document: DocumentSnapshot) -> None:
        """Move the edges with the edits that led to ``document``; forget them if those are unknown."""
        if self._version != document.version:
            if self._version is None or self._version != document.base_version:
                self._start = self._end = None
            else:
                self._start = _moved(self._start, document.edits)
                self._end = _moved(self._end, document.edits)
        self._version = document.version

    def prefix(self, tokenizer: Tokenizer, above: str, window: TokenWindow) -> Sequence[int]:
        """Return the tokens of the lines above the cursor's, from the window's start."""
        start = self._start
        if start is not None and start <= len(above) and (not start or above[start - 1] == "\n"):
            is_near = len(above) - start <= window.budget * _MAX_CHARS_PER_TOKEN
            token_ids = tokenizer.encode(above[start:]) if is_near else []
            if is_near and window.accepts(len(token_ids), reaches_end=start == 0):
                return token_ids
        whole = fit_tail(tokenizer, above, window.budget)
        fitted = whole if whole.start == 0 else fit_tail(tokenizer, above, window.fresh_budget)
        self._start = fitted.start
        return fitted.token_ids

    def suffix(
        self, tokenizer: Tokenizer, request: CompletionRequest, window: TokenWindow
    ) -> Sequence[int]:
        """Return the tokens of the text behind the cursor, up to the window's end."""
        text, offset = request.document.text, request.offset
        end = self._end
        if end is not None and offset <= end <= len(text):
            is_near = end - offset <= window.budget * _MAX_CHARS_PER_TOKEN
            token_ids = tokenizer.encode(text[offset:end]) if is_near else []
            if is_near and window.accepts(len(token_ids), reaches_end=end == len(text)):
                return token_ids
        whole = fit_head(tokenizer, request.suffix, window.budget)
        fits = whole.end == len(request.suffix)
        fitted = whole if fits else fit_head(tokenizer, request.suffix, window.fresh_budget)
        self._end = offset + fitted.end
        return fitted.token_ids


def _moved(offset: int | None, edits: Sequence[TextEdit]) -> int | None:
    for edit in edits:
        if offset is None:
            return None
        if edit.end <= offset:
            offset += len(edit.inserted) - (edit.end - edit.start)
        elif edit.start < offset:
            return None  # the edge itself was rewritten
    return offset
