"""Sessions as tables of slots in logical order.

A ``SlotTable`` is one document's session: the slots of its tokens, in order. Patching, rewinding,
sharing a head and healing edit tables, not tensors. What a query sees follows from logical order and
a mask, never from slot order.

    pool    | 0 | 1 2 3 4 5 6 7 | 8 9 10 11 |      slot 0 takes the writes of padding
              pad  extent of A     extent of B
    table A   order 0..4 -> slots 1 2 5 3 4         logical order, not slot order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.slot_pool import PAD_SLOT, SlotPool

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


class SlotTable:
    """The tokens of one session in logical order, and the rows in flight.

    A forward pass stages rows, and only ``commit`` makes them tokens; a cancelled pass leaves the
    table as it was. ``capacity`` counts the table's own slots, beyond a shared head.
    """

    def __init__(self, pool: SlotPool, capacity: int, head: SlotTable | None = None) -> None:
        """Reserve a session, starting with all tokens of ``head``, shared, not copied."""
        self._pool = pool
        self._extent = pool.reserve(capacity)
        # A session may begin in the middle of another one's pass, which runs in inference mode: a
        # tensor made there could never be changed outside.
        with torch.inference_mode(mode=False):
            self._order = torch.full(
                (pool.num_slots,), INVISIBLE, dtype=torch.int32, device=pool.device
            )
        self._staged: list[int] = []
        self._staged_parents: Sequence[int] | None = None
        self.slots: list[int] = []
        self.token_ids: list[int] = []
        if head is not None:
            pool.retain(head.slots)
            self.slots, self.token_ids = list(head.slots), list(head.token_ids)
            self._renumber(0)

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def num_free(self) -> int:
        """How many more tokens fit."""
        return self._pool.num_free(self._extent)

    def positions(self) -> list[int]:
        """Return the RoPE position of each token."""
        return [int(p) for p in self._pool.positions[self.slots]]

    def is_exact(self) -> bool:
        """Whether every key and value equals a fresh prefill of the same tokens."""
        return bool(self._pool.is_exact[self.slots].all())

    def common_prefix(self, token_ids: Sequence[int]) -> int:
        """Return how many leading tokens of ``token_ids`` the table already holds."""
        num_common = min(len(self.token_ids), len(token_ids))
        for idx in range(num_common):
            if self.token_ids[idx] != token_ids[idx]:
                return idx
        return num_common

    def stage(
        self,
        token_ids: Sequence[int],
        *,
        parents: Sequence[int] | None = None,
        pad_to: int | None = None,
    ) -> TokenBatch:
        """Take slots for new rows and return the batch that computes them.

        Rows staged before and not committed are discarded.

        Args:
            token_ids: The new tokens.
            parents: None for a chain. For a tree, the row each row continues, -1 for the committed
                tokens; a row comes after its parent and sees the committed tokens, its ancestors
                and itself.
            pad_to: Number of rows of the batch; the added ones change nothing.

        Raises:
            PoolFullError: The session's extent is full; the table is unchanged.
        """
        self.discard()
        slots = self._pool.take(self._extent, len(token_ids))
        self._staged, self._staged_parents = slots, parents
        depths = _depths(len(token_ids), parents)
        first = len(self.slots)
        positions = [first + depth for depth in depths]
        self._pool.token_ids[slots] = token_ids
        self._pool.positions[slots] = positions
        num_padding = max(0, (pad_to or 0) - len(token_ids))
        device = self._pool.device
        spans = self._spans()
        return TokenBatch(
            token_ids=torch.tensor([*token_ids, *[0] * num_padding], device=device),
            positions=torch.tensor([*positions, *[0] * num_padding], device=device),
            slots=torch.tensor([*slots, *[PAD_SLOT] * num_padding], device=device),
            spans=spans,
            visible=self._visible(spans, num_padding),
            num_rows=len(token_ids),
        )

    def commit(self, rows: Sequence[int] | None = None) -> None:
        """Make staged ``rows`` (all, if None) tokens, in order; free the other staged slots.

        For a tree the rows must be one path from its root.
        """
        kept = range(len(self._staged)) if rows is None else rows
        slots = [self._staged[row] for row in kept]
        exact = self.is_exact()
        self._pool.release([slot for slot in self._staged if slot not in set(slots)])
        first = len(self.slots)
        self.slots.extend(slots)
        self.token_ids.extend(int(t) for t in self._pool.token_ids[slots])
        self._pool.is_exact[slots] = exact
        self._staged, self._staged_parents = [], None
        self._renumber(first)

    def discard(self) -> None:
        """Free the rows in flight; the committed tokens stay."""
        self._pool.release(self._staged)
        self._staged, self._staged_parents = [], None

    def truncate(self, num_tokens: int) -> None:
        """Keep the first ``num_tokens`` tokens: the rewind."""
        self.discard()
        dropped = self.slots[num_tokens:]
        if dropped:
            self._order[torch.tensor(dropped, device=self._pool.device)] = INVISIBLE
            self._pool.release(dropped)
            del self.slots[num_tokens:]
            del self.token_ids[num_tokens:]

    def consolidate(self) -> None:
        """Copy tokens that lie in other sessions' extents into the table's own.

        A table that outlived the one it shared a head with would otherwise keep that extent from
        being reused, and every pass would gather from both.

        Raises:
            PoolFullError: The table's own extent has no room; the table is unchanged.
        """
        self.discard()
        extents = self._pool.extents_of(self.slots)
        foreign = [at for at, extent in enumerate(extents) if extent != self._extent]
        if not foreign:
            return
        old = [self.slots[at] for at in foreign]
        new = self._pool.take(self._extent, len(old))
        self._pool.copy(old, new)
        self._order[torch.tensor(old, device=self._pool.device)] = INVISIBLE
        self._pool.release(old)
        for at, slot in zip(foreign, new, strict=True):
            self.slots[at] = slot
        self._renumber(0)

    def close(self) -> None:
        """Give the session's slots back; shared ones live on in the tables that share them."""
        self.truncate(0)
        self._pool.close(self._extent)

    def check(self) -> None:
        """Raise AssertionError where table and pool disagree; for tests and idle debug runs."""
        assert len(self.slots) == len(self.token_ids) == len(set(self.slots))
        assert list(self._pool.token_ids[self.slots]) == self.token_ids
        assert all(self._pool.num_references[self.slots] >= 1)
        visible = torch.nonzero(self._order != INVISIBLE).flatten().tolist()
        assert sorted(visible) == sorted(self.slots)
        assert self._order[self.slots].tolist() == list(range(len(self.slots)))

    def _renumber(self, first: int) -> None:
        index = torch.tensor(self.slots[first:], dtype=torch.int64, device=self._pool.device)
        order = torch.arange(first, len(self.slots), dtype=torch.int32, device=self._pool.device)
        self._order[index] = order

    def _spans(self) -> tuple[tuple[int, int], ...]:
        """Return the slot ranges that cover every committed and staged slot, one per extent."""
        slots = np.array([*self.slots, *self._staged])
        extents = self._pool.extents_of(slots)
        spans = []
        for extent in np.unique(extents):
            inside = slots[extents == extent]
            spans.append((int(inside.min()), int(inside.max()) + 1))
        return tuple(spans)

    def _visible(self, spans: tuple[tuple[int, int], ...], num_padding: int) -> Tensor | None:
        num_rows, num_committed = len(self._staged), len(self.slots)
        width = sum(stop - start for start, stop in spans)
        if num_rows == 1 and not num_padding and width == num_committed + 1:
            return None
        committed = torch.cat([self._order[start:stop] for start, stop in spans]) != INVISIBLE
        visible = committed.repeat(num_rows + num_padding, 1)
        ancestors = torch.from_numpy(_ancestors(num_rows, self._staged_parents))
        columns = [_column(spans, slot) for slot in self._staged]
        visible[:num_rows, torch.tensor(columns)] = ancestors.to(self._pool.device)
        if num_padding and not num_committed:
            # A row that sees nothing would divide zero by zero.
            visible[num_rows:] = True
        return visible


def _column(spans: tuple[tuple[int, int], ...], slot: int) -> int:
    offset = 0
    for start, stop in spans:
        if start <= slot < stop:
            return offset + slot - start
        offset += stop - start
    raise AssertionError(f"slot {slot} lies outside the spans {spans}")


def _depths(num_rows: int, parents: Sequence[int] | None) -> list[int]:
    if parents is None:
        return list(range(num_rows))
    depths: list[int] = []
    for row, parent in enumerate(parents):
        if not -1 <= parent < row:
            raise ValueError(f"row {row} names parent {parent}; a parent comes before its child")
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths


def _ancestors(num_rows: int, parents: Sequence[int] | None) -> npt.NDArray[np.bool_]:
    """Return which staged row sees which, [num_rows, num_rows]."""
    if parents is None:
        return np.tril(np.ones((num_rows, num_rows), dtype=bool))
    sees = np.eye(num_rows, dtype=bool)
    for row, parent in enumerate(parents):
        if parent >= 0:
            sees[row] |= sees[parent]
    return sees
