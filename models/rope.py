"""Rotary position embedding on interleaved pairs.

Checkpoints store a head as two halves (dimension ``i`` pairs with ``i + head_dim / 2``). Where only
the first ``rotary_dim`` dimensions rotate, those are the halves, and the rest rotates by angle 0.
``models.layout`` reorders the rows of the query and key projections once, so that pairs lie side by
side here and a rotation is one complex multiplication. Scores do not change: the same permutation
is applied to queries and keys.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import RopeConfig, RopeKind


def inverse_frequencies(rope: RopeConfig, head_dim: int) -> Tensor:
    """Return the angle per position of each pair, [head_dim // 2], float32; 0 where none rotates.

    Source: Su et al. 2021, arXiv:2104.09864; Llama 3.1 for ``llama3``; Peng et al. 2023,
    arXiv:2309.00071 for ``yarn``.
    """
    rotating = _rotating_frequencies(rope, rope.rotary_dim or head_dim)
    return F.pad(rotating, (0, head_dim // 2 - len(rotating)))


def _rotating_frequencies(rope: RopeConfig, rotary_dim: int) -> Tensor:
    exponents = torch.arange(0, rotary_dim, 2, dtype=torch.float32) / rotary_dim
    plain = 1.0 / rope.theta**exponents
    if rope.kind is RopeKind.LINEAR:
        return plain / rope.factor
    if rope.kind is RopeKind.LLAMA3:
        return _llama3(plain, rope)
    if rope.kind is RopeKind.YARN:
        return _yarn(plain, rope, rotary_dim)
    return plain


def _llama3(plain: Tensor, rope: RopeConfig) -> Tensor:
    # Long waves are slowed by `factor`, short ones kept, those between blended linearly in the
    # number of turns they make over the original context.
    turns = rope.original_max_positions * plain / (2 * math.pi)
    blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    blend = blend.clamp(0.0, 1.0)
    return (1 - blend) * plain / rope.factor + blend * plain


def _yarn(plain: Tensor, rope: RopeConfig, rotary_dim: int) -> Tensor:
    def pair_with_turns(num_turns: float) -> float:
        wavelength = rope.original_max_positions / (num_turns * 2 * math.pi)
        return rotary_dim * math.log(wavelength) / (2 * math.log(rope.theta))

    low, high = pair_with_turns(rope.beta_fast), pair_with_turns(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rotary_dim - 1)
    width = max(high - low, 0.001)
    pairs = torch.arange(rotary_dim // 2, dtype=torch.float32)
    interpolate = ((pairs - low) / width).clamp(0.0, 1.0)
    return interpolate * plain / rope.factor + (1 - interpolate) * plain


class Rotary:
    """Rotations of one model; positions in, unit complex numbers out."""

    def __init__(self, rope: RopeConfig, head_dim: int, device: torch.device) -> None:
        # float64 angles: at position 30,000 a float32 product is already off by 1e-3 radians. MPS
        # has no float64.
        self._dtype = torch.float32 if device.type == "mps" else torch.float64
        self._inv_freq = inverse_frequencies(rope, head_dim).to(device, self._dtype)
        # What does not rotate is not scaled either.
        self._magnitudes = torch.where(self._inv_freq > 0, rope.attention_factor, 1.0)

    def table(self, positions: Tensor) -> Tensor:
        """Return the rotations to ``positions``, [num_tokens, 1, head_dim // 2], complex64.

        The magnitude is YaRN's attention factor, 1 for every other kind and where nothing rotates.
        """
        return self._unit(positions) * self._magnitudes

    def shift_table(self, deltas: Tensor) -> Tensor:
        """Return the rotations by ``deltas`` positions, shaped as ``table``, of magnitude 1."""
        return self._unit(deltas)

    def _unit(self, positions: Tensor) -> Tensor:
        angles = positions.to(self._dtype)[:, None, None] * self._inv_freq
        return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def rotate(heads: Tensor, table: Tensor) -> Tensor:
    """Return ``heads`` rotated by ``table``, as float32.

    Args:
        heads: Queries or keys, [num_tokens, num_heads, head_dim], pairs interleaved.
        table: [num_tokens, 1, head_dim // 2], complex64.
    """
    as_pairs = heads.float().reshape(*heads.shape[:-1], -1, 2)
    pairs = torch.view_as_complex(as_pairs)
    return torch.view_as_real(pairs * table).flatten(-2)


def interleave_halves(rows: Tensor, head_dim: int, rotary_dim: int | None = None) -> Tensor:
    """Return rows reordered from two halves per head to interleaved pairs.

    Args:
        rows: [num_heads * head_dim, ...]: a projection's weight, its bias, or a per-head norm.
        head_dim: Size of one head.
        rotary_dim: How many leading dimensions of a head make up the halves, the others staying
            where they are; all if None.
    """
    heads = rows.reshape(-1, head_dim, *rows.shape[1:])
    rotating = heads[:, : rotary_dim or head_dim]
    halves = rotating.reshape(len(heads), 2, -1, *rows.shape[1:])
    pairs = halves.transpose(1, 2).reshape(rotating.shape)
    return torch.cat([pairs, heads[:, rotating.shape[1] :]], dim=1).reshape(rows.shape)
