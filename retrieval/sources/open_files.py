"""The files that were opened or focused last."""

from __future__ import annotations

import threading
from collections import OrderedDict


class OpenFiles:
    """Paths, by when they were used last. Every method may be called from any thread."""

    def __init__(self, max_num_files: int = 20) -> None:
        self._max_num_files = max_num_files
        self._lock = threading.Lock()
        self._used: OrderedDict[str, None] = OrderedDict()

    def note(self, path: str) -> None:
        """Take in that ``path`` was opened, focused or edited."""
        with self._lock:
            self._used[path] = None
            self._used.move_to_end(path)
            while len(self._used) > self._max_num_files:
                self._used.popitem(last=False)

    def forget(self, path: str) -> None:
        """Drop a file that was deleted; one that was closed was still looked at lately."""
        with self._lock:
            self._used.pop(path, None)

    def paths(self) -> tuple[str, ...]:
        """Return the paths, the one used last first."""
        with self._lock:
            return tuple(reversed(self._used))
