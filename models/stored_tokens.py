"""Tokens with their keys and values in 8 bits: text that may be wanted again, in a quarter of the room.

Nothing attends to them. A ``SlotTable`` takes runs of them as it takes another table's: written to its
own slots, and rotated from there.

Keys are kept as they are before rotation, so that their order may change and nothing else has to. In
some channels they lie far from zero for every token (145 where the others are within 5, in the first
layer of Qwen2.5-Coder 0.5B), which would leave the others no more than a few steps of the 255. So what
is kept of a key is its distance from the mean of the first ones: in float32 the divergence of the next
token is 0.0001 nats then, and 0.0016 without.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.config import ModelConfig
from models.runs import KeptRun
from models.slot_pool import SlotPool, lazy_zeros

_STEPS = 127  # on either side of zero
_SMALLEST = 1e-12  # of a scale: a vector of zeros has none


class StoredTokens:
    """A text that a table may take runs from. One thread.

    ``token_ids`` is the text. Each token has, of every layer and head, a key and a value of
    ``head_dim`` bytes with a scale; on a CPU their memory is taken when they are written first.
    """

    def __init__(self, pool: SlotPool, capacity: int) -> None:
        """Store up to ``capacity`` tokens of tables of ``pool``."""
        self._pool, self.capacity = pool, capacity
        num_layers, num_kv_heads, _, head_dim = pool.values.shape
        rows = (num_layers, num_kv_heads, capacity)
        # As with tables: a tensor made in the middle of somebody's pass could not be written outside.
        with torch.inference_mode(mode=False):
            self._keys, self._values = (
                _Rows(
                    lazy_zeros((*rows, head_dim), torch.int8, pool.device),
                    lazy_zeros((*rows, 1), torch.float32, pool.device),
                )
                for _ in range(2)
            )
        self._centre: Tensor | None = None
        self._free = list(range(capacity - 1, -1, -1))
        self._rows: list[int] = []
        self.token_ids: list[int] = []
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._rows)

    @staticmethod
    def bytes_per_token(config: ModelConfig) -> int:
        """Return what a token's keys and values take."""
        return 2 * config.num_layers * config.num_kv_heads * (config.head_dim + 4)

    def num_exact(self) -> int:
        """Return 0: what is stored is rounded."""
        return 0

    def keep(self, runs: Sequence[KeptRun]) -> None:
        """Keep the tokens of ``runs`` alone, in the order of the new text."""
        kept = [at for run in runs for at in range(run.old_start, run.old_stop)]
        gone = set(range(len(self._rows))).difference(kept)
        self._free += [self._rows[at] for at in gone]
        self._rows = [self._rows[at] for at in kept]
        self.token_ids = [self.token_ids[at] for at in kept]

    def replace(self, part: range, slots: Sequence[int]) -> None:
        """Put the tokens in ``slots`` of the pool in place of those of ``part``.

        Raises:
            ValueError: More tokens would be stored than there is room for; nothing has changed.
        """
        room = self.capacity - len(self) + len(part)
        if len(slots) > room:
            raise ValueError(f"{len(slots)} tokens do not fit where {room} are free")
        self._free += self._rows[part.start : part.stop]
        rows = [self._free.pop() for _ in slots]
        self._rows[part.start : part.stop] = rows
        self.token_ids[part.start : part.stop] = self._pool.token_ids[list(slots)].tolist()
        if not rows:
            return
        keys, values = self._pool.unrotated(slots)
        if self._centre is None:
            self._centre = keys.float().mean(2, keepdim=True)
        at = torch.tensor(rows, device=self._pool.device)
        self._keys.write(at, keys.float() - self._centre)
        self._values.write(at, values.float())

    def load(self, part: range, slots: Sequence[int]) -> None:
        """Write the tokens of ``part`` to ``slots``, with their keys at position 0."""
        if self._centre is None:
            return
        at = torch.tensor(self._rows[part.start : part.stop], device=self._pool.device)
        dtype = self._pool.values.dtype
        keys = self._keys.read(at) + self._centre
        self._pool.token_ids[list(slots)] = self.token_ids[part.start : part.stop]
        self._pool.positions[list(slots)] = 0
        self._pool.fill(slots, keys.to(dtype), self._values.read(at).to(dtype))

    def close(self) -> None:
        """Give the memory back; nothing can be stored any more."""
        self.is_closed, self.capacity = True, 0
        self._free, self._rows, self.token_ids, self._centre = [], [], [], None
        empty = torch.empty(0)
        self._keys = self._values = _Rows(empty, empty)


class _Rows:
    """Vectors of all layers and heads by row: whole numbers up to ``_STEPS``, times a scale."""

    def __init__(self, steps: Tensor, scales: Tensor) -> None:
        """Both are [num_layers, num_kv_heads, num_rows, ...], of ``head_dim`` and of one."""
        self._steps, self._scales = steps, scales

    def write(self, at: Tensor, vectors: Tensor) -> None:
        """Write ``vectors``, [num_layers, num_kv_heads, num_tokens, head_dim], to rows ``at``."""
        scales = (vectors.abs().amax(-1, keepdim=True) / _STEPS).clamp_min(_SMALLEST)
        self._steps.index_copy_(2, at, (vectors / scales).round().to(torch.int8))
        self._scales.index_copy_(2, at, scales)

    def read(self, at: Tensor) -> Tensor:
        """Return what was written to rows ``at``, as float32 and rounded."""
        # Layer by layer, which takes torch a small part of the time.
        return torch.stack(
            [
                steps.index_select(1, at).float() * scales.index_select(1, at)
                for steps, scales in zip(self._steps.unbind(0), self._scales.unbind(0), strict=True)
            ]
        )
