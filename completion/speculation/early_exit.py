"""Drafts of the network's own first layers.

    output not cached yet ─▶ layers 0 .. E-1 ─▶ exit head on the last row ─▶ two likeliest tokens

The rows are staged like those of any pass and discarded again: a pass that verifies writes all layers
of its rows anew. A few rows cost about as much as one, so the tokens of a path are computed with each
of its steps instead of being kept (Kangaroo, arXiv 2404.18911, keeps them).
"""

from __future__ import annotations

import torch
from torch import Tensor

from completion.speculation.confidence import GRADES, graded
from completion.speculation.source import DraftCache, DraftPlace, DraftSource, Proposal
from models.config import ModelConfig
from models.decoder import Decoder
from models.exit_head import ExitHead, normalised
from models.slot_pool import SlotPool

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
        """See ``DraftSource``."""
        if cache is not self._cache:
            self._cache, self._state = cache, None

    def note_state(self, state: Tensor | None) -> None:
        """Take in the final state [hidden_size] of the last token in the table, None if not known.

        It holds more about what follows than the early layers can find out: where it is known, half
        as many proposals again are right.
        """
        self._state = None if state is None else normalised(state[None].float())

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``: nothing while the prompt is not computed, or where no slots are free."""
        if self._cache is None:
            return []
        table, num_prompt = self._cache.table, len(self._cache.prompt_ids)
        rows = place.output[max(0, len(table) - num_prompt) :]
        if len(table) < num_prompt or not rows or len(rows) > table.num_free:
            return []
        layers = range(self._head.layer)
        hidden = self._decoder.forward(table.stage(rows), self._pool, layers=layers)
        table.discard()
        token_ids = self._head.token_ids
        return [
            Proposal(token_ids[found.token_id], found.grade)
            for found in graded(self._logits(hidden), _NUM_PROPOSALS)
        ]

    def _logits(self, hidden: Tensor) -> Tensor:
        """Return the logits behind the last of the rows, [num_tokens]."""
        if self._state is None:
            return self._head.logits(self._head.state(hidden[-1:], None))[0]
        state = self._state
        for row in torch.split(hidden, 1):  # each but the first is told what was made of a draft
            state = self._head.state(row, state)
        return self._head.logits(state)[0]


def exit_cost(config: ModelConfig, head: ExitHead) -> float:
    """Return what a proposal costs, as a share of a pass: by the numbers that are read for it."""
    hidden = config.hidden_size
    num_heads = config.num_heads + 2 * config.num_kv_heads
    attention = hidden * config.head_dim * (num_heads + config.num_heads)
    layer = attention + (3 if config.gated_mlp else 2) * hidden * config.intermediate_size
    whole = config.num_layers * layer + config.vocab_size * hidden
    return (head.layer * layer + head.num_weights) / whole
