"""When two snippets would show the same, and what the prompt shows without any."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from retrieval.snippet import Snippet, SnippetSource

_SAME_SHARE = 0.9  # of the lines: what differs by less is a copy
_NO_LINES = frozenset({SnippetSource.DEFINITION, SnippetSource.CLIPBOARD})


@dataclass(frozen=True, slots=True)
class Window:
    """Lines ``[start_line, end_line)`` of ``path``: the stretch of the document in the prompt.

    ``lines`` are the same, as ``normalised_lines`` gives them.
    """

    path: str
    start_line: int
    end_line: int
    lines: frozenset[str]

    @classmethod
    def of(cls, path: str, start_line: int, text: str) -> Window:
        """Return the window that shows ``text``, which begins at ``start_line``."""
        return cls(path, start_line, start_line + num_lines(text), normalised_lines(text))

    def shows(self, snippet: Snippet, lines: AbstractSet[str]) -> bool:
        """Whether the prompt has any line of the snippet, or nearly all from wherever.

        ``lines`` are the snippet's, normalised.
        """
        is_here = snippet.path == self.path and is_verbatim(snippet)
        if is_here and snippet.start_line < self.end_line and self.start_line < snippet.end_line:
            return True
        return adds_nothing(lines, self.lines)


def num_lines(text: str) -> int:
    """Return how many lines ``text`` has; a last one needs no line end."""
    return text.count("\n") + (not text.endswith("\n") and bool(text))


def lines_of(text: str) -> list[str]:
    """Return the lines with their line ends; only a line feed ends one."""
    lines = text.split("\n")
    last = lines.pop()
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]


def normalised_lines(text: str) -> frozenset[str]:
    """Return the lines that are not blank, with whitespace reduced to what separates words."""
    return frozenset(" ".join(words) for line in text.split("\n") if (words := line.split()))


def is_verbatim(snippet: Snippet) -> bool:
    """Whether the text is all that stands in those lines, not an outline of it or a part."""
    is_whole = num_lines(snippet.text) == snippet.end_line - snippet.start_line
    return is_whole and snippet.source not in _NO_LINES


def adds_nothing(lines: AbstractSet[str], shown: AbstractSet[str]) -> bool:
    """Whether 0.9 of the normalised ``lines``, or all of none, are among those that are shown."""
    return len(lines & shown) >= _SAME_SHARE * len(lines)


def num_shared_lines(snippet: Snippet, other: Snippet) -> int:
    """Return how many lines of a file both show; 0 if they touch, negative with a gap between.

    Texts that are not verbatim show no lines of a file, so they have a gap to everything.
    """
    if snippet.path != other.path or not (is_verbatim(snippet) and is_verbatim(other)):
        return -1
    first_end = min(snippet.end_line, other.end_line)
    return first_end - max(snippet.start_line, other.start_line)


def union(snippet: Snippet, other: Snippet) -> Snippet | None:
    """Return ``snippet`` with the lines of both, which overlap or touch.

    None if they disagree about a line that both have: then one of them is out of date.
    """
    first, second = sorted((snippet, other), key=lambda each: each.start_line)
    lines, more = lines_of(first.text), lines_of(second.text)
    at = second.start_line - first.start_line
    shared = lines[at : at + len(more)]
    if shared != more[: len(shared)]:
        return None
    text = "".join((*lines, *more[len(shared) :]))
    end_line = max(first.end_line, second.end_line)
    return replace(snippet, start_line=first.start_line, end_line=end_line, text=text)
