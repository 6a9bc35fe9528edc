"""Heads and chunks that documents have in common: computed once, spliced anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from kvedit.patch import CachePatcher, PatchReport, PatchTarget
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from kvedit.shared import SharedCache
from models.decoder import Decoder
from models.slot_pool import SlotPool
from models.slots import SlotTable

Network = Callable[[str], Decoder]


def text(length: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(63) for _ in range(length)]


HEAD = text(6, 1)
FIRST, SECOND, THIRD = text(40, 2), text(50, 3), text(30, 4)
DOCUMENT = text(60, 5)
VOCABULARY = Vocabulary(lambda token_id: bytes([32 + token_id]), frozenset())
POLICY = PatchPolicy(PatchMode.WINDOW, window=4, max_num_window=16)


class Bench:
    """One model with a shared cache."""

    def __init__(self, network: Network, max_num_tokens: int = 400) -> None:
        self.decoder = network("default")
        self.num_layers_run = 0
        self.pool = SlotPool(self.decoder.config, 1 + 4 * 300 + max_num_tokens)
        self.shared = SharedCache(self.decoder, self.pool, max_num_tokens)
        self.patcher = CachePatcher(self.decoder, self.pool, VOCABULARY, 64, self.shared)

    def table(self) -> SlotTable:
        return SlotTable(self.pool, 300)

    def update(
        self, table: SlotTable, *chunks: list[int], policy: PatchPolicy = POLICY
    ) -> PatchReport:
        token_ids, ranges = list(HEAD), []
        for chunk in chunks:
            ranges.append(range(len(token_ids), len(token_ids) + len(chunk)))
            token_ids += chunk
        target = PatchTarget([*token_ids, *DOCUMENT], len(HEAD), tuple(ranges))
        _, report = self.patcher.update(table, target, policy, self.count)
        table.check()
        assert table.token_ids == list(target.token_ids)
        return report

    def count(self) -> None:
        self.num_layers_run += 1


def test_a_stored_chunk_costs_its_head_instead_of_all_of_it(network: Network) -> None:
    bench = Bench(network)
    assert bench.shared.add(HEAD, SECOND, bench.count)
    table = bench.table()
    plain = bench.update(bench.table(), FIRST, THIRD)
    assert plain.num_new == len(FIRST) + len(THIRD) + len(DOCUMENT)  # the head was lent
    spliced = bench.update(table, FIRST, SECOND)
    assert spliced.num_new <= len(FIRST) + len(DOCUMENT) + 2 * POLICY.window
    assert spliced.age == 1


def test_the_first_chunk_behind_the_head_is_exact(network: Network) -> None:
    bench = Bench(network)
    bench.shared.add(HEAD, FIRST, bench.count)
    table = bench.table()
    report = bench.update(table, FIRST, policy=PatchPolicy(PatchMode.ROTATE))
    assert report.age == 0
    fresh = bench.table()
    bench.decoder.forward(fresh.stage(table.token_ids), bench.pool)
    fresh.commit()
    for tensor in (bench.pool.keys, bench.pool.values):
        torch.testing.assert_close(
            tensor[:, :, table.slots], tensor[:, :, fresh.slots], atol=2e-4, rtol=1e-4
        )


def test_replacing_a_chunk_by_a_stored_one_is_an_edit(network: Network) -> None:
    bench = Bench(network)
    for chunk in (FIRST, SECOND, THIRD):
        bench.shared.add(HEAD, chunk, bench.count)
    table = bench.table()
    bench.update(table, FIRST, SECOND)
    report = bench.update(table, FIRST, THIRD)
    assert report.num_new <= 2 * 2 * POLICY.window + 1
    while bench.patcher.heal(table, len(table), bench.count):
        table.check()
    assert table.is_exact()


def test_a_head_is_computed_once_for_all_documents(network: Network) -> None:
    bench = Bench(network)
    bench.update(bench.table())
    first = bench.num_layers_run
    report = bench.update(bench.table())
    assert report.num_cached == len(HEAD)
    assert bench.num_layers_run - first < first


def test_exact_mode_takes_no_chunk_from_the_store(network: Network) -> None:
    bench = Bench(network)
    bench.shared.add(HEAD, SECOND, bench.count)
    report = bench.update(bench.table(), FIRST, SECOND, policy=PatchPolicy(PatchMode.EXACT))
    assert (report.age, report.num_patched) == (0, 0)


def test_chunks_unused_for_longest_make_room(network: Network) -> None:
    bench = Bench(network, max_num_tokens=100)
    for chunk in (FIRST, SECOND, THIRD):
        assert bench.shared.add(HEAD, chunk, bench.count)
    assert not bench.shared.holds(HEAD, FIRST)
    assert bench.shared.holds(HEAD, SECOND)
    assert bench.shared.holds(HEAD, THIRD)
    assert bench.shared.num_tokens <= 100
    assert not bench.shared.add(HEAD, text(99, 9), bench.count)
    bench.shared.clear()
    assert bench.shared.num_tokens == 0
    assert (bench.pool.num_references == 0).all()


def test_there_is_no_chunk_without_a_head(network: Network) -> None:
    bench = Bench(network)
    assert not bench.shared.add([], FIRST, bench.count)


class Stop(Exception):
    pass


@pytest.mark.parametrize("num_layers", range(5))
def test_a_chunk_that_was_not_finished_is_not_stored(network: Network, num_layers: int) -> None:
    bench = Bench(network)
    with pytest.raises(Stop):
        bench.shared.add(HEAD, FIRST, stop_after(num_layers))
    assert not bench.shared.holds(HEAD, FIRST)
    assert bench.shared.add(HEAD, FIRST, bench.count)
    bench.shared.clear()
    assert (bench.pool.num_references == 0).all()


def stop_after(num_layers: int) -> Callable[[], None]:
    left = [num_layers]

    def checkpoint() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Stop

    return checkpoint
