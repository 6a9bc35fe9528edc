"""Patching a cache: keep what still serves, rotate it into place, compute the rest in order.

    table   a b c d e f          plan      kept a b | e f,  compute X Y and the window e
    then    a b X Y e f          exact     a b X Y e        f is one edit old until it is healed

Whatever interrupts a patch, the table stays valid: it holds the tokens that were kept and those that
were finished, each with its age.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kvedit.donors import donated
from kvedit.fates import TokenFates
from kvedit.plan import NUM_SINKS, PatchPlan, plan_cache_reuse, plan_patch
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary, repaired, repairs
from kvedit.shared import SharedCache
from models.decoder import Checkpoint, Decoder
from models.runs import Donor, KeptRun
from models.slot_pool import SlotPool
from models.slots import SlotTable

EXACT_BONUS = 8  # tokens that an exact cache may cost more; about 10 ms
HEAL_ROWS = 64  # of one pass: what a keystroke may cost to interrupt
_CACHE_REUSE_RUN = 256  # tokens; the value that llama.vim recommends


@dataclass(frozen=True, slots=True)
class PatchTarget:
    """A text that a table is to hold.

    ``num_fixed`` tokens at its start, the head, are kept in place or computed. ``chunks`` are the
    ranges of context chunks, whose keys may come from a store; any other stretch may come from the
    ``donors``.
    """

    token_ids: Sequence[int]
    num_fixed: int = 0
    chunks: tuple[range, ...] = ()
    donors: tuple[Donor, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Tokens that a table lacks, and their ``places`` in it once all are there, rising."""

    token_ids: tuple[int, ...]
    places: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def befores(self) -> list[int]:
        """How many tokens stand before each that are no rows; see ``SlotTable.stage``."""
        return [place - row for row, place in enumerate(self.places)]

    def part(self, start: int, stop: int) -> TokenRows:
        """Return the rows ``[start, stop)``, to be computed when those before them are tokens."""
        return TokenRows(self.token_ids[start:stop], self.places[start:stop])


@dataclass(frozen=True, slots=True)
class PatchReport:
    """What became of a target's tokens; the three counts add up to all of them.

    ``num_cached`` were kept and are exact, ``num_patched`` were kept and are not, ``num_new`` were
    computed; ``fates`` tells it of each. ``age`` is how many edits old the oldest is, 0 if all are exact. ``moving_ms`` went
    into planning and rotating, ``computing_ms`` into forward passes.
    """

    num_cached: int
    num_patched: int
    num_new: int
    age: int
    moving_ms: float
    computing_ms: float
    fates: TokenFates

    def taking(self, computing_ms: float) -> PatchReport:
        """Return the same report with that much more time in forward passes."""
        return replace(self, computing_ms=self.computing_ms + computing_ms)


class CachePatcher:
    """Brings tables up to date. Whoever calls owns the tables for as long as that takes."""

    def __init__(
        self,
        decoder: Decoder,
        pool: SlotPool,
        vocabulary: Vocabulary,
        num_rows: int,
        shared: SharedCache | None = None,
    ) -> None:
        """Patch with passes of up to ``num_rows`` rows."""
        self._decoder, self._pool, self._vocabulary = decoder, pool, vocabulary
        self._num_rows = num_rows
        self._shared = shared
        self.num_computed = 0  # rows so far, those computed while nobody waits not among them
        self.num_healed = 0

    def plan(self, table: SlotTable, target: PatchTarget, policy: PatchPolicy) -> PatchPlan:
        """Return what ``update`` would keep and compute. Takes about a millisecond.

        Where computing all from the first change on costs hardly more than a patch, that is planned:
        the same time buys an exact cache.
        """
        exact = _exact_plan(table, target.token_ids, policy)
        if not policy.patches:
            return exact
        common = self._common(table, target, policy)
        found = repaired(common, table.token_ids, target.token_ids, policy, self._vocabulary)
        is_near = exact.num_computed <= found.num_computed + EXACT_BONUS
        known = tuple(range(run.new_start, run.new_stop) for run in common.kept)
        return replace(exact if is_near else found, known=known)

    def change(
        self, old_ids: Sequence[int], new_ids: Sequence[int], policy: PatchPolicy
    ) -> PatchPlan:
        """Return how to get from one text to another that is only stored: nobody asks for logits."""
        plan = plan_patch(old_ids, new_ids, num_fixed=0)
        return plan.computing(repairs(plan, old_ids, new_ids, policy, self._vocabulary))

    def update(
        self,
        table: SlotTable,
        target: PatchTarget,
        policy: PatchPolicy,
        checkpoint: Checkpoint,
        *,
        in_rest: bool = False,
    ) -> tuple[Tensor, PatchReport]:
        """Make ``table`` hold ``target``.

        Args:
            table: What is there; holds the target's tokens afterwards.
            target: At least one token.
            policy: How much of the old cache to trust.
            checkpoint: Called between layers; whatever it raises ends the patch, and what was
                kept and finished stays.
            in_rest: Nobody waits: passes are short, and count as healing.

        Returns:
            The last token's hidden state, [1, hidden_size], and what was done.

        Raises:
            PoolFullError: The target does not fit into the table.
        """
        rows, report = self._rearrange(table, target, policy, checkpoint)
        started = time.perf_counter()
        try:
            hidden = self._compute(table, rows, checkpoint, in_rest=in_rest)
        except BaseException:
            table.close_gaps()
            raise
        return hidden, report.taking((time.perf_counter() - started) * 1000)

    def prepare(
        self, table: SlotTable, target: PatchTarget, policy: PatchPolicy, checkpoint: Checkpoint
    ) -> tuple[TokenRows, PatchReport]:
        """Do what ``update`` does but for its last pass, in which the caller may verify drafts.

        A caller that gives up before that pass has to call ``SlotTable.close_gaps``.

        Returns:
            The rows left, the target's last token among them, and what will have been done once
            they are computed.
        """
        rows, report = self._rearrange(table, target, policy, checkpoint)
        started = time.perf_counter()
        num_done = (len(rows) - 1) // self._num_rows * self._num_rows
        try:
            self._compute(table, rows.part(0, num_done), checkpoint, in_rest=False)
        except BaseException:
            table.close_gaps()
            raise
        left = rows.part(num_done, len(rows))
        self.num_computed += len(left)
        return left, report.taking((time.perf_counter() - started) * 1000)

    def heal(self, table: SlotTable, num_tokens: int, checkpoint: Checkpoint) -> bool:
        """Compute the first stale tokens of the first ``num_tokens`` anew; returns whether any is left.

        One pass. The new keys take the place of the old ones in one step, once all layers are done.
        """
        start = table.num_exact()
        stop = min(start + HEAL_ROWS, num_tokens, start + table.num_free)
        if start >= stop:
            return False
        token_ids = table.token_ids[start:stop]
        try:
            batch = table.stage(token_ids, befores=[start] * len(token_ids))
            self._decoder.forward(batch, self._pool, checkpoint=checkpoint)
            table.commit(replacing=range(start, stop))
            self.num_healed += stop - start
        finally:
            table.discard()
        return stop < num_tokens

    def _begin(self, table: SlotTable, target: PatchTarget, checkpoint: Checkpoint) -> None:
        """Start an empty table with the head that other documents have computed."""
        if len(table) or not target.num_fixed or self._shared is None:
            return
        head = self._shared.head(target.token_ids[: target.num_fixed], checkpoint)
        if head is not None:
            table.rearrange([KeptRun(0, 0, target.num_fixed, head)])

    def _common(self, table: SlotTable, target: PatchTarget, policy: PatchPolicy) -> PatchPlan:
        """Return what could be kept, before any repair."""
        old_ids, new_ids = table.token_ids, target.token_ids
        if policy.mode is PatchMode.CACHE_REUSE:
            plan = plan_cache_reuse(old_ids, new_ids, min_run=_CACHE_REUSE_RUN)
        else:
            num_fixed = max(NUM_SINKS, target.num_fixed)
            plan = plan_patch(old_ids, new_ids, num_fixed=num_fixed)
        if self._shared is not None:
            plan = self._shared.spliced(plan, target.token_ids, target.num_fixed, target.chunks)
        for donor in target.donors:
            plan = donated(plan, donor, new_ids)
        return plan

    def _rearrange(
        self, table: SlotTable, target: PatchTarget, policy: PatchPolicy, checkpoint: Checkpoint
    ) -> tuple[TokenRows, PatchReport]:
        """Leave in ``table`` what it keeps, and return the rows that are missing."""
        started = time.perf_counter()
        self._begin(table, target, checkpoint)
        plan = self.plan(table, target, policy)
        table.rearrange(plan.kept, rotates=policy.rotates)
        places = [at for part in plan.computed for at in part]
        rows = TokenRows(tuple(target.token_ids[at] for at in places), tuple(places))
        ages = table.ages()  # what is computed behind them gets as old as the oldest
        num_stale = int((ages > 0).sum())
        report = PatchReport(
            num_cached=len(ages) - num_stale,
            num_patched=num_stale,
            num_new=len(rows),
            age=int(ages.max(initial=0)),
            moving_ms=(time.perf_counter() - started) * 1000,
            computing_ms=0.0,
            fates=TokenFates(ages, places, plan.known),
        )
        return rows, report

    def _compute(
        self, table: SlotTable, rows: TokenRows, checkpoint: Checkpoint, *, in_rest: bool
    ) -> Tensor:
        """Compute ``rows``, pass by pass, and return the hidden state of the last."""
        num_rows = HEAL_ROWS if in_rest else self._num_rows
        hidden = torch.empty(0)
        try:
            for first in range(0, len(rows), num_rows):
                some = rows.part(first, first + num_rows)
                batch = table.stage(some.token_ids, befores=some.befores)
                hidden = self._decoder.forward(batch, self._pool, checkpoint=checkpoint)
                table.commit()
                self.num_healed += len(some) if in_rest else 0
                self.num_computed += 0 if in_rest else len(some)
        finally:
            table.discard()
        return hidden[-1:]


def _exact_plan(table: SlotTable, token_ids: Sequence[int], policy: PatchPolicy) -> PatchPlan:
    """Return the plan that keeps the exact tokens in front of the first change, and no other."""
    num_kept = 0
    if policy.mode is not PatchMode.FULL:
        num_kept = min(table.num_exact(), table.common_prefix(token_ids[:-1]))
    kept = (KeptRun(0, 0, num_kept),) if num_kept else ()
    return PatchPlan(kept, (range(num_kept, len(token_ids)),), len(token_ids))
