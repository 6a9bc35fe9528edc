"""The text around a prompt, computed while nobody waits, for a cursor that jumps there.

    text      . . . . . . . . [ n e a r ] . . . . . . . .
    stored    x x x x _ x x x x x x x x x x _ _ x x x x x    an edit left one gap, another move the other
    computed          └ piece          piece ┘               each behind the tokens stored before it

It goes from left to right without sentinels, as every prompt shows its parts. A piece is computed in
a table that all documents share; what of it is done is stored, whatever interrupts the work.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kvedit.patch import HEAL_ROWS, CachePatcher, PatchTarget
from kvedit.policy import PatchPolicy
from models.decoder import Checkpoint
from models.runs import Donor, KeptRun
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.stored_tokens import StoredTokens

CONTEXT_TOKENS = 1024  # that a piece is computed behind; the prefix of a prompt is hardly longer
PIECE_TOKENS = 1024
WORK_TOKENS = CONTEXT_TOKENS + PIECE_TOKENS + HEAL_ROWS + 1
"""Slots that the shared table needs, with the rows in flight and a sentinel."""


@dataclass(frozen=True, slots=True)
class SurroundingText:
    """The text to be stored.

    ``begin`` is what every prefix begins with; it is computed with each piece and not stored. What is
    ``near`` of ``token_ids`` comes first.
    """

    begin: tuple[int, ...]
    token_ids: Sequence[int]
    near: range


class Surroundings:
    """What is stored of one document."""

    def __init__(
        self, patcher: CachePatcher, pool: SlotPool, work: SlotTable, capacity: int
    ) -> None:
        """Store up to ``capacity`` tokens; ``work`` holds what is being computed."""
        self._patcher, self._pool, self._work = patcher, pool, work
        self.stored = StoredTokens(pool, capacity)
        self._token_ids: list[int] = []  # the text that is being stored
        self._places: list[int] = []  # of what is stored, in that text

    def store_next(
        self,
        text: SurroundingText,
        donors: Sequence[Donor],
        policy: PatchPolicy,
        checkpoint: Checkpoint,
    ) -> bool:
        """Store the next piece of ``text``; returns whether more of it is missing.

        Args:
            text: Not longer than there is room for.
            donors: Other tables, where text may be found instead of computed.
            policy: What to compute behind an edit.
            checkpoint: Called between layers; whatever it raises ends the work, and what was
                finished stays stored.
        """
        if self._token_ids != text.token_ids:
            self._follow(text.token_ids, policy)
        pieces = _pieces(_gaps(self._places, len(text.token_ids)), text.near)
        piece = next(pieces, None)
        if piece is None:
            return False
        self._compute(text, piece, donors, policy, checkpoint)
        return not self.stored.is_closed and next(pieces, None) is not None

    def close(self) -> None:
        """Forget everything."""
        self.stored.close()

    def _follow(self, token_ids: Sequence[int], policy: PatchPolicy) -> None:
        """Keep what serves a new text; what ``policy`` wants computed behind an edit is dropped."""
        plan = self._patcher.change(self._token_ids, token_ids, policy)
        runs: list[KeptRun] = []
        places: list[int] = []
        for run in plan.kept:
            first = bisect_left(self._places, run.old_start)
            last = bisect_left(self._places, run.old_stop)
            shift = run.new_start - run.old_start
            runs.append(KeptRun(first, len(places), last - first))
            places += [place + shift for place in self._places[first:last]]
        self.stored.keep(runs)
        self._token_ids, self._places = list(token_ids), places

    def _compute(
        self,
        text: SurroundingText,
        piece: range,
        donors: Sequence[Donor],
        policy: PatchPolicy,
        checkpoint: Checkpoint,
    ) -> None:
        start = piece.start - self._num_stored_before(piece.start)
        wanted = [*text.begin, *text.token_ids[start : piece.stop]]
        first = len(text.begin) + piece.start - start
        target = PatchTarget(wanted, len(text.begin), donors=(self.stored, *donors))
        try:
            self._patcher.update(self._work, target, policy, checkpoint, in_rest=True)
        finally:
            done = self._work.common_prefix(wanted)
            self._store(piece.start, self._work.slots[first:done])

    def _num_stored_before(self, place: int) -> int:
        """Return how many tokens directly before ``place`` are stored, as far as they count."""
        at = bisect_left(self._places, place)
        num_tokens = 0
        while num_tokens < min(at, CONTEXT_TOKENS) and (
            self._places[at - num_tokens - 1] == place - num_tokens - 1
        ):
            num_tokens += 1
        return num_tokens

    def _store(self, place: int, slots: Sequence[int]) -> None:
        if self.stored.is_closed or not slots:  # the document was closed between two layers
            return
        there = range(place, place + len(slots))
        part = range(bisect_left(self._places, there.start), bisect_left(self._places, there.stop))
        self.stored.replace(part, slots)
        self._places[part.start : part.stop] = there


def _gaps(places: Sequence[int], num_tokens: int) -> list[range]:
    """Return what of ``num_tokens`` is not among ``places``, which rise."""
    edges = [-1, *places, num_tokens]
    return [range(a + 1, b) for a, b in pairwise(edges) if b > a + 1]


def _pieces(gaps: Sequence[range], near: range) -> Iterator[range]:
    """Yield what to compute at a time: the parts of ``gaps`` inside of ``near``, then the others."""
    inside, before, behind = [], [], []
    for gap in gaps:
        inside.append(range(max(gap.start, near.start), min(gap.stop, near.stop)))
        before.append(range(gap.start, min(gap.stop, near.start)))
        behind.append(range(max(gap.start, near.stop), gap.stop))
    yield from _stretches([gap for gap in inside if gap])
    yield from _stretches([gap for gap in (*before, *behind) if gap])


def _stretches(gaps: Sequence[range]) -> Iterator[range]:
    """Yield ranges of up to ``PIECE_TOKENS`` that cover ``gaps`` and begin and end with them."""
    done = 0
    for gap in gaps:
        start = max(gap.start, done)
        while start < gap.stop:
            limit = start + PIECE_TOKENS
            done = max(min(other.stop, limit) for other in gaps if other.start < limit)
            yield range(start, done)
            start = done
