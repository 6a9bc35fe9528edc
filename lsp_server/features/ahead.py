"""Patching ahead: edits and moves reach the cache at once, not with the request that follows them.

LSP has no message for a cursor that moves, so plugins may send one of two that are not in it:
``fimble/didMoveCursor`` with ``textDocument`` and ``position``, and ``textDocument/didFocus``, which
others know too, with ``textDocument`` alone, when an editor shows another file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsp_server.line_index import LspPosition
from lsp_server.requests import new_request

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

DID_MOVE_CURSOR = "fimble/didMoveCursor"
DID_FOCUS = "textDocument/didFocus"
# A cursor on its way passes many places at which nobody is going to type.
_RESTING_S = 0.15


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(DID_MOVE_CURSOR)(did_move_cursor)
    server.feature(DID_FOCUS)(did_focus)


def did_move_cursor(ls: FimbleLanguageServer, params: Any) -> None:
    """Prepare for a request at the cursor's new place; messages that say nothing are ignored."""
    uri, position = _uri(params), getattr(params, "position", None)
    document = ls.session.find(uri)
    line, column = getattr(position, "line", None), getattr(position, "character", None)
    if document is None or not isinstance(line, int) or not isinstance(column, int):
        return
    offset = document.offset_of(LspPosition(max(line, 0), max(column, 0)), ls.session.encoding)
    ls.session.note_cursor(uri, offset)
    patch_ahead(ls, uri, _RESTING_S)


def did_focus(ls: FimbleLanguageServer, params: Any) -> None:
    """Prepare for a request where the cursor of the document was last."""
    patch_ahead(ls, _uri(params), _RESTING_S)


def patch_ahead(ls: FimbleLanguageServer, uri: str, resting_s: float = 0.0) -> None:
    """Let the engine prepare what is likely to be asked next about the document, if anything is.

    It begins when nothing has happened to the document for ``resting_s``.
    """
    service, view = ls.background.ready, ls.session.view(uri)
    if service is None or view is None or ls.session.is_lost(uri):
        return
    snapshot = view.snapshot
    settings = ls.settings_for(view.document.snapshot.path)
    cursor = ls.session.cursor(uri)
    if cursor is None or settings.refusal(snapshot.language_id) is not None:
        return
    offset = min(view.start + cursor, len(snapshot.text))
    request_id = f"ahead of {snapshot.version}"
    service.prepare(new_request(snapshot, offset, settings, request_id=request_id), resting_s)


def _uri(params: Any) -> str:
    uri = getattr(getattr(params, "textDocument", None), "uri", "")
    return uri if isinstance(uri, str) else ""
