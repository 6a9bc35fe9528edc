r"""Superposed decoding (Shen et al., arXiv 2405.18400): several drafts, one pass for each token of all.

    drafts   a b c  p = 0.6      embedding of c  * 0.6 \
             a d e  p = 0.3      embedding of e  * 0.3  + ──▶ one row ──▶ one distribution
             f g h  p = 0.1      embedding of h  * 0.1 /                   for all three

A pass takes the mean of the drafts' last embeddings, weighted by how likely the drafts are. What it
says comes next is said of all drafts alike; only counts of n-grams tell which token suits which of
them. The most likely of all pairs of draft and token go on.

Beside it the same search with a row for each draft, which gets a distribution of its own: what the
mean changes, and what it saves.

Departures: the authors count n-grams in a large corpus and drop what was never counted. A prompt and
a repository lack most of what is right, so here what was never counted has a small share instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.candidates_asking import EXACT, OpenPrompt, PromptBench, go_on
from benchmarks.candidates_rows import normalised
from completion.forced_text import TokenIndex
from completion.sampling import restrict
from completion.speculation.ngrams import RepositoryNgrams
from completion.speculation.source import MAX_NUM_TAIL_TOKENS, DraftPlace
from models.decoder import Decoder
from models.likeliest import likeliest
from models.slot_pool import SlotPool
from models.slots import SlotTable

NUM_TOKENS = 9  # of a distribution that may follow a draft; the authors' choice
# By the number of tokens in front, from one on: the authors' weights, made to add up to the rest.
_REPOSITORY_WEIGHT = 0.25
_PROMPT_WEIGHTS = tuple((1 - _REPOSITORY_WEIGHT) * each for each in (0.02, 0.08, 0.30, 0.36, 0.24))
_NEVER_COUNTED = 1e-3
Shares = Callable[[tuple[int, ...], Sequence[int]], list[float]]


@dataclass(frozen=True, slots=True)
class SuperposedParams:
    """``ngram_share`` is the exponent of the n-grams' share, that of the model's is the rest.

    Without ``is_superposed`` each draft has a row of its own.
    """

    num_drafts: int
    max_new_tokens: int
    ngram_share: float = 0.0
    temperature: float = 1.0
    is_superposed: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """A beginning; ``forced`` is what is left of the text that it has to begin with."""

    token_ids: tuple[int, ...] = ()
    logprob: float = 0.0
    forced: bytes = b""


@dataclass(frozen=True, slots=True)
class SuperposedLines:
    """Lines, the likeliest first, none twice, and what they cost."""

    texts: tuple[str, ...]
    num_passes: int
    passes_ms: float


class NgramShares:
    """How often a token followed the last ones, in the prompt and in the repository."""

    def __init__(self, prompt_ids: Sequence[int], repository: RepositoryNgrams) -> None:
        self._tail, self._repository = tuple(prompt_ids[-MAX_NUM_TAIL_TOKENS:]), repository
        self._counts: dict[tuple[int, ...], Counter[int]] = {}
        for at, token_id in enumerate(prompt_ids):
            for size in range(1, min(at, len(_PROMPT_WEIGHTS)) + 1):
                context = tuple(prompt_ids[at - size : at])
                self._counts.setdefault(context, Counter())[token_id] += 1

    def of(self, output: tuple[int, ...], token_ids: Sequence[int]) -> list[float]:
        """Return the share of each of ``token_ids`` behind the prompt and ``output``, from 0 to 1."""
        tail = (*self._tail, *output)[-MAX_NUM_TAIL_TOKENS:]
        proposed = {
            each.token_id: self._repository.grades[each.grade]
            for each in self._repository.propose(DraftPlace(tail, output))
        }
        shares = [_REPOSITORY_WEIGHT * proposed.get(token_id, 0.0) for token_id in token_ids]
        for size, weight in enumerate(_PROMPT_WEIGHTS, start=1):
            followers = self._counts.get(tail[-size:])
            if followers is not None:
                total = followers.total()
                for at, token_id in enumerate(token_ids):
                    shares[at] += weight * followers[token_id] / total
        return shares


def weights_of(drafts: Sequence[Draft]) -> list[float]:
    """Return the part of each draft in the next embedding; they add up to 1."""
    best = max(draft.logprob for draft in drafts)
    likely = [math.exp(draft.logprob - best) for draft in drafts]
    return [each / sum(likely) for each in likely]


def combined(logprob: float, share: float, ngram_share: float) -> float:
    """Return the score of a token that the model and the n-grams judge."""
    return (1 - ngram_share) * logprob + ngram_share * math.log(max(share, _NEVER_COUNTED))


def is_settled(alive: Sequence[Draft], finished: Sequence[Draft], num_drafts: int) -> bool:
    """Whether no draft that goes on can still become one of the best: scores only fall."""
    if not alive or len(finished) < num_drafts:
        return not alive
    worst = sorted((draft.logprob for draft in finished), reverse=True)[num_drafts - 1]
    return max(draft.logprob for draft in alive) <= worst


class Passes(Protocol):
    """Gives the logits behind drafts, from one pass for all of them."""

    def logits(self, drafts: Sequence[Draft]) -> list[Tensor]:
        """Return the logits behind each of ``drafts``, [vocab_size]."""
        ...


class SuperposedPasses:
    """Behind the table's tokens stands a row for each pass, of no token."""

    def __init__(self, decoder: Decoder, pool: SlotPool, table: SlotTable) -> None:
        self._decoder, self._pool, self._table = decoder, pool, table

    def logits(self, drafts: Sequence[Draft]) -> list[Tensor]:
        """See ``Passes``: the same for all of them."""
        last = [draft.token_ids[-1] for draft in drafts]
        batch = self._table.stage(last, parents=[-1] * len(last))
        vectors = self._decoder.forward(batch, self._pool, layers=range(0))  # embeddings alone
        weights = torch.tensor(weights_of(drafts), dtype=vectors.dtype, device=vectors.device)
        mixed = (weights[:, None] * vectors).sum(0, keepdim=True)
        hidden = self._decoder.forward(self._table.stage(last[:1]), self._pool, hidden=mixed)
        self._table.commit()
        return [self._decoder.logits(hidden)[0]] * len(drafts)


class ExactPasses:
    """A row for each draft, which sees the prompt and the rows of its own beginning.

    The rows of all drafts lie in the table, one behind the other, so each pass says by itself where
    they stand in the text and what they see. No layer may have a sliding window.
    """

    def __init__(self, decoder: Decoder, pool: SlotPool, table: SlotTable) -> None:
        self._decoder, self._pool, self._table = decoder, pool, table
        self._num_prompt = len(table)
        self._slots: dict[tuple[int, ...], int] = {}  # of the last token of each beginning

    def logits(self, drafts: Sequence[Draft]) -> list[Tensor]:
        """See ``Passes``."""
        last = [draft.token_ids[-1] for draft in drafts]
        batch = self._table.stage(last, parents=[-1] * len(last))
        for draft, slot in zip(drafts, batch.slots.tolist(), strict=True):
            self._slots[draft.token_ids] = slot
        ((start, stop),) = batch.spans
        visible = torch.zeros(len(drafts), stop - start, dtype=torch.bool)
        positions = torch.empty_like(batch.positions)
        for row, draft in enumerate(drafts):
            size = len(draft.token_ids)
            seen = [self._slots[draft.token_ids[:end]] for end in range(1, size + 1)]
            columns = [*self._table.slots[: self._num_prompt], *seen]
            visible[row, torch.tensor(columns) - start] = True
            positions[row] = self._num_prompt + size - 1
        batch = replace(batch, positions=positions, visible=visible.to(batch.positions.device))
        hidden = self._decoder.forward(batch, self._pool)
        self._table.commit()
        return list(self._decoder.logits(hidden))


class SuperposedDecoder:
    """Writes several lines at once with the model of a bench."""

    def __init__(self, bench: PromptBench) -> None:
        self._bench, self._tokenizer = bench, bench.model.tokenizer
        tokenizer = self._tokenizer
        self._index = TokenIndex(tokenizer.vocab_size, tokenizer.token_bytes)

    @torch.inference_mode()
    def lines(
        self, opened: OpenPrompt, shares: Shares, params: SuperposedParams
    ) -> SuperposedLines:
        """Return lines behind the prompt, whose last token is computed again."""
        table, prompt, decoder = opened.table, opened.prompt, self._bench.model.decoder
        rows, _ = self._bench.patcher.prepare(table, prompt.target(), EXACT, go_on)
        started = perf_counter()
        batch = table.stage(rows.token_ids, befores=rows.befores)
        hidden = decoder.forward(batch, self._bench.pool)
        table.commit()
        num_prompt = len(table)
        kind = SuperposedPasses if params.is_superposed else ExactPasses
        passes: Passes = kind(decoder, self._bench.pool, table)
        logits = [decoder.logits(hidden[-1:])[0]]
        alive = [Draft(forced=(prompt.healed_text + prompt.forced_text).encode())]
        finished: list[Draft] = []
        num_passes = 1
        for _ in range(params.max_new_tokens):
            alive, ended = self.extended(alive, logits, shares, params)
            finished += ended
            if is_settled(alive, finished, params.num_drafts):
                break
            logits = passes.logits(alive)
            num_passes += 1
        ranked = sorted([*finished, *alive], key=lambda draft: -draft.logprob)
        texts = self._texts(ranked, prompt.healed_text, params.num_drafts)
        milliseconds = (perf_counter() - started) * 1000
        table.truncate(num_prompt)  # rows behind it are of no token, or of other drafts
        return SuperposedLines(texts, num_passes, milliseconds)

    def extended(
        self,
        drafts: Sequence[Draft],
        logits: Sequence[Tensor],
        shares: Shares,
        params: SuperposedParams,
    ) -> tuple[list[Draft], list[Draft]]:
        """Return the best drafts with one more token, and those that have come to their end."""
        found: list[Draft] = []
        for draft, behind in zip(drafts, logits, strict=True):
            allowed = self._index.allowed(draft.forced) if draft.forced else None
            own = behind if allowed is None else restrict(behind, allowed)
            own = (own / params.temperature).log_softmax(-1)
            values, indices = likeliest(own, NUM_TOKENS)
            token_ids = indices.tolist()
            counted = shares(draft.token_ids, token_ids) if params.ngram_share else []
            for at, logprob in enumerate(values.tolist()):
                if not math.isfinite(logprob):
                    continue
                if counted:
                    logprob = combined(logprob, counted[at], params.ngram_share)
                found.append(self._appended(draft, token_ids[at], logprob))
        found.sort(key=lambda draft: -draft.logprob)
        best = found[: 2 * params.num_drafts]
        alive = [draft for draft in best if not self._is_last(draft.token_ids[-1])]
        ended = [draft for draft in best if self._is_last(draft.token_ids[-1])]
        return alive[: params.num_drafts], ended

    def _appended(self, draft: Draft, token_id: int, logprob: float) -> Draft:
        spelled = self._tokenizer.token_bytes(token_id)
        return replace(
            draft,
            token_ids=(*draft.token_ids, token_id),
            logprob=draft.logprob + logprob,
            forced=draft.forced[len(spelled) :],
        )

    def _is_last(self, token_id: int) -> bool:
        is_stop = token_id in self._bench.prompts.stop_ids
        return is_stop or b"\n" in self._tokenizer.token_bytes(token_id)

    def _texts(self, ranked: Sequence[Draft], healed: str, count: int) -> tuple[str, ...]:
        """Return the first ``count`` texts that differ by more than blanks."""
        texts: dict[str, str] = {}
        for draft in ranked:
            stops = self._bench.prompts.stop_ids
            spelled = b"".join(
                self._tokenizer.token_bytes(each) for each in draft.token_ids if each not in stops
            )
            line = spelled.decode(errors="replace").removeprefix(healed).partition("\n")[0]
            texts.setdefault(normalised(line), line)
        return tuple(texts.values())[:count]
