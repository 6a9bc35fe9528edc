"""Rotation of a part of each head: its keys move, the rest of them stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.config import ModelConfig
from models.decoder import Decoder
from models.errors import UnsupportedModelError
from models.layout import canonical_tensors
from models.quantize import Precision, encode_tensor
from models.rope import interleave_halves
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.sources.gguf import GGUFSource

HEAD_DIM, ROTARY_DIM = 16, 4
NETWORK: dict[str, Any] = {
    "model_type": "stablelm",
    "vocab_size": 211,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "partial_rotary_factor": ROTARY_DIM / HEAD_DIM,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


def build_decoder(precision: Precision, **overrides: Any) -> Decoder:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    hf_config = AutoConfig.for_model(**NETWORK, **overrides)
    state = AutoModelForCausalLM.from_config(hf_config).float().state_dict()
    config = ModelConfig.from_hf(hf_config.to_dict())
    weights: dict[str, Tensor] = {}
    for name, tensor in canonical_tensors(config, state.__getitem__):
        weights.update(encode_tensor(name, tensor, precision))
    return Decoder(config, weights, "cpu", precision)


def prefill(decoder: Decoder, token_ids: list[int]) -> tuple[SlotPool, SlotTable]:
    pool = decoder.new_pool(64)
    table = SlotTable(pool, 60)
    decoder.forward(table.stage(token_ids), pool)
    table.commit()
    return pool, table


def keys_of(pool: SlotPool, slots: list[int], layer_idx: int) -> Tensor:
    return pool.keys[layer_idx][:, slots].float()


# float32 composes two rotations; bf16 rotates the rounded origin once, a prefill the same one.
@pytest.mark.parametrize(
    ("precision", "bound"), [(Precision.FLOAT32, 1e-5), (Precision.BF16, 0.0)], ids=str
)
@pytest.mark.parametrize("scaling", [{}, {"rope_scaling": YARN}], ids=["plain", "yarn"])
def test_partly_rotated_keys_move_to_where_a_fresh_prefill_has_them(
    scaling: dict[str, Any], precision: Precision, bound: float
) -> None:
    decoder = build_decoder(precision, **scaling)
    tail = [17, 3, 99, 42, 8, 150]
    for head in (0, 7, 40):
        pool, table = prefill(decoder, [5, 5, *tail])
        moved = table.slots[2:]
        pool.rerotate(moved, range(head, head + len(tail)))
        fresh_pool, fresh = prefill(decoder, [*range(head), *tail])
        # Keys of the first layer depend on a token and its position alone.
        expected = keys_of(fresh_pool, fresh.slots[head:], 0)
        torch.testing.assert_close(keys_of(pool, moved, 0), expected, atol=bound, rtol=0)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BF16])
@pytest.mark.parametrize("scaling", [{}, {"rope_scaling": YARN}], ids=["plain", "yarn"])
def test_moving_keys_changes_no_bit_of_what_does_not_rotate(
    scaling: dict[str, Any], precision: Precision
) -> None:
    decoder = build_decoder(precision, **scaling)
    pool, table = prefill(decoder, list(range(30)))
    before = pool.keys[:, :, table.slots].clone()
    for start in (1, 50, 3, 30_000):
        pool.rerotate(table.slots, range(start, start + 30))
    after = pool.keys[:, :, table.slots]
    assert torch.equal(after[..., ROTARY_DIM:], before[..., ROTARY_DIM:])
    assert not torch.isclose(after[..., :ROTARY_DIM], before[..., :ROTARY_DIM]).all(-1).any()


def test_only_the_rotary_part_of_each_head_is_interleaved() -> None:
    rows = torch.arange(16)[:, None].expand(-1, 3)  # two heads of eight
    whole, part = interleave_halves(rows, 8)[:, 1], interleave_halves(rows, 8, 4)[:, 1]
    assert whole.tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
    assert part.tolist() == [0, 2, 1, 3, 4, 5, 6, 7, 8, 10, 9, 11, 12, 13, 14, 15]


def test_a_config_written_before_heads_rotated_in_part_is_read() -> None:
    config = ModelConfig.from_hf({**NETWORK, "model_type": "llama", "partial_rotary_factor": 1.0})
    stored = config.to_json()
    del stored["rope"]["rotary_dim"]
    assert ModelConfig.from_json(stored) == config


def test_a_stablelm_config_without_a_fraction_rotates_a_quarter() -> None:
    raw = {name: value for name, value in NETWORK.items() if name != "partial_rotary_factor"}
    assert ModelConfig.from_hf(raw).rope.rotary_dim == HEAD_DIM // 4


def test_a_gguf_file_that_lacks_the_base_of_its_rope_is_refused(
    tiny_gguf: Callable[..., Path],
) -> None:
    with pytest.raises(UnsupportedModelError, match="take the model as safetensors"):
        GGUFSource(tiny_gguf("stablelm")).config()
