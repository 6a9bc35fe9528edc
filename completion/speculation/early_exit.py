"""Drafts of the network's own first layers.

    output not cached yet ─▶ layers 0 .. E-1 ─▶ exit head on the last row ─▶ two likeliest tokens

The rows are staged like those of any pass and discarded again: a pass that verifies writes all layers
of its rows anew. A few rows cost about as much as one, so the tokens of a path are computed with each
of its steps instead of being kept (Kangaroo, arXiv 2404.18911, keeps them).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from completion.speculation.confidence import GRADES, graded
from completion.speculation.source import DraftCache, DraftPlace, DraftSource, Proposal
from models.config import ModelConfig
from models.decoder import Checkpoint, Decoder
from models.errors import ModelError
from models.exit_head import EXIT, ExitHead, ExitWeights, normalised
from models.loader import LoadedModel
from models.slot_pool import SlotPool
from models.trained import find_trained, read_trained

logger = logging.getLogger(__name__)

_NUM_PROPOSALS = 2


class EarlyExit(DraftSource):
    """Proposes what the state behind an early layer says."""

    name = "exit"
    grades = GRADES

    def __init__(self, decoder: Decoder, pool: SlotPool, head: ExitHead) -> None:
        """Draft with the first layers of ``decoder`` and ``head``; ``pool`` has all requests' tables."""
        self._decoder, self._pool, self._head = decoder, pool, head
        self._cache: DraftCache | None = None
        self._state: Tensor | None = None
        self.cost = exit_cost(decoder.config, head)

    def attach(self, cache: DraftCache) -> None:
        """See ``DraftSource``.

        The state of the cache, where it is known, holds more about what follows than the early
        layers can find out: it makes half as many proposals right again.
        """
        self._cache = cache
        self._state = None if cache.state is None else normalised(cache.state[None].float())

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``: nothing while the prompt is not computed, or where no slots are free."""
        logits = self._behind(place.output)
        if logits is None:
            return []
        token_ids = self._head.token_ids
        return [
            Proposal(token_ids[found.token_id], found.grade)
            for found in graded(logits, _NUM_PROPOSALS)
        ]

    def decide(
        self, cache: DraftCache, output: Sequence[int], min_probability: float
    ) -> Tensor | None:
        """Return logits behind ``output``, [vocab_size], None where no token is that probable.

        They are those of the early layers: what is chosen from them is not verified by anything.
        Tokens that the head does not know are impossible.
        """
        self.attach(cache)
        logits = self._behind(output)
        if logits is None or float(torch.softmax(logits, -1).max()) < min_probability:
            return None
        whole = torch.full((self._decoder.config.vocab_size,), float("-inf"), device=logits.device)
        whole[self._head.vocabulary] = logits
        return whole

    def _behind(self, output: Sequence[int]) -> Tensor | None:
        """Return the head's logits behind ``output``, [num_tokens], None where it cannot say."""
        if self._cache is None:
            return None
        table, num_prompt = self._cache.table, len(self._cache.prompt_ids)
        rows = output[max(0, len(table) - num_prompt) :]
        if len(table) < num_prompt or not rows or len(rows) > table.num_free:
            return None
        layers = range(self._head.layer)
        hidden = self._decoder.forward(table.stage(rows), self._pool, layers=layers)
        table.discard()
        return self._logits(hidden)

    def _logits(self, hidden: Tensor) -> Tensor:
        """Return the logits behind the last of the rows, [num_tokens]."""
        if self._state is None:
            return self._head.logits(self._head.state(hidden[-1:], None))[0]
        state = self._state
        for row in torch.split(hidden, 1):  # each but the first is told what was made of a draft
            state = self._head.state(row, state)
        return self._head.logits(state)[0]


def load_early_exit(
    model: LoadedModel, pool: SlotPool, folder: Path | None, checkpoint: Checkpoint
) -> EarlyExit | None:
    """Return the early exit that was trained for ``model``, None if none was or it does not fit.

    Takes a second; ``checkpoint`` is called in between.
    """
    path = find_trained(model.fingerprint, EXIT, folder)
    if path is None:
        return None
    try:
        weights = ExitWeights.from_file(read_trained(path, EXIT, model.fingerprint))
        return EarlyExit(model.decoder, pool, ExitHead(model.decoder, weights, checkpoint))
    except ModelError as error:
        logger.warning("the first layers do not draft: %s", error)
        return None


def exit_cost(config: ModelConfig, head: ExitHead) -> float:
    """Return what a proposal costs, as a share of a pass: by the numbers that are read for it.

    Twice their share, as the few of a proposal do not hide what each operation costs besides: 2.9 ms
    of a pass of 20.
    """
    hidden = config.hidden_size
    num_heads = config.num_heads + 2 * config.num_kv_heads
    attention = hidden * config.head_dim * (num_heads + config.num_heads)
    layer = attention + (3 if config.gated_mlp else 2) * hidden * config.intermediate_size
    whole = config.num_layers * layer + config.vocab_size * hidden
    return 2 * (head.layer * layer + head.num_weights) / whole
