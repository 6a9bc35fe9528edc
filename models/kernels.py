"""Which integer kernels this CPU runs right, and which is fast for how many rows.

Two of torch's kernels multiply int8 matrices. The plain product reads the checkpoint's own layout:
nothing to prepare, good at one row and at many. oneDNN's packed linear is up to twice as fast at the
2-32 rows of a verify pass, but packing takes seconds for a whole model, so it is done when the
engine is idle. Both sum exactly in int32: which one ran cannot be told from the result.

CPUs without dot-product instructions add pairs in saturating int16; a probe finds them, and
activations then use seven bits, which cannot overflow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PACKED_ROWS = 16_384  # outputs packed in one go, under 100 ms of uninterruptible work

Product = Callable[[Tensor], Tensor]  # uint8 codes [num_tokens, in] -> float32 [num_tokens, out]


@dataclass(frozen=True, slots=True)
class Int8Kernels:
    """What this process may use.

    Attributes:
        max_activation: Largest magnitude of an activation code, 127 or 63.
        has_plain: Whether the plain product is exact.
        has_packed: Whether the packed product is exact.
    """

    max_activation: int = 127
    has_plain: bool = True
    has_packed: bool = True

    @property
    def zero_point(self) -> int:
        """Code of a zero activation."""
        return self.max_activation + 1


class Int8Product:
    """The product with one matrix, by whichever kernel is ready and faster."""

    def __init__(self, weight: Tensor, scale: Tensor, kernels: Int8Kernels) -> None:
        """Take ``weight`` (int8 [out, in]), scaled per output by ``scale``."""
        self._weight, self._scale, self._kernels = weight, scale, kernels
        self.shape = tuple(weight.shape)
        self._plain: Product | None = None
        self._packed: Product | None = None
        if kernels.has_plain:
            self._plain = plain_product(weight, scale, kernels.zero_point)
        else:
            self.pack()

    def __call__(self, codes: Tensor) -> Tensor:
        """Return the product, float32 [num_tokens, out]."""
        # A local name: packing may finish on another thread meanwhile.
        plain, packed = self._plain, self._packed
        if packed is not None and (plain is None or codes.shape[0] > 1):
            return packed(codes)
        assert plain is not None
        return plain(codes)

    def pack(self, checkpoint: Callable[[], None] = lambda: None) -> None:
        """Prepare the packed kernel; changes speed, never results.

        A large matrix is packed in blocks of rows, with ``checkpoint`` called before each.
        """
        if not self._kernels.has_packed or self._packed is not None:
            return
        blocks = []
        for start in range(0, len(self._weight), PACKED_ROWS):
            checkpoint()
            rows = slice(start, start + PACKED_ROWS)
            zero_point = self._kernels.zero_point
            blocks.append(packed_product(self._weight[rows], self._scale[rows], zero_point))
        if len(blocks) == 1:
            self._packed = blocks[0]
        else:
            self._packed = lambda codes: torch.cat([block(codes) for block in blocks], dim=-1)

    def time_one_row(self) -> tuple[float, float] | None:
        """Return the seconds of one row by the plain and by the packed kernel, if both are there."""
        if self._plain is None or self._packed is None:
            return None
        codes = torch.full((1, self._weight.shape[1]), 100, dtype=torch.uint8)
        return _seconds(self._plain, codes), _seconds(self._packed, codes)

    def drop_plain(self) -> None:
        """Free the unpacked weights; call only once packed."""
        if self._packed is not None:
            self._plain = None
            self._weight = torch.empty(0, dtype=torch.int8)  # a view would keep the mapping


def drop_slower_kernels(products: Sequence[Int8Product]) -> None:
    """Give up the plain kernel, and its copy of the weights, where it is not clearly faster.

    Judged for one row and per matrix shape, timed over all matrices of the shape in turn, so that
    their weights come from memory, as in a real pass.
    """
    by_shape: dict[tuple[int, ...], list[Int8Product]] = {}
    for product in products:
        by_shape.setdefault(product.shape, []).append(product)
    for group in by_shape.values():
        timed = [seconds for product in group if (seconds := product.time_one_row()) is not None]
        if timed and sum(plain for plain, _ in timed) > 0.9 * sum(packed for _, packed in timed):
            for product in group:
                product.drop_plain()


def packed_product(weight: Tensor, scale: Tensor, zero_point: int) -> Product:
    """Return the product by oneDNN's packed linear."""
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    weight_zero_points = torch.zeros(weight.shape[0], dtype=torch.int32)
    linear = torch.ops.onednn.qlinear_pointwise

    def product(codes: Tensor) -> Tensor:
        result: Tensor = linear(
            codes, 1.0, zero_point, packed, scale, weight_zero_points,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return result

    return product


def plain_product(weight: Tensor, scale: Tensor, zero_point: int) -> Product:
    """Return the product on the weights as they lie."""
    transposed = weight.t()

    def product(codes: Tensor) -> Tensor:
        if zero_point == 128:  # flipping the top bit subtracts 128
            signed = (codes ^ 128).view(torch.int8)
        else:
            signed = codes.to(torch.int8) - zero_point
        return torch.mul(torch._int_mm(signed, transposed), scale)

    return product


def detect_int8_kernels() -> Int8Kernels | None:
    """Return the kernels this CPU runs exactly, or None where torch has none.

    None means: multiply dequantised weights in floating point, which is right everywhere.
    """
    for max_activation in (127, 63):
        zero_point = max_activation + 1
        has_plain = _is_exact(plain_product, zero_point)
        has_packed = _is_exact(packed_product, zero_point)
        if has_plain or has_packed:
            return Int8Kernels(max_activation, has_plain, has_packed)
    return None


def _is_exact(make: Callable[[Tensor, Tensor, int], Product], zero_point: int) -> bool:
    """Whether a product of extreme codes, where saturation would show, comes out exactly."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (96, 256), generator=generator, dtype=torch.int8)
    weight[:32] = 127
    codes = torch.randint(1, 2 * zero_point, (8, 256), generator=generator).to(torch.uint8)
    codes[:4] = 2 * zero_point - 1
    expected = (codes.long() - zero_point) @ weight.long().t()
    try:
        product = make(weight, torch.ones(96), zero_point)
        return all(
            torch.equal(product(codes[:rows]), expected[:rows].float()) for rows in (1, 4, 8)
        )
    except (RuntimeError, AttributeError, NotImplementedError):
        return False  # this build of torch lacks the operator


def _seconds(product: Product, codes: Tensor) -> float:
    started = time.perf_counter()
    product(codes)
    return time.perf_counter() - started
