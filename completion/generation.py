"""Prefill and decoding of one prompt; knows tokens and text, not documents.

prompt   | cached: exact common prefix | new: prefilled in chunks | generated, one by one
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
    speculation: SpeculationStats
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
    """

    new_monitor: Callable[[], TextMonitor]
    num_faults: Callable[[GeneratedText], int]
    checkpoint: Checkpoint
    on_text: Callable[[str], None] | None = None


class Generator:
    """Runs prompts on one model. Engine thread only."""

    def __init__(
        self, decoder: Decoder, pool: SlotPool, tokenizer: Tokenizer, prefill_chunk: int
    ) -> None:
        self._decoder, self._pool, self._tokenizer = decoder, pool, tokenizer
        self._prefill_chunk = prefill_chunk
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
        params: GenerationParams,
        hooks: GenerationHooks,
    ) -> Generation:
        """Return the continuations of ``prompt``.

        Whatever the checkpoint raises ends the work; the table then holds the chunks that were
        finished, all of them valid.

        Args:
            table: The session's cache; holds prompt and last continuation afterwards.
            prompt: What to continue.
            params: How.
            hooks: Stop rules, judgement, cancellation and streaming.

        Raises:
            ForcedTextImpossibleError: The forced text cannot be spelled.
        """
        started = time.perf_counter()
        token_ids = prompt.token_ids
        try:
            num_cached, logits = self._prefill(table, token_ids, hooks.checkpoint)
            prefilled = time.perf_counter()
            candidates, num_passes = self._candidates(table, prompt, logits, params, hooks)
        finally:
            table.discard()
        decoded = time.perf_counter()
        return Generation(
            candidates=tuple(candidates),
            prompt=PromptStats(len(token_ids), num_cached, 0, len(token_ids) - num_cached),
            speculation=SpeculationStats(num_forward_passes=num_passes),
            prefill_ms=(prefilled - started) * 1000,
            decode_ms=(decoded - prefilled) * 1000,
        )

    def prefill(self, table: SlotTable, token_ids: Sequence[int], checkpoint: Checkpoint) -> None:
        """Compute the cache of a prompt without continuing it."""
        try:
            self._prefill(table, token_ids, checkpoint)
        finally:
            table.discard()

    def _prefill(
        self, table: SlotTable, token_ids: Sequence[int], checkpoint: Checkpoint
    ) -> tuple[int, Tensor]:
        """Return the number of reused tokens and the logits behind the last one, [vocab_size]."""
        # The last token always runs: its logits are not kept.
        num_cached = table.common_prefix(token_ids[:-1])
        table.truncate(num_cached)
        hidden = torch.empty(0)
        started = time.perf_counter()
        for start in range(num_cached, len(token_ids), self._prefill_chunk):
            batch = table.stage(token_ids[start : start + self._prefill_chunk])
            hidden = self._decoder.forward(batch, self._pool, checkpoint=checkpoint)
            table.commit()
        self._note_rate(len(token_ids) - num_cached, time.perf_counter() - started)
        return num_cached, self._decoder.logits(hidden[-1:])[0]

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
