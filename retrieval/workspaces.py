"""The indexes of this process, by folder, shared by all its clients.

Importing this is cheap: what an index needs is imported in the thread that opens it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.open_text import OpenText
from retrieval.sources.clipboard import Clipboards

if TYPE_CHECKING:
    from retrieval.dense.source import EmbedderSource
    from retrieval.workspace import WorkspaceIndex

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How workspaces are indexed.

    ``folder`` is where indexes are kept, one folder for each workspace. ``max_num_files`` guards
    against a whole disk that was opened as one workspace. ``num_workers`` processes index many files
    at once; 0: as many as there are cores, four at most. An index that is not ``kept_fresh`` is
    read as it lies on disk: nothing is scanned, watched or written. ``environment`` is what git is
    run with. ``embeds_tokens``: chunks are also found by meaning, once a language model has offered
    its token vectors. Folders that are ``too_wide`` have no index: home folders, whole disks.
    """

    folder: Path
    max_file_bytes: int = 1 << 20
    max_num_files: int = 200_000
    num_workers: int = 0
    kept_fresh: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    embeds_tokens: bool = False
    too_wide: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """One index of this process, in words; ``detail`` says what is wrong with it, if anything."""

    folder: str
    state: str
    num_clients: int
    num_files: int = 0
    detail: str = ""


class Workspaces:
    """Opens an index when its folder is first used. Every method may be called from any thread.

    A folder has one index, whatever links lead to it. Of a file that several clients have open, the
    text that was noted last counts for all of them, until its client closes the file.
    """

    def __init__(self, options: IndexOptions | None = None) -> None:
        """Index as ``options`` say; without any, there are no indexes."""
        self.clipboards = Clipboards()
        self._options = options
        self._lock = threading.Lock()
        self._turned = threading.Condition(self._lock)  # an index opened, closed or failed to
        self._real_paths: dict[str, str] = {}
        self._indexes: dict[str, WorkspaceIndex] = {}
        self._turning: set[str] = set()  # being opened or closed
        self._failures: dict[str, str] = {}
        self._open_texts: dict[str, dict[tuple[str, str], OpenText]] = {}
        self._used_at: dict[str, float] = {}
        self._num_clients: dict[str, int] = {}
        self._source: EmbedderSource | None = None
        self._is_idle: Callable[[], bool] = lambda: True

    @property
    def is_on(self) -> bool:
        """Whether there are indexes at all."""
        return self._options is not None

    @property
    def wants_token_vectors(self) -> bool:
        """Whether a language model is to offer its token vectors to ``use_embedder``."""
        return self._options is not None and self._options.embeds_tokens

    def give_way(self, is_idle: Callable[[], bool]) -> None:
        """Index in the background only while ``is_idle``; call it before there are indexes."""
        self._is_idle = is_idle

    def use_embedder(self, source: EmbedderSource) -> None:
        """Find chunks by meaning too; the first one's name counts, whoever comes with another."""
        with self._lock:
            if self._source is not None and self._source.name != source.name:
                return
            self._source = source
            indexes = list(self._indexes.values())
        for index in indexes:
            index.use_embedder(source)

    def enter(self, folder: str) -> None:
        """Take in that a client works in ``folder``; its index opens in a thread of its own."""
        place = self._place(folder)
        with self._lock:
            self._num_clients[place] = self._num_clients.get(place, 0) + 1
        self.find(folder)

    def leave(self, folder: str) -> None:
        """Take in that a client is gone from ``folder``."""
        place = self._place(folder)
        with self._lock:
            self._num_clients[place] = max(0, self._num_clients.get(place, 0) - 1)
            self._used_at[place] = time.monotonic()

    def find(self, folder: str) -> WorkspaceIndex | None:
        """Return the index of ``folder``; None while it opens, if it cannot, and if there is none."""
        if self._options is None or not folder:
            return None
        place = self._place(folder)
        if place in self._options.too_wide:
            return None
        with self._lock:
            index = self._indexes.get(place)
            self._used_at[place] = time.monotonic()
            if index is not None or place in self._turning or place in self._failures:
                return index
            self._turning.add(place)
        threading.Thread(target=self._open, args=(place,), name="index", daemon=True).start()
        return None

    def wait_for(self, folder: str, timeout_s: float) -> WorkspaceIndex | None:
        """Return the index of ``folder`` once it has opened, None if that takes too long or fails.

        Opening takes fractions of a second; bringing the index up to date is not waited for.
        """
        latest = time.monotonic() + timeout_s
        while (index := self.find(folder)) is None and folder:
            place = self._place(folder)
            with self._turned:
                left_s = latest - time.monotonic()
                has_turned = self._turned.wait_for(lambda: place not in self._turning, left_s)  # noqa: B023
                if not has_turned or place in self._failures or self._options is None:
                    return None
        return index

    def note(self, text: OpenText) -> None:
        """Take in what an editor shows: the index follows before it is next asked."""
        place = self._place(text.workspace)
        with self._lock:
            self._open_texts.setdefault(place, {})[text.path, text.owner] = text
            index = self._indexes.get(place)
        if index is not None:
            index.note(text)

    def drop(self, workspace: str, path: str, owner: str) -> None:
        """Take in that an editor closed a document: what is on disk counts again."""
        place = self._place(workspace)
        with self._lock:
            self._open_texts.get(place, {}).pop((path, owner), None)
            index = self._indexes.get(place)
        if index is not None:
            index.drop(path, owner)

    def touch(self, workspace: str, path: str) -> None:
        """Take in that a file changed on disk, appeared, or is gone."""
        place = self._place(workspace)
        with self._lock:
            index = self._indexes.get(place)
        if index is not None:
            index.touch(path)

    def status(self) -> list[IndexSummary]:
        """Return what indexes there are, those that are being opened and that failed included."""
        with self._lock:
            num_clients = dict(self._num_clients)
            indexes, failures = dict(self._indexes), dict(self._failures)
            turning = sorted(self._turning)
        found = [IndexSummary(place, "opening", num_clients.get(place, 0)) for place in turning]
        found += [
            IndexSummary(place, "failed", num_clients.get(place, 0), detail=problem)
            for place, problem in failures.items()
        ]
        found += [
            IndexSummary(
                place, index.state, num_clients.get(place, 0), index.num_files, index.detail
            )
            for place, index in indexes.items()
        ]
        return sorted(found, key=lambda each: each.folder)

    def close_unused(self, after_s: float) -> None:
        """Close the indexes that nobody has used for ``after_s`` seconds, and drop old clipboards.

        Waits for their threads, which an event loop must not.
        """
        self.clipboards.drop_old()
        latest = time.monotonic() - after_s
        with self._lock:
            expired = [
                place
                for place in self._indexes
                if not self._num_clients.get(place) and self._used_at[place] <= latest
            ]
        self._close(expired)

    def take_over(self) -> None:
        """Open anew the indexes that another process kept up to date, where it is gone.

        ``fimble index`` may be at work when an editor starts. Looks at files and waits, which an
        event loop must not.
        """
        with self._lock:
            is_wanted = self._options is not None and self._options.kept_fresh
            read = {place: each for place, each in self._indexes.items() if not each.is_writer}
        if not is_wanted or not read:
            return
        from retrieval.store_access import may_be_written

        free = [place for place, index in read.items() if may_be_written(index.store_folder)]
        self._close(free)
        for place in free:
            self.find(place)

    def _close(self, places: Collection[str]) -> None:
        with self._lock:
            closing = {
                place: self._indexes.pop(place) for place in places if place in self._indexes
            }
            # Whoever opened one before its lock is free would get a reader's access.
            self._turning.update(closing)
        for place, index in closing.items():
            index.close()
            self._has_turned(place)

    def close(self) -> None:
        """Close all indexes; what is not yet written is found again by the next scan."""
        with self._lock:
            closing, self._indexes = list(self._indexes.values()), {}
            self._options = None
        for index in closing:
            index.close()

    def _place(self, folder: str) -> str:
        """Return where ``folder`` really is, as far as the links led when it was first named."""
        place = self._real_paths.get(folder)
        if place is None:
            place = self._real_paths[folder] = os.path.realpath(folder) if folder else ""
        return place

    def _has_turned(self, place: str) -> None:
        with self._turned:
            self._turning.discard(place)
            self._turned.notify_all()

    def _open(self, place: str) -> None:
        try:
            index = self._opened(place)
            if index is not None:
                self._take_in(place, index)
        except Exception as error:
            # Completions do without; opening it anew would fail again and again.
            logger.exception("the index of %s cannot be used", place)
            with self._lock:
                self._failures[place] = str(error) or type(error).__name__
        self._has_turned(place)

    def _opened(self, place: str) -> WorkspaceIndex | None:
        from retrieval.workspace import WorkspaceIndex

        options = self._options
        if options is None:
            return None
        index = WorkspaceIndex(Path(place), options)
        index.give_way(self._is_idle)
        index.start()
        return index

    def _take_in(self, place: str, index: WorkspaceIndex) -> None:
        with self._lock:
            is_closed = self._options is None
            if not is_closed:
                # Before anybody finds the index: a text noted meanwhile must not be the older one.
                for text in self._open_texts.get(place, {}).values():
                    index.note(text)
                self._indexes[place] = index
                if self._source is not None:
                    index.use_embedder(self._source)
        if is_closed:
            index.close()
