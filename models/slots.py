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

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.errors import PoolFullError
from models.runs import KeptRun, num_in_place, num_unmoved
from models.slot_pool import PAD_SLOT, SlotPool
from models.stored_tokens import StoredTokens
from models.token_batch import INVISIBLE, Staged, TokenBatch, depths, visibility


class SlotTable:
    """The tokens of one session in logical order, and the rows in flight.

    A forward pass stages rows, and only ``commit`` makes them tokens; a cancelled pass leaves the
    table as it was. ``capacity`` counts the table's own slots, beyond a shared head.
    """

    def __init__(
        self,
        pool: SlotPool,
        capacity: int,
        head: SlotTable | None = None,
        floor: int = 0,
        extent: int | None = None,
    ) -> None:
        """Reserve a session, starting with all tokens of ``head``, shared, not copied.

        ``floor`` is ``SlotPool.reserve``'s. With ``extent``, that of another table, nothing is
        reserved.
        """
        self._pool = pool
        self._is_guest = extent is not None
        self._extent = pool.reserve(capacity, floor) if extent is None else extent
        # A session may begin in the middle of another one's pass, which runs in inference mode: a
        # tensor made there could never be changed outside.
        with torch.inference_mode(mode=False):
            self._order = torch.full(
                (pool.num_slots,), INVISIBLE, dtype=torch.int32, device=pool.device
            )
        self._staged = Staged()
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

    def ages(self) -> npt.NDArray[np.int32]:
        """Return how many edits old each token is, 0 for exact ones."""
        return self._pool.ages[self.slots]

    def is_exact(self) -> bool:
        """Whether every key and value equals a fresh prefill of the same tokens."""
        return not self.ages().any()

    def num_exact(self) -> int:
        """Return how many leading tokens are exact; nothing behind a stale one is."""
        stale = np.flatnonzero(self.ages())
        return int(stale[0]) if len(stale) else len(self.slots)

    def fork(self, num_tokens: int) -> SlotTable:
        """Return a table of the first ``num_tokens`` tokens, to be continued otherwise.

        Both take their slots of the same extent, so that one stretch of it holds all that a pass over
        rows of both reads. The fork is closed first.
        """
        forked = SlotTable(self._pool, 0, head=self, extent=self._extent)
        forked.truncate(num_tokens)
        return forked

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
        befores: Sequence[int] | None = None,
        pad_to: int | None = None,
    ) -> TokenBatch:
        """Take slots for new rows and return the batch that computes them.

        Rows staged before and not committed are discarded.

        Args:
            token_ids: The new tokens.
            parents: None for a chain. For a tree, the row each row continues, -1 for the committed
                tokens; a row comes after its parent and sees the committed tokens, its ancestors
                and itself.
            befores: For a chain that belongs into the middle: how many committed tokens stand
                before each row, never falling. A row sees those and the rows before it. None puts
                all rows behind the last token.
            pad_to: Number of rows of the batch; the added ones change nothing.

        Raises:
            PoolFullError: The session's extent is full; the table is unchanged.
        """
        self.discard()
        row_depths = depths(len(token_ids), parents)
        befores = [len(self.slots)] * len(token_ids) if befores is None else befores
        slots = self._pool.take(self._extent, len(token_ids))
        self._staged = Staged(
            tuple(slots), tuple(befores), None if parents is None else tuple(parents)
        )
        positions = [before + depth for before, depth in zip(befores, row_depths, strict=True)]
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

    def commit(self, rows: Sequence[int] | None = None, *, replacing: range | None = None) -> None:
        """Make staged ``rows`` (all, if None) tokens, in order; free the other staged slots.

        Args:
            rows: For a tree, one path from its root.
            replacing: Tokens that the rows take the place of; no row may have seen them. What
                stands behind keeps its age: it was computed from the old ones.
        """
        staged = self._staged
        kept = range(len(staged.slots)) if rows is None else rows
        slots = [staged.slots[row] for row in kept]
        self._pool.release([slot for slot in staged.slots if slot not in set(slots)])
        befores = [staged.befores[row] for row in kept]
        self._staged = Staged()
        if replacing is not None:
            self._drop(replacing)
        first = befores[0] if befores else len(self.slots)
        for row, (before, slot) in enumerate(zip(befores, slots, strict=True)):
            self.slots.insert(before + row, slot)
            self.token_ids.insert(before + row, int(self._pool.token_ids[slot]))
        self._note_ages(slots, first)
        self._renumber(first)

    def discard(self) -> None:
        """Free the rows in flight; the committed tokens stay."""
        self._pool.release(self._staged.slots)
        self._staged = Staged()

    def truncate(self, num_tokens: int) -> None:
        """Keep the first ``num_tokens`` tokens: the rewind."""
        self.discard()
        self._drop(range(num_tokens, len(self.slots)))

    def rearrange(self, runs: Sequence[KeptRun], *, rotates: bool = True) -> None:
        """Keep the tokens of ``runs``, in the order of the new text, and rotate their keys there.

        What is missing between the runs is to be staged next, with ``befores``; ``close_gaps`` ends
        an attempt that was given up. What stands behind the first change gets older by one edit.

        Args:
            runs: In the new order, not overlapping in either.
            rotates: False leaves keys at the positions they had; for comparisons only.

        Raises:
            PoolFullError: Moved tokens are shared with other tables and do not fit a second time;
                the table is unchanged.
        """
        self.discard()
        num_same = num_unmoved(runs)
        moving = runs[1:] if num_same else runs
        taken = {
            at for run in runs if run.donor is None for at in range(run.old_start, run.old_stop)
        }
        gone = [slot for at, slot in enumerate(self.slots) if at not in taken]
        token_ids = [*self.token_ids[:num_same], *self._token_ids_of(moving)]
        self._check_room(moving, gone)
        self._hide(gone)
        self._pool.release(gone)
        slots = self._own_runs(moving)
        self.token_ids, self.slots = token_ids, [*self.slots[:num_same], *slots]
        self._pool.ages[slots[num_in_place(runs, token_ids) - num_same :]] += 1
        self._renumber(num_same)
        if rotates:
            targets = [at for run in moving for at in range(run.new_start, run.new_stop)]
            self._pool.rerotate(slots, targets)

    def close_gaps(self) -> None:
        """Move every token to the position that its place in the order gives it.

        Only a patch that was given up leaves tokens elsewhere. They are stale, so an exact table is
        not touched.
        """
        self.discard()
        first = self.num_exact()
        self._pool.rerotate(self.slots[first:], range(first, len(self.slots)))

    def consolidate(self) -> None:
        """Copy tokens that lie in other sessions' extents into the table's own.

        A table that outlived the one it shared a head with would otherwise keep that extent from
        being reused, and every pass would gather from both.

        Raises:
            PoolFullError: The table's own extent has no room; the table is unchanged.
        """
        self.discard()
        self.slots = self._own(self.slots, only_foreign=True)
        self._renumber(0)

    def close(self) -> None:
        """Give the session's slots back; shared ones live on in the tables that share them."""
        self.truncate(0)
        if not self._is_guest:
            self._pool.close(self._extent)

    def check(self) -> None:
        """Raise AssertionError where table and pool disagree; for tests and idle debug runs."""
        assert len(self.slots) == len(self.token_ids) == len(set(self.slots))
        assert list(self._pool.token_ids[self.slots]) == self.token_ids
        assert all(self._pool.num_references[self.slots] >= 1)
        visible = torch.nonzero(self._order != INVISIBLE).flatten().tolist()
        assert sorted(visible) == sorted(self.slots)
        assert self._order[self.slots].tolist() == list(range(len(self.slots)))
        assert self.positions() == list(range(len(self.slots)))
        assert not (
            self.ages()[self.num_exact() :] == 0
        ).any()  # nothing is exact behind a stale one

    def _token_ids_of(self, runs: Sequence[KeptRun]) -> list[int]:
        return [
            token_id
            for run in runs
            for token_id in (run.donor or self).token_ids[run.old_start : run.old_stop]
        ]

    def _check_room(self, runs: Sequence[KeptRun], gone: Sequence[int]) -> None:
        """Raise ``PoolFullError`` if ``runs`` do not fit once the slots ``gone`` are given back."""
        held = [run for run in runs if not isinstance(run.donor, StoredTokens)]
        slots = np.array([slot for run in held for slot in self._slots_of(run)], dtype=np.int64)
        own = np.array(gone, dtype=np.int64)
        num_freed = int((~self._is_foreign_or_shared(own)).sum())
        num_stored = sum(run.length for run in runs) - len(slots)
        num_needed = int(self._is_foreign_or_shared(slots).sum()) + num_stored
        if num_needed > self.num_free + num_freed:
            raise PoolFullError(
                f"the session has room for {self.num_free + num_freed} more tokens, {num_needed} "
                "are needed; shorten the prompt"
            )

    def _slots_of(self, run: KeptRun) -> list[int]:
        """Return the slots that hold the tokens of ``run``; what is stored is in none."""
        holder = self if run.donor is None else run.donor
        return holder.slots[run.old_start : run.old_stop] if isinstance(holder, SlotTable) else []

    def _own_runs(self, runs: Sequence[KeptRun]) -> list[int]:
        """Return slots of this table alone that hold the tokens of ``runs``."""
        self._pool.retain([s for run in runs if run.donor is not None for s in self._slots_of(run)])
        return self._own([slot for run in runs for slot in self._loaded(run)])

    def _loaded(self, run: KeptRun) -> list[int]:
        """Return the slots of ``run``; tokens that are stored are written to new ones."""
        if not isinstance(run.donor, StoredTokens):
            return self._slots_of(run)
        slots = self._pool.take(self._extent, run.length)
        run.donor.load(range(run.old_start, run.old_stop), slots)
        return slots

    def _is_foreign_or_shared(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        is_foreign = self._pool.extents_of(slots) != self._extent
        return np.asarray(is_foreign | (self._pool.num_references[slots] > 1))

    def _own(self, slots: Sequence[int], *, only_foreign: bool = False) -> list[int]:
        """Return slots of this table alone with the contents of ``slots``, copied where need be.

        A slot that another table refers to must not change under it; a foreign one may stay if
        nothing is going to change.
        """
        index = np.asarray(slots, dtype=np.int64)
        is_foreign = self._pool.extents_of(index) != self._extent
        wanted = is_foreign if only_foreign else self._is_foreign_or_shared(index)
        at = np.flatnonzero(wanted).tolist()
        if not at:
            return list(slots)
        old = [slots[idx] for idx in at]
        new = self._pool.take(self._extent, len(old))
        self._pool.copy(old, new)
        self._hide(old)
        self._pool.release(old)
        owned = list(slots)
        for idx, slot in zip(at, new, strict=True):
            owned[idx] = slot
        return owned

    def _drop(self, gone: range) -> None:
        dropped = self.slots[gone.start : gone.stop]
        if dropped:
            self._hide(dropped)
            self._pool.release(dropped)
            del self.slots[gone.start : gone.stop]
            del self.token_ids[gone.start : gone.stop]

    def _hide(self, slots: Sequence[int]) -> None:
        self._order[torch.tensor(slots, dtype=torch.int64, device=self._pool.device)] = INVISIBLE

    def _note_ages(self, slots: Sequence[int], first: int) -> None:
        """Make new tokens, none before ``first``, as old as the oldest they were computed from."""
        ages = self._pool.ages[self.slots]
        before = int(ages[:first].max(initial=0))
        if first + len(slots) == len(self.slots):
            self._pool.ages[slots] = before
            return
        is_new = np.isin(self.slots[first:], slots)
        oldest = np.maximum.accumulate(np.where(is_new, before, ages[first:]))
        self._pool.ages[np.asarray(self.slots[first:])[is_new]] = oldest[is_new]

    def _renumber(self, first: int) -> None:
        index = torch.tensor(self.slots[first:], dtype=torch.int64, device=self._pool.device)
        order = torch.arange(first, len(self.slots), dtype=torch.int32, device=self._pool.device)
        self._order[index] = order

    def _spans(self) -> tuple[tuple[int, int], ...]:
        """Return the slot ranges that cover every committed and staged slot, one per extent."""
        slots = np.array([*self.slots, *self._staged.slots])
        extents = self._pool.extents_of(slots)
        spans = []
        for extent in np.unique(extents):
            inside = slots[extents == extent]
            spans.append((int(inside.min()), int(inside.max()) + 1))
        return tuple(spans)

    def _visible(self, spans: tuple[tuple[int, int], ...], num_padding: int) -> Tensor | None:
        staged = self._staged
        num_committed = len(self.slots)
        width = sum(stop - start for start, stop in spans)
        is_last = staged.befores == (num_committed,)
        if is_last and not num_padding and width == num_committed + 1:
            return None
        order = torch.cat([self._order[start:stop] for start, stop in spans])
        return visibility(order, spans, staged, num_padding, is_empty=not num_committed)
