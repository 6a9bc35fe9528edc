"""Normalisation, split into a vector part and a factor per row.

An RMS norm is ``(x * weight) * factor`` with one factor per row. An integer layer folds the factor
into its own row scale, so it is never multiplied element by element.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.elementwise import Elementwise


class Norm(Protocol):
    """A normalisation of rows."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return ``(y, factor)``; the normalised rows are ``y * factor``, or ``y`` without one."""
        ...


class RmsNorm:
    """Zhang and Sennrich 2019, arXiv:1910.07467."""

    def __init__(self, weight: Tensor, eps: float, elementwise: Elementwise) -> None:
        self._weight = weight
        self._eps = torch.tensor(eps, device=weight.device)
        self._mean = 1.0 / weight.shape[0]
        self._rms_factor = elementwise.rms_factor

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """See ``Norm``. Statistics are float32 whatever the dtype of ``x``."""
        if x.dtype is torch.float32:
            return self._rms_factor(x, self._weight, self._eps, self._mean)
        # Rounding x * weight before the factor would lose bits that the reference keeps.
        wide, factor = self._rms_factor(
            x.float(), torch.ones((), device=x.device), self._eps, self._mean
        )
        return (wide * factor).to(x.dtype) * self._weight, None


class LayerNorm:
    """Ba et al. 2016, arXiv:1607.06450."""

    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        self._weight, self._bias, self._eps = weight, bias, eps

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """See ``Norm``."""
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps), None
