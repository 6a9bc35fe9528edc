"""What happens to caches when nobody waits: patching ahead, healing, whole prompts, chunks.

edit ──▶ patch, a moment later, before the request comes
answer or patch ──▶ heal, once nothing has happened for a while ──▶ compare with what was shown
                ──▶ compute chunks, and the text around the prompt, piece by piece
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock
from typing import Protocol

from completion.caches import Caches
from completion.config import EngineConfig
from completion.errors import ServiceClosedError
from completion.prompt import CHUNK, FimPrompt, PromptBuilder
from completion.scheduler import Checkpoint, EngineThread, Priority
from completion.sessions import Session
from completion.types import (
    CancellationToken,
    CompletionRequest,
    ContextChunk,
    WorkCancelled,
)
from completion.windows import StickyWindows
from kvedit.drift import DriftMonitor, compare
from kvedit.policy import PatchPolicy

logger = logging.getLogger(__name__)

# Long enough for the rest of a paste or of a formatter's edits, too short for anybody to notice.
COALESCING_S = 0.015

Retrieve = Callable[[CompletionRequest, StickyWindows], tuple[ContextChunk, ...]]


class _Work(Protocol):
    """A stretch of work; returns what is left of it."""

    def __call__(self, checkpoint: Checkpoint, /) -> _Work | None: ...


class CacheUpkeep:
    """Queues work on the caches of documents; its own work runs on the engine thread."""

    def __init__(
        self,
        engine: EngineThread,
        caches: Caches,
        prompts: PromptBuilder,
        config: EngineConfig,
    ) -> None:
        self._engine, self._caches = engine, caches
        self._prompts, self._config = prompts, config
        self.drift = DriftMonitor()
        self._pending: dict[tuple[str, Priority], CancellationToken] = {}
        self._lock = Lock()

    def policy_for(self, request: CompletionRequest) -> PatchPolicy:
        """Return how much of a cache ``request`` trusts, as widened by what drift was seen."""
        policy = self._config.patch.at(request.patching)
        return self.drift.tightened(policy)

    def patch_ahead(self, request: CompletionRequest, retrieve: Retrieve, resting_s: float) -> None:
        """Bring the document's cache up to ``request``, which may never be asked, a moment from now."""

        def work(checkpoint: Checkpoint) -> None:
            self._update(request, retrieve, checkpoint)

        self._queue(request.document.key, Priority.PATCH, work, max(resting_s, COALESCING_S))

    def complete_prompt(self, request: CompletionRequest, retrieve: Retrieve) -> None:
        """Compute the whole prompt of a request that got a shorter one, for the next request."""

        def work(checkpoint: Checkpoint) -> None:
            self._update(request, retrieve, checkpoint)

        self._queue(request.document.key, Priority.SECOND_PASS, work)

    def rest(
        self,
        request: CompletionRequest,
        prompt: FimPrompt,
        chunks: Sequence[ContextChunk],
        retrieve: Retrieve,
    ) -> None:
        """Once nothing has happened for a while: retrieve again if the answer changes that, heal.

        ``prompt`` with ``chunks`` is what was just answered. The text written for it says what the
        next lines are about, so that its retrieval may now find better ones (RepoCoder).
        """
        if not self.policy_for(request).heals:
            return
        key = request.document.key

        def work(checkpoint: Checkpoint) -> _Work | None:
            with self._caches.sessions.borrow(key) as session:
                again = chunks if session is None else retrieve(request, session.windows)
            if tuple(again) == tuple(chunks):
                return self._heal_all(request, prompt, checkpoint)
            self._update(request, retrieve, checkpoint)
            return None

        self._queue(key, Priority.HEAL, work, self._config.heal_after_s)

    def heal(self, request: CompletionRequest, prompt: FimPrompt) -> None:
        """Make the document's cache exact once nothing has happened for a while."""
        if not self.policy_for(request).heals:
            return

        def work(checkpoint: Checkpoint) -> _Work | None:
            return self._heal_all(request, prompt, checkpoint)

        self._queue(request.document.key, Priority.HEAL, work, self._config.heal_after_s)

    def superseded(self, key: str) -> None:
        """Drop the patch ahead of the document ``key``: a request is about to bring its cache up.

        Due a moment later, it would take the session from a script's request and abandon that.
        """
        with self._lock:
            pending = self._pending.pop((key, Priority.PATCH), None)
        if pending is not None:
            pending.cancel()

    def forget(self, key: str) -> None:
        """Drop what is queued for the document ``key``."""
        with self._lock:
            for known in [known for known in self._pending if known[0] == key]:
                self._pending.pop(known).cancel()

    def _queue(
        self,
        key: str,
        priority: Priority,
        work: _Work,
        delay_s: float = 0.0,
    ) -> None:
        """Queue ``work`` in place of what waits for the same document with the same priority."""
        token = CancellationToken()
        with self._lock:
            older = self._pending.get((key, priority))
            self._pending[key, priority] = token
        if older is not None:
            older.cancel()
        self._submit(key, priority, work, token, delay_s)

    def _submit(
        self, key: str, priority: Priority, work: _Work, token: CancellationToken, delay_s: float
    ) -> None:
        """Have ``work`` done, and what it leaves after what waits with the same priority."""

        def step(checkpoint: Checkpoint) -> None:
            rest = work(checkpoint)
            if rest is not None:
                self._submit(key, priority, rest, token, 0.0)

        with suppress(ServiceClosedError):
            future = self._engine.submit(priority, key, step, token, delay_s=delay_s)
            future.add_done_callback(_log_failure)

    def _update(
        self,
        request: CompletionRequest,
        retrieve: Retrieve,
        checkpoint: Checkpoint,
    ) -> None:
        policy, document = self.policy_for(request), request.document
        with self._caches.sessions.use(document.key, document.lasting_key) as session:
            windows = session.windows_on(document)
            chunks = session.chunks = retrieve(request, windows)
            prompt = self._prompts.build(request, chunks, windows)
            session.take_best(prompt, self._caches.patcher, policy)
            target = prompt.target(session.donors)
            self._caches.generator.prefill(session.table, target, policy, checkpoint)
            session.num_prompt_tokens = len(session.table)
        self.heal(request, prompt)

    def _heal_all(
        self, request: CompletionRequest, prompt: FimPrompt, checkpoint: Checkpoint
    ) -> _Work | None:
        """Make the document's cache exact, then its chunks known, then a piece of what is around.

        Returns what does the same again, if more pieces are missing: a long document takes half a
        minute, which others shall not wait for.
        """
        sessions, key = self._caches.sessions, request.document.key
        with sessions.borrow(key) as session:
            if session is not None:
                self._heal(session, checkpoint)
        self._store_chunks(prompt, checkpoint)
        with sessions.borrow(key) as session:
            if session is None or not self._look_around(session, request, checkpoint):
                return None
        return lambda checkpoint: self._heal_all(request, prompt, checkpoint)

    def _heal(self, session: Session, checkpoint: Checkpoint) -> None:
        while self._caches.patcher.heal(session.table, session.num_prompt_tokens, checkpoint):
            checkpoint()
        self._probe(session, checkpoint)

    def _probe(self, session: Session, checkpoint: Checkpoint) -> None:
        """Compare the healed cache with the logits that an answer was made from."""
        if session.asked is None:
            return
        (token_ids, patched), session.asked = session.asked, None
        table = session.table
        if table.token_ids[: len(token_ids)] != token_ids or table.num_exact() < len(token_ids):
            return
        exact = self._caches.generator.logits_behind(table, len(token_ids), checkpoint)
        self.drift.record(compare(exact, patched))

    def _look_around(
        self, session: Session, request: CompletionRequest, checkpoint: Checkpoint
    ) -> bool:
        """Compute a piece of the document beyond the prompt, so that a jump finds it.

        Returns whether more is missing.
        """
        may_jump = request.is_interactive and not request.verbatim  # a script does not
        policy, num_tokens = self.policy_for(request), self._config.around_tokens
        if not (may_jump and num_tokens and policy.patches):
            return False
        text = self._prompts.surroundings(request, session.windows_around, num_tokens)
        if session.around is None and text is not None:
            session.around = self._caches.new_around()
        if session.around is None or text is None:
            return False
        return session.around.store_next(text, (session.table,), policy, checkpoint)

    def _store_chunks(self, prompt: FimPrompt, checkpoint: Checkpoint) -> None:
        """Compute the prompt's chunks by themselves, so that other documents find them."""
        if not self._config.chunk_tokens:
            return
        head = prompt.segments[0].token_ids
        for segment in prompt.segments:
            if segment.segment_id.startswith(CHUNK):
                self._caches.shared.add(head, segment.token_ids, checkpoint)


def _log_failure(done: Future[None]) -> None:
    """Say that work failed which nobody waits for; giving way to other work is no failure."""
    error = done.exception()
    if error is not None and not isinstance(error, WorkCancelled):
        logger.error("upkeep of a cache failed", exc_info=error)
