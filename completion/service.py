"""The pipeline from a request to its outcome; ``_answer`` reads as the list of stages.

Knows documents, text and the engine thread. Protocols, settings files and the construction of the
model are the caller's.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock

from torch import Tensor

from completion.caches import build_caches
from completion.config import CompletionConfig
from completion.context import ContextProvider, ContextRoom, NoContext
from completion.decoding import ForcedTextImpossibleError
from completion.errors import PromptTooLongError, ServiceClosedError
from completion.generation import Generation
from completion.outcome import conclude, selection_mismatch, trace_of, with_total, without_evidence
from completion.parsing import parse
from completion.prefetching import Prefetching
from completion.prompt import FimPrompt, PromptBuilder
from completion.rules import generation_hooks, generation_params
from completion.scheduler import Checkpoint, EngineThread, Priority, Work
from completion.sessions import Session
from completion.speculation.drafter import DraftMaterial
from completion.strategy import choose_strategy
from completion.suggestion_cache import SuggestionCache
from completion.survival import RunningGenerations
from completion.trigger import should_ask
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    CompletionTimings,
    CompletionTrace,
    ContextChunk,
    Deadline,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    SuggestionSource,
    WorkCancelled,
)
from completion.upkeep import CacheUpkeep
from completion.verbatim import conclude_verbatim
from completion.windows import StickyWindows
from kvedit.policy import CacheStats, PatchPolicy
from models.loader import LoadedModel
from retrieval.syntax_cache import SyntaxCache

logger = logging.getLogger(__name__)

# Part of a deadline that the prompt may take; the rest is for a line of text.
PREFILL_SHARE = 0.6
MIN_PROMPT_TOKENS = 128
MAX_NUM_REMEMBERED = 64


class CompletionService:
    """One model behind every door; methods may be called from any thread."""

    def __init__(
        self,
        model: LoadedModel,
        config: CompletionConfig | None = None,
        context: ContextProvider | None = None,
        draft: LoadedModel | None = None,
        engine: EngineThread | None = None,
    ) -> None:
        """Start the engine thread for ``model``, which must be loaded; ``draft`` drafts for it.

        Services that are never busy at once may share an ``engine``: a second thread's computing
        slows that of the first (decision 014). The first one to be closed ends it.

        Raises:
            PromptTooLongError: The configured prompt and text exceed the model's context.
        """
        self._model = model
        self._config = config or CompletionConfig()
        num_tokens = self._config.prompt.max_num_tokens + self._config.engine.max_new_tokens
        if num_tokens > model.config.max_positions:
            raise PromptTooLongError(num_tokens, model.config.max_positions)
        self._context = context or NoContext()
        self._prompts = PromptBuilder(model.tokenizer, self._config.prompt)
        self._caches = build_caches(model, self._config, self._prompts, self._when_idle, draft)
        self._cache = SuggestionCache()
        self._syntax = SyntaxCache()
        self._engine = engine or EngineThread()
        self._running = RunningGenerations()
        self._prefetching = Prefetching(self.lookup, self._submit_ahead, self._cache)
        self._upkeep = CacheUpkeep(self._engine, self._caches, self._prompts, self._config.engine)
        self._shown: OrderedDict[str, tuple[CompletionRequest, Suggestion]] = OrderedDict()
        self._lock = Lock()
        for chore in (model.decoder.pack, *self._caches.chores):
            self._when_idle(chore)  # short processes end before it begins

    @property
    def num_waiting(self) -> int:
        """How many jobs wait for the engine."""
        return self._engine.num_waiting

    @property
    def is_idle(self) -> bool:
        """Whether the engine has nothing to do."""
        return self._engine.is_idle

    @property
    def busy_s(self) -> float:
        """Seconds that the engine has worked so far, in finished jobs."""
        return self._engine.busy_s

    @property
    def cache_stats(self) -> CacheStats:
        """What was computed into caches so far, and how exact it turned out to be."""
        patcher, pool = self._caches.patcher, self._caches.pool
        computed, healed, drift = patcher.num_computed, patcher.num_healed, self._upkeep.drift.stats
        return CacheStats(computed, healed, drift, pool.num_slots, pool.num_used)

    def lookup(self, request: CompletionRequest) -> Suggestion | NoSuggestion | None:
        """Return the answer that needs no model, or None if the model has to be asked.

        Takes well under a millisecond: trigger rules, typing as suggested, remembered suggestions.
        """
        known = self._known(request)
        if isinstance(known, Suggestion):
            self._remember(request, known)
        return known

    def complete(
        self,
        request: CompletionRequest,
        cancel: CancellationToken,
        on_text: Callable[[str], None] | None = None,
    ) -> CompletionOutcome:
        """Return the outcome of ``request``; blocks until the engine is done with it.

        Args:
            request: What to complete.
            cancel: Set it from any thread; the outcome is then ``Cancelled``.
            on_text: Told the text so far, on the engine thread, before post-processing.
        """
        known = self.lookup(request)
        if known is None and self._running.wait_for(request, cancel):
            known = self.lookup(request)
        if known is not None:
            return known
        deadline = Deadline.after_ms(request.deadline_ms or self._config.deadline_ms)
        self._prefetching.cancel(request.document.key)
        self._upkeep.superseded(request.document.key)
        priority = Priority.INTERACTIVE if request.is_interactive else Priority.SCRIPT
        try:
            return self._submit(request, priority, cancel, deadline, on_text).result()
        except (WorkCancelled, ServiceClosedError):
            return Cancelled(request.request_id, trace=self._trace())
        except Exception as error:
            logger.exception("request %s failed", request.request_id)
            detail = f"{type(error).__name__}: {error}"
            reason = NoSuggestionReason.ENGINE_ERROR
            return NoSuggestion(request.request_id, reason, detail, self._trace())

    def prepare(self, request: CompletionRequest, resting_s: float = 0.0) -> None:
        """Take in an edit or a move: patch the cache for ``request``, which is likely to be asked.

        Work for the document that writes what was typed goes on; see ``completion.survival``. The
        patch begins once nothing has happened to the document for ``resting_s``.
        """
        if self._running.edited(request.document) or self._known(request) is not None:
            return  # the cache is in use, or the next answer needs none
        self._upkeep.patch_ahead(request, self._retrieve, resting_s)

    def accepted(self, request_id: str) -> None:
        """Note that the suggestion of ``request_id`` was inserted; unknown ids are fine."""
        with self._lock:
            shown = self._shown.get(request_id)
        if shown is not None and shown[1].source is not SuggestionSource.ENGINE:
            self._prefetch(*shown)

    def forget(self, key: str) -> None:
        """Drop everything kept for the document ``key``, which was closed."""
        self._prefetching.cancel(key)
        self._upkeep.forget(key)
        self._cache.clear(key)
        try:
            self._engine.submit(
                Priority.INTERACTIVE, key, lambda _: self._close_document(key), CancellationToken()
            )
        except ServiceClosedError:
            return

    def close(self) -> None:
        """Cancel all work, write what is kept over runs, and end the engine thread."""
        self._engine.close(lambda _: self._write_all())

    def _write_all(self) -> None:
        self._caches.sessions.write_all()
        self._caches.drafter.lasting.save()

    def _when_idle(self, work: Work[None]) -> None:
        """Queue work on no document, for when nothing else is to do; raises ServiceClosedError."""
        self._engine.submit(Priority.BATCH, "", work, CancellationToken())

    def _known(self, request: CompletionRequest) -> Suggestion | NoSuggestion | None:
        if request.verbatim:
            return None  # asked of the model, not of us
        reason = should_ask(request, self._config.trigger) or selection_mismatch(request)
        if reason is not None:
            return NoSuggestion(request.request_id, reason, trace=self._trace())
        return self._cache.lookup(request)

    def _close_document(self, key: str) -> None:
        self._context.forget(key)
        self._caches.sessions.close(key)
        self._syntax.forget(key)

    def _submit(
        self,
        request: CompletionRequest,
        priority: Priority,
        cancel: CancellationToken,
        deadline: Deadline,
        on_text: Callable[[str], None] | None = None,
    ) -> Future[CompletionOutcome]:
        started = time.perf_counter()
        running = None if priority is Priority.PREFETCH else self._running.start(request, cancel)

        def note(text: str) -> None:
            if running is not None:
                running.wrote(text)
            if on_text is not None:
                on_text(text)

        def work(checkpoint: Checkpoint) -> CompletionOutcome:
            document, waited = request.document, time.perf_counter() - started
            with self._caches.sessions.use(document.key, document.lasting_key) as session:
                outcome = self._answer(request, session, priority, deadline, checkpoint, note)
            outcome = with_total(outcome, (time.perf_counter() - started) * 1000, waited * 1000)
            if running is not None:
                self._keep(request, outcome)
            return outcome

        token = cancel if running is None else running.token
        future = self._engine.submit(priority, request.document.key, work, token)
        if running is not None:
            future.add_done_callback(lambda _: running.end())
        return future

    def _keep(self, request: CompletionRequest, outcome: CompletionOutcome) -> None:
        """Remember a suggestion, and prepare what follows its acceptance."""
        if isinstance(outcome, Suggestion) and not request.verbatim:
            request, outcome = replace(request, context=()), without_evidence(outcome)
            self._context.note_draft(request, outcome.text)
            self._cache.store(request, outcome)
            self._remember(request, outcome)
            self._prefetch(request, outcome)

    def _answer(
        self,
        request: CompletionRequest,
        session: Session,
        priority: Priority,
        deadline: Deadline,
        checkpoint: Checkpoint,
        on_text: Callable[[str], None] | None,
    ) -> CompletionOutcome:
        """Run the stages. Engine thread only."""
        started = time.perf_counter()
        tree = parse(self._syntax, request.document)
        strategy = choose_strategy(request, tree=tree)
        is_ahead = priority is Priority.PREFETCH
        windows = session.windows_on(request.document, is_ahead=is_ahead)
        # What is shown beside it stays as well, so that its cache begins as the document's does.
        chunks = session.chunks if is_ahead else self._retrieve(request, windows)
        session.chunks = chunks
        retrieved = time.perf_counter()
        policy = self._upkeep.policy_for(request)
        prompt, is_short = self._build_prompt(request, session, windows, chunks, deadline, policy)
        session.take_best(prompt, self._caches.patcher, policy)
        prompted = time.perf_counter()
        if is_short or is_ahead:
            session.fork()
        params = generation_params(
            request, strategy, self._config.engine, self._prompts.stop_ids, deadline
        )
        asked: list[Tensor] = []
        try:
            hooks = generation_hooks(
                request, strategy, tree, checkpoint, on_text, asked.append, self._caches.judge
            )
            material = self._material(request, session, prompt)
            generation = self._caches.generator.generate(
                session.active, prompt, policy, params, hooks, session.donors, material
            )
            self._learn(request, session, prompt, generation)
            session.note_asked(prompt, generation.age, asked[-1])
        except ForcedTextImpossibleError:
            reason = NoSuggestionReason.FORCED_TEXT_IMPOSSIBLE
            return NoSuggestion(request.request_id, reason, trace=self._trace())
        finally:
            session.settle()
        if is_short:
            self._upkeep.complete_prompt(request, self._retrieve)
        elif not is_ahead:
            self._upkeep.rest(request, prompt, chunks, self._retrieve)
        timings = CompletionTimings(
            retrieval=(retrieved - started) * 1000,
            prompt=(prompted - retrieved) * 1000,
            patch=generation.patch_ms,
            prefill=generation.prefill_ms,
            decode=generation.decode_ms,
        )
        trace = trace_of(self._model.name, generation, timings, chunks)
        if request.verbatim:
            return conclude_verbatim(request, generation, trace)
        return conclude(request, strategy, generation, trace)

    def _material(
        self, request: CompletionRequest, session: Session, prompt: FimPrompt
    ) -> DraftMaterial | None:
        """Return what can be drafted from, None if the request does not want drafts."""
        if not request.use_speculation:
            return None
        tokenizer = self._model.tokenizer
        session.drafts.note_text(request.document.text)
        return session.drafts.material(request, prompt.healed_text, prompt.forced_text, tokenizer)

    def _learn(
        self, request: CompletionRequest, session: Session, prompt: FimPrompt, found: Generation
    ) -> None:
        """Have later requests draft from what was shown to the model, and from what it wrote."""
        session.drafts.note_output(request, found.candidates[0].text)
        if (
            request.use_speculation
        ):  # what is learnt is kept on disk: not for those who switched it off
            lasting = self._caches.drafter.lasting
            lasting.learn_text(request.document.workspace, prompt.token_ids)

    def _retrieve(
        self, request: CompletionRequest, windows: StickyWindows
    ) -> tuple[ContextChunk, ...]:
        config, document = self._config.prompt, request.document
        num_tokens = int(config.max_num_tokens * config.context_share)
        if not request.use_retrieval and not request.context:
            return ()
        windows.follow(document)
        left = self._prompts.budget(config.max_num_tokens - num_tokens)
        visible = windows.visible(document.text, request.offset, left)
        room = ContextRoom(num_tokens, self._prompts.num_chunk_tokens, visible)
        given = room.fitting(request.context)
        if not request.use_retrieval:
            return given
        return (*given, *self._context.chunks(request, room.beside(given)))

    def _build_prompt(
        self,
        request: CompletionRequest,
        session: Session,
        windows: StickyWindows,
        chunks: tuple[ContextChunk, ...],
        deadline: Deadline,
        policy: PatchPolicy,
    ) -> tuple[FimPrompt, bool]:
        """Return the prompt, and whether it is shorter than it should be to be ready in time."""
        windows.follow(request.document)
        prompt = self._prompts.build(request, chunks, windows)
        if deadline.at is None:
            return prompt, False
        num_new = session.num_to_compute(prompt, self._caches.patcher, policy)
        left_s = max(0.0, deadline.at - time.monotonic())
        num_affordable = int(self._caches.generator.prefill_rate * left_s * PREFILL_SHARE)
        if num_new <= max(num_affordable, MIN_PROMPT_TOKENS):
            return prompt, False
        budget = max(num_affordable, MIN_PROMPT_TOKENS)
        return self._prompts.build(request, chunks, max_num_tokens=budget), True

    def _prefetch(self, request: CompletionRequest, suggestion: Suggestion) -> None:
        if self._config.engine.prefetch_after_acceptance and request.num_candidates == 1:
            self._prefetching.begin(request, suggestion)

    def _submit_ahead(
        self, request: CompletionRequest, token: CancellationToken
    ) -> Future[CompletionOutcome]:
        return self._submit(request, Priority.PREFETCH, token, Deadline())

    def _remember(self, request: CompletionRequest, suggestion: Suggestion) -> None:
        with self._lock:
            self._shown[request.request_id] = (request, suggestion)
            while len(self._shown) > MAX_NUM_REMEMBERED:
                self._shown.popitem(last=False)

    def _trace(self) -> CompletionTrace:
        return CompletionTrace(model=self._model.name)
