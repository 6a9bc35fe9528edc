"""Which prompts are versions of one document, so that its cached keys and values serve them all.

A client of HTTP sends texts, not documents. The text that a person types in grows at the cursor,
and its beginning stays; so a prompt that begins like one before it is taken for the next version of
the same document, and so is one that begins within it: clients send the lines around the cursor, and
the first of them goes when another is typed. A wrong guess costs time, never a wrong answer: the cache is compared token by
token.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from completion.differences import num_common
from completion.types import DocumentSnapshot, document_key
from lsp_server.http.shifted import edits_between, num_dropped

MAX_NUM_DOCUMENTS = 16
_MIN_COMMON_CHARS = 64
_MAX_KEPT_CHARS = 200_000  # a longer text is a new document each time


@dataclass(frozen=True, slots=True)
class PromptText:
    """The texts around the cursor, and what the client says they belong to."""

    prefix: str
    suffix: str
    owner: str
    path: str | None = None
    language_id: str = ""


class PromptTable:
    """The documents of all clients of one listener, the one unused for longest making room."""

    def __init__(self, forget: Callable[[str], None]) -> None:
        """``forget`` is told the key of each document that made room."""
        self._forget = forget
        self._documents: OrderedDict[str, DocumentSnapshot] = OrderedDict()
        self._numbers = itertools.count(1)

    def snapshot(self, prompt: PromptText) -> DocumentSnapshot:
        """Return ``prompt`` as the next version of the document that it continues, or of a new one."""
        known = self._continued(prompt)
        text = prompt.prefix + prompt.suffix
        document = DocumentSnapshot(
            uri=known.uri if known else self._uri(prompt),
            version=next(self._numbers),
            language_id=prompt.language_id,
            text=text,
            path=prompt.path,
            edits=edits_between(known.text, text) if known else (),
            base_version=known.version if known else None,
            owner=prompt.owner,
        )
        if len(text) <= _MAX_KEPT_CHARS:
            self._keep(document)
        return document

    def clear(self) -> None:
        """Forget every document."""
        while self._documents:
            self._forget(self._documents.popitem()[0])

    def _uri(self, prompt: PromptText) -> str:
        if prompt.path is not None:
            digest = hashlib.sha256(prompt.path.encode("utf-8", "replace")).hexdigest()[:16]
            return f"fimble-http:path/{digest}"
        return f"fimble-http:prompt/{next(self._numbers)}"

    def _continued(self, prompt: PromptText) -> DocumentSnapshot | None:
        """Return the document whose text begins most like the prompt; with a path, that file."""
        if prompt.path is not None:
            return self._documents.get(document_key(prompt.owner, self._uri(prompt)))
        best, best_length = None, 0
        for document in self._documents.values():
            if document.owner == prompt.owner and document.path is None:
                start = num_dropped(document.text, prompt.prefix)
                length = num_common(document.text[start:], prompt.prefix)
                if length > best_length:
                    best, best_length = document, length
        is_enough = best_length >= min(_MIN_COMMON_CHARS, len(prompt.prefix))
        return best if is_enough else None

    def _keep(self, document: DocumentSnapshot) -> None:
        self._documents[document.key] = document
        self._documents.move_to_end(document.key)
        while len(self._documents) > MAX_NUM_DOCUMENTS:
            self._forget(self._documents.popitem(last=False)[0])
