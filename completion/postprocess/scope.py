"""Filters that bound the text: nothing, too much, or not code at all."""

from __future__ import annotations

from completion.postprocess.draft import Draft
from completion.stop_rules import SENTINEL
from completion.stopping import StopMonitor, StopReason
from completion.strategy import StrategyMode
from completion.types import NoSuggestionReason


def reject_empty(draft: Draft) -> Draft | NoSuggestionReason:
    """Reject a model that ended at once."""
    return draft if draft.text else NoSuggestionReason.EMPTY_OUTPUT


def reject_blank(draft: Draft) -> Draft | NoSuggestionReason:
    """Reject text of which nothing could be seen."""
    return draft if draft.text.strip() else NoSuggestionReason.BLANK_OUTPUT


def remove_sentinels(draft: Draft) -> Draft | NoSuggestionReason:
    """Cut at a sentinel the model spelt out, unless the document itself is about sentinels."""
    match = SENTINEL.search(draft.text)
    if match is None or SENTINEL.search(draft.request.document.text):
        return draft
    return draft.with_text(draft.text[: match.start()])


def limit_scope(draft: Draft) -> Draft | NoSuggestionReason:
    """Cut where indentation, brackets or the suffix say that the unit has ended.

    The stop rules are the one owner of that knowledge; text that came through them passes
    unchanged, text from elsewhere (a cache, a client) is cut as if it had.
    """
    monitor = StopMonitor(draft.request, draft.strategy)
    monitor.push(draft.text)
    monitor.finish()
    if monitor.reason is StopReason.REPEATS_SUFFIX and not monitor.text.strip():
        return NoSuggestionReason.REPEATS_SUFFIX
    return draft.with_text(monitor.text)


def trim_to_single_line(draft: Draft) -> Draft | NoSuggestionReason:
    """Keep one filled line, with the newline before it if there is one, where one was asked."""
    if draft.strategy.mode is not StrategyMode.LINE:
        return draft
    body = draft.text.lstrip("\n")
    leading = draft.text[: len(draft.text) - len(body)]
    return draft.with_text(leading + body.partition("\n")[0])
