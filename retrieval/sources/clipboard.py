"""What the user copied: it is about to be pasted, or to be written about."""

from __future__ import annotations

from collections.abc import Callable

from retrieval.duplicates import num_lines
from retrieval.snippet import Snippet, SnippetSource

MIN_NUM_CHARACTERS = 3
MAX_NUM_CHARACTERS = 2_000


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
