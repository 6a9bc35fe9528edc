"""From logits to the next token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen; temperature 0 takes the likeliest.

    ``top_k`` 0 and ``top_p`` 1 keep every token.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; it must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must lie in (0, 1]")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 or more")


def restrict(logits: Tensor, allowed: npt.NDArray[np.int64]) -> Tensor:
    """Return ``logits`` [vocab_size] with every token but ``allowed`` made impossible."""
    kept = torch.full_like(logits, float("-inf"))
    at = torch.from_numpy(allowed).to(logits.device)
    kept[at] = logits[at]
    return kept


def distribution(logits: Tensor, params: SamplingParams) -> Tensor:
    """Return the probabilities that ``params`` samples from, [vocab_size], for temperature > 0."""
    scaled = logits.float() / params.temperature
    if params.top_k:
        cutoff = torch.topk(scaled, min(params.top_k, len(scaled))).values[-1]
        scaled = scaled.masked_fill(scaled < cutoff, float("-inf"))
    probabilities = torch.softmax(scaled, -1)
    if params.top_p < 1.0:
        ordered, order = probabilities.sort(descending=True)
        # A token stays if the mass before it is below top_p; the first always stays.
        dropped = order[(ordered.cumsum(-1) - ordered) >= params.top_p]
        probabilities[dropped] = 0.0
        probabilities /= probabilities.sum()
    return probabilities


def choose(logits: Tensor, params: SamplingParams, generator: torch.Generator | None) -> int:
    """Return the next token id for ``logits`` [vocab_size]."""
    if params.temperature == 0:
        return int(logits.argmax())
    drawn = torch.multinomial(distribution(logits, params), 1, generator=generator)
    return int(drawn)


def log_probability(logits: Tensor, token_id: int) -> float:
    """Return the natural log of the model's own probability of ``token_id``, before any sampling rule."""
    return float(logits[token_id] - torch.logsumexp(logits, -1))
