"""Where the chunks of an open document are indexed: in a segment if unchanged, else in the delta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.chunk import Chunk
from retrieval.sparse.corpus import Corpus, Hit
from retrieval.sparse.delta import Delta


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One version of an open document.

    ``keys`` and ``places`` go with ``chunks``. A place of zero or more is a chunk of the corpus
    with the same content, a negative one the complement of a slot in the delta. ``hidden`` are the
    chunks of the corpus, with their keys, that the document does not have any more.
    """

    chunks: Sequence[Chunk]
    keys: Sequence[int]
    places: Sequence[int]
    hidden: Sequence[tuple[int, int]]

    def hit(self, path: str, place: int, score: float) -> Hit:
        """Return what there is to say about the chunk at ``place``."""
        at = self.places.index(place)
        chunk = self.chunks[at]
        return Hit(path, chunk.start_line, chunk.end_line, self.keys[at], score, chunk.header)

    def overlapping(self, start_line: int, end_line: int) -> list[int]:
        """Return the places of the chunks that share a line with ``[start_line, end_line)``."""
        return [
            place
            for chunk, place in zip(self.chunks, self.places, strict=True)
            if chunk.start_line < end_line and chunk.end_line > start_line
        ]


def unopened(corpus: Corpus, path: str) -> Document:
    """Return the document of ``path`` before it has any text: all the corpus has is hidden."""
    chunks = corpus.chunks_of(path)
    hidden = list(zip(corpus.keys(chunks), chunks, strict=True)) if chunks else []
    return Document((), (), (), hidden)


def updated(former: Document, path: str, chunks: Sequence[Chunk], delta: Delta) -> Document:
    """Return the document with ``chunks``, and bring ``delta`` up to date with it.

    Only what lies between the first and the last chunk that changed is looked at closely.
    """
    head, tail = _num_same(former.chunks, chunks)
    former_end, end = len(former.chunks) - tail, len(chunks) - tail
    keys = [chunk.key for chunk in chunks[head:end]]
    spare: dict[int, list[int]] = {}
    for key, place in former.hidden:
        spare.setdefault(key, []).append(place)
    for key, place in zip(
        former.keys[head:former_end], former.places[head:former_end], strict=True
    ):
        spare.setdefault(key, []).append(place)
    places = [
        free.pop() if (free := spare.get(key)) else ~delta.add(path, chunk.text)
        for key, chunk in zip(keys, chunks[head:end], strict=True)
    ]
    left = [(key, place) for key, free in spare.items() for place in free]
    for _, place in left:
        if place < 0:
            delta.remove(~place)
    return Document(
        tuple(chunks),
        (*former.keys[:head], *keys, *former.keys[former_end:]),
        (*former.places[:head], *places, *former.places[former_end:]),
        [(key, place) for key, place in left if place >= 0],
    )


def removed(document: Document, delta: Delta) -> None:
    """Take what ``document`` has in ``delta`` out of it."""
    for place in document.places:
        if place < 0:
            delta.remove(~place)


def _num_same(old: Sequence[Chunk], new: Sequence[Chunk]) -> tuple[int, int]:
    """Return how many chunks at the start, and behind those at the end, are the same content."""
    limit = min(len(old), len(new))
    head = 0
    while head < limit and _is_same(old[head], new[head]):
        head += 1
    tail = 0
    while tail < limit - head and _is_same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    return head, tail


def _is_same(old: Chunk, new: Chunk) -> bool:
    # Comparing text is faster than hashing it, and the strings are often the very same.
    return old is new or (old.text == new.text and old.header == new.header)
