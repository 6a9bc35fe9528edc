"""Text that another table has computed is taken from there."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from kvedit.patch import CachePatcher, PatchTarget
from kvedit.plan import MIN_MOVED_RUN, NUM_SINKS
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from models.decoder import Decoder
from models.errors import PoolFullError
from models.slot_pool import SlotPool
from models.slots import SlotTable

VOCABULARY = Vocabulary(lambda token_id: bytes([32 + token_id]), frozenset())
POLICY = PatchPolicy(PatchMode.ROTATE)


def text(length: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(63) for _ in range(length)]


class Bench:
    def __init__(self, network: Callable[[str], Decoder]) -> None:
        self.decoder = network("default")
        self.pool = SlotPool(self.decoder.config, 2000)
        self.patcher = CachePatcher(self.decoder, self.pool, VOCABULARY, 64)

    def table(self, token_ids: list[int] | None = None) -> SlotTable:
        table = SlotTable(self.pool, 500)
        if token_ids:
            self.update(table, PatchTarget(token_ids))
        return table

    def update(
        self, table: SlotTable, target: PatchTarget, policy: PatchPolicy = POLICY
    ) -> tuple[int, int]:
        """Return how many tokens were computed, and how old the oldest is."""
        _, report = self.patcher.update(table, target, policy, lambda: None)
        table.check()
        assert table.token_ids == list(target.token_ids)
        return report.num_new, report.age


def test_what_a_donor_has_is_not_computed(network: Callable[[str], Decoder]) -> None:
    bench = Bench(network)
    document = text(300, 1)
    donor, table = bench.table(document), bench.table(document[:100])
    before = bench.pool.keys[:, :, donor.slots].clone()
    target = PatchTarget([*document[:50], *document[200:290]], donors=(donor,))
    num_new, age = bench.update(table, target)
    assert (num_new, age) == (1, 1)
    assert torch.equal(bench.pool.keys[:, :, donor.slots], before)
    donor.check()
    # Keys of layer 0 depend on token and position alone.
    fresh = bench.table(list(target.token_ids))
    keys = bench.pool.keys[0]
    torch.testing.assert_close(keys[:, table.slots], keys[:, fresh.slots], atol=1e-4, rtol=1e-4)
    while bench.patcher.heal(table, len(table), lambda: None):
        table.check()
    assert table.is_exact()


def test_a_donors_sinks_and_short_runs_stay_where_they_are(
    network: Callable[[str], Decoder],
) -> None:
    bench = Bench(network)
    donor = bench.table(text(200, 1))
    start = text(20, 2)
    wanted = [*start, *donor.token_ids[:60]]
    num_new, _ = bench.update(bench.table(), PatchTarget(wanted, donors=(donor,)))
    assert num_new == len(start) + NUM_SINKS + 1
    short = [*start, *donor.token_ids[50 : 50 + MIN_MOVED_RUN - 1], *text(20, 3)]
    num_new, _ = bench.update(bench.table(), PatchTarget(short, donors=(donor,)))
    assert num_new == len(short)


def test_what_goes_makes_room_for_what_comes(network: Callable[[str], Decoder]) -> None:
    bench = Bench(network)
    donor = bench.table(text(450, 1))
    table = bench.table(text(450, 2))  # of 500: both do not fit at once
    num_new, _ = bench.update(table, PatchTarget(donor.token_ids[:440], donors=(donor,)))
    assert num_new == NUM_SINKS + 1
    donor.check()


def test_what_does_not_fit_changes_nothing(network: Callable[[str], Decoder]) -> None:
    bench = Bench(network)
    document = text(450, 1)
    small = SlotTable(bench.pool, 60)
    bench.update(small, PatchTarget(document[:50]))
    donor = bench.table(document)
    with pytest.raises(PoolFullError, match="shorten the prompt"):
        bench.update(small, PatchTarget(document[:300], donors=(donor,)))
    small.check()
    donor.check()
    assert small.token_ids == document[:50]


def test_exact_mode_takes_nothing(network: Callable[[str], Decoder]) -> None:
    bench = Bench(network)
    document = text(200, 1)
    target = PatchTarget([*text(20, 2), *document[20:]], donors=(bench.table(document),))
    num_new, age = bench.update(bench.table(), target, PatchPolicy(PatchMode.EXACT))
    assert (num_new, age) == (len(target.token_ids), 0)


def test_what_lies_above_the_floor_never_takes_room_below_it(
    network: Callable[[str], Decoder],
) -> None:
    pool = SlotPool(network("default").config, 1 + 4 * 100 + 150)
    floor = 1 + 4 * 100
    others = [SlotTable(pool, 40, floor=floor) for _ in range(3)]
    for round_ in range(20):
        tables = [SlotTable(pool, 100) for _ in range(4)]
        others[round_ % 3].close()
        others[round_ % 3] = SlotTable(pool, 30 + round_ % 3, floor=floor)
        for table in tables[::2] + tables[1::2]:
            table.close()
