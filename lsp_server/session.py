"""The documents the editor has open, and which request is the newest for each.

A session lives on the event loop and is touched by no other thread; what it hands out, snapshots
and their indexes, is immutable. It knows neither pygls nor the completion service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from completion.types import DocumentSnapshot, TextEdit
from lsp_server.errors import UnknownDocumentError
from lsp_server.line_index import LineIndex, LspPosition
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


class Session:
    """Open documents by URI, and the running request of each."""

    def __init__(self) -> None:
        self._documents: dict[str, OpenDocument] = {}
        self._running: dict[str, asyncio.Task[object]] = {}
        self.encoding = PositionEncoding.UTF16

    def find(self, uri: str) -> OpenDocument | None:
        """Return the newest version of the document, ``None`` if it is not open."""
        return self._documents.get(uri)

    def open(self, snapshot: DocumentSnapshot) -> None:
        """Start to follow a document; one already open is replaced."""
        self.cancel_running(snapshot.uri)
        whole = replace(snapshot, text=without_lone_surrogates(snapshot.text))
        self._documents[snapshot.uri] = OpenDocument(whole, LineIndex.of(whole.text))

    def change(self, uri: str, version: int, changes: Sequence[ContentChange]) -> None:
        """Advance the document to ``version`` by ``changes``, each seen from its predecessor.

        The running request of the document is cancelled: its answer would be for an old version.

        Raises:
            UnknownDocumentError: The document is not open.
        """
        document = self._documents.get(uri)
        if document is None:
            raise UnknownDocumentError(uri)
        self.cancel_running(uri)
        if version <= document.snapshot.version:
            # The text still has to follow, or every later position would be wrong.
            logger.warning("%s went from version %d to %d", uri, document.snapshot.version, version)
        self._documents[uri] = _apply(document, version, changes, self.encoding)

    def close(self, uri: str) -> None:
        """Forget the document; closing one that is not open does nothing."""
        self.cancel_running(uri)
        self._documents.pop(uri, None)

    def is_current(self, document: OpenDocument) -> bool:
        """Whether ``document`` is still the newest version of an open document."""
        return self._documents.get(document.snapshot.uri) is document

    def cancel_running(self, uri: str) -> None:
        """Cancel the task that answers a request for ``uri``, if there is one."""
        task = self._running.pop(uri, None)
        if task is not None:
            task.cancel()

    @contextmanager
    def newest_request(self, uri: str) -> Iterator[None]:
        """Make the current task the one request of ``uri``, superseding the one before.

        The older task gets ``CancelledError`` where it waits, which stops its work and answers its
        client.
        """
        task = asyncio.current_task()
        assert task is not None, "requests run as asyncio tasks"
        self.cancel_running(uri)
        self._running[uri] = task
        try:
            yield
        finally:
            if self._running.get(uri) is task:
                del self._running[uri]


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
