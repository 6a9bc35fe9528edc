"""What is searched for: the terms around the cursor, nearer ones weighing more.

Of the queries that were compared, lines on both sides that fade with their distance found most, and
a term that occurs often was no better for it, so a term counts once, where it is nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from retrieval.keywords import keywords_of
from retrieval.languages import Language
from retrieval.terms import terms_of

_MAX_NUM_LINE_CHARACTERS = 400  # on each side of the cursor; generated lines can have a million
_MAX_NUM_DRAFT_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class QueryScope:
    """How many lines count, and what one more line of distance leaves of a weight."""

    num_lines_before: int = 30
    num_lines_after: int = 10
    decay: float = 0.9


DEFAULT_SCOPE = QueryScope()


@dataclass(frozen=True, slots=True)
class Query:
    """Terms and how much each matters, in (0, 1]; without any, there is nothing to search for."""

    weights: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def self_score(self, idf: Callable[[str], float]) -> float:
        """Return the BM25 score of a chunk of average length that holds each term once.

        Scores divided by it compare between queries: short or long, of rare terms or of common.
        """
        return sum(weight * idf(term) for term, weight in self.weights.items())


def query_of(
    text: str,
    offset: int,
    language: Language | None,
    draft: str = "",
    scope: QueryScope = DEFAULT_SCOPE,
) -> Query:
    """Return the query for a cursor in ``text``.

    Lines end with a line feed, and of a long one only its beginning counts, or what is near to the
    cursor.

    Args:
        text: The document.
        offset: The cursor.
        language: Whose keywords are dropped; those common to most languages if it is None.
        draft: What was suggested here last. It counts like the cursor's own line, so that a second
            search finds what the first suggestion was about (RepoCoder, arXiv 2303.12570).
        scope: Which lines count.

    Raises:
        ValueError: ``offset`` is outside of ``text``.
    """
    if not 0 <= offset <= len(text):
        raise ValueError(f"offset {offset} is outside of a text of {len(text)} characters")
    weights = dict.fromkeys(terms_of(draft[:_MAX_NUM_DRAFT_CHARACTERS]), 1.0)
    for distance, line in _lines_around(text, offset, scope):
        weight = scope.decay**distance
        for term in terms_of(line):
            if weights.get(term, 0.0) < weight:
                weights[term] = weight
    for keyword in weights.keys() & keywords_of(language):
        del weights[keyword]
    return Query(MappingProxyType(weights))


def _lines_around(text: str, offset: int, scope: QueryScope) -> Iterator[tuple[int, str]]:
    """Yield lines and how far they are from the cursor's own, which is first."""
    start = text.rfind("\n", 0, offset) + 1
    end = _line_end(text, offset)
    near = slice(
        max(start, offset - _MAX_NUM_LINE_CHARACTERS), min(end, offset + _MAX_NUM_LINE_CHARACTERS)
    )
    yield 0, text[near]
    for distance in range(1, scope.num_lines_before + 1):
        if start == 0:
            break
        last, start = start - 1, text.rfind("\n", 0, start - 1) + 1
        yield distance, text[start : min(last, start + _MAX_NUM_LINE_CHARACTERS)]
    for distance in range(1, scope.num_lines_after + 1):
        if end == len(text):
            break
        first, end = end + 1, _line_end(text, end + 1)
        yield distance, text[first : min(end, first + _MAX_NUM_LINE_CHARACTERS)]


def _line_end(text: str, offset: int) -> int:
    newline = text.find("\n", offset)
    return len(text) if newline < 0 else newline
