"""Keys and values at fixed addresses, and the tables that give them an order.

A ``SlotPool`` owns the tensors; a slot's row never moves. A ``SlotTable`` is one document's session:
the slots of its tokens in logical order. Patching, rewinding, sharing a head and healing edit
tables. What a query sees follows from logical order and a mask, never from slot order.

    pool    | 0 | 1 2 3 4 5 6 7 | 8 9 10 11 |      slot 0 takes the writes of padding
              pad  extent of A     extent of B
    table A   order 0..4 -> slots 1 2 5 3 4         logical order, not slot order
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.config import ModelConfig
from models.errors import PoolFullError
from models.rope import Rotary, rotate

PASS_SIZES = (1, 4, 8, 16, 32)  # padded sizes of decode and verify passes, one CUDA graph each
INVISIBLE = 2**31 - 1  # logical order of a slot that no query may see
PAD_SLOT = 0


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


@dataclass(slots=True)
class _Extent:
    """A reserved run of slots; ``free`` is a heap, so the lowest slot is taken first."""

    start: int
    stop: int
    free: list[int]
    is_closed: bool = False

    @property
    def is_unused(self) -> bool:
        return len(self.free) == self.stop - self.start


class SlotPool:
    """Keys and values of every session of one model.

    ``keys`` and ``values`` are [num_layers, num_kv_heads, num_slots, head_dim]. Where their dtype is
    narrower than float32, ``origin_keys`` holds the un-rotated keys: re-rotating rounded keys in
    place drifts (0.24 logits after 100 shifts in bf16), rotating each once from its origin does not.
    In float32 the composed rotation stays within 1e-6, so the extra copy is not kept.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_slots: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        shape = (config.num_layers, config.num_kv_heads, num_slots, config.head_dim)
        # Zeros, because a masked slot is still multiplied by zero, and it must not hold a NaN.
        self.keys = _lazy_zeros(shape, dtype, self.device)
        self.values = _lazy_zeros(shape, dtype, self.device)
        needs_origin = dtype.itemsize < torch.float32.itemsize
        self.origin_keys = _lazy_zeros(shape, dtype, self.device) if needs_origin else None
        self.num_slots = num_slots
        self.rotary = Rotary(config.rope, config.head_dim, self.device)
        self.token_ids = np.full(num_slots, -1, dtype=np.int64)
        self.positions = np.zeros(num_slots, dtype=np.int64)
        self.computed_positions = np.zeros(num_slots, dtype=np.int64)
        self.is_exact = np.zeros(num_slots, dtype=bool)
        self.num_references = np.zeros(num_slots, dtype=np.int32)
        self._extent_of = np.full(num_slots, -1, dtype=np.int64)
        self._extents: dict[int, _Extent] = {}
        self._gaps: list[tuple[int, int]] = [(PAD_SLOT + 1, num_slots)]

    def reserve(self, num_slots: int) -> int:
        """Reserve a run of ``num_slots`` slots and return its first slot, the extent's id.

        Raises:
            PoolFullError: No gap is long enough.
        """
        for gap_idx, (start, stop) in enumerate(self._gaps):
            if stop - start >= num_slots:
                end = start + num_slots
                self._gaps[gap_idx : gap_idx + 1] = [(end, stop)] if end < stop else []
                self._extents[start] = _Extent(start, end, list(range(start, end)))
                self._extent_of[start:end] = start
                return start
        raise PoolFullError(
            f"no room for a session of {num_slots} slots in a pool of {self.num_slots}; close a "
            "document or raise the cache's memory budget"
        )

    def bounds(self, extent: int) -> tuple[int, int]:
        """Return the half-open slot range of ``extent``."""
        found = self._extents[extent]
        return found.start, found.stop

    def extents_of(self, slots: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the extent that holds each of ``slots``."""
        return self._extent_of[np.asarray(slots, dtype=np.int64)]

    def num_free(self, extent: int) -> int:
        """Return how many slots of ``extent`` can still be taken."""
        return len(self._extents[extent].free)

    def take(self, extent: int, num_slots: int) -> list[int]:
        """Take the lowest free slots of ``extent``, each with one reference.

        Raises:
            PoolFullError: The extent has fewer free slots; nothing is taken.
        """
        found = self._extents[extent]
        if len(found.free) < num_slots:
            raise PoolFullError(
                f"the session has room for {len(found.free)} more tokens, {num_slots} are needed; "
                "shorten the prompt or raise the cache's memory budget"
            )
        slots = [heapq.heappop(found.free) for _ in range(num_slots)]
        self.num_references[slots] = 1
        return slots

    def retain(self, slots: Sequence[int]) -> None:
        """Add one reference to each of ``slots``."""
        self.num_references[list(slots)] += 1

    def release(self, slots: Sequence[int]) -> None:
        """Drop one reference from each of ``slots``; an unreferenced slot becomes free."""
        for slot in slots:
            self.num_references[slot] -= 1
            if self.num_references[slot] == 0:
                self.token_ids[slot] = -1
                self.is_exact[slot] = False
                extent = self._extents[int(self._extent_of[slot])]
                heapq.heappush(extent.free, int(slot))
                self._drop_if_unused(extent)

    def close(self, extent: int) -> None:
        """Give ``extent`` back once none of its slots is referenced any more."""
        self._extents[extent].is_closed = True
        self._drop_if_unused(self._extents[extent])

    def _drop_if_unused(self, extent: _Extent) -> None:
        if not (extent.is_closed and extent.is_unused):
            return
        del self._extents[extent.start]
        self._extent_of[extent.start : extent.stop] = -1
        merged: list[tuple[int, int]] = []
        for start, stop in sorted([*self._gaps, (extent.start, extent.stop)]):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        self._gaps = merged

    def copy(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copy everything about slots ``sources`` to slots ``targets``, except references."""
        source = torch.tensor(sources, device=self.device)
        target = torch.tensor(targets, device=self.device)
        for tensor in (self.keys, self.values, self.origin_keys):
            if tensor is not None:
                tensor[:, :, target] = tensor[:, :, source]
        for array in (self.token_ids, self.positions, self.computed_positions, self.is_exact):
            array[list(targets)] = array[list(sources)]

    def rerotate(self, slots: Sequence[int], positions: Sequence[int]) -> None:
        """Move the keys of ``slots`` to new RoPE ``positions``; values and contents stay.

        Rotations compose, so one rotation replaces recomputing it. It does not refresh what a key
        was computed from, so the slots are no longer exact unless nothing moved.
        """
        index, new = np.asarray(slots), np.asarray(positions)
        moved = self.positions[index] != new
        index, new = index[moved], new[moved]
        if not len(index):
            return
        at = torch.as_tensor(index, device=self.device)
        if self.origin_keys is not None:
            source = self.origin_keys[:, :, at]
            table = self.rotary.table(torch.as_tensor(new, device=self.device))
        else:
            source = self.keys[:, :, at]
            deltas = torch.as_tensor(new - self.positions[index], device=self.device)
            table = self.rotary.shift_table(deltas)
        self.keys[:, :, at] = rotate(source, table[:, 0]).to(self.keys.dtype)
        self.positions[index] = new
        self.is_exact[index] = False


class SlotTable:
    """The tokens of one session in logical order, and the rows in flight.

    A forward pass stages rows, and only ``commit`` makes them tokens; a cancelled pass leaves the
    table as it was. ``capacity`` counts the table's own slots, beyond a shared head.
    """

    def __init__(self, pool: SlotPool, capacity: int, head: SlotTable | None = None) -> None:
        """Reserve a session, starting with all tokens of ``head``, shared, not copied."""
        self._pool = pool
        self._extent = pool.reserve(capacity)
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
        self._pool.computed_positions[slots] = positions
        num_padding = max(0, (pad_to or 0) - len(token_ids))
        device = self._pool.device
        spans = self._spans()
        return TokenBatch(
            token_ids=torch.tensor([*token_ids, *[0] * num_padding], device=device),
            positions=torch.tensor([*positions, *[0] * num_padding], device=device),
            slots=torch.tensor([*slots, *[PAD_SLOT] * num_padding], device=device),
            spans=spans,
            visible=self._visible(spans, positions, num_padding),
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

    def _visible(
        self, spans: tuple[tuple[int, int], ...], positions: Sequence[int], num_padding: int
    ) -> Tensor | None:
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


def _lazy_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros; on a CPU their pages cost no memory until they are written."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    storage = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[dtype.itemsize]
    return torch.from_numpy(np.zeros(shape, dtype=storage)).view(dtype)


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
