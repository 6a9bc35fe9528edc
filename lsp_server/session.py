"""The documents the editor has open, and which request is the newest for each.

A session lives on the event loop and is touched by no other thread; what it hands out, snapshots
and their indexes, is immutable. It knows neither pygls' types nor the completion service.

A document is *lost* once a change of it could not be read: its text is no longer the editor's, and
every later position in it would be wrong. It is found again when its whole text arrives: opened
anew, changed without a range, or saved.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from completion.types import DocumentSnapshot, TextEdit
from lsp_server.errors import UnknownDocumentError
from lsp_server.folders import WorkspaceFolders
from lsp_server.line_index import LineIndex, LspPosition
from lsp_server.notebooks import Notebook
from lsp_server.text_units import PositionEncoding, without_lone_surrogates

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContentChange:
    """One change of a document: ``[start, end)`` becomes ``text``, or all of it without a range."""

    text: str
    range: tuple[LspPosition, LspPosition] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OpenDocument:
    """A snapshot with the index of its lines."""

    snapshot: DocumentSnapshot
    lines: LineIndex

    def offset_of(self, position: LspPosition, encoding: PositionEncoding) -> int:
        """Return the offset of ``position`` in this version."""
        return self.lines.offset_of(self.snapshot.text, position, encoding)

    def position_of(self, offset: int, encoding: PositionEncoding) -> LspPosition:
        """Return the position of ``offset`` in this version."""
        return self.lines.position_of(self.snapshot.text, offset, encoding)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a request is about.

    ``document`` is what the editor sees, with its positions. ``snapshot`` is what the model is
    asked about: the same text, or all code of the notebook that ``document`` is a cell of; the
    document's text starts at the offset ``start`` of it.
    """

    document: OpenDocument
    snapshot: DocumentSnapshot
    start: int = 0


class Session:
    """Open documents by URI, and the running request of each."""

    def __init__(self, owner: str = "") -> None:
        """Follow the documents of the client ``owner``."""
        self.encoding = PositionEncoding.UTF16
        self.folders = WorkspaceFolders()
        self.owner = owner
        self._documents: dict[str, OpenDocument] = {}
        self._lost: set[str] = set()
        self._cursors: dict[str, int] = {}
        self._notebooks: dict[str, Notebook] = {}
        self._running: dict[str, asyncio.Task[object]] = {}
        # Told of each change with the document before it and after it; None: it is being closed.
        self.on_change: Callable[[OpenDocument, OpenDocument | None], None] = lambda _old, _new: (
            None
        )

    @property
    def num_documents(self) -> int:
        """How many documents are open, a notebook's cells counted one by one."""
        return len(self._documents)

    @property
    def uris(self) -> list[str]:
        """The documents that are open."""
        return list(self._documents)

    def find(self, uri: str) -> OpenDocument | None:
        """Return the newest version of the document, ``None`` if it is not open."""
        return self._documents.get(uri)

    def view(self, uri: str) -> View | None:
        """Return what a request in the document is about, ``None`` if it is not open."""
        document = self._documents.get(uri)
        if document is None:
            return None
        notebook = self._notebook_of(uri)
        if notebook is None or not notebook.holds_code(uri):
            return View(document, self._named(document.snapshot))
        texts = {known: self._documents[known].snapshot for known in self._cells_of(notebook)}
        snapshot, start = notebook.around(uri, texts)
        return View(document, self._named(snapshot), start)

    def is_cell(self, uri: str) -> bool:
        """Whether the document is a part of a file only: its URI says so, or a notebook has it."""
        return "#" in uri or self._notebook_of(uri) is not None

    def is_lost(self, uri: str) -> bool:
        """Whether the text of the document, or of the notebook around it, is not known."""
        notebook = self._notebook_of(uri)
        return uri in self._lost or (notebook is not None and notebook.uri in self._lost)

    def lose(self, uri: str | None) -> None:
        """Trust a document or notebook no longer; ``None``: any may have changed, so none is."""
        everything = (*self._documents, *self._notebooks)
        for lost in everything if uri is None else (uri,):
            if lost in self._documents or lost in self._notebooks:
                logger.warning("lost %s: a change could not be read; open or save it anew", lost)
                self._lost.add(lost)
                self.cancel_running(lost)

    def open(self, snapshot: DocumentSnapshot) -> None:
        """Start to follow a document; one already open is replaced."""
        self.cancel_running(snapshot.uri)
        self._lost.discard(snapshot.uri)
        text = without_lone_surrogates(snapshot.text)
        whole = replace(snapshot, text=text, owner=self.owner)
        former = self._documents.get(snapshot.uri)
        opened = self._documents[snapshot.uri] = OpenDocument(whole, LineIndex.of(text))
        if former is not None:
            self.on_change(former, opened)

    def change(self, uri: str, version: int, changes: Sequence[ContentChange]) -> None:
        """Advance the document to ``version`` by ``changes``, each seen from its predecessor.

        The running request of the document is cancelled: its answer would be for an old version.
        A lost document follows from the first whole text on.

        Raises:
            UnknownDocumentError: The document is not open.
        """
        document = self._documents.get(uri)
        if document is None:
            raise UnknownDocumentError(uri)
        self.cancel_running(uri)
        if uri in self._lost:
            whole_at = [at for at, change in enumerate(changes) if change.range is None]
            if not whole_at:
                return
            changes = changes[whole_at[-1] :]
            self._lost.discard(uri)
        if version <= document.snapshot.version:
            # The text still has to follow, or every later position would be wrong.
            logger.warning("%s went from version %d to %d", uri, document.snapshot.version, version)
        changed = _apply(document, version, changes, self.encoding)
        self._documents[uri] = changed
        cursor = cursor_after(changed.snapshot.edits, self._cursors.get(uri))
        if cursor is not None:
            self._cursors[uri] = cursor
        self.on_change(document, changed)

    def cursor(self, uri: str) -> int | None:
        """Return where the document's cursor should be, as an offset; None if nobody can tell."""
        return self._cursors.get(uri)

    def note_cursor(self, uri: str, offset: int) -> None:
        """Take in that the cursor of the document is at ``offset`` now."""
        self._cursors[uri] = offset

    def close(self, uri: str) -> list[str]:
        """Forget the document and return what the service knows it by; nothing if it is not open."""
        self.cancel_running(uri)
        document = self._documents.get(uri)
        if document is not None:
            self.on_change(document, None)
        self._lost.discard(uri)
        self._cursors.pop(uri, None)
        self._documents.pop(uri, None)
        return [] if document is None else [document.snapshot.key]

    def open_notebook(self, notebook: Notebook, texts: Sequence[DocumentSnapshot]) -> None:
        """Start to follow a notebook and the texts of its cells."""
        self._lost.discard(notebook.uri)
        self._notebooks[notebook.uri] = notebook
        for text in texts:
            self.open(text)

    def notebook(self, uri: str) -> Notebook:
        """Return an open notebook, to be changed by the caller; its running request ends.

        Raises:
            UnknownDocumentError: The notebook is not open.
        """
        if uri not in self._notebooks:
            raise UnknownDocumentError(uri)
        self.cancel_running(uri)
        return self._notebooks[uri]

    def close_notebook(self, uri: str) -> list[str]:
        """Forget a notebook with its cells; returns what the service knows them by."""
        self.cancel_running(uri)
        self._lost.discard(uri)
        notebook = self._notebooks.pop(uri, None)
        if notebook is None:
            return []
        closed = [key for cell in notebook.cells for key in self.close(cell.uri)]
        return [*notebook.keys(), *closed]

    def close_all(self) -> list[str]:
        """Forget everything; returns what the service knows the documents by."""
        closed = [key for uri in list(self._notebooks) for key in self.close_notebook(uri)]
        return closed + [key for uri in list(self._documents) for key in self.close(uri)]

    def is_current(self, document: OpenDocument) -> bool:
        """Whether ``document`` is still the newest version of an open document."""
        return self._documents.get(document.snapshot.uri) is document

    def cancel_running(self, uri: str) -> None:
        """Cancel the task that answers a request for ``uri``, if there is one."""
        task = self._running.pop(self._request_key(uri), None)
        if task is not None:
            task.cancel()

    @contextmanager
    def newest_request(self, uri: str) -> Iterator[None]:
        """Make the current task the one request of ``uri``, superseding the one before.

        The older task gets ``CancelledError`` where it waits, which stops its work and answers its
        client. The cells of a notebook share their one request, as they share a cursor.
        """
        task = asyncio.current_task()
        assert task is not None, "requests run as asyncio tasks"
        self.cancel_running(uri)
        key = self._request_key(uri)
        self._running[key] = task
        try:
            yield
        finally:
            if self._running.get(key) is task:
                del self._running[key]

    def _request_key(self, uri: str) -> str:
        notebook = self._notebook_of(uri)
        return uri if notebook is None else notebook.uri

    def _notebook_of(self, uri: str) -> Notebook | None:
        for notebook in self._notebooks.values():
            if any(cell.uri == uri for cell in notebook.cells):
                return notebook
        return None

    def _cells_of(self, notebook: Notebook) -> list[str]:
        return [cell.uri for cell in notebook.cells if cell.uri in self._documents]

    def _named(self, snapshot: DocumentSnapshot) -> DocumentSnapshot:
        """Return ``snapshot`` with the path that the model is to see: the one in the workspace."""
        if snapshot.path is None:
            return snapshot
        folder, name = self.folders.locate(snapshot.path)
        return replace(snapshot, path=name, workspace=folder) if folder else snapshot


def _apply(
    document: OpenDocument,
    version: int,
    changes: Sequence[ContentChange],
    encoding: PositionEncoding,
) -> OpenDocument:
    """Return the document after ``changes``, with the edits that led there."""
    text, lines = document.snapshot.text, document.lines
    edits: list[TextEdit] = []
    base_version: int | None = document.snapshot.version
    for change in changes:
        new_text = without_lone_surrogates(change.text)
        if change.range is None:
            text, lines = new_text, LineIndex.of(new_text)
            edits, base_version = [], None
            continue
        edit = _edit(text, lines, change.range, new_text, encoding)
        text = "".join((text[: edit.start], edit.inserted, text[edit.end :]))
        lines = lines.after_edit(edit, text)
        edits.append(edit)
    # Edits behind a whole text start from a version nobody saw: the text counts as whole.
    snapshot = replace(
        document.snapshot,
        version=version,
        text=text,
        edits=tuple(edits) if base_version is not None else (),
        base_version=base_version,
    )
    return OpenDocument(snapshot, lines)


def cursor_after(edits: Sequence[TextEdit], cursor: int | None) -> int | None:
    """Return where ``edits`` leave a cursor: behind a single one, because editors edit there.

    Several at once are a tool's, or a rename's; the cursor then moves with the text around it.
    """
    if not edits:
        return cursor
    if len(edits) == 1 or cursor is None:
        return edits[-1].start + len(edits[-1].inserted)
    for edit in edits:
        if edit.end <= cursor:
            cursor += len(edit.inserted) - (edit.end - edit.start)
        elif edit.start < cursor:
            cursor = edit.start + len(edit.inserted)
    return cursor


def _edit(
    text: str,
    lines: LineIndex,
    span: tuple[LspPosition, LspPosition],
    inserted: str,
    encoding: PositionEncoding,
) -> TextEdit:
    """Return the change in offsets; a reversed range is put in order."""
    first, second = (lines.offset_of(text, position, encoding) for position in span)
    return TextEdit(min(first, second), max(first, second), inserted)
