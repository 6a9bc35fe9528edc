"""Texts cut into chunks of at most twenty lines, and again at the cost of what changed."""

from __future__ import annotations

from retrieval.chunk import Chunk
from retrieval.division import Divider, Division, Shape, Window, is_blank
from retrieval.languages import Grammar
from retrieval.syntax import SyntaxTree

MAX_NUM_CHARS = 4000

_Content = tuple[tuple[str, ...], str]  # header and text


class DocumentChunker:
    """Chunks one document again and again, at little more than the cost of what changed.

    It keeps how the nodes of the last version were divided, by all that this depends on. For one
    thread at a time.
    """

    def __init__(self) -> None:
        self._language: Grammar | None = None
        self._divisions: dict[Shape, Division] = {}
        self._chunks: dict[_Content, Chunk] = {}

    def update(self, text: str, tree: SyntaxTree | None) -> list[Chunk]:
        """Return what ``chunk_text`` returns; content that was there before keeps its key.

        Raises:
            ValueError: ``tree`` is the tree of another text.
        """
        if tree is not None and tree.text != text:
            raise ValueError("the tree was parsed from another text; parse this one")
        language = None if tree is None else tree.language
        if language is not self._language:
            self._language, self._divisions = language, {}
        lines = text.split("\n")
        divider = Divider(lines, self._divisions)
        windows = divider.windows(None if tree is None else tree.root)
        chunks: list[Chunk] = []
        for window in windows:
            self._put(window, lines, chunks)
        self._divisions = divider.used
        self._chunks = {(chunk.header, chunk.text): chunk for chunk in chunks}
        return chunks

    def _put(self, window: Window, lines: list[str], chunks: list[Chunk]) -> None:
        """Add the chunk of ``window`` to ``chunks``, or several if one would be too long."""
        start, end = _filled(lines, window.start, window.end)
        if start == end:
            return
        text = "\n".join(lines[start:end]) + ("\n" if end < len(lines) else "")
        if len(text) > MAX_NUM_CHARS and end - start > 1:
            middle = (start + end) // 2
            self._put(Window(start, middle, window.header), lines, chunks)
            self._put(Window(middle, end, window.header), lines, chunks)
            return
        content = window.header, text[:MAX_NUM_CHARS]
        known = self._chunks.get(content)
        chunks.append(known.moved_to(start) if known else Chunk(start, end, *content))


def chunk_text(text: str, tree: SyntaxTree | None) -> list[Chunk]:
    """Return the chunks of ``text``, in order; each line that is not blank is in exactly one.

    A chunk has at most ``MAX_NUM_LINES`` lines, neither the first nor the last of them blank, and
    at most ``MAX_NUM_CHARS`` characters: a longer line is a chunk of its own and is cut. Without a
    ``tree`` boundaries are blank lines and places where indentation returns to the margin.

    Raises:
        ValueError: ``tree`` is the tree of another text.
    """
    return DocumentChunker().update(text, tree)


def _filled(lines: list[str], start: int, end: int) -> tuple[int, int]:
    """Return the range without the blank lines at its ends."""
    while start < end and is_blank(lines[start]):
        start += 1
    while start < end and is_blank(lines[end - 1]):
        end -= 1
    return start, end
