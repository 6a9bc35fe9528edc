"""The text around a prompt: stored at rest, whatever interrupts it, and found by a jump."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvedit import surroundings
from kvedit.patch import CachePatcher, PatchTarget
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from kvedit.surroundings import Surroundings, SurroundingText
from models.decoder import Decoder
from models.slot_pool import SlotPool
from models.slots import SlotTable

VOCABULARY = Vocabulary(lambda token_id: bytes([32 + token_id]), frozenset())
POLICY = PatchPolicy(PatchMode.WINDOW, window=4, max_num_window=16)
BEGIN = (63,)
EVERYWHERE = range(10_000)
Network = Callable[[str], Decoder]


class Interrupted(Exception):
    """What a checkpoint raises when somebody types."""


def text(length: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(63) for _ in range(length)]


class Bench:
    """One document of up to 400 tokens, stored in pieces of 96 behind 64 tokens."""

    def __init__(self, network: Network) -> None:
        self.decoder = network("default")
        self.pool = SlotPool(self.decoder.config, 2000)
        self.patcher = CachePatcher(self.decoder, self.pool, VOCABULARY, 64)
        self.work = SlotTable(self.pool, surroundings.WORK_TOKENS)
        self.around = Surroundings(self.patcher, self.pool, self.work, 400)
        self.countdown = -1

    @property
    def stored(self) -> list[int]:
        return self.around.stored.token_ids

    def store(self, token_ids: list[int], near: range = EVERYWHERE) -> int:
        """Return how many rows were computed."""
        before = self.patcher.num_healed
        wanted = SurroundingText(BEGIN, token_ids, near)
        while self.around.store_next(wanted, (), POLICY, self.checkpoint):
            pass
        assert self.stored == token_ids
        return self.patcher.num_healed - before

    def checkpoint(self) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            raise Interrupted

    def jump(self, token_ids: list[int]) -> tuple[torch.Tensor, int]:
        """Return the logits behind ``token_ids`` with what is stored, and how many were computed."""
        table = SlotTable(self.pool, 500)
        target = PatchTarget(token_ids, donors=(self.around.stored,))
        hidden, report = self.patcher.update(table, target, POLICY, lambda: None)
        table.check()
        logits = self.decoder.logits(hidden)
        table.close()
        return logits, report.num_new


@pytest.fixture(autouse=True)
def _short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "CONTEXT_TOKENS", 64)
    monkeypatch.setattr(surroundings, "PIECE_TOKENS", 96)
    monkeypatch.setattr(surroundings, "WORK_TOKENS", 64 + 96 + 65)


@pytest.fixture
def bench(network: Network) -> Bench:
    return Bench(network)


def test_a_jump_finds_what_was_stored(bench: Bench) -> None:
    document = text(400, 1)
    bench.store(document)
    logits, num_new = bench.jump([*BEGIN, *document[250:390]])
    assert num_new < 20
    exact, num_all = Bench.jump(Bench(lambda _: bench.decoder), [*BEGIN, *document[250:390]])
    assert num_all == 141
    # Not what a fresh start would give, as it was computed behind other text, but far from chance.
    cosine = torch.nn.functional.cosine_similarity(logits, exact).item()
    assert cosine > 0.95


def test_what_begins_the_text_is_stored_as_a_table_would_hold_it(bench: Bench) -> None:
    document = text(90, 1)
    bench.store(document)
    table = SlotTable(bench.pool, 200)
    bench.patcher.update(table, PatchTarget([*BEGIN, *document]), POLICY, lambda: None)
    slots = bench.pool.take(table._extent, 90)
    bench.around.stored.load(range(90), slots)
    bench.pool.rerotate(slots, range(1, 91))
    for tensor in (bench.pool.keys, bench.pool.values):
        wanted = tensor[:, :, table.slots[1:]]
        bound = 2.5 * float(wanted.abs().max()) / 127
        torch.testing.assert_close(tensor[:, :, slots], wanted, atol=bound, rtol=0)


def test_an_edit_costs_the_edited_tokens_and_a_repair(bench: Bench) -> None:
    document = text(400, 1)
    assert bench.store(document) >= 400
    assert bench.store(document) == 0
    edited = [*document[:150], *text(5, 2), *document[152:380]]
    assert bench.store(edited) < 60
    assert bench.store([*edited[40:], *text(30, 3)]) < 90


def test_what_is_near_is_stored_first(bench: Bench) -> None:
    document = text(400, 1)
    bench.countdown = 10
    with pytest.raises(Interrupted):
        bench.store(document, near=range(200, 300))
    assert bench.stored
    assert bench.stored == document[200 : 200 + len(bench.stored)]


def test_every_token_is_computed_about_once_wherever_it_begins(bench: Bench) -> None:
    # 400 tokens in six pieces, each with a sentinel of its own and its first tokens anew.
    assert bench.store(text(400, 1), near=range(200, 300)) < 450


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000))
def test_what_was_finished_is_kept_whatever_interrupts_it(network: Network, seed: int) -> None:
    bench, rng = Bench(network), random.Random(seed)
    document = text(rng.randrange(1, 400), seed)
    for _ in range(6):
        start = rng.randrange(len(document))
        stop = min(len(document), start + rng.randrange(20))
        document = [*document[:start], *text(rng.randrange(20), seed + stop), *document[stop:]]
        document = document[:400] or text(9, seed)
        bench.countdown = rng.randrange(1, 40)
        near = rng.randrange(400)
        try:
            bench.store(document, near=range(near, near + 100))
        except Interrupted:
            rest = iter(document)
            assert all(token_id in rest for token_id in bench.stored)  # a subsequence
        bench.work.check()
    bench.countdown = -1
    bench.store(document)
    assert bench.store(document) == 0


def test_interruptions_lose_no_more_than_one_pass_each(bench: Bench) -> None:
    document, num_rows = text(400, 1), 0
    for _ in range(100):
        bench.countdown = 2 * bench.decoder.config.num_layers + 1
        before = bench.patcher.num_healed
        try:
            bench.store(document)
            break
        except Interrupted:
            num_rows += bench.patcher.num_healed - before
    assert bench.stored == document
    assert num_rows < 700


def test_a_document_closed_between_two_layers_leaves_nothing(bench: Bench) -> None:
    def close() -> None:
        bench.around.close()

    bench.checkpoint = close  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        bench.store(text(200, 1))
    assert bench.stored == []


def test_text_that_another_table_holds_is_not_computed(bench: Bench) -> None:
    document = text(300, 1)
    table = SlotTable(bench.pool, 400)
    bench.patcher.update(table, PatchTarget([*BEGIN, *document]), POLICY, lambda: None)
    before = bench.patcher.num_healed
    wanted = SurroundingText(BEGIN, document, EVERYWHERE)
    while bench.around.store_next(wanted, (table,), POLICY, lambda: None):
        pass
    assert bench.stored == document
    assert bench.patcher.num_healed - before < 60
