"""The index of one workspace: what is on disk, what editors show, and how both are searched."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import RetrievalError
from retrieval.file_texts import FileTexts
from retrieval.files.exclusion import Exclusion
from retrieval.files.git_changes import changed_files
from retrieval.files.rules import FileRules
from retrieval.files.watch import FolderChanges, FolderWatcher
from retrieval.keeper import IndexKeeper, IndexProgress, Refreshed
from retrieval.open_documents import OpenDocuments
from retrieval.open_text import OpenText
from retrieval.sources.open_files import OpenFiles
from retrieval.sources.recent_edits import RecentEdits
from retrieval.sparse.corpus import Hit
from retrieval.sparse.errors import IndexLockedError
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.search import HiddenLines
from retrieval.store_access import num_bytes_below, open_store
from retrieval.symbol_index import SymbolIndex
from retrieval.syntax import SyntaxTree
from retrieval.workspaces import IndexOptions

if TYPE_CHECKING:  # what few use is imported when it is used
    from retrieval.dense.source import EmbedderSource
    from retrieval.dense_index import DenseIndex

logger = logging.getLogger(__name__)

_WATCHING_TIMEOUT_S = 30.0
_PAUSE_S = 1.0  # between two looks at whether nobody needs the machine
_SETTLE_S = 0.3  # a tool that writes many files is given time to finish
_MAX_NUM_DELETED = 100  # at once; beyond, to look at all files is less work


class IndexState(StrEnum):
    """What an index is doing."""

    READING = "read only"  # nobody keeps it fresh, or another process does
    INDEXING = "indexing"
    FRESH = "up to date"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How an index is; ``detail`` says why it failed, or is not kept fresh as things happen."""

    folder: str
    store: str
    state: IndexState
    num_files: int
    num_chunks: int
    num_bytes: int
    num_open: int
    refreshed: Refreshed = field(default_factory=Refreshed)
    detail: str = ""
    num_vectors: int = 0


class _ClosingError(Exception):
    """The index is about to be closed; work on it ends."""


class WorkspaceIndex:
    """One workspace. Searches and news of documents may come from any thread."""

    def __init__(self, folder: Path, options: IndexOptions) -> None:
        """Open the index of ``folder``, and begin to bring it up to date if it is to be kept fresh.

        Raises:
            IndexFolderError: It cannot be read, or made.
        """
        self.folder = folder
        self.store_folder = store_folder(options.folder, folder)
        self.recent_edits, self.open_files = RecentEdits(), OpenFiles()
        self._options = options
        self._store, segments = open_store(self.store_folder, for_writing=options.kept_fresh)
        self._index = SparseIndex(segments)
        self._documents = OpenDocuments(self._index)
        self._texts = FileTexts(folder, options.max_file_bytes, self._documents.text, self.touch)
        self.symbols = SymbolIndex(self._texts.read, self._index.stamps)
        self._rules = FileRules(folder, max_num_bytes=options.max_file_bytes)
        self._left_out: dict[str, bool] = {}
        self._dense: DenseIndex | None = None
        self._is_idle: Callable[[], bool] = lambda: True
        self._changed: frozenset[str] = frozenset()
        self._news = threading.Condition()
        self._touched: set[str] = set()
        self._wants_rescan = True
        self._is_closing = False
        self._state, self._detail = IndexState.READING, ""
        self._refreshed = Refreshed()
        self._watcher: FolderWatcher | None = None
        self._thread: threading.Thread | None = None
        self.is_writer = self._store.is_writer
        if self.is_writer:
            self._keeper = IndexKeeper(
                folder, options, self._index, self._store, lambda: self._is_idle()
            )

    def start(self) -> None:
        """Keep the index in line with its folder from now on, in a thread of its own."""
        if not self.is_writer or self._thread is not None:
            return
        self._state = IndexState.INDEXING
        self._watcher = FolderWatcher(self._keeper.rules, self._take_changes)
        self._watcher.start()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    def give_way(self, is_idle: Callable[[], bool]) -> None:
        """Work in the background only while ``is_idle``, but for a small share of the time."""
        self._is_idle = is_idle

    def use_embedder(self, source: EmbedderSource) -> None:
        """Find chunks by meaning too, as soon as they have vectors; does nothing for a reader.

        Vectors are made by ``refresh``, and in the index's thread while it need not give way and
        nobody types. A source that comes while another waits to be opened takes its place.
        """
        if not self.is_writer or (self._dense is not None and self._dense.is_open):
            return
        from retrieval.dense_index import DenseIndex

        max_bytes = self._options.max_file_bytes
        texts = FileTexts(self.folder, max_bytes, self._documents.text, self.touch)
        with self._news:
            self._dense = DenseIndex(self.store_folder, source, self._index, texts)
            self._news.notify()

    def note(self, text: OpenText) -> None:
        """Take in what an editor shows; the next search finds it, unless it is not to be shown."""
        if self._is_left_out(text.path):
            return
        former = self._documents.note(text)
        self.open_files.note(text.path)
        if former is not None:
            self.recent_edits.note(text.path, former.text, text.edits, time.monotonic())
        self.symbols.changed(text.path)
        self._chunks_changed()
        with self._news:
            self._news.notify()

    def _is_left_out(self, path: str) -> bool:
        """Whether a file is ignored, or made to hold secrets, and so does not count when it is open."""
        known = self._left_out.get(path)
        if known is None:
            reason = self._rules.exclusion(path)
            known = self._left_out[path] = reason in (Exclusion.IGNORED, Exclusion.SECRET_FILE)
        return known

    def drop(self, path: str, owner: str) -> None:
        """Take in that an editor closed a document: what is on disk counts again."""
        shown = self._texts.read(path)
        if self._documents.drop(path, owner):
            if shown != self._texts.read(path):
                self.recent_edits.forget(path)  # closed without being saved
            self.symbols.closed(path)
            self.touch(path)

    def touch(self, path: str) -> None:
        """Take in that a file changed, appeared, or is gone; a reader's index stays as it is."""
        if self._thread is None:
            return
        with self._news:
            self._touched.add(path)
            self._news.notify()

    def is_open(self, path: str) -> bool:
        """Whether an editor has ``path`` open."""
        return self._documents.text(path) is not None

    def search(
        self,
        query: Mapping[str, float],
        num_wanted: int,
        hidden: HiddenLines | None = None,
    ) -> list[Hit]:
        """Return what matches ``query`` best, in the newest texts; see ``SparseIndex.search``."""
        self._documents.apply()
        return self._index.search(query, num_wanted, hidden=hidden)

    @property
    def has_vectors(self) -> bool:
        """Whether ``near`` finds anything."""
        return self._dense is not None and self._dense.is_open

    def near(self, text: str, num_wanted: int, hidden: HiddenLines, *, has_time: bool) -> list[Hit]:
        """Return the chunks nearest to ``text`` in meaning, best first; see ``DenseIndex.search``."""
        if self._dense is None:
            return []
        self._documents.apply()
        return self._dense.search(text, num_wanted, hidden, has_time=has_time)

    def self_score(self, query: Mapping[str, float]) -> float:
        """Return the score of a chunk that has all of ``query``; see ``SparseIndex.self_score``."""
        return self._index.self_score(query)

    def idfs(self, terms: Iterable[str]) -> Mapping[str, float]:
        """Return how rare each of the terms is; see ``SparseIndex.idfs``."""
        return self._index.idfs(terms)

    def prepare_symbols(self, path: str) -> None:
        """Find out now what the names of an open document lead to, instead of in the background."""
        self.symbols.prepare(path, self.tree(path))

    def lines(self, path: str, start_line: int, end_line: int) -> str | None:
        """Return lines of an indexed file without secrets; None if it is not as it was indexed."""
        return self._texts.lines(path, start_line, end_line, self._index.stamps())

    def text(self, path: str) -> str | None:
        """Return the newest text of a file without secrets, None if it must not be shown."""
        return self._texts.read(path)

    def tree(self, path: str) -> SyntaxTree | None:
        """Return the tree of an open document, None if there is none."""
        self._documents.apply()
        return self._documents.tree(path)

    def changed_files(self) -> frozenset[str]:
        """Return the files that differ from the last commit, as of the last look at them."""
        return self._changed

    def refresh(
        self, progress: Callable[[IndexProgress], None], check: Callable[[], None]
    ) -> Refreshed:
        """Bring the index up to date now, with all that the machine has; for the command line.

        Raises:
            IndexLockedError: Another process keeps this index.
            RetrievalError: A worker failed, or the index cannot be written.
        """
        if not self.is_writer:
            raise IndexLockedError(f"another process keeps the index of {self.folder} up to date")
        self._refreshed = self._keeper.refresh(check, progress, in_background=False)
        self._state, self._detail = IndexState.FRESH, ""
        self.symbols.files_changed()
        self._chunks_changed()
        if self._dense is not None:
            self._dense.work(lambda: not self._is_closing)
        return self._refreshed

    @property
    def state(self) -> IndexState:
        """What the index is doing."""
        return self._state

    @property
    def num_files(self) -> int:
        """How many files are indexed."""
        return len(self._index.stamps())

    @property
    def detail(self) -> str:
        """Why the index failed, or is not kept fresh as things happen; empty if all is well."""
        problem = self._watcher.problem if self._watcher is not None else None
        return self._detail or problem or ""

    def status(self) -> IndexStatus:
        """Return how the index is."""
        return IndexStatus(
            folder=str(self.folder),
            store=str(self.store_folder),
            state=self.state,
            num_files=self.num_files,
            num_chunks=self._index.num_chunks,
            num_bytes=num_bytes_below(self.store_folder),
            num_open=len(self._documents.paths()),
            refreshed=self._refreshed,
            detail=self.detail,
            num_vectors=0 if self._dense is None else self._dense.num_vectors,
        )

    def close(self) -> None:
        """End what runs; the next one who opens the index finds what was committed."""
        with self._news:
            self._is_closing = True
            self._news.notify()
        if self._watcher is not None:
            self._watcher.stop()
        if self._thread is not None:
            self._thread.join()
        self._store.close()

    def _take_changes(self, changes: FolderChanges) -> None:
        rescan = changes.rescan or self._held_files(changes.deleted)
        with self._news:
            self._wants_rescan |= rescan
            self._touched |= changes.changed | changes.deleted
            self._news.notify()

    def _held_files(self, deleted: Iterable[str]) -> bool:
        """Whether any of what was deleted was a folder of indexed files."""
        stamps = self._index.stamps()
        prefixes = tuple(f"{path}/" for path in deleted if path not in stamps)
        if len(prefixes) > _MAX_NUM_DELETED:
            return True
        return bool(prefixes) and any(path.startswith(prefixes) for path in stamps)

    def _run(self) -> None:
        """Wait for news and follow them, until the index is closed."""
        if self._watcher is not None:
            self._watcher.wait_until_watching(_WATCHING_TIMEOUT_S)  # before the first scan begins
        while True:
            with self._news:
                if not self._has_news():
                    self._news.wait(self._pause_s())
                has_news = self._has_news()
            try:
                if not has_news:
                    self._embed()
                    continue
                self._settle()
                self._follow()
            except _ClosingError:
                return
            except RetrievalError as error:
                logger.warning("the index of %s is not up to date: %s", self.folder, error)
                self._state, self._detail = IndexState.FAILED, str(error)
            except Exception as error:
                logger.exception("the index of %s is not up to date", self.folder)
                self._state, self._detail = IndexState.FAILED, f"{type(error).__name__}: {error}"

    def _has_news(self) -> bool:
        has_work = self._wants_rescan or bool(self._touched) or self.symbols.has_work
        return self._is_closing or has_work

    def _pause_s(self) -> float | None:
        return _PAUSE_S if self._dense is not None and self._dense.has_work else None

    def _embed(self) -> None:
        """Make vectors while there is nothing else to do."""
        if (dense := self._dense) is not None:
            dense.work(lambda: dense.has_rested and not self._has_news() and self._is_idle())

    def _chunks_changed(self) -> None:
        if self._dense is not None:
            self._dense.changed()

    def _settle(self) -> None:
        with self._news:
            self._news.wait_for(lambda: self._is_closing, _SETTLE_S)
        self._check()

    def _follow(self) -> None:
        with self._news:
            touched, self._touched = self._touched, set()
            wants_rescan, self._wants_rescan = self._wants_rescan, False
        if wants_rescan or touched:
            # What was to be done when it failed is known no more; it is tried with the next news.
            is_whole = wants_rescan or self._state is IndexState.FAILED
            self._state = IndexState.INDEXING
            self._follow_files(touched, is_whole=is_whole)
            self._state, self._detail = IndexState.FRESH, ""
        self.symbols.work(self.tree, self._check)

    def _follow_files(self, touched: Collection[str], *, is_whole: bool) -> None:
        if is_whole:
            self._rules, self._left_out = self._keeper.rules(), {}
            self._refreshed = self._keeper.refresh(self._check)
        else:
            self._keeper.refresh_files(touched, self._check)
        self.symbols.files_changed(touched)
        self._chunks_changed()
        changed = changed_files(self.folder, self._options.environment)
        self._changed = frozenset(changed) & self._index.stamps().keys()

    def _check(self) -> None:
        if self._is_closing:
            raise _ClosingError


def store_folder(indexes: Path, folder: Path) -> Path:
    """Return where the index of the workspace ``folder`` is kept below ``indexes``."""
    digest = hashlib.blake2b(str(folder).encode("utf-8", "surrogateescape"), digest_size=8)
    return indexes / f"{folder.name or 'root'}-{digest.hexdigest()}"
