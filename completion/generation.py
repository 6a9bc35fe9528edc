"""Prefill and decoding of one prompt; knows tokens and text, not documents.

prompt   | kept from the last prompt, some of it moved | computed | generated, one by one
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from completion.candidates import CandidateRules, CandidateSearch
from completion.decoding import (
    DecodingRun,
    GeneratedText,
    GenerationParams,
    TextMonitor,
    TextWatch,
)
from completion.evidence import Evidence
from completion.forced_text import TokenIndex
from completion.indentation import IndentationGuard, IndentationIndex, leading_part
from completion.prompt import FimPrompt
from completion.scheduler import Checkpoint
from completion.speculation.drafter import (
    DraftCounts,
    Drafter,
    DraftLimits,
    DraftMaterial,
    RequestDrafter,
)
from completion.speculation.source import DraftCache
from completion.steps import DecodingSteps, EarlyChoice, run_pass
from completion.types import PromptStats, SpeculationStats
from kvedit.patch import CachePatcher, PatchReport, PatchTarget
from kvedit.policy import PatchPolicy
from models.decoder import Decoder
from models.runs import Donor
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.tokenizer import Tokenizer

# Tokens per second before any was measured: (accelerator, CPU). Guessing low shows a first line
# with less of the file; guessing high shows nothing in time.
_ASSUMED_RATE = (4000.0, 150.0)


@dataclass(frozen=True, slots=True)
class Generation:
    """All candidates for one prompt, and what they cost."""

    candidates: tuple[GeneratedText, ...]
    prompt: PromptStats
    age: int
    speculation: SpeculationStats
    patch_ms: float
    prefill_ms: float
    decode_ms: float
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class GenerationHooks:
    """What the caller contributes to a generation.

    Attributes:
        new_monitor: Makes the stop rules of one candidate.
        num_faults: Judges a candidate; 0 is fine. While there are too few fine ones, the likeliest
            alternatives are tried, up to ``max_num_retries`` more.
        checkpoint: Called between layers; what it raises ends the work.
        on_text: Told the first candidate's text whenever it grows.
        on_logits: Told the logits behind the prompt, [vocab_size].
        new_watch: Makes what may give up the first candidate.
        rejudge: Returns the confidence of a candidate that nothing watched.
    """

    new_monitor: Callable[[], TextMonitor]
    num_faults: Callable[[GeneratedText], int]
    checkpoint: Checkpoint
    on_text: Callable[[str], None] | None = None
    on_logits: Callable[[Tensor], None] | None = None
    new_watch: Callable[[], TextWatch] | None = None
    rejudge: Callable[[GeneratedText], float] | None = None


class Generator:
    """Runs prompts on one model. Engine thread only."""

    def __init__(
        self,
        decoder: Decoder,
        pool: SlotPool,
        tokenizer: Tokenizer,
        patcher: CachePatcher,
        drafter: Drafter,
    ) -> None:
        self._decoder, self._pool, self._tokenizer = decoder, pool, tokenizer
        self._patcher, self._drafter = patcher, drafter
        self._token_index: TokenIndex | None = None
        self._indentations: IndentationIndex | None = None
        self._prefill_rate = _ASSUMED_RATE[decoder.device.type == "cpu"]

    @property
    def prefill_rate(self) -> float:
        """Prompt tokens per second lately; a cautious guess before the first long prefill."""
        return self._prefill_rate

    def generate(
        self,
        table: SlotTable,
        prompt: FimPrompt,
        policy: PatchPolicy,
        params: GenerationParams,
        hooks: GenerationHooks,
        donors: Sequence[Donor] = (),
        material: DraftMaterial | None = None,
    ) -> Generation:
        """Return the continuations of ``prompt``.

        Whatever the checkpoint raises ends the work; the table then holds what was kept and the
        passes that were finished, all of it valid.

        Args:
            table: The session's cache; holds the prompt afterwards, and the first continuation if
                the others left it room.
            prompt: What to continue.
            policy: How much of the cache to trust.
            params: How.
            hooks: Stop rules, judgement, cancellation and streaming.
            donors: Where text may be taken from that the table lacks.
            material: What to draft from; None decodes without drafts.

        Raises:
            ForcedTextImpossibleError: The forced text cannot be spelled.
        """
        target = prompt.target(donors)
        drafting = self._begin_drafts(table, prompt, params, material)
        early = self._early_exit(table, prompt, params)
        steps = DecodingSteps(self._decoder, self._pool, table, hooks.checkpoint, drafting, early)
        try:
            rows, report = self._patcher.prepare(table, target, policy, hooks.checkpoint)
            started = time.perf_counter()
            logits = steps.start(rows)
            prefilled = time.perf_counter()
            report = report.taking((prefilled - started) * 1000)
            self._note_rate(report.num_new, report.computing_ms / 1000)
            if hooks.on_logits is not None:
                hooks.on_logits(logits)
            search = self._search(prompt, params, hooks)
            candidates = search.find(steps, logits)
        finally:
            steps.settle()
            table.close_gaps()
        counts = DraftCounts() if drafting is None else drafting.counts
        return Generation(
            candidates=tuple(candidates),
            prompt=_stats(report),
            age=report.age,
            speculation=_speculation(search.num_passes, counts),
            patch_ms=report.moving_ms,
            prefill_ms=report.computing_ms,
            decode_ms=(time.perf_counter() - prefilled) * 1000,
            evidence=Evidence(
                weakref.ref(self._tokenizer), prompt.segments, report.fates, candidates[0].written
            ),
        )

    def prefill(
        self, table: SlotTable, target: PatchTarget, policy: PatchPolicy, checkpoint: Checkpoint
    ) -> tuple[Tensor, PatchReport]:
        """Bring ``table`` up to ``target``; returns the logits behind it, [vocab_size]."""
        hidden, report = self._patcher.update(table, target, policy, checkpoint)
        self._note_rate(report.num_new, report.computing_ms / 1000)
        return self._decoder.logits(hidden)[0], report

    def logits_behind(self, table: SlotTable, num_tokens: int, checkpoint: Checkpoint) -> Tensor:
        """Return the logits behind the first ``num_tokens`` tokens, [vocab_size].

        What follows them is dropped; the last one is computed again.
        """
        last = table.token_ids[num_tokens - 1]
        table.truncate(num_tokens - 1)
        try:
            hidden = self._decoder.forward(table.stage([last]), self._pool, checkpoint=checkpoint)
            table.commit()
        finally:
            table.discard()
        return self._decoder.logits(hidden)[0]

    def _note_rate(self, num_tokens: int, seconds: float) -> None:
        if num_tokens < 64:
            return  # dominated by the cost of a pass, not of a token
        rate = num_tokens / seconds
        is_first = self._prefill_rate in _ASSUMED_RATE
        self._prefill_rate = rate if is_first else 0.7 * self._prefill_rate + 0.3 * rate

    def _begin_drafts(
        self,
        table: SlotTable,
        prompt: FimPrompt,
        params: GenerationParams,
        material: DraftMaterial | None,
    ) -> RequestDrafter | None:
        if material is None:
            return None
        limits = DraftLimits(self._is_last(params), params.max_new_tokens)
        return self._drafter.begin(DraftCache(table, prompt.token_ids), material, limits)

    def _early_exit(
        self, table: SlotTable, prompt: FimPrompt, params: GenerationParams
    ) -> EarlyChoice | None:
        """Return what may stand in for passes, None unless that was asked for."""
        early_exit, cache = self._drafter.early_exit, DraftCache(table, prompt.token_ids)
        if early_exit is None or not params.early_exit:
            return None

        def decide(output: Sequence[int], state: Tensor | None) -> Tensor | None:
            cache.state = state
            return early_exit.decide(cache, output, params.early_exit)

        return decide

    def _is_last(self, params: GenerationParams) -> Callable[[int], bool]:
        token_bytes = self._tokenizer.token_bytes
        if not params.is_one_line:
            return params.stop_ids.__contains__
        return lambda token_id: token_id in params.stop_ids or b"\n" in token_bytes(token_id)

    def _search(
        self, prompt: FimPrompt, params: GenerationParams, hooks: GenerationHooks
    ) -> CandidateSearch:
        def new_run(number: int) -> DecodingRun:
            is_first = number == 0
            watch = hooks.new_watch() if is_first and hooks.new_watch is not None else None
            on_text = hooks.on_text if is_first else None
            return self._new_run(prompt, params, hooks.new_monitor(), number, watch, on_text)

        def finish(number: int, text: GeneratedText) -> GeneratedText:
            is_watched = number == 0 and hooks.new_watch is not None
            if is_watched or hooks.rejudge is None:
                return text
            return replace(text, judged=hooks.rejudge(text))

        def run_passes(texts: Sequence[DecodingSteps]) -> list[Tensor]:
            return run_pass(self._decoder, self._pool, texts, hooks.checkpoint)

        rules = CandidateRules(new_run, finish, hooks.num_faults)
        return CandidateSearch(params, rules, run_passes)

    def _new_run(
        self,
        prompt: FimPrompt,
        params: GenerationParams,
        monitor: TextMonitor,
        number: int,
        watch: TextWatch | None,
        on_text: Callable[[str], None] | None,
    ) -> DecodingRun:
        seed = params.seed
        # Of its own: who draws when must not depend on the passes that texts share.
        random = None if seed is None else _seeded(self._decoder.device, seed + number)
        healed, forced = prompt.healed_text, prompt.forced_text
        index = self._index() if healed or forced else None
        guard = None
        if params.indentations and not forced:
            written = leading_part(params.typed_blanks, healed)
            guard = IndentationGuard(written, params.indentations, self._indentation_index())
        return DecodingRun(
            self._tokenizer, index, params, monitor, random, healed, forced, guard, watch, on_text
        )

    def _indentation_index(self) -> IndentationIndex:
        if self._indentations is None:
            self._indentations = IndentationIndex(self._index())
        return self._indentations

    def _index(self) -> TokenIndex:
        if self._token_index is None:
            tokenizer = self._tokenizer
            self._token_index = TokenIndex(tokenizer.vocab_size, tokenizer.token_bytes)
        return self._token_index


def _stats(report: PatchReport) -> PromptStats:
    num_tokens = report.num_cached + report.num_patched + report.num_new
    return PromptStats(
        num_tokens,
        report.num_cached,
        report.num_patched,
        report.num_new,
        report.fates.num_healed,
    )


def _speculation(num_passes: int, counts: DraftCounts) -> SpeculationStats:
    by_source = tuple(counts.by_source.items())
    return SpeculationStats(num_passes, counts.num_drafted, counts.num_accepted, by_source)


def _seeded(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)
