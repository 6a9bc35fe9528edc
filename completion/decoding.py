"""The decoding of one continuation, token by token.

A run notes where the model was undecided, so that an alternative can branch off at the most likely
of those places instead of starting anew.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from completion.evidence import WrittenTokens
from completion.forced_text import ForcedText, TokenIndex
from completion.indentation import IndentationGuard
from completion.sampling import SamplingParams, choose, log_probability, restrict
from completion.stopping import StopReason
from completion.types import Deadline, FinishReason, TokenLogprob
from models.likeliest import likeliest
from models.tokenizer import StreamDecoder, Tokenizer

BRANCH_STEPS = 8  # an alternative that differs later is hardly another suggestion
BRANCH_WIDTH = 3


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


class TextWatch(Protocol):
    """Judges a text while it is written; ``completion.dynamic.controller.LineWatch``."""

    @property
    def confidence(self) -> float | None:
        """The probability that the first line comes out right, None before its first token."""
        ...

    def push(
        self, logits: Tensor, logprob: float, text: str, *, is_forced: bool, is_last: bool
    ) -> FinishReason | None:
        """Take the next token; return why the text is not worth going on with, if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """What to generate. ``deadline`` ends decoding with what is there, once that is a word.

    Unless candidates are to be ``distinct``, samples that turn out equal all count. The first line
    begins with one of ``indentations``, if there are any, of which ``typed_blanks`` are there.
    ``is_one_line`` says that a newline nearly always ends the text; drafts then end there, too.
    What the first layers find at least ``early_exit`` probable is taken unverified; 0: nothing.
    """

    max_new_tokens: int
    stop_ids: frozenset[int]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    seed: int | None = None
    num_candidates: int = 1
    is_distinct: bool = True
    num_top_logprobs: int | None = None
    indentations: frozenset[str] = frozenset()
    typed_blanks: str = ""
    max_num_retries: int = 0
    is_one_line: bool = False
    early_exit: float = 0.0
    deadline: Deadline = field(default_factory=Deadline)


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """One continuation; ``logprob`` in nats over its ``num_tokens`` tokens.

    ``stop_reason`` names the rule that ended it, None if none did. ``tokens`` is filled on demand.
    ``judged`` is the confidence of what watched it, if anything did. ``written`` are the tokens, for
    those who ask later.
    """

    text: str
    logprob: float
    num_tokens: int
    finish_reason: FinishReason
    stop_reason: StopReason | None = None
    tokens: tuple[TokenLogprob, ...] = ()
    judged: float | None = None
    written: WrittenTokens | None = field(default=None, compare=False, repr=False)

    @property
    def confidence(self) -> float:
        """What it was judged to be, else the geometric mean of the token probabilities."""
        if self.judged is not None:
            return self.judged
        return math.exp(self.logprob / self.num_tokens) if self.num_tokens else 0.0


class ForcedTextImpossibleError(Exception):
    """No token of the vocabulary continues the text that the output must begin with."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The beginning of a continuation: ``token_ids`` in order, ``logprobs`` one per token.

    ``tops`` holds the likeliest tokens in the place of each, if they were asked for.
    """

    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    tops: tuple[tuple[tuple[str, float], ...], ...] = ()

    @property
    def logprob(self) -> float:
        """Sum over the tokens, in nats."""
        return sum(self.logprobs)


class BranchQueue:
    """Beginnings worth trying, likeliest first, each once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, tuple[int, ...], Branch]] = []
        self._seen: set[tuple[int, ...]] = set()

    def add(self, branch: Branch) -> None:
        """Queue ``branch`` unless it was queued before."""
        if branch.token_ids not in self._seen:
            self._seen.add(branch.token_ids)
            heapq.heappush(self._heap, (-branch.logprob, branch.token_ids, branch))

    def pop(self) -> Branch | None:
        """Return the likeliest branch left, or None."""
        return heapq.heappop(self._heap)[2] if self._heap else None


class DecodingRun:
    """One continuation of a prompt, which grows by a token whenever it is told the logits."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        index: TokenIndex | None,
        params: GenerationParams,
        monitor: TextMonitor,
        random: torch.Generator | None,
        healed_text: str,
        forced_text: str,
        guard: IndentationGuard | None = None,
        watch: TextWatch | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        """Start a run.

        Args:
            tokenizer: Spells tokens.
            index: The vocabulary by text; needed if any text is forced.
            params: How to decode.
            monitor: The stop rules; sees the text without ``healed_text``.
            random: Source of draws for temperatures above 0; None for torch's own.
            healed_text: What the output must begin with and the document already holds.
            forced_text: What must follow it and belongs to the suggestion.
            guard: Rules out indentations that cannot stand here.
            watch: May end the text as unwanted; only of a run that starts at the prompt.
            on_text: Told the text whenever it grows.
        """
        self._tokenizer, self._params = tokenizer, params
        self._monitor, self._random = monitor, random
        self._stream = StreamDecoder(tokenizer)
        self._num_hidden_chars = len(healed_text)
        forced = healed_text + forced_text
        self._forced = ForcedText(forced, index) if forced and index is not None else None
        self._guard, self._watch, self._on_text = guard, watch, on_text
        self._token_ids: list[int] = []
        self._logprobs: list[float] = []
        self._num_shown_chars: list[int] = []  # behind each token
        self._tops: list[tuple[tuple[str, float], ...]] = []
        self._shown = ""
        self.result: GeneratedText | None = None

    def begin(self, start: Branch) -> None:
        """Take the tokens that are decided already; they may be all: see ``result``."""
        self._tops.extend(start.tops)
        for token_id, logprob in zip(start.token_ids, start.logprobs, strict=True):
            reason = self._take(token_id, logprob)
            if reason is not None:
                self.result = self._finish(reason)
                return

    def advance(self, logits: Tensor, branches: BranchQueue) -> int | None:
        """Choose the next token; return None if a rule, a stop token or a limit ends the text with it.

        ``result`` is the text then.

        Args:
            logits: Behind the tokens so far, [vocab_size].
            branches: Told where else the text could have gone.

        Raises:
            ForcedTextImpossibleError: No token continues the forced text.
        """
        token_id, logprob = self._choose(logits, branches)
        is_forced = self._forced is not None and not self._forced.is_done
        num_shown = len(self._shown)
        reason = self._take(token_id, logprob)
        added = self._shown[num_shown:]
        reason = self._watched(logits, logprob, added, reason, is_forced=is_forced)
        if reason is None:
            return token_id
        self.result = self._finish(reason)
        return None

    @property
    def is_free(self) -> bool:
        """Whether any token may come next, and nobody reads what the others' chances were."""
        is_forced = self._forced is not None and not self._forced.is_done
        is_guarded = self._guard is not None and not self._guard.is_done
        return not (is_forced or is_guarded) and self._params.num_top_logprobs is None

    def _watched(
        self,
        logits: Tensor,
        logprob: float,
        added: str,
        reason: FinishReason | None,
        *,
        is_forced: bool,
    ) -> FinishReason | None:
        """Return why the text ends, given what the rules say of it."""
        if self._watch is None:
            return reason
        is_last = reason is FinishReason.STOP
        verdict = self._watch.push(logits, logprob, added, is_forced=is_forced, is_last=is_last)
        # Where nothing was written, the rules know better why.
        is_refused = verdict is FinishReason.UNWANTED and bool(self._monitor.text.strip())
        return verdict if reason is None or (is_last and is_refused) else reason

    def _choose(self, logits: Tensor, branches: BranchQueue) -> tuple[int, float]:
        if self._params.num_top_logprobs:
            self._tops.append(self._likeliest(logits, self._params.num_top_logprobs))
        token_ids = self._allowed_ids()
        allowed = logits if token_ids is None else restrict(logits, token_ids)
        token_id = choose(allowed, self._params.sampling, self._random)
        if len(self._token_ids) < BRANCH_STEPS and self._params.sampling.temperature == 0:
            self._note_branches(allowed, token_id, branches)
        return token_id, log_probability(logits, token_id)

    def _allowed_ids(self) -> npt.NDArray[np.int64] | None:
        """Return the tokens that forced text and indentation leave, None for all of them."""
        forced: npt.NDArray[np.int64] | None = None
        if self._forced is not None and not self._forced.is_done:
            forced = self._forced.allowed()
            if not len(forced):
                raise ForcedTextImpossibleError
        if self._guard is None or self._guard.is_done:
            return forced
        guarded = self._guard.allowed()
        if forced is not None:
            guarded = np.intersect1d(forced, guarded)
        if not len(guarded):
            self._guard.is_done = True  # no way there: better an odd line than none
            return forced
        # The model may always say that nothing belongs here.
        stops = [] if forced is not None or self._token_ids else sorted(self._params.stop_ids)
        return np.concatenate([guarded, np.array(stops, dtype=np.int64)])

    def _likeliest(self, logits: Tensor, count: int) -> tuple[tuple[str, float], ...]:
        values, token_ids = likeliest(logits.float().log_softmax(-1), count)
        spelled = (self._tokenizer.token_bytes(token_id) for token_id in token_ids.tolist())
        texts = (text.decode(errors="replace") for text in spelled)
        return tuple(zip(texts, values.tolist(), strict=True))

    def _note_branches(self, logits: Tensor, chosen: int, branches: BranchQueue) -> None:
        values, token_ids = likeliest(logits.log_softmax(-1), BRANCH_WIDTH + 1)
        for logprob, token_id in zip(values.tolist(), token_ids.tolist(), strict=True):
            if token_id != chosen and math.isfinite(logprob):
                ids, logprobs = (*self._token_ids, token_id), (*self._logprobs, logprob)
                branches.add(Branch(ids, logprobs, tuple(self._tops)))

    def _take(self, token_id: int, logprob: float) -> FinishReason | None:
        if token_id in self._params.stop_ids:
            return FinishReason.STOP
        self._token_ids.append(token_id)
        self._logprobs.append(logprob)
        if self._forced is not None and not self._forced.is_done:
            self._forced.advance(self._tokenizer.token_bytes(token_id))
        if self._guard is not None and not self._guard.is_done:
            self._guard.advance(self._tokenizer.token_bytes(token_id))
        if self._push(self._stream.push(token_id)):
            return FinishReason.STOP
        if len(self._token_ids) >= self._params.max_new_tokens:
            return FinishReason.LENGTH
        is_late = self._params.deadline.has_passed and self._has_something_to_show()
        return FinishReason.DEADLINE if is_late else None

    def _has_something_to_show(self) -> bool:
        """Whether a whole word is there: a few more tokens are better than having shown nothing."""
        return bool(self._monitor.complete_lines or cut_to_word(self._monitor.text))

    def _push(self, delta: str) -> bool:
        hidden = min(self._num_hidden_chars, len(delta))
        self._num_hidden_chars -= hidden
        delta = delta[hidden:]
        self._shown += delta
        self._num_shown_chars.append(len(self._shown))
        has_ended = bool(delta) and self._monitor.push(delta) is not None
        if delta and self._on_text is not None:
            self._on_text(self._monitor.text)
        return has_ended

    def _finish(self, reason: FinishReason) -> GeneratedText:
        monitor = self._monitor
        if reason is FinishReason.STOP:
            monitor.finish()
            text = monitor.text
        elif reason is FinishReason.UNWANTED:
            text = ""
        else:
            text = monitor.complete_lines or cut_to_word(monitor.text)
        # Tokens behind the cut say nothing about what is kept.
        num_kept = min(bisect_left(self._num_shown_chars, len(text)) + 1, len(self._logprobs))
        logprob = sum(self._logprobs[:num_kept])
        tokens = self._tokens(num_kept) if self._params.num_top_logprobs is not None else ()
        judged = None if self._watch is None else self._watch.confidence
        written = WrittenTokens(self._shown, self._num_shown_chars, self._logprobs, num_kept)
        return GeneratedText(
            text, logprob, num_kept, reason, monitor.reason, tokens, judged, written
        )

    def _tokens(self, num_kept: int) -> tuple[TokenLogprob, ...]:
        starts = (0, *self._num_shown_chars)
        return tuple(
            TokenLogprob(
                self._shown[starts[at] : starts[at + 1]],
                self._logprobs[at],
                self._tops[at] if self._tops else (),
            )
            for at in range(num_kept)
        )


def cut_to_word(text: str) -> str:
    """Return ``text`` without an unfinished word at its end: half a name is worse than none."""
    end = len(text)
    while end and (text[end - 1].isalnum() or text[end - 1] == "_"):
        end -= 1
    return text[:end].rstrip()
