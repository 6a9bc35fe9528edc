"""Which earlier request an answer out of the cache of suggestions was written for.

The cache does not say, and such an answer brings no tokens. But what it offers is the rest of what the
earlier one offered, at the place that typing the beginning leads to; that is looked for here.
"""

from __future__ import annotations

from collections.abc import Iterable

from completion.types import Suggestion, SuggestionSource
from lsp_server.explanation import Explanation, Question

_KEPT = frozenset({SuggestionSource.CACHE, SuggestionSource.TYPING_AS_SUGGESTED})


def origin_of(explanation: Explanation, earlier: Iterable[Explanation]) -> str | None:
    """Return the id of the request that ``explanation``'s suggestion was kept from.

    None if it was not kept from any, or none of the ``earlier`` ones, newest first, is the one.
    """
    text = explanation.text
    if not text or _source(explanation) not in _KEPT:
        return None
    found = (each for each in earlier if _has_written(each, explanation.question, text))
    return next((each.request_id for each in found), None)


def _has_written(earlier: Explanation, question: Question, text: str) -> bool:
    """Whether ``text``, offered at ``question``'s place, is the rest of what was offered before."""
    asked, source = earlier.question, _source(earlier)
    if (
        source is None
        or source in _KEPT
        or (asked.owner, asked.uri) != (question.owner, question.uri)
    ):
        return False
    return any(
        whole.endswith(text)
        and _behind(asked, whole[: len(whole) - len(text)]) == (question.line, question.column)
        for whole in (earlier.text or "", *earlier.candidates)
    )


def _source(explanation: Explanation) -> SuggestionSource | None:
    outcome = explanation.outcome
    return outcome.source if isinstance(outcome, Suggestion) else None


def _behind(question: Question, typed: str) -> tuple[int, int]:
    """Return the line and column that typing ``typed`` at ``question``'s place leads to."""
    num_lines = typed.count("\n")
    if not num_lines:
        return question.line, question.column + len(typed)
    return question.line + num_lines, len(typed) - typed.rfind("\n")
