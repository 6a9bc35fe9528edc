"""Encoding of weights: which tensors a precision changes, and how.

int8 keeps one scale per output row; int4 keeps a scale and an offset per group of 32 inputs, in the
layout of torch's packed CPU kernel. Everything that is not a matrix stays float.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

INT4_GROUP_SIZE = 32  # the finest group torch's CPU kernel offers; finer is closer to the original

INT4_ROW_BLOCK = 16  # rows the kernel packs together


class Precision(StrEnum):
    """How matrices are stored and multiplied."""

    INT8 = "int8"
    INT4 = "int4"
    BF16 = "bf16"
    FLOAT32 = "float32"


def is_matrix(name: str) -> bool:
    """Whether the canonical tensor ``name`` is multiplied with activations or looked up by row."""
    return name.endswith(".weight") and "norm" not in name


def encode_tensor(name: str, tensor: Tensor, precision: Precision) -> dict[str, Tensor]:
    """Return the tensors that a checkpoint of ``precision`` stores for canonical tensor ``name``.

    Args:
        name: A name from ``models.layout``.
        tensor: Its float value.
        precision: The checkpoint's precision.
    """
    if precision is Precision.BF16:
        return {name: tensor.to(torch.bfloat16)}
    if precision is Precision.FLOAT32 or not is_matrix(name):
        return {name: tensor.to(torch.float32)}
    # An embedding row is read once per token, so four bits would save no time, only quality.
    if precision is Precision.INT8 or name == "embedding.weight":
        return _encode_int8(name, tensor.float())
    return _encode_int4(name, tensor.float())


def _encode_int8(name: str, weight: Tensor) -> dict[str, Tensor]:
    scale = weight.abs().amax(dim=1).clamp_(min=1e-12) / 127.0
    quantised = (weight / scale[:, None]).round_().to(torch.int8)
    return {name: quantised, f"{name}.scale": scale}


def _encode_int4(name: str, weight: Tensor) -> dict[str, Tensor]:
    num_rows, num_columns = weight.shape
    if num_columns % INT4_GROUP_SIZE or num_rows % INT4_ROW_BLOCK:
        return _encode_int8(name, weight)
    groups = weight.reshape(num_rows, -1, INT4_GROUP_SIZE)
    low, high = groups.amin(dim=-1), groups.amax(dim=-1)
    scale = ((high - low) / 15.0).clamp_(min=1e-12)
    codes = ((groups - low[..., None]) / scale[..., None]).round_().clamp_(0, 15)
    packed = codes.to(torch.uint8).reshape(num_rows, -1)
    # The kernel computes (code - 8) * scale + zero.
    zero = low + 8 * scale
    return {
        name: (packed[:, 0::2] << 4) | packed[:, 1::2],
        f"{name}.scale_zero": torch.stack([scale, zero], dim=-1).transpose(0, 1).contiguous(),
    }


def unpack_int4(packed: Tensor) -> Tensor:
    """Return the codes 0..15 of a stored int4 matrix, [num_rows, num_columns], int32."""
    codes = torch.stack([packed >> 4, packed & 15], dim=-1)
    return codes.flatten(-2).to(torch.int32)
