"""One case: a document whose prompt is cached, and what is edited before the next question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from benchmarks.traces.recordings import Origin
from completion.types import ContextChunk, TextEdit, apply_edits

T = TypeVar("T")

MIN_NUM_TRUTH_CHARS = 3  # not counting blanks; less says nothing about a completion
MIN_NUM_UNIQUE_CHARS = 12  # shorter ends of lines, such as "self)", are everywhere
MIN_NUM_LINES_AWAY = 3
MAX_NUM_LINES_AWAY = 150  # a window of 2,000 tokens reaches about that far


class EditCategory(StrEnum):
    """What happens between the cached prompt and the next one."""

    TYPING = "typing"  # at the cursor, one to eight keys
    INSERTION = "insertion"  # away from the cursor, as are all that follow
    DELETION = "deletion"
    MULTI_PLACE = "multi_place"  # two to five places
    RENAME = "rename"  # one name wherever it stands
    JUMP = "jump"  # the text stays, the cursor goes elsewhere
    CHUNK = "chunk"  # the document stays, a context chunk gives way to another


@dataclass(frozen=True, slots=True)
class EditCase:
    """``edits`` lead from ``before`` to ``after``; at ``cursor_after`` a completion is wanted.

    ``truth`` is what the person wrote from there to the end of the line; the line ends at the
    cursor in ``after``, and nothing that was written later is in it. ``distance_lines`` says how
    far from the cursor the nearest edit lies, or how far a jump led: negative is above. It is 0
    where nothing is away. The chunks differ only in the category CHUNK, and are empty elsewhere.
    """

    case_id: str
    category: EditCategory
    origin: Origin
    language_id: str
    path: str
    before: str
    cursor_before: int
    edits: tuple[TextEdit, ...]
    after: str
    cursor_after: int
    truth: str
    distance_lines: int
    chunks_before: tuple[ContextChunk, ...]
    chunks_after: tuple[ContextChunk, ...]

    def __post_init__(self) -> None:
        if apply_edits(self.before, self.edits) != self.after:
            raise ValueError(f"{self.case_id}: the edits do not lead from before to after")
        if not 0 <= self.cursor_before <= len(self.before):
            raise ValueError(f"{self.case_id}: cursor_before {self.cursor_before} is outside")
        if not 0 <= self.cursor_after <= len(self.after):
            raise ValueError(f"{self.case_id}: cursor_after {self.cursor_after} is outside")


@dataclass(frozen=True, slots=True)
class Document:
    """Where a case was found; ``name`` is unique over all sources."""

    name: str
    path: str
    language_id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Question:
    """A text, the cursor in it, and what the person wrote there."""

    text: str
    cursor: int
    truth: str

    @property
    def is_telling(self) -> bool:
        """Whether the answer is worth asking for and does not stand in the text already."""
        text_right = rest_of_line(self.text, self.cursor)
        if text_right.strip() or len("".join(self.truth.split())) < MIN_NUM_TRUTH_CHARS:
            return False
        if len(self.truth.strip()) >= MIN_NUM_UNIQUE_CHARS and self.truth.strip() in self.text:
            return False
        line_start = self.text.rfind("\n", 0, self.cursor) + 1
        whole_line = (self.text[line_start : self.cursor] + self.truth).strip()
        return whole_line not in {line.strip() for line in self.text.split("\n")}


def edit_case(
    category: EditCategory,
    document: Document,
    before: tuple[str, int],
    edits: Sequence[TextEdit],
    question: Question,
    *,
    distance_lines: int = 0,
    chunks: tuple[Sequence[ContextChunk], Sequence[ContextChunk]] = ((), ()),
) -> EditCase:
    """Return the case that leads from text and cursor ``before`` to ``question``.

    Its id names the category and the document, and changes with any of the arguments.
    """
    texts = [[chunk.text for chunk in shown] for shown in chunks]
    told = repr((before, tuple(edits), question, texts)).encode()
    return EditCase(
        case_id=f"{category}/{document.name}#{hashlib.sha256(told).hexdigest()[:10]}",
        category=category,
        origin=document.origin,
        language_id=document.language_id,
        path=document.path,
        before=before[0],
        cursor_before=before[1],
        edits=tuple(edits),
        after=question.text,
        cursor_after=question.cursor,
        truth=question.truth,
        distance_lines=distance_lines,
        chunks_before=tuple(chunks[0]),
        chunks_after=tuple(chunks[1]),
    )


def rest_of_line(text: str, offset: int) -> str:
    r"""Return the text from ``offset`` to the end of its line, without ``\n`` or ``\r\n``."""
    end = text.find("\n", offset)
    return text[offset : len(text) if end < 0 else end].removesuffix("\r")


def signed_line_distance(text: str, start: int, end: int, cursor: int) -> int:
    """Return how many lines ``text[start:end]`` lies below the cursor; above is negative."""
    if end <= cursor:
        return -text.count("\n", end, cursor)
    return text.count("\n", cursor, max(start, cursor))


def nearest_away(distances: Sequence[int]) -> int | None:
    """Return the smallest of ``distances``, ``None`` if one is not away or is out of the window."""
    if not all(MIN_NUM_LINES_AWAY <= abs(found) <= MAX_NUM_LINES_AWAY for found in distances):
        return None
    return min(distances, key=abs)


def in_turn(streams: Sequence[Iterator[T]]) -> Iterator[T]:
    """Yield one item of each stream after the other until all have ended."""
    left = list(streams)
    while left:
        alive = []
        for stream in left:
            for item in stream:
                alive.append(stream)
                yield item
                break
        left = alive
