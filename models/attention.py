"""Attention of new rows over the slots of a session."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.slot_pool import SlotPool
from models.token_batch import TokenBatch

# Up to here plain products over folded heads beat the fused kernel, up to four times at one row;
# beyond, the fused kernel's blocks save more than its set-up costs (measured at 128-2048 slots).
MAX_FOLDED_ROWS = 16


class AttentionPlan:
    """What all layers of one pass share: where keys are written and read, and the masks.

    Masks are additive, [num_tokens, span length], built once per pass and window size.
    """

    def __init__(self, batch: TokenBatch, pool: SlotPool, dtype: torch.dtype) -> None:
        self._batch, self._pool, self._dtype = batch, pool, dtype
        self._table = pool.rotary.table(batch.positions)
        self._biases: dict[int | None, Tensor | None] = {}
        self._folded: dict[int | None, Tensor | None] = {}

    @property
    def rotation(self) -> Tensor:
        """Rotations of the new rows, [num_tokens, 1, head_dim // 2], complex64."""
        return self._table

    def write(self, layer_idx: int, key: Tensor, value: Tensor, origin_key: Tensor | None) -> None:
        """Store K/V of the new rows, each [num_tokens, num_kv_heads, head_dim]."""
        slots, pool = self._batch.slots, self._pool
        pool.layer_keys[layer_idx].index_copy_(1, slots, key.transpose(0, 1))
        pool.layer_values[layer_idx].index_copy_(1, slots, value.transpose(0, 1))
        if pool.origin_keys is not None and origin_key is not None:
            pool.origin_keys[layer_idx].index_copy_(1, slots, origin_key.transpose(0, 1))

    def attend(self, layer_idx: int, query: Tensor, window: int | None) -> Tensor:
        """Return the attended values, [num_tokens, num_heads * head_dim].

        Args:
            layer_idx: The layer whose slots are read.
            query: Rotated queries, [num_tokens, num_heads, head_dim].
            window: Sliding window in positions, or None.
        """
        keys = self._read(self._pool.layer_keys[layer_idx])
        values = self._read(self._pool.layer_values[layer_idx])
        scale = 1.0 / math.sqrt(query.shape[-1])
        if len(query) <= MAX_FOLDED_ROWS:
            return self._attend_folded(query, keys, values, window, scale)
        attended = F.scaled_dot_product_attention(
            query.transpose(0, 1)[None],
            keys[None],
            values[None],
            attn_mask=self._bias(window),
            scale=scale,
            enable_gqa=True,
        )
        return attended[0].transpose(0, 1).flatten(1)

    def _attend_folded(
        self, query: Tensor, keys: Tensor, values: Tensor, window: int | None, scale: float
    ) -> Tensor:
        """Attend with the query heads of a key head folded into rows: one product per key head."""
        num_rows, num_heads, head_dim = query.shape
        num_kv_heads = len(keys)
        folded = query.view(num_rows, num_kv_heads, -1, head_dim).permute(1, 2, 0, 3)
        folded = folded.reshape(num_kv_heads, -1, head_dim)
        bias = self._folded_bias(window, num_heads // num_kv_heads)
        # Without a mask the first operand is ignored.
        beta, addend = (0, query.new_zeros(())) if bias is None else (1, bias)
        scores = torch.baddbmm(addend, folded, keys.transpose(1, 2), beta=beta, alpha=scale)
        attended = torch.bmm(torch.softmax(scores, -1), values)
        attended = attended.view(num_kv_heads, -1, num_rows, head_dim).permute(2, 0, 1, 3)
        return attended.reshape(num_rows, -1)

    def _folded_bias(self, window: int | None, num_groups: int) -> Tensor | None:
        if window not in self._folded:
            bias = self._bias(window)
            self._folded[window] = None if bias is None else bias.repeat(num_groups, 1)[None]
        return self._folded[window]

    def _read(self, layer: Tensor) -> Tensor:
        spans = self._batch.spans
        if len(spans) == 1:
            return layer[:, spans[0][0] : spans[0][1]]
        return torch.cat([layer[:, start:stop] for start, stop in spans], dim=1)

    def _bias(self, window: int | None) -> Tensor | None:
        if window not in self._biases:
            self._biases[window] = self._build_bias(window)
        return self._biases[window]

    def _build_bias(self, window: int | None) -> Tensor | None:
        visible = self._batch.visible
        if window is not None:
            near = self._within(window)
            visible = near if visible is None else visible & near
        if visible is None:
            return None
        bias = torch.zeros(visible.shape, dtype=self._dtype, device=visible.device)
        return bias.masked_fill_(~visible, float("-inf"))

    def _within(self, window: int) -> Tensor:
        spans = self._batch.spans
        positions = np.concatenate([self._pool.positions[start:stop] for start, stop in spans])
        at = torch.from_numpy(positions).to(self._batch.positions.device)
        return (self._batch.positions[:, None] - at[None, :]) < window
