"""The documents that editors have open: taken in at once, indexed when somebody next asks.

Nothing is parsed while someone types and nobody asks; whoever asks finds the newest text indexed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from retrieval.chunking import DocumentChunker
from retrieval.languages import grammar_for
from retrieval.open_text import OpenText
from retrieval.sparse.index import SparseIndex
from retrieval.syntax import SyntaxTree
from retrieval.syntax_cache import SyntaxCache

_MAX_NUM_TREES = 64


@dataclass(slots=True)
class _Document:
    """One path: the newest text of each owner, the last one being what counts."""

    texts: dict[str, OpenText] = field(default_factory=dict)
    chunker: DocumentChunker = field(default_factory=DocumentChunker)
    tree: SyntaxTree | None = None

    @property
    def text(self) -> OpenText:
        return next(reversed(self.texts.values()))


class OpenDocuments:
    """Open documents by path, laid over the files of an index. Any thread."""

    def __init__(self, index: SparseIndex) -> None:
        self._index = index
        self._lock = threading.RLock()
        self._documents: dict[str, _Document] = {}
        self._pending: set[str] = set()
        self._trees = SyntaxCache(_MAX_NUM_TREES)

    def note(self, text: OpenText) -> OpenText | None:
        """Take in a version; returns the one that its edits begin at, None if that is not known."""
        with self._lock:
            document = self._documents.setdefault(text.path, _Document())
            former = document.texts.pop(text.owner, None)
            is_next = former is not None and former.version == text.base_version
            kept = former if is_next else None
            if kept is not None and text.path in self._pending:
                # The version between was never parsed: its edits have to be told as well.
                base, edits = kept.base_version, (*kept.edits, *text.edits)
                text = replace(text, base_version=base, edits=edits)
            document.texts[text.owner] = text
            self._pending.add(text.path)
            return kept

    def drop(self, path: str, owner: str) -> bool:
        """Take in that ``owner`` closed ``path``; whether nobody has it open any more."""
        with self._lock:
            document = self._documents.get(path)
            if document is None or document.texts.pop(owner, None) is None:
                return False
            if document.texts:
                self._pending.add(path)
                return False
            del self._documents[path]
            self._pending.discard(path)
            self._trees.forget(path)
            self._index.drop_overlay(path)
            return True

    def apply(self) -> None:
        """Bring the index up to the newest texts. Under a millisecond for a keystroke."""
        with self._lock:
            while self._pending:
                path = self._pending.pop()
                self._apply(path, self._documents[path])

    def text(self, path: str) -> str | None:
        """Return what the editor shows of ``path``, None if no editor has it open."""
        with self._lock:
            document = self._documents.get(path)
            return None if document is None else document.text.text

    def tree(self, path: str) -> SyntaxTree | None:
        """Return the tree of the text that was last applied, None if there is none."""
        with self._lock:
            document = self._documents.get(path)
            return None if document is None else document.tree

    def paths(self) -> list[str]:
        """Return what is open."""
        with self._lock:
            return list(self._documents)

    def _apply(self, path: str, document: _Document) -> None:
        text = document.text
        language = grammar_for(text.language_id, path)
        document.tree = None
        if language is not None:
            document.tree = self._trees.tree_for(
                path,
                text.version,
                language,
                text.text,
                base_version=text.base_version,
                edits=text.edits,
            )
        self._index.set_overlay(path, document.chunker.update(text.text, document.tree))
