"""The documents whose keys and values are kept, within a fixed number of slots."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from completion.scheduler import Priority
from completion.windows import StickyWindows
from models.slot_pool import SlotPool
from models.slots import SlotTable

# Nested work is always more urgent than what it interrupts.
MAX_NUM_NESTED = len(Priority)


class Session:
    """One document's cache and prompt windows. Engine thread only.

    ``ahead`` is a second table, sharing all it can with the first: the document as it will be if a
    suggestion is accepted. Computing it must not cost the cache of the document as it is.
    """

    def __init__(self, pool: SlotPool, capacity: int) -> None:
        self._pool, self._capacity = pool, capacity
        self.table = SlotTable(pool, capacity)
        self.ahead: SlotTable | None = None
        self._works_ahead = False
        self.windows = StickyWindows()

    @property
    def active(self) -> SlotTable:
        """The table that the work at hand changes."""
        return self.ahead if self._works_ahead and self.ahead is not None else self.table

    def best_prefix(self, token_ids: Sequence[int]) -> int:
        """Return how many leading tokens of ``token_ids`` one of the tables holds."""
        known = [self.table] if self.ahead is None else [self.table, self.ahead]
        return max(table.common_prefix(token_ids) for table in known)

    def take_best(self, token_ids: Sequence[int]) -> None:
        """Make the table that holds more of ``token_ids`` the document's."""
        if self.ahead is None:
            return
        if self.ahead.common_prefix(token_ids) > self.table.common_prefix(token_ids):
            self.table, self.ahead = self.ahead, self.table
            self.table.consolidate()
        self._close_ahead()

    def fork(self) -> None:
        """Let the following work change a copy, until ``settle``."""
        self._close_ahead()
        self.ahead = SlotTable(self._pool, self._capacity, head=self.table)
        self._works_ahead = True

    def settle(self) -> None:
        """End the work on a copy; the copy stays for ``take_best``."""
        self._works_ahead = False

    def close(self) -> None:
        """Give all slots back."""
        self._close_ahead()
        self.table.close()

    def _close_ahead(self) -> None:
        if self.ahead is not None:
            self.ahead.close()
            self.ahead = None


class SessionStore:
    """Sessions by key; the one unused for longest makes room. Engine thread only.

    A session that work is using stays, however long that takes: more urgent work may run between two
    of its layers, on any number of other documents.
    """

    def __init__(self, pool: SlotPool, capacity: int, max_num_sessions: int) -> None:
        """Keep up to ``max_num_sessions`` sessions of ``capacity`` tokens each.

        The pool needs room for ``MAX_NUM_NESTED`` more, which may be in use at the same time.
        """
        self._pool, self._capacity = pool, capacity
        self._max_num_sessions = max_num_sessions
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._in_use: set[str] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def use(self, key: str) -> Iterator[Session]:
        """Lend the session of ``key``, which is created if needed, to one piece of work."""
        if key not in self._sessions:
            self._make_room(self._max_num_sessions - 1)
            self._sessions[key] = Session(self._pool, self._capacity)
        self._sessions.move_to_end(key)
        self._in_use.add(key)
        try:
            yield self._sessions[key]
        finally:
            self._in_use.discard(key)
            self._make_room(self._max_num_sessions)

    def close(self, key: str) -> None:
        """Forget ``key``; unknown keys are fine."""
        session = self._sessions.pop(key, None)
        if session is not None:
            session.close()

    def _make_room(self, num_kept: int) -> None:
        unused = [key for key in self._sessions if key not in self._in_use]
        for key in unused[: max(0, len(self._sessions) - num_kept)]:
            self.close(key)
