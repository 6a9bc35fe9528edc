"""What retrieval hands to the prompt: lines of the repository, and why they were chosen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SnippetSource(StrEnum):
    """Where a snippet was found."""

    SIMILAR = "similar"  # shares rare words with what stands around the cursor
    MEANING = "meaning"  # is near to it in the space of an embedder
    DEFINITION = "definition"  # defines a name that is used there
    RECENT_EDIT = "recent edit"
    OPEN_FILE = "open file"
    SAME_FILE = "same file"  # of the same file, outside of what the prompt shows
    CLIPBOARD = "clipboard"
    CHANGED_FILE = "changed file"  # differs from the last commit


@dataclass(frozen=True, slots=True)
class Snippet:
    """``text`` are the lines ``[start_line, end_line)``, 0-based, of ``path``.

    ``path`` is relative to the workspace's folder, with forward slashes. ``score`` compares
    snippets of one source, higher is better. ``reason`` is for people, in a few words.
    """

    path: str
    start_line: int
    end_line: int
    text: str
    score: float
    source: SnippetSource
    reason: str = ""
