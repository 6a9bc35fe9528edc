"""Opening, changing and closing notebooks; cells are documents, so their texts go to the session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.convert import to_cell, to_content_change, to_notebook, to_snapshot
from lsp_server.errors import UnknownDocumentError
from lsp_server.features.text_sync import forget

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

logger = logging.getLogger(__name__)

# Every notebook, with all its cells.
SYNC_OPTIONS = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")]
)


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)(did_close)


def did_open(ls: FimbleLanguageServer, params: types.DidOpenNotebookDocumentParams) -> None:
    """Start to follow a notebook; one already open is replaced."""
    forget(ls, ls.session.close_notebook(params.notebook_document.uri))
    texts = [to_snapshot(item) for item in params.cell_text_documents]
    ls.session.open_notebook(to_notebook(params.notebook_document), texts)


def did_change(ls: FimbleLanguageServer, params: types.DidChangeNotebookDocumentParams) -> None:
    """Follow the cells of a notebook; its running request ends, as its answer would be outdated."""
    ls.pace.record_keystroke()
    cells = params.change.cells
    if cells is None:
        return  # metadata, which is not shown to the model
    try:
        notebook = ls.session.notebook(params.notebook_document.uri)
        if cells.structure is not None:
            array = cells.structure.array
            new = [to_cell(cell) for cell in array.cells or ()]
            notebook.splice(array.start, array.delete_count, new)
            _open_and_close(ls, cells.structure)
        for cell in cells.data or ():
            notebook.update(to_cell(cell))
        for text in cells.text_content or ():
            changes = [to_content_change(change) for change in text.changes]
            ls.session.change(text.document.uri, text.document.version, changes)
    except UnknownDocumentError as error:
        logger.warning("%s", error)


def did_close(ls: FimbleLanguageServer, params: types.DidCloseNotebookDocumentParams) -> None:
    """Forget a notebook, its cells, and what the engine held for them."""
    closed = ls.session.close_notebook(params.notebook_document.uri)
    named = [item.uri for item in params.cell_text_documents]
    forget(ls, closed + [key for uri in named for key in ls.session.close(uri)])


def _open_and_close(
    ls: FimbleLanguageServer, structure: types.NotebookDocumentCellChangeStructure
) -> None:
    for item in structure.did_open or ():
        ls.session.open(to_snapshot(item))
    for closed in structure.did_close or ():
        forget(ls, ls.session.close(closed.uri))
