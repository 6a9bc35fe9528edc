"""Proposals of a network: its likeliest tokens, graded by how sure it is of them."""

from __future__ import annotations

from bisect import bisect_right

import torch
from torch import Tensor

from completion.speculation.source import Proposal
from models.likeliest import likeliest

_EDGES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
GRADES = (
    0.04,
    0.1,
    0.2,
    0.33,
    0.47,
    0.62,
    0.75,
    0.86,
    0.95,
)  # right ones, a little less than claimed


def graded(logits: Tensor, num_proposals: int) -> list[Proposal]:
    """Return the likeliest tokens of ``logits`` [vocab_size], graded by probability."""
    values, token_ids = likeliest(torch.softmax(logits.float(), -1), num_proposals)
    return [
        Proposal(token_id, bisect_right(_EDGES, probability))
        for token_id, probability in zip(token_ids.tolist(), values.tolist(), strict=True)
    ]
