"""Prefill and decoding of one prompt; knows tokens and text, not documents.

prompt   | kept from the last prompt, some of it moved | computed | generated, one by one
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from completion.decoding import (
    Branch,
    BranchQueue,
    DecodingRun,
    GeneratedText,
    GenerationParams,
    TextMonitor,
)
from completion.forced_text import TokenIndex
from completion.indentation import IndentationGuard, IndentationIndex, leading_part
from completion.prompt import FimPrompt
from completion.scheduler import Checkpoint
from completion.types import PromptStats, SpeculationStats
from kvedit.patch import CachePatcher, PatchReport, PatchTarget
from kvedit.policy import PatchPolicy
from models.decoder import Decoder
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
    """

    new_monitor: Callable[[], TextMonitor]
    num_faults: Callable[[GeneratedText], int]
    checkpoint: Checkpoint
    on_text: Callable[[str], None] | None = None
    on_logits: Callable[[Tensor], None] | None = None


class Generator:
    """Runs prompts on one model. Engine thread only."""

    def __init__(
        self, decoder: Decoder, pool: SlotPool, tokenizer: Tokenizer, patcher: CachePatcher
    ) -> None:
        self._decoder, self._pool, self._tokenizer = decoder, pool, tokenizer
        self._patcher = patcher
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
        donors: Sequence[SlotTable] = (),
    ) -> Generation:
        """Return the continuations of ``prompt``.

        Whatever the checkpoint raises ends the work; the table then holds what was kept and the
        passes that were finished, all of it valid.

        Args:
            table: The session's cache; holds prompt and last continuation afterwards.
            prompt: What to continue.
            policy: How much of the cache to trust.
            params: How.
            hooks: Stop rules, judgement, cancellation and streaming.
            donors: Where text may be taken from that the table lacks.

        Raises:
            ForcedTextImpossibleError: The forced text cannot be spelled.
        """
        try:
            logits, report = self.prefill(table, prompt.target(donors), policy, hooks.checkpoint)
            if hooks.on_logits is not None:
                hooks.on_logits(logits)
            prefilled = time.perf_counter()
            candidates, num_passes = self._candidates(table, prompt, logits, params, hooks)
        finally:
            table.discard()
        num_tokens = report.num_cached + report.num_patched + report.num_new
        return Generation(
            candidates=tuple(candidates),
            prompt=PromptStats(num_tokens, report.num_cached, report.num_patched, report.num_new),
            age=report.age,
            speculation=SpeculationStats(num_forward_passes=num_passes),
            patch_ms=report.moving_ms,
            prefill_ms=report.computing_ms,
            decode_ms=(time.perf_counter() - prefilled) * 1000,
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

    def _candidates(
        self,
        table: SlotTable,
        prompt: FimPrompt,
        logits: Tensor,
        params: GenerationParams,
        hooks: GenerationHooks,
    ) -> tuple[list[GeneratedText], int]:
        """Return distinct continuations, best first, and the number of decode passes."""
        steps = _Steps(self._decoder, self._pool, table, logits, hooks.checkpoint)
        random = None if params.seed is None else _seeded(self._decoder.device, params.seed)
        branches = BranchQueue()
        found: dict[str, tuple[int, GeneratedText]] = {}
        branch: Branch | None = Branch()
        # Alternatives may turn out equal once stop rules have cut them, so a few more are tried.
        for attempt in range(2 * params.num_candidates - 1 + params.max_num_retries):
            if params.sampling.temperature == 0 and attempt:
                branch = branches.pop()
            if branch is None or (attempt and params.deadline.has_passed):
                break
            run = self._new_run(prompt, params, hooks.new_monitor(), random)
            on_text = hooks.on_text if attempt == 0 else None
            candidate = run.decode(steps.go_to(branch), steps.append, branch, branches, on_text)
            key = candidate.text.strip() if params.is_distinct else str(attempt)
            found.setdefault(key, (hooks.num_faults(candidate), candidate))
            if sum(not faults for faults, _ in found.values()) >= params.num_candidates:
                break
        ranked = sorted(found.values(), key=lambda entry: entry[0])
        return [candidate for _, candidate in ranked[: params.num_candidates]], steps.num_passes

    def _new_run(
        self,
        prompt: FimPrompt,
        params: GenerationParams,
        monitor: TextMonitor,
        random: torch.Generator | None,
    ) -> DecodingRun:
        healed, forced = prompt.healed_text, prompt.forced_text
        index = self._index() if healed or forced else None
        guard = None
        if params.indentations and not forced:
            written = leading_part(params.typed_blanks, healed)
            guard = IndentationGuard(written, params.indentations, self._indentation_index())
        return DecodingRun(self._tokenizer, index, params, monitor, random, healed, forced, guard)

    def _indentation_index(self) -> IndentationIndex:
        if self._indentations is None:
            self._indentations = IndentationIndex(self._index())
        return self._indentations

    def _index(self) -> TokenIndex:
        if self._token_index is None:
            tokenizer = self._tokenizer
            self._token_index = TokenIndex(tokenizer.vocab_size, tokenizer.token_bytes)
        return self._token_index


def _seeded(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)


class _Steps:
    """Moves the cache of one prompt along its continuations."""

    def __init__(
        self,
        decoder: Decoder,
        pool: SlotPool,
        table: SlotTable,
        prompt_logits: Tensor,
        checkpoint: Checkpoint,
    ) -> None:
        self._decoder, self._pool, self._table = decoder, pool, table
        self._prompt_logits, self._checkpoint = prompt_logits, checkpoint
        self._prompt_ids = list(table.token_ids)
        self.num_passes = 0

    def go_to(self, branch: Branch) -> Tensor:
        """Return the logits behind the prompt and ``branch``, [vocab_size]."""
        wanted = [*self._prompt_ids, *branch.token_ids]
        num_kept = self._table.common_prefix(wanted[:-1] if branch.token_ids else wanted)
        self._table.truncate(num_kept)
        return self._run(wanted[num_kept:]) if branch.token_ids else self._prompt_logits

    def append(self, token_id: int) -> Tensor:
        """Append one token and return the logits behind it, [vocab_size]."""
        return self._run([token_id])

    def _run(self, token_ids: list[int]) -> Tensor:
        batch = self._table.stage(token_ids)
        hidden = self._decoder.forward(batch, self._pool, checkpoint=self._checkpoint)
        self._table.commit()
        self.num_passes += 1
        return self._decoder.logits(hidden[-1:])[0]
