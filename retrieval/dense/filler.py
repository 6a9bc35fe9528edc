"""Embeds in idle time what has no vector yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from retrieval.dense.embedder import Embedder
from retrieval.dense.vectors import VectorIndex

BATCH_SIZE = 32
_MAX_NUM_PREFERRED = 1024
_MIN_NUM_SAVED = 2048  # and a quarter of all: so saving costs a fixed share of embedding


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that is to have a vector. ``read`` returns its text, or None if it is gone."""

    key: int
    read: Callable[[], str | None]


class DenseFiller:
    """Gives chunks their vectors: what was edited last first, then a backlog in its order.

    One thread calls ``fill``, away from the path of a request; any may call the rest. What has a
    vector is skipped, so a fill that was cut off, even by the end of the process, goes on where
    the last one was saved.
    """

    def __init__(
        self,
        embedder: Embedder,
        index: VectorIndex,
        backlog: Callable[[], Iterable[Candidate]],
        *,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Make a filler of ``index``; raises ValueError if it is not of ``embedder``.

        Args:
            embedder: Loads its model here, if it has to.
            index: Is trained when that is worth it, and saved if it has a folder.
            backlog: Yields every chunk of the workspace, the most valuable first, each time it is
                called. It is read bit by bit, and does not raise.
            batch_size: How many texts are embedded between two looks at whether to go on.
        """
        if (embedder.name, embedder.dimension) != (index.embedder_name, index.dimension):
            raise ValueError(
                f"the index is of {index.embedder_name} with {index.dimension} components, "
                f"not of {embedder.name} with {embedder.dimension}"
            )
        self._embedder = embedder
        self._index = index
        self._backlog = backlog
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._preferred: dict[int, Candidate] = {}  # the last is the newest
        self._is_stale = True  # whether the backlog is to be read from its start
        self._unread: Iterator[Candidate] = iter(())

    def prefer(self, candidates: Iterable[Candidate]) -> None:
        """Embed ``candidates`` before everything else, the last of them first.

        Of more than 1,024 that wait the oldest are left to the backlog.
        """
        with self._lock:
            for candidate in candidates:
                self._preferred.pop(candidate.key, None)
                self._preferred[candidate.key] = candidate
            while len(self._preferred) > _MAX_NUM_PREFERRED:
                del self._preferred[next(iter(self._preferred))]

    def restart(self) -> None:
        """Read the backlog from its start again, because it knows other chunks now."""
        with self._lock:
            self._is_stale = True

    def fill(self, may_go_on: Callable[[], bool]) -> bool:
        """Embed, train and save until all is done or ``may_go_on``, asked between batches, denies.

        Returns whether all is done. Training is one step and may take seconds. What ``embedder`` or the index raises ends the call; the next
        one goes on behind the batch that failed.
        """
        while may_go_on():
            batch = self._next_batch()
            if batch:
                self._index.add(list(batch), self._embedder.embed(list(batch.values())))
                self._save_if(max(_MIN_NUM_SAVED, len(self._index) // 4))
            elif self._index.is_worth_training:
                self._index.train()
            else:
                self._save_if(1)
                return True
        return False

    def _save_if(self, min_num_unsaved: int) -> None:
        if self._index.folder is not None and self._index.num_unsaved >= min_num_unsaved:
            self._index.save()

    def _next_batch(self) -> dict[int, str]:
        """Return up to a batch of texts by key that have no vector; empty if there are no more."""
        batch: dict[int, str] = {}
        for candidate in self._candidates():
            if candidate.key not in self._index:
                text = candidate.read()
                if text is not None:
                    batch[candidate.key] = text
            if len(batch) == self._batch_size:
                break
        return batch

    def _candidates(self) -> Iterator[Candidate]:
        """Yield what is next, and forget it: a chunk that fails must not be next for ever."""
        while True:
            with self._lock:
                is_stale, self._is_stale = self._is_stale, False
                candidate = self._preferred.popitem()[1] if self._preferred else None
            if is_stale:
                self._unread = iter(self._backlog())
            candidate = candidate or next(self._unread, None)
            if candidate is None:
                return
            yield candidate
