"""The syntax trees of open documents, carried from version to version."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.languages import Grammar
from retrieval.syntax import SyntaxTree


@dataclass(frozen=True, slots=True)
class _Parsed:
    version: int
    tree: SyntaxTree


class SyntaxCache:
    """Trees of the documents used last. Every method may be called from any thread."""

    def __init__(self, max_num_documents: int = 16) -> None:
        self._max_num_documents = max_num_documents
        self._lock = threading.Lock()
        self._parsed: OrderedDict[str, _Parsed] = OrderedDict()

    def tree_for(
        self,
        uri: str,
        version: int,
        language: Grammar,
        text: str,
        *,
        base_version: int | None = None,
        edits: Sequence[tuple[int, int, str]] = (),
    ) -> SyntaxTree:
        """Return the tree of ``text``, parsed anew only where ``edits`` changed it.

        ``edits`` lead from ``base_version`` to ``text`` as (start, end, inserted), in the offsets
        each predecessor left. They are taken as a hint: if they do not lead from a version known
        here to exactly ``text``, all of it is parsed.
        """
        with self._lock:
            old = self._parsed.get(uri)
        tree = self._carried_over(old, version, language, text, base_version, edits)
        if tree is None:
            tree = SyntaxTree.parse(language, text)
        with self._lock:
            self._parsed[uri] = _Parsed(version, tree)
            self._parsed.move_to_end(uri)
            while len(self._parsed) > self._max_num_documents:
                self._parsed.popitem(last=False)
        return tree

    def forget(self, uri: str) -> None:
        """Drop the tree of a document that was closed."""
        with self._lock:
            self._parsed.pop(uri, None)

    @staticmethod
    def _carried_over(
        old: _Parsed | None,
        version: int,
        language: Grammar,
        text: str,
        base_version: int | None,
        edits: Sequence[tuple[int, int, str]],
    ) -> SyntaxTree | None:
        if old is None or old.tree.language is not language:
            return None
        if old.tree.text == text:
            return old.tree
        if old.version != base_version or version == base_version:
            return None
        if not all(0 <= start <= end for start, end, _ in edits):
            return None
        tree = old.tree.edited(edits)
        return tree if tree.text == text else None
