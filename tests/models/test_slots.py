"""The slot pool and its tables: random scripts against a plain list."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import ModelConfig
from models.errors import PoolFullError
from models.rope import Rotary, rotate
from models.runs import KeptRun
from models.slot_pool import SlotPool
from models.slots import SlotTable

CONFIG = ModelConfig.from_hf(
    {
        "model_type": "llama",
        "vocab_size": 100,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_theta": 1e6,
    }
)

OPERATION = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.just("abandon"), st.integers(1, 6)),
    st.tuples(st.just("truncate"), st.integers(0, 40)),
    st.tuples(st.just("accept some"), st.integers(1, 6)),
    st.tuples(st.just("fork and follow"), st.integers(0, 40)),
)


def make_pool(num_slots: int = 200, dtype: torch.dtype = torch.float32) -> SlotPool:
    return SlotPool(CONFIG, num_slots, dtype=dtype)


@settings(deadline=None, max_examples=150)
@given(st.lists(OPERATION, max_size=25))
def test_a_table_equals_a_list_after_any_script(script: list[tuple[str, int]]) -> None:
    pool = make_pool(1 + 5 * 60)
    table = SlotTable(pool, 60)
    expected: list[int] = []
    for step, (operation, amount) in enumerate(script):
        new = [(7 * step + i) % 100 for i in range(amount)]
        if operation == "truncate":
            table.truncate(min(amount, len(expected)))
            expected = expected[:amount]
        elif operation == "fork and follow":
            fork = SlotTable(pool, 60, head=table)
            fork.truncate(min(amount, len(expected)))
            expected = expected[:amount]
            fork.consolidate()
            table.close()
            table = fork
        elif len(expected) + amount <= 60:
            batch = table.stage(new)
            assert batch.positions.tolist() == list(range(len(expected), len(expected) + amount))
            if operation == "append":
                table.commit()
                expected += new
            elif operation == "accept some":
                table.commit(range(amount // 2))
                expected += new[: amount // 2]
            else:
                table.discard()
        table.check()
        assert table.token_ids == expected
        assert table.positions() == list(range(len(expected)))
    table.close()
    assert (pool.num_references == 0).all()
    SlotTable(pool, 299)  # everything was given back, in one piece


def test_a_shared_head_is_not_copied_and_outlives_its_owner() -> None:
    pool = make_pool()
    owner = SlotTable(pool, 50)
    owner.stage([1, 2, 3, 4])
    owner.commit()
    sharer = SlotTable(pool, 50, head=owner)
    assert sharer.slots == owner.slots
    owner.truncate(2)
    owner.stage([9, 9])
    owner.commit()
    assert sharer.token_ids == [1, 2, 3, 4]
    owner.check()
    sharer.check()
    assert set(owner.slots[2:]).isdisjoint(sharer.slots)
    owner.close()
    sharer.check()
    sharer.stage([5])
    sharer.commit()
    assert sharer.token_ids == [1, 2, 3, 4, 5]


def test_a_table_that_begins_inside_a_pass_of_another_goes_on_outside_of_it() -> None:
    pool = make_pool()
    with torch.inference_mode():  # a more urgent request runs between the layers of a prefetch
        table = SlotTable(pool, 20)
        table.stage([1, 2])
        table.commit()
    table.stage([3])
    table.commit()
    table.truncate(1)
    table.check()
    assert table.token_ids == [1]


def test_a_full_session_refuses_and_stays_as_it_was() -> None:
    table = SlotTable(make_pool(), 4)
    table.stage([1, 2, 3])
    table.commit()
    with pytest.raises(PoolFullError, match="room for 1 more"):
        table.stage([4, 5])
    table.check()
    assert table.token_ids == [1, 2, 3]


def test_a_full_pool_names_the_remedy() -> None:
    pool = make_pool(100)
    SlotTable(pool, 80)
    with pytest.raises(PoolFullError, match="close a document"):
        SlotTable(pool, 40)


def test_a_tree_row_must_follow_its_parent() -> None:
    table = SlotTable(make_pool(), 10)
    with pytest.raises(ValueError, match="parent"):
        table.stage([1, 2], parents=[1, -1])


def fill(pool: SlotPool, table: SlotTable, num_tokens: int) -> torch.Tensor:
    """Write random keys as a forward pass would; returns them un-rotated, [tokens, 1, head_dim]."""
    batch = table.stage(list(range(num_tokens)))
    torch.manual_seed(0)
    unrotated = torch.randn(num_tokens, 1, CONFIG.head_dim).to(pool.keys.dtype)
    keys = rotate(unrotated, pool.rotary.table(batch.positions)).to(pool.keys.dtype)
    for layer_idx in range(CONFIG.num_layers):
        pool.keys[layer_idx].index_copy_(1, batch.slots, keys.transpose(0, 1))
        if pool.origin_keys is not None:
            pool.origin_keys[layer_idx].index_copy_(1, batch.slots, unrotated.transpose(0, 1))
    table.commit()
    return unrotated


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_a_thousand_shifts_do_not_drift(dtype: torch.dtype, bound: float) -> None:
    pool = make_pool(dtype=dtype)
    table = SlotTable(pool, 100)
    unrotated = fill(pool, table, 64)
    for shift in range(1, 1001):
        pool.rerotate(table.slots, [shift + at for at in range(64)])
    table_at = Rotary(CONFIG.rope, CONFIG.head_dim, torch.device("cpu")).table(
        torch.arange(1000, 1064)
    )
    expected = rotate(unrotated, table_at).transpose(0, 1)
    actual = pool.keys[1][:, table.slots].float()
    error = (actual - expected).abs().max() / expected.abs().max()
    assert error < bound


def test_an_unmoved_key_is_untouched() -> None:
    pool = make_pool()
    table = SlotTable(pool, 100)
    fill(pool, table, 8)
    before = pool.keys[:, :, table.slots[:4]].clone()
    pool.rerotate(table.slots, [0, 1, 2, 3, 14, 15, 16, 17])
    assert torch.equal(pool.keys[:, :, table.slots[:4]], before)


def test_what_follows_a_stale_token_is_stale_too() -> None:
    pool = make_pool()
    table = SlotTable(pool, 100)
    fill(pool, table, 8)
    assert table.is_exact()
    table.rearrange([KeptRun(0, 0, 4), KeptRun(5, 4, 3)])
    assert table.ages().tolist() == [0] * 4 + [1] * 3
    table.stage([50])
    table.commit()
    table.check()
    assert (table.num_exact(), table.ages()[-1]) == (4, 1)


def test_rotating_there_and_back_is_the_identity() -> None:
    rotary = Rotary(CONFIG.rope, CONFIG.head_dim, torch.device("cpu"))
    keys: Any = torch.randn(5, 1, CONFIG.head_dim)
    there = rotate(keys, rotary.shift_table(torch.tensor([3, 30, 300, 3000, 30000])))
    back = rotate(there, rotary.shift_table(-torch.tensor([3, 30, 300, 3000, 30000])))
    torch.testing.assert_close(back, keys, atol=1e-5, rtol=0)
