"""Chunks that share rare words with what stands around the cursor, or are near to it in meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from retrieval.query import Query
from retrieval.snippet import Snippet, SnippetSource
from retrieval.sources import LinesOf
from retrieval.sparse.corpus import Hit
from retrieval.terms import names_in, terms_of_name

_MAX_NUM_NAMED = 2  # terms in a reason
_NEAR = "reads alike"


def similar_snippets(hits: Iterable[Hit], self_score: float, lines_of: LinesOf) -> list[Snippet]:
    """Return the hits that can still be read, in their order, without reasons.

    Scores are shares of ``self_score``, the query's score for itself, so that they compare between
    queries. Without one, for a query that has no terms, nothing is similar.
    """
    if self_score <= 0:
        return []
    return [
        Snippet(
            hit.path,
            hit.start_line,
            hit.end_line,
            text,
            hit.score / self_score,
            SnippetSource.SIMILAR,
        )
        for hit in hits
        if (text := lines_of(hit.path, hit.start_line, hit.end_line))
    ]


def near_snippets(hits: Iterable[Hit], lines_of: LinesOf) -> list[Snippet]:
    """Return those of the nearest chunks that can still be read, in their order."""
    return [
        Snippet(
            hit.path, hit.start_line, hit.end_line, text, hit.score, SnippetSource.MEANING, _NEAR
        )
        for hit in hits
        if (text := lines_of(hit.path, hit.start_line, hit.end_line))
    ]


def explained(snippet: Snippet, query: Query, idf: Callable[[str], float]) -> Snippet:
    """Return a ``SIMILAR`` snippet with the names that speak most for it; others as they are.

    Meant for the few that are shown: all candidates' texts would be read for nothing.
    """
    if snippet.source is not SnippetSource.SIMILAR or snippet.reason:
        return snippet
    names = shared_names(snippet.text, query, idf)
    return replace(snippet, reason=f"shares {', '.join(names)}") if names else snippet


def shared_names(text: str, query: Query, idf: Callable[[str], float]) -> list[str]:
    """Return the terms of the query that add most to the score of ``text``, best first.

    A whole name is spelled as ``text`` has it; parts of names that are listed are left out.
    """
    spelling: dict[str, str] = {}
    for name in names_in(text):
        for term in terms_of_name(name):
            if term in query.weights:
                # All of a name sets the spelling; a part of one has none of its own.
                spelling.setdefault(term, term)
                if name.lower() == term:
                    spelling[term] = name
    ranked = sorted(spelling, key=lambda term: (-query.weights[term] * idf(term), term))
    named: list[str] = []
    covered: set[str] = set()
    for term in ranked:
        if term not in covered:
            named.append(spelling[term])
            covered.update(terms_of_name(spelling[term]))
        if len(named) == _MAX_NUM_NAMED:
            break
    return named
