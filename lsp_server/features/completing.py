"""One keystroke, from the protocol's side: what ghost text and lists have in common."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lsprotocol import types

from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
)
from lsp_server.convert import Context, to_request
from lsp_server.explanation import question_of
from lsp_server.features.feedback import adaptation, note_offer
from lsp_server.indentation import indented
from lsp_server.logs import request_scope
from lsp_server.metrics import Door
from lsp_server.session import View
from lsp_server.settings import Settings

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A suggestion and what it answers."""

    suggestion: Suggestion
    request: CompletionRequest
    view: View


async def complete(
    ls: FimbleLanguageServer, uri: str, position: types.Position, context: Context
) -> Answer | None:
    """Return what to show at ``position``, ``None`` for nothing.

    Raises:
        asyncio.CancelledError: The client took the request back, a newer one of the same document
            superseded it, or the document changed. pygls answers RequestCancelled: Neovim drops
            that without a word and vscode-languageclient turns it into a cancellation, whereas
            ContentModified is written to Neovim's log as an error each time.
    """
    view = ls.session.view(uri)
    if view is None:
        logger.warning("asked for suggestions in %s, which is not open", uri)
        return None
    settings = ls.settings_for(view.document.snapshot.path)
    started = time.perf_counter()
    learnt = adaptation(ls)
    ls.pace.adapt(learnt)
    request = to_request(position, context, view, ls.session.encoding, settings, uuid.uuid4().hex)
    if learnt.log_odds:
        min_confidence = learnt.min_confidence(settings.engine.min_confidence)
        request = replace(request, min_confidence=min_confidence)
    question = question_of(request, Door.LSP, ls.client_name or "lsp", uri=uri, start=view.start)
    ls.session.note_cursor(uri, request.offset - view.start)
    with request_scope(request.request_id), ls.session.newest_request(uri):
        work = _in_time(ls, request, uri, view, settings)
        outcome = await ls.explanations.follow(work, question, request)
        _log(outcome)
    if isinstance(outcome, Cancelled):
        raise asyncio.CancelledError
    if isinstance(outcome, NoSuggestion):
        return None
    suggestion = indented(outcome, request, ls.protocol.formatting(uri))
    note_offer(ls, suggestion, request, view, (time.perf_counter() - started) * 1000)
    return Answer(suggestion, request, view)


async def _in_time(
    ls: FimbleLanguageServer, request: CompletionRequest, uri: str, view: View, settings: Settings
) -> CompletionOutcome:
    """Return how the request ended for its client: an answer about an older text is taken back."""
    asked = _ask(ls, request, uri, settings)
    outcome = await ls.metrics.counted(asked, Door.LSP, request.request_id)
    if ls.session.is_current(view.document):
        return outcome
    return Cancelled(request.request_id, trace=outcome.trace)


async def _ask(
    ls: FimbleLanguageServer, request: CompletionRequest, uri: str, settings: Settings
) -> CompletionOutcome:
    """Ask the session, the settings, the cache and the engine, in this order."""
    if ls.session.is_lost(uri):
        return NoSuggestion(request.request_id, NoSuggestionReason.DOCUMENT_LOST)
    refusal = settings.refusal(request.document.language_id)
    if refusal is not None:
        return NoSuggestion(request.request_id, refusal)
    service = ls.background.ready
    if service is None and settings.server.wait_for_model:
        service = await ls.background.settled()
    if service is None:
        if ls.background.is_settled:
            detail = "the model could not be loaded"
            return NoSuggestion(request.request_id, NoSuggestionReason.ENGINE_ERROR, detail)
        return NoSuggestion(request.request_id, NoSuggestionReason.LOADING)
    known = service.lookup(request)
    if known is not None:
        return known
    await ls.pace.settle(request.trigger)
    outcome = await ls.background.run(functools.partial(service.complete, request))
    ls.pace.record(outcome)
    return outcome


def _log(outcome: CompletionOutcome) -> None:
    """Note how a request ended, without any of the text."""
    match outcome:
        case Suggestion(request_id=request_id, text=text, source=source, trace=trace):
            total_ms = trace.timings_ms.total
            logger.info("%s: %d characters, %s, %.0f ms", request_id, len(text), source, total_ms)
        case NoSuggestion(request_id=request_id, reason=reason, detail=detail):
            logger.info("%s: nothing, %s %s", request_id, reason, detail)
        case Cancelled(request_id=request_id):
            logger.info("%s: cancelled", request_id)
