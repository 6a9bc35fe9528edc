"""Documents that HTTP clients open, edit and complete, so that each edit costs what it changes."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from completion.types import DocumentSnapshot, TextEdit
from lsp_server.http.editing import edited
from lsp_server.http.errors import ApiError, bad_request

MAX_NUM_DOCUMENTS = 64
MAX_NUM_CHARS = 32_000_000  # of all documents together
MAX_IDLE_S = 3600.0


@dataclass(slots=True)
class _Held:
    snapshot: DocumentSnapshot
    used_at: float


class HeldDocuments:
    """The open documents of one listener. Of too many, the one unused for longest goes."""

    def __init__(
        self, forget: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``forget`` is told the key of each document that is dropped; ``clock`` returns seconds."""
        self._forget, self._clock = forget, clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._num_chars = 0

    def __len__(self) -> int:
        return len(self._held)

    def open(
        self, text: str, *, uri: str | None, path: str | None, language_id: str
    ) -> tuple[str, DocumentSnapshot]:
        """Keep a document; returns its id and its first version.

        Raises:
            ApiError: It is longer than all documents may be together.
        """
        _check_size(len(text))
        # Who knows the id may read and edit the text; what explanations and logs call it is another.
        document_id, name = uuid.uuid4().hex, uuid.uuid4().hex
        snapshot = DocumentSnapshot(
            uri=uri or f"fimble-http:document/{name}",
            version=1,
            language_id=language_id,
            text=text,
            path=path,
            # Two clients may open what they call by one name.
            owner=f"http:document {name}",
        )
        self._put(document_id, snapshot)
        return document_id, snapshot

    def get(self, document_id: str, version: int | None = None) -> DocumentSnapshot:
        """Return the newest version of a document, which counts as a use of it.

        Raises:
            ApiError: There is no such document, or ``version`` is not its newest.
        """
        self.drop_idle()
        held = self._held.get(document_id)
        if held is None:
            message = (
                "no such document is open: it was closed, not used for an hour, or made room for "
                "others; open it again with POST /v1/documents"
            )
            raise ApiError(404, message, code="document_not_found")
        known = held.snapshot.version
        if version is not None and version != known:
            message = f"the document is at version {known}, not {version}"
            raise ApiError(
                409, message, code="version_conflict", param="version", details={"version": known}
            )
        self._held.move_to_end(document_id)
        held.used_at = self._clock()
        return held.snapshot

    def edit(
        self, document_id: str, edits: Sequence[TextEdit], version: int | None = None
    ) -> DocumentSnapshot:
        """Make ``edits``, each in the text that its predecessor left; returns the new version.

        Raises:
            ApiError: As ``get``; or an edit lies outside the text, or makes it too long. Then none
                is made.
        """
        known = self.get(document_id, version)
        _check_edits(edits, len(known.text))
        changed = replace(
            known,
            version=known.version + 1,
            text=edited(known.text, edits),
            edits=tuple(edits),
            base_version=known.version,
        )
        self._put(document_id, changed)
        return changed

    def close(self, document_id: str) -> None:
        """Forget a document; one that is not open is fine: it may just have been dropped."""
        held = self._held.pop(document_id, None)
        if held is not None:
            self._num_chars -= len(held.snapshot.text)
            self._forget(held.snapshot.key)

    def clear(self) -> None:
        """Forget every document."""
        for document_id in list(self._held):
            self.close(document_id)

    def _put(self, document_id: str, snapshot: DocumentSnapshot) -> None:
        former = self._held.get(document_id)
        self._num_chars += len(snapshot.text) - (len(former.snapshot.text) if former else 0)
        self._held[document_id] = _Held(snapshot, self._clock())
        self._held.move_to_end(document_id)
        self.drop_idle()
        while len(self._held) > MAX_NUM_DOCUMENTS or self._num_chars > MAX_NUM_CHARS:
            self.close(next(iter(self._held)))

    def drop_idle(self) -> None:
        """Forget the documents that nobody has used for an hour."""
        oldest = self._clock() - MAX_IDLE_S
        while self._held and next(iter(self._held.values())).used_at < oldest:
            self.close(next(iter(self._held)))


def _check_edits(edits: Sequence[TextEdit], num_chars: int) -> None:
    for at, edit in enumerate(edits):
        if not edit.start <= edit.end <= num_chars:
            raise bad_request(
                f"edit {at} replaces {edit.start} to {edit.end} of a text of {num_chars} "
                "characters; each edit counts in the text that the one before it left",
                "edits",
            )
        num_chars += len(edit.inserted) - (edit.end - edit.start)
        _check_size(num_chars)


def _check_size(num_chars: int) -> None:
    if num_chars > MAX_NUM_CHARS:
        message = f"a document may have {MAX_NUM_CHARS} characters, not {num_chars}"
        raise ApiError(413, message, code="document_too_large")
