"""Opening, changing, saving and closing documents. These run before anything else and stay short."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.convert import to_content_change, to_snapshot
from lsp_server.errors import UnknownDocumentError
from lsp_server.features.ahead import patch_ahead
from lsp_server.features.workspace import reload_project_files
from lsp_server.folders import path_of
from lsp_server.projects import is_project_file
from lsp_server.session import ContentChange
from lsp_server.text_units import without_lone_surrogates

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

logger = logging.getLogger(__name__)


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE, types.SaveOptions(include_text=True))(did_save)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    # A change that cannot be read reaches no handler; the document must not go stale unnoticed.
    server.protocol.on_lost_change = server.session.lose


def did_open(ls: FimbleLanguageServer, params: types.DidOpenTextDocumentParams) -> None:
    """Start to follow a document."""
    ls.session.open(to_snapshot(params.text_document))
    ls.index_feed.note(params.text_document.uri)


def did_change(ls: FimbleLanguageServer, params: types.DidChangeTextDocumentParams) -> None:
    """Advance a document; its running request ends, as its answer would be outdated."""
    ls.pace.record_keystroke()
    document = params.text_document
    changes = [to_content_change(change) for change in params.content_changes]
    try:
        ls.session.change(document.uri, document.version, changes)
    except UnknownDocumentError as error:
        logger.warning("%s", error)
        return
    ls.index_feed.note(document.uri)
    patch_ahead(ls, document.uri)


def did_save(ls: FimbleLanguageServer, params: types.DidSaveTextDocumentParams) -> None:
    """Compare with the text that was saved, and take it over if ours has drifted.

    Incremental changes cannot show that one was lost. A save carries the whole text, so a mistake
    of either side lives until the next save at most.
    """
    uri, document = params.text_document.uri, ls.session.find(params.text_document.uri)
    path = path_of(uri)
    if is_project_file(path):
        reload_project_files(ls)
    if path is not None:
        ls.index_feed.touch([path])
    if document is None or params.text is None:
        return
    saved = without_lone_surrogates(params.text)
    if saved == document.snapshot.text and not ls.session.is_lost(uri):
        return
    logger.warning("%s differed from the text that was saved; took over the saved text", uri)
    ls.session.change(uri, document.snapshot.version, [ContentChange(saved)])
    ls.index_feed.note(uri)


def did_close(ls: FimbleLanguageServer, params: types.DidCloseTextDocumentParams) -> None:
    """Forget a document, and let the engine give back what it held for it."""
    ls.index_feed.drop([params.text_document.uri])
    forget(ls, ls.session.close(params.text_document.uri))


def forget(ls: FimbleLanguageServer, keys: Sequence[str]) -> None:
    """Let the engine give back what it holds for the documents ``keys``."""
    service = ls.background.ready
    if service is not None:
        for key in keys:
            service.forget(key)
