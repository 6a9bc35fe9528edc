"""Which integer kernels this CPU runs right and fast; found by trying, not by CPU id.

Two of torch's kernels multiply int8 matrices: oneDNN's packed linear, best from two rows on, and the
plain product, often best at one row. Both sum exactly in int32, so which one ran cannot be told from
the result. CPUs without dot-product instructions add pairs in saturating int16; a probe finds them,
and activations then use seven bits, which cannot overflow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # uint8 codes [num_tokens, in] -> float32 [num_tokens, out]


@dataclass(frozen=True, slots=True)
class Int8Kernels:
    """The choice for one process.

    Attributes:
        max_activation: Largest magnitude of an activation code, 127 or 63.
        plain_at_one_row: Whether single rows take the plain product (which keeps a second,
            unpacked copy of the weights, memory-mapped from the checkpoint).
    """

    max_activation: int = 127
    plain_at_one_row: bool = False

    @property
    def zero_point(self) -> int:
        """Code of a zero activation."""
        return self.max_activation + 1

    def bind(self, weight: Tensor, scale: Tensor) -> Product:
        """Return the product with ``weight`` (int8 [out, in]), scaled per output by ``scale``."""
        packed = _packed_product(weight, scale, self.zero_point)
        if not self.plain_at_one_row:
            return packed
        plain = _plain_product(weight, scale, self.zero_point)
        return lambda codes: plain(codes) if codes.shape[0] == 1 else packed(codes)


def _packed_product(weight: Tensor, scale: Tensor, zero_point: int) -> Product:
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    weight_zero_points = torch.zeros(weight.shape[0], dtype=torch.int32)
    linear = torch.ops.onednn.qlinear_pointwise
    scale = scale.float().contiguous()

    def product(codes: Tensor) -> Tensor:
        result: Tensor = linear(
            codes, 1.0, zero_point, packed, scale, weight_zero_points,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return result

    return product


def _plain_product(weight: Tensor, scale: Tensor, zero_point: int) -> Product:
    transposed = weight.t()
    scale = scale.float()

    def product(codes: Tensor) -> Tensor:
        signed = (
            (codes ^ 128).view(torch.int8)
            if zero_point == 128
            else (codes.to(torch.int8) - zero_point)
        )
        return torch.mul(torch._int_mm(signed, transposed), scale)

    return product


def detect_int8_kernels() -> Int8Kernels | None:
    """Return the kernels this CPU runs exactly, or None where torch has none.

    None means: multiply dequantised weights in floating point, which is right everywhere.
    """
    for max_activation in (127, 63):
        candidate = Int8Kernels(max_activation=max_activation)
        if _is_exact(candidate, _packed_product):
            plain = _is_exact(candidate, _plain_product) and _is_plain_faster()
            return Int8Kernels(max_activation=max_activation, plain_at_one_row=plain)
    return None


def _is_exact(kernels: Int8Kernels, make: Callable[[Tensor, Tensor, int], Product]) -> bool:
    """Whether a product of extreme codes, where saturation would show, comes out exactly."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (96, 256), generator=generator, dtype=torch.int8)
    weight[:32] = 127
    codes = torch.randint(1, 2 * kernels.zero_point, (8, 256), generator=generator).to(torch.uint8)
    codes[:4] = 2 * kernels.max_activation + 1
    expected = (codes.long() - kernels.zero_point) @ weight.long().t()
    try:
        product = make(weight, torch.ones(96), kernels.zero_point)
        return all(
            torch.equal(product(codes[:rows]), expected[:rows].float()) for rows in (1, 4, 8)
        )
    except (RuntimeError, AttributeError, NotImplementedError):
        return False  # this build of torch lacks the operator


def _is_plain_faster() -> bool:
    """Compare both kernels on one row of matrices that do not fit the caches."""
    generator = torch.Generator().manual_seed(0)
    shape = (4864, 896)
    weights = [
        torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8) for _ in range(12)
    ]
    codes = torch.full((1, shape[1]), 200, dtype=torch.uint8)
    seconds = []
    for make in (_packed_product, _plain_product):
        products = [make(weight, torch.ones(shape[0]), 128) for weight in weights]
        rounds = []
        for _ in range(4):
            started = time.perf_counter()
            for product in products:
                product(codes)
            rounds.append(time.perf_counter() - started)
        seconds.append(min(rounds))
    # A second copy of the weights must earn its memory.
    return seconds[1] < 0.9 * seconds[0]
