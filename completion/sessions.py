"""The documents whose keys and values are kept, within a fixed number of slots."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from completion.draft_history import DraftHistory
from completion.kept_sessions import KeptSessions
from completion.prompt import FimPrompt
from completion.scheduler import Priority
from completion.types import ContextChunk, DocumentSnapshot
from completion.windows import StickyWindows
from kvedit.patch import CachePatcher
from kvedit.policy import PatchPolicy
from kvedit.surroundings import Surroundings
from models.runs import Donor
from models.slot_pool import SlotPool
from models.slots import SlotTable

# Nested work is always more urgent than what it interrupts.
MAX_NUM_NESTED = len(Priority)
_HALF_LIFE_S = 600.0  # a document untouched for this long is worth half


class Session:
    """One document's cache and prompt windows. Engine thread only.

    ``ahead`` is a second table, sharing all it can with the first: the document as it will be if a
    suggestion is accepted. Computing it must not cost the cache of the document as it is.
    ``around`` is the document from left to right, far beyond the prompt, for jumps, with edges of
    its own in ``windows_around``. ``chunks`` stand beside it in the prompt, ``drafts`` is what may
    come again. ``asked`` is the prompt last answered from a patched cache, with its logits. ``name``
    is what the document is called in every run, None if it has no such name.
    """

    def __init__(self, pool: SlotPool, capacity: int, name: str | None = None) -> None:
        self._pool, self._capacity = pool, capacity
        self.name = name
        self.table = SlotTable(pool, capacity)
        self.around: Surroundings | None = None
        self.ahead: SlotTable | None = None
        self._works_ahead = False
        self.windows, self.windows_around = StickyWindows(), StickyWindows()
        self.chunks: tuple[ContextChunk, ...] = ()
        self.drafts = DraftHistory()
        self.num_prompt_tokens = 0
        self.asked: tuple[list[int], Tensor] | None = None
        self.used_at = time.monotonic()

    @property
    def active(self) -> SlotTable:
        """The table that the work at hand changes."""
        return self.ahead if self._works_ahead and self.ahead is not None else self.table

    @property
    def donors(self) -> tuple[Donor, ...]:
        """Where text may be taken from that the document's table lacks."""
        return () if self.around is None else (self.around.stored,)

    def windows_on(self, document: DocumentSnapshot, *, is_ahead: bool = False) -> StickyWindows:
        """Return the windows of the prompt, which follow ``document``.

        One that may never be, ``is_ahead``, moves a copy.
        """
        if not is_ahead:
            self.windows_around.follow(document)
        windows = self.windows.copy() if is_ahead else self.windows
        windows.follow(document)
        return windows

    @property
    def value(self) -> float:
        """What losing the cache would cost, in tokens to compute, less the longer it is unused."""
        idle_s = time.monotonic() - self.used_at
        return len(self.table) * math.exp2(-idle_s / _HALF_LIFE_S)

    def num_to_compute(self, prompt: FimPrompt, patcher: CachePatcher, policy: PatchPolicy) -> int:
        """Return how many tokens of ``prompt`` the better of the tables leaves to compute."""
        known = [self.table] if self.ahead is None else [self.table, self.ahead]
        target = prompt.target(self.donors)
        return min(patcher.plan(table, target, policy).num_computed for table in known)

    def take_best(self, prompt: FimPrompt, patcher: CachePatcher, policy: PatchPolicy) -> None:
        """Make the table that leaves less of ``prompt`` to compute the document's."""
        if self.ahead is None:
            return
        target = prompt.target(self.donors)
        costs = [
            patcher.plan(table, target, policy).num_computed for table in (self.table, self.ahead)
        ]
        if costs[1] < costs[0]:
            self.table, self.ahead = self.ahead, self.table
            self.table.consolidate()
        self._close_ahead()

    def note_asked(self, prompt: FimPrompt, age: int, logits: Tensor) -> None:
        """Keep what an answer was made from, to be compared with the truth once that is known."""
        if self._works_ahead:
            return
        token_ids = prompt.token_ids
        self.num_prompt_tokens = len(token_ids)
        self.asked = (token_ids, logits.clone()) if age else None

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
        if self.around is not None:
            self.around.close()
        self.table.close()

    def _close_ahead(self) -> None:
        if self.ahead is not None:
            self.ahead.close()
            self.ahead = None


class SessionStore:
    """Sessions by key; the least valuable makes room. Engine thread only.

    The newest stays: its document is being worked on, however small it is. A session that work is
    using stays, however long that takes: more urgent work may run between two
    of its layers, on any number of other documents.
    """

    def __init__(
        self,
        pool: SlotPool,
        capacity: int,
        max_num_sessions: int,
        kept: KeptSessions | None = None,
    ) -> None:
        """Keep up to ``max_num_sessions`` sessions of ``capacity`` tokens each.

        The pool needs room for ``MAX_NUM_NESTED`` more, which may be in use at the same time.
        ``kept`` is where dropped sessions are kept over runs; None: nowhere.
        """
        self._kept = kept
        self._pool, self._capacity = pool, capacity
        self._max_num_sessions = max_num_sessions
        self._sessions: dict[str, Session] = {}
        self._in_use: set[str] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, key: str) -> bool:
        return key in self._sessions

    @contextmanager
    def use(self, key: str, name: str | None = None) -> Iterator[Session]:
        """Lend the session of ``key``, which is created if needed, to one piece of work.

        ``name`` is the document's in every run; what was kept under it fills a new session.
        """
        if key not in self._sessions:
            self._make_room(self._max_num_sessions - 1)
            self._sessions[key] = Session(self._pool, self._capacity, name)
            if self._kept is not None:
                self._kept.restore(self._sessions[key])
        session = self._sessions[key]
        session.used_at = time.monotonic()
        try:
            with self._in_use_while(key):
                yield session
        finally:
            self._make_room(self._max_num_sessions)

    @contextmanager
    def borrow(self, key: str) -> Iterator[Session | None]:
        """Lend the session of ``key`` if there is one; that does not count as use."""
        session = self._sessions.get(key)
        if session is None:
            yield None
            return
        with self._in_use_while(key):
            yield session

    def close(self, key: str) -> None:
        """Forget ``key``; unknown keys are fine."""
        session = self._sessions.pop(key, None)
        if session is None:
            return
        if self._kept is not None:
            self._kept.keep(session)
        session.close()

    def write_all(self) -> None:
        """Write all sessions to where they are kept over runs, the one used last at the end."""
        if self._kept is not None:
            self._kept.write_all(sorted(self._sessions.values(), key=lambda one: one.used_at))

    @contextmanager
    def _in_use_while(self, key: str) -> Iterator[None]:
        self._in_use.add(key)
        try:
            yield
        finally:
            self._in_use.discard(key)

    def _make_room(self, num_kept: int) -> None:
        newest = max(self._sessions, key=lambda key: self._sessions[key].used_at, default="")
        unused = [key for key in self._sessions if key not in self._in_use and key != newest]
        unused.sort(key=lambda key: self._sessions[key].value)
        for key in unused[: max(0, len(self._sessions) - num_kept)]:
            self.close(key)
