"""The indexes of this process, by folder, shared by all its clients.

Importing this is cheap: what an index needs is imported in the thread that opens it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.open_text import OpenText

if TYPE_CHECKING:
    from retrieval.workspace import WorkspaceIndex

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How workspaces are indexed.

    ``folder`` is where indexes are kept, one folder for each workspace. ``max_num_files`` guards
    against a whole disk that was opened as one workspace. ``num_workers`` processes index many files
    at once; 0: as many as there are cores, four at most. An index that is not ``kept_fresh`` is
    read as it lies on disk: nothing is scanned, watched or written. ``environment`` is what git is
    run with.
    """

    folder: Path
    max_file_bytes: int = 1 << 20
    max_num_files: int = 200_000
    num_workers: int = 0
    kept_fresh: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


class Workspaces:
    """Opens an index when its folder is first used. Every method may be called from any thread."""

    def __init__(self, options: IndexOptions | None = None) -> None:
        """Index as ``options`` say; without any, there are no indexes."""
        self._options = options
        self._lock = threading.Lock()
        self._indexes: dict[str, WorkspaceIndex] = {}
        self._opening: set[str] = set()
        self._open_texts: dict[str, dict[tuple[str, str], OpenText]] = {}
        self._used_at: dict[str, float] = {}
        self._num_clients: dict[str, int] = {}

    @property
    def is_on(self) -> bool:
        """Whether there are indexes at all."""
        return self._options is not None

    def enter(self, folder: str) -> None:
        """Take in that a client works in ``folder``; its index opens in a thread of its own."""
        with self._lock:
            self._num_clients[folder] = self._num_clients.get(folder, 0) + 1
        self.find(folder)

    def leave(self, folder: str) -> None:
        """Take in that a client is gone from ``folder``."""
        with self._lock:
            self._num_clients[folder] = max(0, self._num_clients.get(folder, 0) - 1)
            self._used_at[folder] = time.monotonic()

    def find(self, folder: str) -> WorkspaceIndex | None:
        """Return the index of ``folder``; None while it opens, if it cannot, and if there is none."""
        with self._lock:
            index = self._indexes.get(folder)
            self._used_at[folder] = time.monotonic()
            if index is not None or self._options is None or folder in self._opening or not folder:
                return index
            self._opening.add(folder)
        threading.Thread(target=self._open, args=(folder,), name="index", daemon=True).start()
        return None

    def note(self, text: OpenText) -> None:
        """Take in what an editor shows: the index follows before it is next asked."""
        with self._lock:
            self._open_texts.setdefault(text.workspace, {})[text.path, text.owner] = text
            index = self._indexes.get(text.workspace)
        if index is not None:
            index.note(text)

    def drop(self, workspace: str, path: str, owner: str) -> None:
        """Take in that an editor closed a document: what is on disk counts again."""
        with self._lock:
            self._open_texts.get(workspace, {}).pop((path, owner), None)
            index = self._indexes.get(workspace)
        if index is not None:
            index.drop(path, owner)

    def touch(self, workspace: str, path: str) -> None:
        """Take in that a file changed on disk, appeared, or is gone."""
        with self._lock:
            index = self._indexes.get(workspace)
        if index is not None:
            index.touch(path)

    def close_unused(self, after_s: float) -> None:
        """Close the indexes that nobody has used for ``after_s`` seconds."""
        latest = time.monotonic() - after_s
        with self._lock:
            expired = [
                folder
                for folder in self._indexes
                if not self._num_clients.get(folder) and self._used_at[folder] <= latest
            ]
            closing = [self._indexes.pop(folder) for folder in expired]
        for index in closing:
            index.close()

    def close(self) -> None:
        """Close all indexes; what is not yet written is found again by the next scan."""
        with self._lock:
            closing, self._indexes = list(self._indexes.values()), {}
            self._options = None
        for index in closing:
            index.close()

    def _open(self, folder: str) -> None:
        from retrieval.workspace import WorkspaceIndex

        options = self._options
        if options is None:
            return
        try:
            index = WorkspaceIndex(Path(folder), options)
            index.start()
        except Exception:
            # Completions do without; opening it anew would fail again and again.
            logger.exception("the index of %s cannot be used", folder)
            return
        with self._lock:
            is_closed = self._options is None
            if not is_closed:
                self._indexes[folder] = index
                self._opening.discard(folder)
            texts = list(self._open_texts.get(folder, {}).values())
        if is_closed:
            index.close()
            return
        for text in texts:
            index.note(text)
