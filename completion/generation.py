"""Prefill and decoding of one prompt; knows tokens and text, not documents.

prompt   | cached: exact common prefix | new: prefilled in chunks | generated, one by one
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from completion.forced_text import ForcedText, TokenIndex
from completion.prompt import FimPrompt
from completion.sampling import SamplingParams, choose, log_probability, restrict
from completion.scheduler import Checkpoint
from completion.stopping import StopReason
from completion.types import Deadline, FinishReason, PromptStats, SpeculationStats
from models.decoder import Decoder
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.tokenizer import StreamDecoder, Tokenizer

RATE_PROBE_TOKENS = 64


class TextMonitor(Protocol):
    """Follows generated text and says when it ends; ``completion.stopping.StopMonitor``."""

    @property
    def text(self) -> str:
        """What is kept so far."""
        ...

    @property
    def complete_lines(self) -> str:
        """The finished lines so far."""
        ...

    @property
    def reason(self) -> StopReason | None:
        """The rule that ended the text, or None."""
        ...

    def push(self, delta: str) -> StopReason | None:
        """Take the next piece; return the rule that has ended the text, if any."""
        ...

    def finish(self) -> StopReason | None:
        """Judge the last line when the model has ended by itself."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """What to generate. ``deadline`` ends decoding with what is there."""

    max_new_tokens: int
    stop_ids: frozenset[int]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    seed: int | None = None
    num_candidates: int = 1
    deadline: Deadline = field(default_factory=Deadline)


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """One continuation; ``logprob`` in nats over its ``num_tokens`` tokens.

    ``stop_reason`` names the rule that ended it, None if none did.
    """

    text: str
    logprob: float
    num_tokens: int
    finish_reason: FinishReason
    stop_reason: StopReason | None = None

    @property
    def confidence(self) -> float:
        """Geometric mean of the token probabilities, 0 for no tokens."""
        return math.exp(self.logprob / self.num_tokens) if self.num_tokens else 0.0


@dataclass(frozen=True, slots=True)
class Generation:
    """All candidates for one prompt, and what they cost."""

    candidates: tuple[GeneratedText, ...]
    prompt: PromptStats
    speculation: SpeculationStats
    prefill_ms: float
    decode_ms: float


class ForcedTextImpossibleError(Exception):
    """No token of the vocabulary continues the text that the output must begin with."""


class Generator:
    """Runs prompts on one model. Engine thread only."""

    def __init__(
        self, decoder: Decoder, pool: SlotPool, tokenizer: Tokenizer, prefill_chunk: int
    ) -> None:
        self._decoder, self._pool, self._tokenizer = decoder, pool, tokenizer
        self._prefill_chunk = prefill_chunk
        self._token_index: TokenIndex | None = None
        self._prefill_rate: float | None = None

    @property
    def prefill_rate(self) -> float | None:
        """Prompt tokens per second lately, None before the first long prefill."""
        return self._prefill_rate

    def generate(
        self,
        table: SlotTable,
        prompt: FimPrompt,
        params: GenerationParams,
        new_monitor: Callable[[], TextMonitor],
        checkpoint: Checkpoint,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Return the continuations of ``prompt``.

        Whatever ``checkpoint`` raises ends the work; the table then holds the chunks that were
        finished, all of them valid.

        Args:
            table: The session's cache; holds prompt and last continuation afterwards.
            prompt: What to continue.
            params: How.
            new_monitor: Makes the stop rules, one per candidate.
            checkpoint: Called between layers.
            on_text: Told the first candidate's text whenever it grows.

        Raises:
            ForcedTextImpossibleError: The forced text cannot be spelled.
        """
        started = time.perf_counter()
        token_ids = prompt.token_ids
        try:
            num_cached, logits = self._prefill(table, token_ids, checkpoint)
            prefilled = time.perf_counter()
            candidates, num_passes = self._candidates(
                table, prompt, logits, params, new_monitor, checkpoint, on_text
            )
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

    def measure_rate(self, table: SlotTable) -> float:
        """Return prompt tokens per second, measured on a short made-up prompt.

        ``table`` keeps its tokens; the rows run and are discarded.
        """
        seconds = []
        for _ in range(2):  # the first run pays for setting the kernels up
            started = time.perf_counter()
            self._decoder.forward(table.stage([0] * RATE_PROBE_TOKENS), self._pool)
            seconds.append(time.perf_counter() - started)
        table.discard()
        self._prefill_rate = RATE_PROBE_TOKENS / seconds[-1]
        return self._prefill_rate

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
        self._prefill_rate = (
            rate if self._prefill_rate is None else 0.7 * self._prefill_rate + 0.3 * rate
        )

    def _candidates(
        self,
        table: SlotTable,
        prompt: FimPrompt,
        logits: Tensor,
        params: GenerationParams,
        new_monitor: Callable[[], TextMonitor],
        checkpoint: Checkpoint,
        on_text: Callable[[str], None] | None,
    ) -> tuple[list[GeneratedText], int]:
        """Return distinct continuations and the number of decode passes they took."""
        num_passes = 0
        num_prompt_tokens = len(table)
        generator = None if params.seed is None else torch.Generator().manual_seed(params.seed)
        found: dict[str, GeneratedText] = {}
        # Alternatives may turn out equal once stop rules have cut them, so a few more are tried.
        for attempt in range(2 * params.num_candidates - 1):
            table.truncate(num_prompt_tokens)
            run = _Run(self, table, prompt, params, new_monitor(), generator)
            candidate = run.decode(logits, attempt, checkpoint, None if found else on_text)
            num_passes += run.num_passes
            found.setdefault(candidate.text.strip(), candidate)
            if len(found) == params.num_candidates or params.deadline.has_passed:
                break
        return list(found.values()), num_passes

    def token_index(self) -> TokenIndex:
        """Return the vocabulary by text; built at the first use."""
        if self._token_index is None:
            tokenizer = self._tokenizer
            self._token_index = TokenIndex(tokenizer.vocab_size, tokenizer.token_bytes)
        return self._token_index

    def step(self, table: SlotTable, token_id: int, checkpoint: Checkpoint) -> Tensor:
        """Append ``token_id`` and return the logits behind it, [vocab_size]."""
        hidden = self._decoder.forward(table.stage([token_id]), self._pool, checkpoint=checkpoint)
        table.commit()
        return self._decoder.logits(hidden)[0]

    def new_stream(self) -> StreamDecoder:
        """Return a detokenizer for one continuation."""
        return StreamDecoder(self._tokenizer)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the token's text."""
        return self._tokenizer.token_bytes(token_id)


class _Run:
    """The decoding of one candidate."""

    def __init__(
        self,
        generator: Generator,
        table: SlotTable,
        prompt: FimPrompt,
        params: GenerationParams,
        monitor: TextMonitor,
        random: torch.Generator | None,
    ) -> None:
        self._generator, self._table, self._params = generator, table, params
        self._monitor, self._random = monitor, random
        self._stream = generator.new_stream()
        self._num_hidden_chars = len(prompt.healed_text)
        forced = prompt.healed_text + prompt.forced_text
        self._forced = ForcedText(forced, generator.token_index()) if forced else None
        self._logprob = 0.0
        self._num_tokens = 0
        self.num_passes = 0

    def decode(
        self,
        logits: Tensor,
        rank: int,
        checkpoint: Checkpoint,
        on_text: Callable[[str], None] | None,
    ) -> GeneratedText:
        """Generate until a rule, a stop token, the budget or the deadline ends the text.

        ``rank`` makes greedy candidates differ: they begin with the rank-th likeliest token.
        """
        token_id = self._choose(logits, rank)
        while True:
            if token_id in self._params.stop_ids:
                return self._finish(FinishReason.STOP)
            self._logprob += log_probability(logits, token_id)
            self._num_tokens += 1
            if self._push(self._stream.push(token_id), on_text):
                return self._finish(FinishReason.STOP)
            if self._num_tokens == self._params.max_new_tokens:
                return self._finish(FinishReason.LENGTH)
            if self._params.deadline.has_passed:
                return self._finish(FinishReason.DEADLINE)
            logits = self._generator.step(self._table, token_id, checkpoint)
            self.num_passes += 1
            token_id = self._choose(logits, 0)

    def _choose(self, logits: Tensor, rank: int) -> int:
        if self._forced is not None and not self._forced.is_done:
            allowed = self._forced.allowed()
            if not len(allowed):
                raise ForcedTextImpossibleError
            logits = restrict(logits, allowed)
        if rank and self._params.sampling.temperature == 0:
            token_id = int(torch.topk(logits, rank + 1).indices[rank])
        else:
            token_id = choose(logits, self._params.sampling, self._random)
        if self._forced is not None and not self._forced.is_done:
            self._forced.advance(self._generator.token_bytes(token_id))
        return token_id

    def _push(self, delta: str, on_text: Callable[[str], None] | None) -> bool:
        hidden = min(self._num_hidden_chars, len(delta))
        self._num_hidden_chars -= hidden
        delta = delta[hidden:]
        has_ended = bool(delta) and self._monitor.push(delta) is not None
        if delta and on_text is not None:
            on_text(self._monitor.text)
        return has_ended

    def _finish(self, reason: FinishReason) -> GeneratedText:
        monitor = self._monitor
        if reason is FinishReason.STOP:
            monitor.finish()
            text = monitor.text
        else:
            text = monitor.complete_lines or cut_to_word(monitor.text)
        return GeneratedText(text, self._logprob, self._num_tokens, reason, monitor.reason)


def cut_to_word(text: str) -> str:
    """Return ``text`` without an unfinished word at its end: half a name is worse than none."""
    end = len(text)
    while end and (text[end - 1].isalnum() or text[end - 1] == "_"):
        end -= 1
    return text[:end].rstrip()
