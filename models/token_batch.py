"""The rows of one forward pass, and what each of them sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

PASS_SIZES = (1, 4, 8, 16, 32)  # padded sizes of decode and verify passes, one CUDA graph each
INVISIBLE = 2**31 - 1  # logical order of a slot that no query may see


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Rows of one forward pass.

    ``token_ids``, ``positions`` (RoPE) and ``slots`` (where K/V are written) are int64
    [num_tokens]. Attention reads the slot ranges ``spans``, each half-open; ``visible`` is bool
    [num_tokens, total span length], or None where every row sees every slot. ``num_rows`` rows
    are real, the rest padding.
    """

    token_ids: Tensor
    positions: Tensor
    slots: Tensor
    spans: tuple[tuple[int, int], ...]
    visible: Tensor | None
    num_rows: int


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows in flight: their slots, how many tokens stand before each, and a tree's parents."""

    slots: tuple[int, ...] = ()
    befores: tuple[int, ...] = ()
    parents: tuple[int, ...] | None = None


def depths(num_rows: int, parents: Sequence[int] | None) -> list[int]:
    """Return how many rows stand between each row and the committed tokens.

    Raises:
        ValueError: A row does not follow its parent.
    """
    if parents is None:
        return list(range(num_rows))
    found: list[int] = []
    for row, parent in enumerate(parents):
        if not -1 <= parent < row:
            raise ValueError(f"row {row} names parent {parent}; a parent comes before its child")
        found.append(0 if parent < 0 else found[parent] + 1)
    return found


def visibility(
    order: Tensor,
    spans: tuple[tuple[int, int], ...],
    staged: Staged,
    num_padding: int,
    *,
    is_empty: bool,
) -> Tensor:
    """Return which row sees which slot of ``spans``, bool [num_rows + num_padding, slots].

    Args:
        order: Logical order of the slots of ``spans``, ``INVISIBLE`` for those of no token.
        spans: The slot ranges that are read.
        staged: The rows. Each sees the tokens before it, its ancestors among the rows, and itself.
        num_padding: Rows that see all tokens and change nothing.
        is_empty: Whether there are no tokens, so that padding would see nothing and divide zero by
            zero.
    """
    befores = torch.tensor(staged.befores, dtype=torch.int32, device=order.device)
    visible = order[None, :] < befores[:, None]
    columns = torch.tensor([_column(spans, slot) for slot in staged.slots], device=order.device)
    ancestors = torch.from_numpy(_ancestors(len(staged.slots), staged.parents)).to(order.device)
    visible[:, columns] = ancestors
    if not num_padding:
        return visible
    padding = ((order != INVISIBLE) | is_empty).repeat(num_padding, 1)
    return torch.cat([visible, padding])


def _column(spans: tuple[tuple[int, int], ...], slot: int) -> int:
    offset = 0
    for start, stop in spans:
        if start <= slot < stop:
            return offset + slot - start
        offset += stop - start
    raise AssertionError(f"slot {slot} lies outside the spans {spans}")


def _ancestors(num_rows: int, parents: Sequence[int] | None) -> npt.NDArray[np.bool_]:
    """Return which staged row sees which, [num_rows, num_rows]."""
    if parents is None:
        return np.tril(np.ones((num_rows, num_rows), dtype=bool))
    sees = np.eye(num_rows, dtype=bool)
    for row, parent in enumerate(parents):
        if parent >= 0:
            sees[row] |= sees[parent]
    return sees
