"""Documents' caches on disk: written when nothing else is to do, read when a document comes back.

dropped ──▶ copied at once, a few milliseconds ──▶ written when nothing else is to do
the service closes ──▶ what waits and what is still open is written
opened ──▶ the copy that waits, else the file
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from completion.errors import ServiceClosedError
from completion.scheduler import Checkpoint, Work
from kvedit.snapshots import SnapshotStore, TableCopy, copy_of
from models.slot_pool import SlotPool

if TYPE_CHECKING:
    from completion.sessions import Session

MIN_NUM_TOKENS = 128  # of a prompt; less is computed about as fast as it is read
_MAX_NUM_WAITING = 8  # copies in memory; as many documents as are closed with an editor


class KeptSessions:
    """Keeps sessions that have a name over runs. Engine thread only."""

    def __init__(
        self,
        store: SnapshotStore,
        pool: SlotPool,
        when_idle: Callable[[Work[None]], None],
    ) -> None:
        """Keep sessions of ``pool`` in ``store``; ``when_idle`` queues work that can wait."""
        self._store, self._pool, self._when_idle = store, pool, when_idle
        self._waiting: dict[str, TableCopy] = {}

    def restore(self, session: Session) -> None:
        """Fill the empty cache of ``session`` with what was kept under its name."""
        if session.name is None:
            return
        copied = self._waiting.pop(session.name, None)
        if copied is None:
            copied = self._store.read(session.name, self._pool)
        if copied is not None:
            copied.restore(session.table, self._pool)
            session.num_prompt_tokens = len(session.table)

    def keep(self, session: Session) -> None:
        """Copy ``session``, which is about to be closed, and have the copy written soon."""
        if not self._copy(session):
            return
        while len(self._waiting) > _MAX_NUM_WAITING:
            del self._waiting[next(iter(self._waiting))]
        with suppress(ServiceClosedError):  # ``write_all`` is to come
            self._when_idle(self._write_waiting)

    def write_all(self, sessions: Iterable[Session]) -> None:
        """Write what waits and then ``sessions``, those last that are to stay longest."""
        self._write_waiting(lambda: None)
        for session in sessions:
            self._copy(session)
            self._write_waiting(lambda: None)

    def _copy(self, session: Session) -> bool:
        num_tokens = min(session.num_prompt_tokens, len(session.table))
        if session.name is None or num_tokens < MIN_NUM_TOKENS:
            return False
        copied = copy_of(session.table, self._pool, num_tokens)
        if copied is not None:
            self._waiting[session.name] = copied
        return copied is not None

    def _write_waiting(self, checkpoint: Checkpoint) -> None:
        """Write all copies; at a checkpoint others may come, go, or be replaced by newer ones."""
        while self._waiting:
            name, copied = next(iter(self._waiting.items()))
            self._store.write(name, copied, checkpoint)
            if self._waiting.get(name) is copied:
                del self._waiting[name]
