"""The rows of one forward pass, and what each of them sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.slot_pool import PAD_SLOT

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


def join(batches: Sequence[TokenBatch], pad_to: int | None = None) -> TokenBatch:
    """Return one batch over the rows of ``batches``, in their order; each row sees what it saw.

    Args:
        batches: One of each of several tables in one pool, none with padding.
        pad_to: Number of rows of the batch; the added ones change nothing.
    """
    spans = _union([span for batch in batches for span in batch.spans])
    num_rows = sum(batch.num_rows for batch in batches)
    num_padding = max(0, (pad_to or 0) - num_rows)
    if len(batches) == 1 and not num_padding:
        return batches[0]
    device = batches[0].token_ids.device
    width = sum(stop - start for start, stop in spans)
    visible = torch.zeros(num_rows + num_padding, width, dtype=torch.bool, device=device)
    visible[num_rows:] = True
    first = 0
    for batch in batches:
        rows, read = visible[first : first + batch.num_rows], 0
        for start, stop in batch.spans:
            column, size = _column(spans, start), stop - start
            seen = True if batch.visible is None else batch.visible[:, read : read + size]
            rows[:, column : column + size] = seen
            read += size
        first += batch.num_rows
    padding = torch.zeros(num_padding, dtype=torch.int64, device=device)
    return TokenBatch(
        token_ids=torch.cat([*(batch.token_ids for batch in batches), padding]),
        positions=torch.cat([*(batch.positions for batch in batches), padding]),
        slots=torch.cat([*(batch.slots for batch in batches), padding + PAD_SLOT]),
        spans=spans,
        visible=visible,
        num_rows=num_rows,
    )


def _union(spans: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the ranges that cover ``spans``, none of which touch."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return tuple(merged)


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
