"""Patched caches against full prefills, on small random networks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kvedit.patch import CachePatcher, PatchTarget
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from models.decoder import Decoder
from models.rope import Rotary, rotate
from models.slot_pool import SlotPool
from models.slots import SlotTable

SENTINEL = 63
Network = Callable[[str], Decoder]
ROPES = ("default", "linear", "llama3", "yarn", "windowed")
LADDER = (PatchMode.ROTATE, PatchMode.SENTINELS, PatchMode.WINDOW, PatchMode.IDENTIFIERS)
VOCABULARY = Vocabulary(lambda token_id: bytes([32 + token_id]), frozenset({SENTINEL}))


class Cache:
    """A table with what brings it up to date."""

    def __init__(
        self, network: Network, rope: str = "default", capacity: int = 400, num_rows: int = 16
    ) -> None:
        self.decoder = network(rope)
        self.pool = SlotPool(self.decoder.config, 1 + 3 * capacity)
        self.table = SlotTable(self.pool, capacity)
        self.capacity = capacity
        self.patcher = CachePatcher(self.decoder, self.pool, VOCABULARY, num_rows)

    def update(
        self,
        token_ids: Sequence[int],
        mode: PatchMode = PatchMode.ROTATE,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> Tensor:
        target = PatchTarget(token_ids, num_fixed=2)
        hidden, self.report = self.patcher.update(
            self.table, target, PatchPolicy(mode, window=4), checkpoint
        )
        self.table.check()
        return hidden

    def heal(self) -> None:
        while self.patcher.heal(self.table, len(self.table), lambda: None):
            self.table.check()

    def contents(self) -> tuple[Tensor, Tensor]:
        """Keys and values in the order of the text, [layers, kv_heads, tokens, head_dim]."""
        at = self.table.slots
        return self.pool.keys[:, :, at].clone(), self.pool.values[:, :, at].clone()

    def prefilled(self, token_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        fresh = SlotTable(self.pool, self.capacity)
        self.decoder.forward(fresh.stage(token_ids), self.pool)
        fresh.commit()
        found = (
            self.pool.keys[:, :, fresh.slots].clone(),
            self.pool.values[:, :, fresh.slots].clone(),
        )
        fresh.close()
        return found

    def check_equals_prefill(self, num_tokens: int | None = None) -> None:
        expected = self.prefilled(self.table.token_ids)
        for actual, wanted in zip(self.contents(), expected, strict=True):
            # float32: sums of 32 terms in another order, through three layers.
            torch.testing.assert_close(
                actual[:, :, :num_tokens], wanted[:, :, :num_tokens], atol=2e-4, rtol=1e-4
            )


EDIT = st.tuples(st.integers(0, 200), st.integers(0, 30), st.lists(st.integers(0, 62), max_size=20))


def edited(token_ids: list[int], edit: tuple[int, int, list[int]]) -> list[int]:
    start, num_removed, inserted = edit
    start = min(start, len(token_ids))
    changed = [*token_ids[:start], *inserted, *token_ids[start + num_removed :]]
    return changed[:300] or [1]


def text(length: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(63) for _ in range(length)]


@pytest.mark.parametrize("mode", LADDER)
@settings(deadline=None, max_examples=40)
@given(edits=st.lists(EDIT, min_size=1, max_size=4))
def test_what_is_left_of_an_edit_does_not_change_by_a_bit(
    network: Network, mode: PatchMode, edits: list[tuple[int, int, list[int]]]
) -> None:
    cache, token_ids = Cache(network), text(160)
    cache.update(token_ids)
    for edit in edits:
        changed = edited(token_ids, edit)
        num_same = min(cache.table.common_prefix(changed), len(changed) - 1)
        before, ages = cache.contents(), cache.table.ages()[:num_same]
        cache.update(changed, mode)
        # What was stale may have become exact on the way, if that was cheap.
        same = [at for at in range(num_same) if ages[at] == 0 or cache.table.ages()[at] > 0]
        for old, new in zip(before, cache.contents(), strict=True):
            assert torch.equal(old[:, :, same], new[:, :, same])
        assert cache.table.token_ids == changed
        token_ids = changed
    cache.check_equals_prefill(cache.table.num_exact())


@pytest.mark.parametrize("rope", ROPES)
@settings(deadline=None, max_examples=25)
@given(edits=st.lists(EDIT, min_size=1, max_size=4))
def test_moved_keys_equal_a_fresh_rotation_of_the_same_keys(
    network: Network, rope: str, edits: list[tuple[int, int, list[int]]]
) -> None:
    cache, token_ids = Cache(network, rope), text(160)
    cache.update(token_ids)
    rotary = Rotary(cache.decoder.config.rope, cache.decoder.config.head_dim, cache.pool.device)
    for edit in edits:
        old = {slot: (at, *_of(cache, slot)) for at, slot in enumerate(cache.table.slots)}
        token_ids = edited(token_ids, edit)
        cache.update(token_ids)
        computed = cache.report.num_new
        kept = [(at, slot) for at, slot in enumerate(cache.table.slots) if slot in old]
        assert len(kept) >= len(token_ids) - computed
        for at, slot in kept:
            was, key, value = old[slot]
            if cache.pool.token_ids[slot] != token_ids[at] or not cache.pool.ages[slot]:
                continue  # released and taken again
            if not torch.equal(_of(cache, slot)[1], value):
                continue
            shift = rotary.shift_table(torch.tensor([at - was]))
            torch.testing.assert_close(
                _of(cache, slot)[0], rotate(key, shift[:, 0]), atol=1e-5, rtol=1e-5
            )
    # Keys of layer 0 depend on token and position alone, so all of them have to be right.
    expected, _ = cache.prefilled(token_ids)
    torch.testing.assert_close(cache.contents()[0][0], expected[0], atol=1e-4, rtol=1e-4)


def _of(cache: Cache, slot: int) -> tuple[Tensor, Tensor]:
    return cache.pool.keys[:, :, slot].clone(), cache.pool.values[:, :, slot].clone()


@pytest.mark.parametrize("rope", ROPES)
@pytest.mark.parametrize("mode", LADDER)
@settings(deadline=None, max_examples=10)
@given(edits=st.lists(EDIT, min_size=1, max_size=4))
def test_a_healed_cache_equals_a_full_prefill(
    network: Network, rope: str, mode: PatchMode, edits: list[tuple[int, int, list[int]]]
) -> None:
    cache, token_ids = Cache(network, rope), text(120)
    cache.update(token_ids)
    for edit in edits:
        token_ids = edited(token_ids, edit)
        cache.update(token_ids, mode)
    cache.heal()
    assert cache.table.is_exact()
    assert cache.table.token_ids == token_ids
    cache.check_equals_prefill()


def test_a_thousand_edits_do_not_drift(network: Network) -> None:
    rng = random.Random(5)
    cache, token_ids = Cache(network, capacity=600), text(200)
    cache.update(token_ids)
    for _ in range(1000):
        start = rng.randrange(len(token_ids))
        num_removed = rng.randrange(0, 4) if len(token_ids) > 150 else 0
        inserted = text(rng.randrange(0, 4), rng.randrange(10**6)) if len(token_ids) < 280 else []
        token_ids = edited(token_ids, (start, num_removed, inserted))
        cache.update(token_ids)
    assert not cache.table.is_exact()
    expected, _ = cache.prefilled(token_ids)
    torch.testing.assert_close(cache.contents()[0][0], expected[0], atol=3e-4, rtol=0)
    cache.heal()
    cache.check_equals_prefill()


class Interrupt(Exception):
    pass


def interrupting(num_layers: int) -> Callable[[], None]:
    left = [num_layers]

    def checkpoint() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Interrupt

    return checkpoint


@pytest.mark.parametrize("num_layers", range(9))
@pytest.mark.parametrize("mode", LADDER)
def test_a_patch_that_is_cancelled_anywhere_leaves_a_valid_cache(
    network: Network, mode: PatchMode, num_layers: int
) -> None:
    cache, token_ids = Cache(network), text(100)
    cache.update(token_ids)
    changed = [*token_ids[:20], *text(40, 1), *token_ids[24:70], *text(5, 2), *token_ids[75:]]
    with pytest.raises(Interrupt):
        cache.update(changed, mode, interrupting(num_layers))
    cache.table.check()
    assert cache.table.num_exact() >= 20
    cache.check_equals_prefill(cache.table.num_exact())
    cache.update(changed, mode)
    cache.heal()
    assert cache.table.token_ids == changed
    cache.check_equals_prefill()


@pytest.mark.parametrize("num_layers", range(3))
def test_healing_that_is_cancelled_loses_one_pass_at_most(
    network: Network, num_layers: int
) -> None:
    cache, token_ids = Cache(network), text(100)
    cache.update(token_ids)
    changed = [*token_ids[:20], *text(3, 1), *token_ids[20:]]
    cache.update(changed)
    num_exact = cache.table.num_exact()
    before = cache.contents()
    with pytest.raises(Interrupt):
        cache.patcher.heal(cache.table, len(changed), interrupting(num_layers))
    cache.table.check()
    assert cache.table.num_exact() == num_exact
    for old, new in zip(before, cache.contents(), strict=True):
        assert torch.equal(old, new)
    cache.heal()
    cache.check_equals_prefill()


def test_patching_one_of_two_tables_that_share_slots_leaves_the_other_alone(
    network: Network,
) -> None:
    cache, token_ids = Cache(network), text(100)
    cache.update(token_ids)
    before = cache.contents()
    other = SlotTable(cache.pool, cache.capacity, head=cache.table)
    policy = PatchPolicy(PatchMode.WINDOW, window=4)
    changed = [*token_ids[:30], 5, 6, 7, *token_ids[30:]]
    cache.patcher.update(other, PatchTarget(changed), policy, lambda: None)
    other.check()
    cache.table.check()
    assert (other.token_ids, cache.table.token_ids) == (changed, token_ids)
    assert cache.table.is_exact()
    for old, new in zip(before, cache.contents(), strict=True):
        assert torch.equal(old, new)


def test_exact_mode_never_uses_what_is_stale(network: Network) -> None:
    cache, token_ids = Cache(network), text(100)
    cache.update(token_ids)
    changed = [*token_ids[:30], *text(3, 1), *token_ids[30:]]
    cache.update(changed, PatchMode.ROTATE)
    assert cache.report.num_patched > 50
    assert cache.report.age == 1
    cache.update(changed, PatchMode.EXACT)
    assert (cache.report.num_patched, cache.report.age) == (0, 0)
    cache.check_equals_prefill()


def test_an_edit_at_the_end_is_exact_in_every_mode(network: Network) -> None:
    for mode in LADDER:
        cache, token_ids = Cache(network), text(100)
        cache.update(token_ids)
        cache.update([*token_ids, 4, 5], mode)
        assert (cache.report.num_cached, cache.report.num_new, cache.report.age) == (100, 2, 0)


def test_sentinels_and_what_follows_the_last_one_are_computed(network: Network) -> None:
    cache = Cache(network, num_rows=64)
    above, below = text(60), text(60, 1)
    cache.update([*above, SENTINEL, *below, SENTINEL, 1, 2])
    cache.update([*above[:10], 9, *above[10:], SENTINEL, *below, SENTINEL, 1, 2])
    assert cache.report.num_new == 2  # rotation: what is new, and the last token
    cache = Cache(network, num_rows=64)
    cache.update([*above, SENTINEL, *below, SENTINEL, 1, 2])
    cache.update(
        [*above[:10], 9, *above[10:], SENTINEL, *below, SENTINEL, 1, 2], PatchMode.SENTINELS
    )
    # The new token, the one behind it, both sentinels, and the two behind the last.
    assert cache.report.num_new == 6


def test_ages_count_edits(network: Network) -> None:
    cache, token_ids = Cache(network), text(100)
    cache.update(token_ids)
    for num_edits in range(1, 4):
        token_ids = [*token_ids[:50], num_edits, *token_ids[50:]]
        cache.update(token_ids)
        assert cache.report.age == num_edits
    assert cache.table.ages()[:50].max() == 0


@pytest.mark.parametrize("mode", [PatchMode.FULL, PatchMode.CACHE_REUSE, PatchMode.STALE])
def test_what_others_do_can_be_measured_too(network: Network, mode: PatchMode) -> None:
    cache, token_ids = Cache(network), text(350 - 60)
    target = PatchTarget([*token_ids[:10], *token_ids[14:]])
    cache.update(token_ids)
    _, report = cache.patcher.update(cache.table, target, PatchPolicy(mode), lambda: None)
    assert cache.table.token_ids == list(target.token_ids)
    expected = {PatchMode.FULL: len(target.token_ids), PatchMode.CACHE_REUSE: 1, PatchMode.STALE: 1}
    assert report.num_new == expected[mode]
    positions = cache.table.positions()
    assert (positions == list(range(len(positions)))) == (mode is not PatchMode.STALE)
