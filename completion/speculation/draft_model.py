"""Drafts of a smaller network with the same vocabulary (Leviathan et al., arXiv 2211.17192).

It has caches of its own, one for each of a few documents. They follow the prompts by the same patches
as the target's, and then the output:

    target   prompt | a b c . . . . .          draft   prompt | a b c x y      the path drafted last
                          verified                                    z        computed behind c, y again

Another branch of the tree drops what differs and computes the rest as a chain. So a new node is one
pass, of two or three rows after a change of branch, which cost hardly more than one.

Drafting while the target verifies (PEARL, arXiv 2408.11850) needs a second device. Here both networks
wait for the same cores and the same memory: a pass of the target beside one of the draft takes as long
as both in turn, so it hides nothing, and drafts behind what is then rejected come on top.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from completion.differences import num_common
from completion.errors import DraftModelError, PromptTooLongError
from completion.scheduler import Checkpoint, Work
from completion.speculation.confidence import GRADES, graded
from completion.speculation.source import DraftCache, DraftPlace, DraftSource, Proposal
from kvedit.patch import CachePatcher, PatchTarget
from kvedit.policy import PatchPolicy
from kvedit.repair import Vocabulary
from models.config import ModelConfig
from models.decoder import Decoder
from models.loader import LoadedModel
from models.quantize import Precision
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.tokenizer import Tokenizer

_NUM_PROPOSALS = 2
_NUM_TIMED = 7  # passes of each network, under a second in all
_BITS = {Precision.INT4: 4, Precision.INT8: 8, Precision.BF16: 16, Precision.FLOAT32: 32}


@dataclass(frozen=True, slots=True)
class DraftModelConfig:
    """Measures of a draft model.

    Up to ``num_documents`` keep caches, each with room for a prompt and its output in ``capacity``
    tokens. A request waits for up to ``max_num_waiting`` rows at once: where a prompt leaves more to
    compute, there are no drafts for it until that has been done at rest. ``cost`` is that of a pass
    as a share of the target's; None takes the ratio of the weights they read until it is measured.
    """

    capacity: int
    num_documents: int
    max_num_waiting: int = 48
    cost: float | None = None
    policy: PatchPolicy = field(default_factory=PatchPolicy)


@dataclass(slots=True, eq=False)
class _Document:
    """One cache and the prompt that it is to hold.

    ``is_ready`` once it does, ``is_late`` if that is left to a time of rest. ``num_prompts`` counts
    prompts, so that whoever works at rest sees that a request has taken the cache over. ``known``
    has the proposals behind outputs of this prompt.
    """

    table: SlotTable
    prompt_ids: list[int] = field(default_factory=list)
    is_ready: bool = False
    is_late: bool = False
    num_prompts: int = 0
    known: dict[tuple[int, ...], list[Proposal]] = field(default_factory=dict)

    def begin(self, prompt_ids: Sequence[int]) -> None:
        """Be for another prompt, whatever was going on with the cache."""
        self.table.close_gaps()
        self.prompt_ids, self.known = list(prompt_ids), {}
        self.is_ready = self.is_late = False
        self.num_prompts += 1

    def close(self) -> None:
        """Give the cache back, also under somebody who works at rest."""
        self.begin(())
        self.table.close()


class DraftModel(DraftSource):
    """Proposes what a smaller network holds for likeliest. Engine thread only."""

    name = "model"
    grades = GRADES

    def __init__(
        self,
        model: LoadedModel,
        target: LoadedModel,
        sentinel_ids: frozenset[int],
        config: DraftModelConfig,
        when_idle: Callable[[Work[None]], None],
    ) -> None:
        """Draft for ``target`` with ``model``; ``when_idle`` queues work that can wait.

        Raises:
            DraftModelError: Their vocabularies differ, so that tokens of one are none of the other.
            PromptTooLongError: The draft model's context holds less than the prompt and its output.
        """
        check_vocabularies(model, target)
        if config.capacity > model.config.max_positions:
            raise PromptTooLongError(config.capacity, model.config.max_positions)
        self._config, self._when_idle = config, when_idle
        self._decoder, self._target = model.decoder, target.decoder
        self._vocab_size = model.config.vocab_size
        self._num_proposable = target.config.vocab_size  # networks may have rows for no token
        self.cost = relative_cost(model, target) if config.cost is None else config.cost
        # Slot 0 is padding's.
        self._pool = model.decoder.new_pool(1 + config.num_documents * config.capacity)
        vocabulary = Vocabulary(model.tokenizer.token_bytes, sentinel_ids)
        self._patcher = CachePatcher(
            model.decoder, self._pool, vocabulary, max(1, config.max_num_waiting)
        )
        self._documents: list[_Document] = []  # the one used last at the end
        self._current: _Document | None = None
        self._is_queued = self._is_packed = False

    @property
    def num_bytes(self) -> int:
        """What its caches take once they are full."""
        return self._pool.num_slots * self._decoder.bytes_per_token

    @property
    def num_documents(self) -> int:
        """How many documents have a cache."""
        return len(self._documents)

    def attach(self, cache: DraftCache) -> None:
        """See ``DraftSource``: bring the cache of the prompt's document up to it, or leave it for later.

        There is no checkpoint, so this is bounded by ``max_num_waiting`` rows.
        """
        self._current = None
        prompt_ids = list(cache.prompt_ids)
        if not prompt_ids or not self._can_hold(prompt_ids):
            return
        document = self._document_of(prompt_ids)
        if document.prompt_ids != prompt_ids:
            document.begin(prompt_ids)
        self._documents.remove(document)
        self._documents.append(document)
        self._current = document
        if document.is_ready or document.is_late:
            return
        if self._num_missing(document, prompt_ids) <= self._config.max_num_waiting:
            self._bring_up(document, _go_on)
        else:
            document.is_late = True
            self._queue()

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``: the grade is how sure the network is."""
        document = self._current
        if document is None or not document.is_ready:
            return []
        known = document.known.get(place.output)
        if known is None:
            logits = self._logits_behind(document, place.output)
            if logits is None:
                return []
            known = document.known[place.output] = self._graded(logits)
        return known

    def close(self) -> None:
        """Give all caches back."""
        while self._documents:
            self._documents.pop().close()
        self._current = None

    def check(self) -> None:
        """Raise AssertionError where a cache is not valid; for tests."""
        for document in self._documents:
            document.table.check()
            assert len(document.table) <= self._config.capacity
            if document.is_ready:
                num_prompt_tokens = len(document.prompt_ids)
                assert document.table.token_ids[:num_prompt_tokens] == document.prompt_ids

    def _can_hold(self, prompt_ids: Sequence[int]) -> bool:
        return len(prompt_ids) <= self._config.capacity and max(prompt_ids) < self._vocab_size

    def _document_of(self, prompt_ids: Sequence[int]) -> _Document:
        """Return the document that ``prompt_ids`` most likely belong to, a new one if to none.

        Most prompts begin as the one before did. Where the first lines have changed, or what is shown
        of other files, a diff tells: it takes a few milliseconds.
        """
        if self._documents and self._documents[-1].prompt_ids == prompt_ids:
            return self._documents[-1]
        half = len(prompt_ids) // 2
        shared = [num_common(each.table.token_ids, prompt_ids) for each in self._documents]
        if shared and max(shared) > half:
            return self._documents[shared.index(max(shared))]
        missing = [self._num_missing(each, prompt_ids) for each in self._documents]
        if missing and min(missing) <= half:
            return self._documents[missing.index(min(missing))]
        return self._new_document()

    def _new_document(self) -> _Document:
        if len(self._documents) >= self._config.num_documents:
            self._documents.pop(0).close()
        document = _Document(SlotTable(self._pool, self._config.capacity))
        self._documents.append(document)
        return document

    def _num_missing(self, document: _Document, prompt_ids: Sequence[int]) -> int:
        target = PatchTarget(prompt_ids)
        return self._patcher.plan(document.table, target, self._config.policy).num_computed

    def _bring_up(
        self, document: _Document, checkpoint: Checkpoint, *, in_rest: bool = False
    ) -> None:
        target = PatchTarget(document.prompt_ids)
        hidden, _ = self._patcher.update(
            document.table, target, self._config.policy, checkpoint, in_rest=in_rest
        )
        document.known[()] = self._graded(self._decoder.logits(hidden)[0])
        document.is_ready, document.is_late = True, False

    def _queue(self) -> None:
        if not self._is_queued:
            self._is_queued = True
            self._when_idle(self._catch_up)

    def _catch_up(self, checkpoint: Checkpoint) -> None:
        """Bring up what is late, the document used last first; then prepare the kernels, once."""
        self._is_queued = False
        for document in reversed(self._documents.copy()):
            if document.is_late:
                with suppress(_OvertakenError):
                    self._bring_up(document, _until_overtaken(document, checkpoint), in_rest=True)
        if not self._is_packed:
            self._decoder.pack(checkpoint)
            if self._config.cost is None:
                self.cost = measured_cost(self._decoder, self._target, checkpoint)
            self._is_packed = True

    def _logits_behind(self, document: _Document, output: tuple[int, ...]) -> Tensor | None:
        """Return the logits behind prompt and ``output``, [vocab_size]; None if that takes too long."""
        table, num_prompt_tokens = document.table, len(document.prompt_ids)
        num_kept = num_common(tuple(table.token_ids[num_prompt_tokens:]), output[:-1])
        rows = output[num_kept:]
        fits = num_prompt_tokens + len(output) <= self._config.capacity
        if not fits or len(rows) > self._config.max_num_waiting or max(rows) >= self._vocab_size:
            return None
        table.truncate(num_prompt_tokens + num_kept)
        hidden = self._decoder.forward(table.stage(rows), self._pool)
        table.commit()
        return self._decoder.logits(hidden[-1:])[0]

    def _graded(self, logits: Tensor) -> list[Proposal]:
        return graded(logits[: self._num_proposable], _NUM_PROPOSALS)


def check_vocabularies(model: LoadedModel, target: LoadedModel) -> None:
    """Raise DraftModelError unless every token of text has the same id in both; takes half a second."""
    one, other = model.tokenizer, target.tokenizer
    if one is other:
        return
    token_id = _first_difference(one, other)
    if token_id is not None:
        raise DraftModelError(
            f"{model.name} cannot draft for {target.name}: token {token_id} is "
            f"{one.token_bytes(token_id)!r} in one vocabulary and {other.token_bytes(token_id)!r} "
            "in the other; set engine.draft_model to a model of the same family, or leave it empty"
        )


def relative_cost(model: LoadedModel, target: LoadedModel) -> float:
    """Return what a pass of ``model`` over one row takes, as a share of one of ``target``.

    Such a pass waits for weights mostly, so it is the ratio of the bytes that the two read; what
    stands between the products adds to it (0.32 for Qwen2.5-Coder's 0.5B and 1.5B, measured 0.44).
    """
    read = [num_weights_read(each.config) * _BITS[each.precision] for each in (model, target)]
    return read[0] / read[1]


@torch.inference_mode()
def measured_cost(decoder: Decoder, target: Decoder, checkpoint: Checkpoint) -> float:
    """Return what a pass over one row takes, as a share of one of ``target``: the median of a few."""
    draft_pool, target_pool = decoder.new_pool(2), target.new_pool(2)
    draft_table, target_table = SlotTable(draft_pool, 1), SlotTable(target_pool, 1)
    shares = []
    for _ in range(_NUM_TIMED):
        checkpoint()
        seconds = _seconds_of_a_pass(decoder, draft_pool, draft_table)
        shares.append(seconds / _seconds_of_a_pass(target, target_pool, target_table))
    return statistics.median(shares)


def _seconds_of_a_pass(decoder: Decoder, pool: SlotPool, table: SlotTable) -> float:
    batch = table.stage([1])
    started = time.perf_counter()
    decoder.logits(decoder.forward(batch, pool)).argmax(-1).tolist()
    return time.perf_counter() - started


def num_weights_read(config: ModelConfig) -> int:
    """Return how many weights a pass reads; of the input embedding it reads a row."""
    hidden, query = config.hidden_size, config.num_heads * config.head_dim
    key = config.num_kv_heads * config.head_dim
    attention = hidden * (query + 2 * key) + query * hidden
    mlp = (3 if config.gated_mlp else 2) * hidden * config.intermediate_size
    return config.num_layers * (attention + mlp) + config.vocab_size * hidden


def _first_difference(one: Tokenizer, other: Tokenizer) -> int | None:
    for token_id in range(max(one.vocab_size, other.vocab_size)):
        if one.token_bytes(token_id) != other.token_bytes(token_id):
            return token_id
    return None


class _OvertakenError(Exception):
    """A request has taken the cache over, or given it away, between two layers."""


def _until_overtaken(document: _Document, checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint that ends work on ``document`` when a request has taken it meanwhile."""
    num_prompts = document.num_prompts

    def between_layers() -> None:
        checkpoint()
        if document.num_prompts != num_prompts:
            raise _OvertakenError

    return between_layers


def _go_on() -> None:
    """Never interrupt."""
