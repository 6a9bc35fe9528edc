"""``textDocument/inlineCompletion``: one keystroke, from the protocol's side."""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
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
from lsp_server.convert import to_inline_items, to_request

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

logger = logging.getLogger(__name__)


def register(server: FimbleLanguageServer) -> None:
    """Add the handler; without options pygls answers the request but does not announce it."""
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(
        inline_completion
    )


async def inline_completion(
    ls: FimbleLanguageServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Answer with the suggestions at the cursor; with an empty list, never null, if there are none.

    Null would leave the former ghost text on Neovim's screen. A request that is cancelled, that a
    newer one supersedes or whose document changes ends by ``CancelledError``, which pygls answers
    with RequestCancelled: Neovim drops it without a word and vscode-languageclient turns it into
    a cancellation, whereas ContentModified is written to Neovim's log as an error each time.
    """
    uri = params.text_document.uri
    document = ls.session.find(uri)
    if document is None:
        logger.warning("asked for suggestions in %s, which is not open", uri)
        return types.InlineCompletionList([])
    encoding = ls.session.encoding
    request = to_request(params, document, encoding, ls.settings, uuid.uuid4().hex)
    with ls.session.newest_request(uri):
        outcome = await _complete(ls, request)
    _log(outcome)
    if isinstance(outcome, Cancelled) or not ls.session.is_current(document):
        raise asyncio.CancelledError
    if isinstance(outcome, NoSuggestion):
        return types.InlineCompletionList([])
    return types.InlineCompletionList(to_inline_items(outcome, request, document, encoding))


async def _complete(ls: FimbleLanguageServer, request: CompletionRequest) -> CompletionOutcome:
    """Ask the settings, the cache and the engine, in this order."""
    refusal = ls.settings.refusal(request.document.language_id)
    if refusal is not None:
        return NoSuggestion(request.request_id, refusal)
    service = ls.background.ready
    if service is None and ls.settings.server.wait_for_model:
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
