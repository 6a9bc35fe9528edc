"""Matrix products, one class per weight encoding.

Integer layers quantise activations per row: a row's result does not depend on the other rows of the
call, and integer sums are exact, so it does not depend on the kernel either. Speculation needs both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.kernels import Int8Kernels
from models.quantize import INT4_GROUP_SIZE, unpack_int4


class Linear(Protocol):
    """A fixed matrix."""

    def __call__(self, x: Tensor, row_scale: Tensor | None = None) -> Tensor:
        """Return ``(x * row_scale) @ weight.T + bias``.

        Args:
            x: [num_tokens, in_features].
            row_scale: [num_tokens, 1]; a norm's factor, which an integer layer folds into its own.
        """
        ...


class FloatLinear:
    """Weights in the dtype of the activations."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor, row_scale: Tensor | None = None) -> Tensor:
        """See ``Linear``."""
        return F.linear(x if row_scale is None else x * row_scale, self._weight, self._bias)


class Int8Linear:
    """int8 weights with a scale per output, int8 activations with a scale per row."""

    def __init__(
        self, weight: Tensor, scale: Tensor, bias: Tensor | None, kernels: Int8Kernels
    ) -> None:
        self._product = kernels.bind(weight, scale)
        self._limit = float(kernels.max_activation)
        self._bias = bias
        # 1/limit belongs to the row's scale; zero rows must not divide by zero.
        self._half_up = torch.tensor(kernels.zero_point + 0.5)
        self._out_features = weight.shape[0]

    def __call__(self, x: Tensor, row_scale: Tensor | None = None) -> Tensor:
        """See ``Linear``."""
        peak = torch.linalg.vector_norm(x, float("inf"), -1, keepdim=True).clamp_(min=1e-30)
        # Adding the zero point and one half, then truncating, rounds to the nearest code.
        codes = torch.addcmul(self._half_up, x, self._limit / peak).to(torch.uint8)
        scale = peak.mul_(1.0 / self._limit)
        if row_scale is not None:
            scale = scale.mul_(row_scale)
        product = self._product(codes)
        if self._bias is None:
            return product.mul_(scale)
        return torch.addcmul(self._bias, product, scale)


class Int4Linear:
    """int4 weights in groups, float activations; fewer bytes per token where memory is the limit."""

    def __init__(self, packed: Tensor, scale_zero: Tensor, bias: Tensor | None) -> None:
        convert = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self._weight = convert(unpack_int4(packed), 1)
        self._scale_zero = scale_zero.to(torch.bfloat16)
        self._bias = bias

    def __call__(self, x: Tensor, row_scale: Tensor | None = None) -> Tensor:
        """See ``Linear``."""
        scaled = x if row_scale is None else x * row_scale
        product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            scaled.to(torch.bfloat16), self._weight, INT4_GROUP_SIZE, self._scale_zero
        )
        return product.float() if self._bias is None else product.float().add_(self._bias)


def dequantise_int4(packed: Tensor, scale_zero: Tensor) -> Tensor:
    """Return the float matrix that ``Int4Linear`` multiplies by, [out_features, in_features]."""
    codes = unpack_int4(packed).unflatten(-1, (-1, INT4_GROUP_SIZE)).float()  # type: ignore[no-untyped-call]
    scale, zero = scale_zero.float().transpose(0, 1).unbind(-1)
    return ((codes - 8) * scale[..., None] + zero[..., None]).flatten(1)


def build_linear(
    weights: Mapping[str, Tensor], name: str, kernels: Int8Kernels | None, dtype: torch.dtype
) -> Linear:
    """Return the layer stored under ``name``, in the encoding its checkpoint chose.

    Args:
        weights: Canonical tensors, encoded by ``models.quantize.encode_tensor``.
        name: Without ``.weight``.
        kernels: The integer kernels of this machine; None computes integer weights in ``dtype``.
        dtype: The activations' dtype.
    """
    weight = weights[f"{name}.weight"]
    bias = weights.get(f"{name}.bias")
    bias = None if bias is None else bias.to(dtype)
    scale_zero = weights.get(f"{name}.weight.scale_zero")
    scale = weights.get(f"{name}.weight.scale")
    if scale_zero is not None:
        if kernels is not None:
            return Int4Linear(weight, scale_zero, bias)
        return FloatLinear(dequantise_int4(weight, scale_zero).to(dtype), bias)
    if scale is not None:
        if kernels is not None:
            return Int8Linear(weight, scale, bias, kernels)
        return FloatLinear((weight.float() * scale[:, None]).to(dtype), bias)
    return FloatLinear(weight.to(dtype), bias)
