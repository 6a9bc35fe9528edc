"""What the user copied: it is about to be pasted, or to be written about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from retrieval.duplicates import num_lines
from retrieval.snippet import Snippet, SnippetSource

MIN_NUM_CHARACTERS = 3
MAX_NUM_CHARACTERS = 2_000
KEPT_S = 600.0  # who copies something pastes it soon


class Clipboards:
    """What each client copied last, in memory and for a while. Any thread."""

    def __init__(self, kept_s: float = KEPT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept_s, self._clock = kept_s, clock
        self._lock = threading.Lock()
        self._copied: dict[str, tuple[float, str]] = {}

    def note(self, owner: str, text: str) -> None:
        """Take in that ``owner`` copied ``text``; what it copied before is in no clipboard any more."""
        with self._lock:
            self._copied.pop(owner, None)
            if len(text) <= MAX_NUM_CHARACTERS:
                self._copied[owner] = (self._clock(), text)

    def text(self, owner: str) -> str:
        """Return what ``owner`` copied last, empty if that is too long ago or too long."""
        self.drop_old()
        with self._lock:
            return self._copied.get(owner, (0.0, ""))[1]

    def forget(self, owner: str) -> None:
        """Drop what a client copied that is gone."""
        with self._lock:
            self._copied.pop(owner, None)

    def drop_old(self) -> None:
        """Drop what was copied too long ago."""
        earliest = self._clock() - self._kept_s
        with self._lock:
            kept = {owner: each for owner, each in self._copied.items() if each[0] > earliest}
            self._copied = kept


def clipboard_snippets(text: str, redact: Callable[[str], str]) -> list[Snippet]:
    """Return the clipboard as a snippet of no file, its path empty; none if it is no help.

    Fewer than 3 characters say nothing, and more than 2,000 would be most of a budget. Passwords are
    copied too, so ``redact`` takes secrets out before anything else sees the text.
    """
    if not MIN_NUM_CHARACTERS <= len(text.strip()) <= len(text) <= MAX_NUM_CHARACTERS:
        return []
    shown = redact(text.replace("\r\n", "\n"))
    if not shown.strip():
        return []
    return [Snippet("", 0, num_lines(shown), shown, 1.0, SnippetSource.CLIPBOARD, "was copied")]
