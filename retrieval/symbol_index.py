"""The definitions that names in open documents lead to, prepared while nobody waits."""

from __future__ import annotations

import math
import posixpath
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from retrieval.query import Query
from retrieval.snippet import Snippet
from retrieval.sources.definitions import definition_snippet
from retrieval.symbols.resolve import Resolver, Scope
from retrieval.symbols.symbol import Resolved
from retrieval.symbols.workspace import MANIFESTS
from retrieval.syntax import SyntaxTree
from retrieval.terms import terms_of, terms_of_name

_QUIET_S = 0.5  # a document is looked at again when nobody has typed in it for that long
_MAX_NUM_AT_CURSOR = 2
_MAX_NUM_IMPORTED = 5
_IMPORTED, _AT_CURSOR = 150, 500  # characters of an outline


class SymbolIndex:
    """Scopes of open documents. Any thread may ask; one thread at a time does the ``work``."""

    def __init__(
        self, read: Callable[[str], str | None], stamps: Callable[[], Mapping[str, object]]
    ) -> None:
        """Resolve among the files of ``stamps``, whose texts ``read`` returns."""
        self._read, self._stamps = read, stamps
        self._resolver = Resolver(self)
        self._lock = threading.Lock()
        self._paths: Collection[str] | None = None
        self._scopes: dict[str, Scope] = {}
        self._imported: dict[str, Sequence[tuple[Resolved, str]]] = {}
        self._changed_at: dict[str, float] = {}

    def paths(self) -> Collection[str]:
        """Return every file of the workspace; another object whenever files came or went."""
        with self._lock:
            if self._paths is None:
                self._paths = frozenset(self._stamps())
            return self._paths

    def read(self, path: str) -> str | None:
        """Return the text of a file, of its open document if it has one, or None without either."""
        return self._read(path)

    @property
    def has_work(self) -> bool:
        """Whether a document is to be looked at, now or soon."""
        return bool(self._changed_at)

    def changed(self, path: str) -> None:
        """Take in that an open document changed."""
        with self._lock:
            self._changed_at[path] = time.monotonic()

    def closed(self, path: str) -> None:
        """Drop what is known of a document that nobody has open any more."""
        with self._lock:
            self._changed_at.pop(path, None)
            self._scopes.pop(path, None)
            self._imported.pop(path, None)

    def files_changed(self, changed: Collection[str] = ()) -> None:
        """Take in that files came, went or changed: what open documents lead to may be elsewhere."""
        paths = frozenset(self._stamps())
        with self._lock:
            if paths != self._paths or any(map(_is_manifest, changed)):
                self._paths = paths
            for path in self._scopes:
                self._changed_at.setdefault(path, 0.0)

    def work(self, tree_of: Callable[[str], SyntaxTree | None], check: Callable[[], None]) -> None:
        """Prepare the scopes of documents that nobody types in just now.

        ``check`` is called between documents; whatever it raises ends the work.
        """
        latest = time.monotonic() - _QUIET_S
        for path, changed_at in list(self._changed_at.items()):
            check()
            if changed_at <= latest:
                self.prepare(path, tree_of(path))

    def prepare(self, path: str, tree: SyntaxTree | None) -> None:
        """Prepare the scope of a document, whose tree is ``tree``; reads and parses other files."""
        with self._lock:
            self._changed_at.pop(path, None)
            if tree is None:
                self._scopes.pop(path, None)
                self._imported.pop(path, None)
        if tree is not None:
            scope = self._resolver.prepare(path, tree)
            imported = [
                (found, scope.outline(found, max_num_characters=_IMPORTED))
                for found in scope.imported_definitions()
            ]
            with self._lock:
                self._scopes[path], self._imported[path] = scope, imported

    def knows(self, path: str) -> bool:
        """Whether a document was prepared."""
        return path in self._scopes

    def imported(self, path: str, query: Query, line: str) -> list[Snippet]:
        """Return outlines of what the imports of ``path`` bring in, ranked by ``query``.

        Those that share no term with it are left out. ``line`` is the cursor's.
        """
        shown = self._imported.get(path, ())
        scored = ((_score(found, outline, query), found, outline) for found, outline in shown)
        ranked = sorted((each for each in scored if each[0] > 0), key=_by_score)
        return [_snippet(*each, line) for each in ranked[:_MAX_NUM_IMPORTED]]

    def at_cursor(self, path: str, tree: SyntaxTree, offset: int, line: str) -> list[Snippet]:
        """Return outlines of what is being typed at ``offset``: a receiver, a function, a name."""
        scope = self._scopes.get(path)
        if scope is None:
            return []
        found: list[Resolved] = []
        for resolved in scope.definitions_for(tree, offset):
            if resolved.path != path and not any(_holds(one, resolved) for one in found):
                found.append(resolved)
        shown = found[:_MAX_NUM_AT_CURSOR]
        return [
            _snippet(1.0, one, scope.outline(one, max_num_characters=_AT_CURSOR), line)
            for one in shown
        ]


def _holds(one: Resolved, other: Resolved) -> bool:
    """Whether the outline of ``one`` shows ``other``."""
    is_member = other.definition.container == one.definition.qualified
    return one.path == other.path and is_member


def _is_manifest(path: str) -> bool:
    return posixpath.basename(path) in MANIFESTS


def _score(resolved: Resolved, outline: str, query: Query) -> float:
    """Return how much of the query is about a definition: parts of its name above all, then what it shows.

    Weights compared in benchmarks/results/retrieval_quality.json.
    """
    name, weights = resolved.definition.name, query.weights
    parts, shown = terms_of_name(name), {*terms_of(outline)}
    of_parts = sum(weights.get(term, 0.0) for term in parts) / max(len(parts), 1)
    of_shown = sum(weights.get(term, 0.0) for term in shown) / (1 + math.sqrt(len(shown)))
    return of_parts + 0.3 * of_shown


def _by_score(scored: tuple[float, Resolved, str]) -> tuple[float, str, int]:
    """Return the key that puts the best first, and equal ones in the order of their places."""
    score, resolved, _ = scored
    return -score, resolved.path, resolved.definition.start_line


def _snippet(score: float, resolved: Resolved, outline: str, line: str) -> Snippet:
    definition = resolved.definition
    return definition_snippet(
        resolved.path,
        definition.start_line,
        definition.end_line,
        f"{outline}\n",
        definition.name,
        line=line,
        score=score,
    )
