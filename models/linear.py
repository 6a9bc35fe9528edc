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

from models.elementwise import Elementwise
from models.kernels import Int8Kernels, Int8Product
from models.quantize import INT4_GROUP_SIZE, unpack_int4


class Linear(Protocol):
    """A fixed matrix."""

    def __call__(
        self, x: Tensor, row_scale: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """Return ``(x * row_scale) @ weight.T + bias + residual``.

        Args:
            x: [num_tokens, in_features].
            row_scale: [num_tokens, 1]; a norm's factor, which an integer layer folds into its own.
            residual: [num_tokens, out_features].
        """
        ...


class FloatLinear:
    """Weights in the dtype of the activations."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(
        self, x: Tensor, row_scale: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """See ``Linear``."""
        y = F.linear(x if row_scale is None else x * row_scale, self._weight, self._bias)
        return y if residual is None else y.add_(residual)


class Int8Linear:
    """int8 weights with a scale per output, int8 activations with a scale per row."""

    def __init__(
        self,
        weight: Tensor,
        scale: Tensor,
        bias: Tensor | None,
        kernels: Int8Kernels,
        elementwise: Elementwise,
    ) -> None:
        limit = float(kernels.max_activation)
        # A code counts in units of peak / limit; the 1 / limit sits in the weights' scale.
        self.product = Int8Product(weight, scale.float() / limit, kernels)
        self._limit = torch.tensor(limit)
        self._half_up = torch.tensor(kernels.zero_point + 0.5)
        self._bias = bias
        self._quantise_rows = elementwise.quantise_rows

    def __call__(
        self, x: Tensor, row_scale: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """See ``Linear``."""
        codes, peak = self._quantise_rows(x, self._limit, self._half_up)
        scale = peak if row_scale is None else peak.mul_(row_scale)
        product = self.product(codes)
        if residual is None:
            return product.mul_(scale) if self._bias is None else self._bias.addcmul(product, scale)
        y = residual.addcmul(product, scale)
        return y if self._bias is None else y.add_(self._bias)


class Int4Linear:
    """int4 weights in groups, float activations; fewer bytes per token where memory is the limit."""

    def __init__(self, packed: Tensor, scale_zero: Tensor, bias: Tensor | None) -> None:
        convert = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self._weight = convert(unpack_int4(packed), 1)
        self._scale_zero = scale_zero.to(torch.bfloat16)
        self._bias = bias

    def __call__(
        self, x: Tensor, row_scale: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """See ``Linear``."""
        scaled = x if row_scale is None else x * row_scale
        product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            scaled.to(torch.bfloat16), self._weight, INT4_GROUP_SIZE, self._scale_zero
        )
        y = product.float()
        for addend in (self._bias, residual):
            y = y if addend is None else y.add_(addend)
        return y


def dequantise_int4(packed: Tensor, scale_zero: Tensor) -> Tensor:
    """Return the float matrix that ``Int4Linear`` multiplies by, [out_features, in_features]."""
    codes = unpack_int4(packed).reshape(len(packed), -1, INT4_GROUP_SIZE).float()
    scale, zero = scale_zero.float().transpose(0, 1).unbind(-1)
    return ((codes - 8) * scale[..., None] + zero[..., None]).flatten(1)


def build_linear(
    weights: Mapping[str, Tensor],
    name: str,
    kernels: Int8Kernels | None,
    dtype: torch.dtype,
    elementwise: Elementwise,
) -> Linear:
    """Return the layer stored under ``name``, in the encoding its checkpoint chose.

    Args:
        weights: Canonical tensors, encoded by ``models.quantize.encode_tensor``.
        name: Without ``.weight``.
        kernels: The integer kernels of this machine; None computes integer weights in ``dtype``.
        dtype: The activations' dtype.
        elementwise: What integer layers quantise with.
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
            return Int8Linear(weight, scale, bias, kernels, elementwise)
        return FloatLinear((weight.float() * scale[:, None]).to(dtype), bias)
    return FloatLinear(weight.to(dtype), bias)
