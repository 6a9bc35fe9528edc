"""What happens between matrix products: small functions of tensors, eager or compiled.

They are most of what a pass costs beside its products, and all that ``torch.compile`` can fuse. Being
functions of tensors alone, each is compiled once and serves every layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def quantise_rows(x: Tensor, limit: Tensor, half_up: Tensor) -> tuple[Tensor, Tensor]:
    """Return uint8 codes of ``x`` and the peak of each row.

    A code counts in units of peak / limit from the zero point. An empty row yields arbitrary codes
    with the peak 0, which is right once they are scaled.

    Args:
        x: [num_tokens, size], float32.
        limit: Largest magnitude of a code, a scalar.
        half_up: Zero point plus one half: truncation then rounds to the nearest code.
    """
    # Two reads, where taking magnitudes first would write them all.
    peak = torch.maximum(x.amax(-1, keepdim=True), x.amin(-1, keepdim=True).neg_())
    codes = torch.addcmul(half_up, x, limit / peak)
    return codes.to(torch.uint8), peak


def rms_factor(x: Tensor, weight: Tensor, eps: Tensor, mean: float) -> tuple[Tensor, Tensor]:
    """Return ``x * weight`` and the factor per row that completes the RMS norm."""
    length = torch.linalg.vector_norm(x, 2, -1, keepdim=True, dtype=torch.float32)
    return x * weight, torch.addcmul(eps, length, length, value=mean).rsqrt_()


def gated_silu(gate_up: Tensor) -> Tensor:
    """Return ``silu(gate) * up`` for gate and up side by side."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """The functions that one decoder uses."""

    quantise_rows: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = quantise_rows
    rms_factor: Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]] = rms_factor
    gated_silu: Callable[[Tensor], Tensor] = gated_silu


def compiled_elementwise() -> Elementwise:
    """Return the functions compiled for any number of rows; needs a C++ compiler on a CPU.

    Fused arithmetic rounds differently in the last bit, so results are close, not equal.
    """

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        result: Callable[..., Any] = torch.compile(function, dynamic=True)
        return result

    return Elementwise(compiled(quantise_rows), compiled(rms_factor), compiled(gated_silu))
