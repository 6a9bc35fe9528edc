"""What clients tell about suggestions: shown, accepted, partly accepted.

Two of the notifications are Copilot's additions to LSP, so that its clients need no other words:
``textDocument/didShowCompletion`` with the ``item``, and ``textDocument/didPartiallyAcceptCompletion``
with the ``acceptedLength`` too, in UTF-16 units of what the item inserts, from its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from completion.types import CompletionRequest, Suggestion
from lsp_server.convert import place
from lsp_server.learning.adaptation import Adaptation
from lsp_server.learning.observation import Offer
from lsp_server.metrics import Door
from lsp_server.model_names import public_name
from lsp_server.session import View
from lsp_server.text_units import PositionEncoding, num_characters, without_lone_surrogates

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

DID_SHOW = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT = "textDocument/didPartiallyAcceptCompletion"


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(DID_SHOW)(did_show)
    server.feature(DID_PARTIALLY_ACCEPT)(did_partially_accept)


def did_show(ls: FimbleLanguageServer, params: Any) -> None:
    """Note that a person sees a suggestion; messages that name none are ignored."""
    request_id = _request_id(params)
    if request_id is not None:
        ls.feedback.shown(request_id)


def did_partially_accept(ls: FimbleLanguageServer, params: Any) -> None:
    """Note that a person took the beginning of a suggestion."""
    request_id, num_units = _request_id(params), getattr(params, "acceptedLength", None)
    text = getattr(getattr(params, "item", None), "insertText", None)
    if request_id is None or type(num_units) is not int or num_units < 0:
        return
    if not isinstance(text, str):
        return
    text = without_lone_surrogates(text)
    num_chars = num_characters(text, num_units, PositionEncoding.UTF16)
    ls.follower.partly_accepted_of_item(request_id, text, num_chars)


def note_offer(
    ls: FimbleLanguageServer,
    suggestion: Suggestion,
    request: CompletionRequest,
    view: View,
    latency_ms: float,
) -> None:
    """Begin to follow a suggestion that the client is about to get, if it can be shown."""
    placed = place(suggestion, request, view)
    if placed is None or not placed.texts:
        return
    uri, request_id = placed.document.snapshot.uri, suggestion.request_id
    continues = ls.follower.offered(uri, request_id, (placed.start, placed.end), placed.texts)
    offer = Offer(
        request_id=request_id,
        door=Door.LSP,
        num_chars=len(placed.texts[0]),
        num_lines=placed.texts[0].count("\n") + 1,
        language_id=request.document.language_id,
        model=public_name(ls.settings.model.name),
        client=ls.client_name,
        source=suggestion.source,
        confidence=suggestion.confidence,
        latency_ms=latency_ms,
        gap_ms=ls.pace.gap_ms,
        is_recorded=ls.settings.learning.enabled,
    )
    ls.feedback.offered(offer, continues)


def adaptation(ls: FimbleLanguageServer) -> Adaptation:
    """Return what was learnt about this client's model; nothing where that is not wanted."""
    learning = ls.settings.learning
    if not (learning.enabled and learning.adaptive):
        return Adaptation()
    return ls.feedback.adaptation(public_name(ls.settings.model.name))


def _request_id(params: Any) -> str | None:
    """Return the request that the item in ``params`` answers; its command carries it."""
    command = getattr(getattr(params, "item", None), "command", None)
    arguments = getattr(command, "arguments", None)
    first = arguments[0] if isinstance(arguments, list | tuple) and arguments else None
    return first if isinstance(first, str) else None
