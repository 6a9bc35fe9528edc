"""Keys and values that documents have in common: prompt heads, and chunks of context.

    stored    [head] [chunk]            behind the head, never at position 0
    prompt    [head] [other] [chunk] …  copied and rotated to where it stands, its head repaired

A stored chunk has seen the head and itself. What it would have seen of chunks in front of it is
missing, so it counts as one edit old wherever it is not the first.

Both are copied into a session, not shared with it: a pass over two stretches of the pool gathers
them in every layer, which costs more than the copy as soon as a few tokens are decoded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from kvedit.donors import num_computed_in, with_run
from kvedit.plan import PatchPlan
from models.decoder import Checkpoint, Decoder
from models.errors import PoolFullError
from models.runs import KeptRun
from models.slot_pool import SlotPool
from models.slots import SlotTable

_MAX_NEW_SHARE = 0.25  # of a chunk; where an edit changed less, the session's own keys serve better
_Key = tuple[tuple[int, ...], tuple[int, ...]]  # the head's tokens, the chunk's


class SharedCache:
    """Heads and chunks by content, chunks unused for longest going first. One model, one thread."""

    def __init__(
        self, decoder: Decoder, pool: SlotPool, max_num_tokens: int, floor: int = 0
    ) -> None:
        """Keep up to ``max_num_tokens`` tokens in extents of ``pool`` from slot ``floor`` on."""
        self._decoder, self._pool = decoder, pool
        self._max_num_tokens, self._floor = max_num_tokens, floor
        self._heads: dict[tuple[int, ...], SlotTable] = {}
        self._chunks: OrderedDict[_Key, SlotTable] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def num_tokens(self) -> int:
        """How many tokens are stored."""
        heads = sum(len(head) for head in self._heads)
        return heads + sum(len(chunk) for _, chunk in self._chunks)

    def head(self, head_ids: Sequence[int], checkpoint: Checkpoint) -> SlotTable | None:
        """Return the cache of a head, computed now if need be; None if there is no room for it."""
        key = tuple(head_ids)
        if key not in self._heads:
            self._drop_unused_heads()
            if self.num_tokens + len(key) > self._max_num_tokens:
                return None
            table = self._computed(key, None, checkpoint)
            if table is None:
                return None
            self._heads[key] = table
        return self._heads[key]

    def holds(self, head_ids: Sequence[int], chunk_ids: Sequence[int]) -> bool:
        """Whether the chunk is stored for that head."""
        return (tuple(head_ids), tuple(chunk_ids)) in self._chunks

    def add(
        self, head_ids: Sequence[int], chunk_ids: Sequence[int], checkpoint: Checkpoint
    ) -> bool:
        """Compute and store a chunk; returns whether it is stored now.

        Without a head there is no place for a chunk: at position 0 it would become a sink.

        Args:
            head_ids: What every prompt begins with.
            chunk_ids: The chunk.
            checkpoint: Called between layers; whatever it raises leaves the store as it was.
        """
        key = (tuple(head_ids), tuple(chunk_ids))
        if key in self._chunks:
            return True
        if not head_ids or not chunk_ids or not self._make_room(key):
            return False
        head = self.head(head_ids, checkpoint)
        if head is None:
            return False
        table = self._computed(key[1], head, checkpoint)
        if table is not None:
            self._chunks[key] = table
        return table is not None

    def spliced(
        self,
        plan: PatchPlan,
        token_ids: Sequence[int],
        num_head: int,
        chunks: Sequence[range],
    ) -> PatchPlan:
        """Return ``plan`` with stored chunks in place of those that it would compute."""
        for chunk in chunks:
            key = (tuple(token_ids[:num_head]), tuple(token_ids[chunk.start : chunk.stop]))
            table = self._chunks.get(key)
            if table is not None and num_computed_in(plan, chunk) > len(chunk) * _MAX_NEW_SHARE:
                self._chunks.move_to_end(key)
                plan = with_run(plan, KeptRun(num_head, chunk.start, len(chunk), table))
        return plan

    def clear(self) -> None:
        """Forget everything."""
        while self._chunks:
            self._chunks.popitem()[1].close()
        self._drop_unused_heads()

    def _computed(
        self, token_ids: Sequence[int], head: SlotTable | None, checkpoint: Checkpoint
    ) -> SlotTable | None:
        """Return a table with the tokens behind ``head``, None if no gap is long enough."""
        try:
            table = SlotTable(self._pool, len(token_ids), head=head, floor=self._floor)
        except PoolFullError:
            return None
        try:
            self._decoder.forward(table.stage(token_ids), self._pool, checkpoint=checkpoint)
            table.commit()
        except BaseException:
            table.close()
            raise
        return table

    def _make_room(self, key: _Key) -> bool:
        head, chunk = key
        needed = len(chunk) + (0 if head in self._heads else len(head))
        while self._chunks and self.num_tokens + needed > self._max_num_tokens:
            self._chunks.popitem(last=False)[1].close()
        self._drop_unused_heads(spared=head)
        return self.num_tokens + needed <= self._max_num_tokens

    def _drop_unused_heads(self, spared: tuple[int, ...] = ()) -> None:
        used = {head for head, _ in self._chunks} | {spared}
        for head in [head for head in self._heads if head not in used]:
            self._heads.pop(head).close()
