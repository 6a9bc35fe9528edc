"""Keys and values of all sessions, at fixed addresses.

A slot's row never moves. Which slots make up a session, and in which order, is the business of
``models.slots.SlotTable``.
"""

from __future__ import annotations

import heapq
import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.config import ModelConfig
from models.errors import PoolFullError
from models.rope import Rotary, rotate

PAD_SLOT = 0  # takes the writes of padding rows


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
        self.keys = lazy_zeros(shape, dtype, self.device)
        self.values = lazy_zeros(shape, dtype, self.device)
        needs_origin = dtype.itemsize < torch.float32.itemsize
        self.origin_keys = lazy_zeros(shape, dtype, self.device) if needs_origin else None
        # Views, made once: taking them anew in every layer of every pass would show.
        self.layer_keys = tuple(self.keys.unbind(0))
        self.layer_values = tuple(self.values.unbind(0))
        self.num_slots = num_slots
        self.rotary = Rotary(config.rope, config.head_dim, self.device)
        self.token_ids = np.full(num_slots, -1, dtype=np.int64)
        self.positions = np.zeros(num_slots, dtype=np.int64)
        # Edits since the text that a slot was computed from was the text before it; 0 is exact.
        self.ages = np.zeros(num_slots, dtype=np.int32)
        self.num_references = np.zeros(num_slots, dtype=np.int32)
        self._extent_of = np.full(num_slots, -1, dtype=np.int64)
        self._extents: dict[int, _Extent] = {}
        self._gaps: list[tuple[int, int]] = [(PAD_SLOT + 1, num_slots)]

    def reserve(self, num_slots: int, floor: int = 0) -> int:
        """Reserve a run of ``num_slots`` slots and return its first slot, the extent's id.

        Args:
            num_slots: How long the run is.
            floor: No slot below this one is taken: what is below is kept free for extents of one
                size, which then always find their place.

        Raises:
            PoolFullError: No gap is long enough.
        """
        for gap_idx, (start, stop) in enumerate(self._gaps):
            first = max(start, floor)
            if stop - first >= num_slots:
                end = first + num_slots
                left = [(start, first), (end, stop)]
                self._gaps[gap_idx : gap_idx + 1] = [gap for gap in left if gap[0] < gap[1]]
                self._extents[first] = _Extent(first, end, list(range(first, end)))
                self._extent_of[first:end] = first
                return first
        raise PoolFullError(
            f"no room for a session of {num_slots} slots in a pool of {self.num_slots}; close a "
            "document"
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

    @property
    def num_used(self) -> int:
        """How many slots hold a token; may be asked from any thread."""
        return int(np.count_nonzero(self.num_references))

    def take(self, extent: int, num_slots: int) -> list[int]:
        """Take the lowest free slots of ``extent``, each with one reference.

        Raises:
            PoolFullError: The extent has fewer free slots; nothing is taken.
        """
        found = self._extents[extent]
        if len(found.free) < num_slots:
            raise PoolFullError(
                f"the session has room for {len(found.free)} more tokens, {num_slots} are needed; "
                "shorten the prompt"
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
                self.ages[slot] = 0
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
        for array in (self.token_ids, self.positions, self.ages):
            array[list(targets)] = array[list(sources)]

    def rerotate(self, slots: Sequence[int], positions: Sequence[int]) -> None:
        """Move the keys of ``slots`` to new RoPE ``positions``; values, contents and ages stay.

        Rotations compose, so one rotation replaces recomputing it. It does not refresh what a key
        was computed from; whether that has changed is for the caller to note in ``ages``.
        """
        index, new = np.asarray(slots, dtype=np.int64), np.asarray(positions, dtype=np.int64)
        moved = self.positions[index] != new
        index, new = index[moved], new[moved]
        if not len(index):
            return
        at = torch.as_tensor(index, device=self.device)
        if self.origin_keys is not None:
            source = self.origin_keys
            table = self.rotary.table(torch.as_tensor(new, device=self.device))
        else:
            source = self.keys
            deltas = torch.as_tensor(new - self.positions[index], device=self.device)
            table = self.rotary.shift_table(deltas)
        self._rotate(source, at, table)
        self.positions[index] = new

    def contents(self, slots: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return copies of the keys and values of ``slots``, on the host.

        Each is [num_layers, num_kv_heads, num_slots, head_dim]. The keys are those before rotation
        where the pool has them, else those at the slots' positions.
        """
        at = torch.as_tensor(np.asarray(slots, dtype=np.int64), device=self.device)
        keys = self.keys if self.origin_keys is None else self.origin_keys
        return _rows_of(keys, at).cpu(), _rows_of(self.values, at).cpu()

    def unrotated(self, slots: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return copies of the keys of ``slots``, moved to position 0, and of their values.

        Each is [num_layers, num_kv_heads, num_slots, head_dim], where the pool is.
        """
        index = np.asarray(slots, dtype=np.int64)
        at = torch.as_tensor(index, device=self.device)
        values = _rows_of(self.values, at)
        if self.origin_keys is not None:
            return _rows_of(self.origin_keys, at), values
        back = self.rotary.shift_table(torch.as_tensor(-self.positions[index], device=self.device))
        return rotate(_rows_of(self.keys, at), back[:, 0]), values

    def fill(self, slots: Sequence[int], keys: Tensor, values: Tensor) -> None:
        """Write what ``contents`` returned into ``slots``, which have their positions already."""
        index = np.asarray(slots, dtype=np.int64)
        at = torch.as_tensor(index, device=self.device)
        self.values.index_copy_(2, at, values.to(self.device))
        if self.origin_keys is None:
            self.keys.index_copy_(2, at, keys.to(self.device))
            return
        self.origin_keys.index_copy_(2, at, keys.to(self.device))
        positions = torch.as_tensor(self.positions[index], device=self.device)
        self._rotate(self.origin_keys, at, self.rotary.table(positions))

    def _rotate(self, source: Tensor, at: Tensor, table: Tensor) -> None:
        """Make the keys of slots ``at`` those of ``source``, rotated by ``table``."""
        # Layer by layer: the copies of one layer stay in the processor's cache.
        for layer_keys, layer_source in zip(self.layer_keys, source.unbind(0), strict=True):
            rotated = rotate(layer_source.index_select(1, at), table[:, 0])
            layer_keys.index_copy_(1, at, rotated.to(layer_keys.dtype))


def _rows_of(tensor: Tensor, at: Tensor) -> Tensor:
    """Return slots ``at`` of all layers; torch needs 30 times as long without this loop."""
    return torch.stack([layer.index_select(1, at) for layer in tensor.unbind(0)])


def lazy_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros; on a CPU their pages cost no memory until they are written.

    numpy would ask for pages of 2 MB: a table has 0.6 MB in each of a hundred places.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize)
    return torch.frombuffer(pages, dtype=dtype).view(shape)
