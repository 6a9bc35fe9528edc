"""One keystroke, from the protocol's side: what ghost text and lists have in common."""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from dataclasses import dataclass
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
    request = to_request(position, context, view, ls.session.encoding, settings, uuid.uuid4().hex)
    ls.session.note_cursor(uri, request.offset - view.start)
    with request_scope(request.request_id), ls.session.newest_request(uri):
        asked = _ask(ls, request, uri, settings)
        outcome = await ls.metrics.counted(asked, Door.LSP, request.request_id)
        _log(outcome)
    if isinstance(outcome, Cancelled) or not ls.session.is_current(view.document):
        raise asyncio.CancelledError
    ls.last_outcomes.record(uri, request, outcome)
    return None if isinstance(outcome, NoSuggestion) else Answer(outcome, request, view)


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
