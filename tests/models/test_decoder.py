"""Our decoder against transformers, family by family, on small random networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import models.decoder
from models.config import ModelConfig
from models.decoder import Decoder
from models.errors import UnsupportedModelError
from models.kernels import Int8Kernels, detect_int8_kernels
from models.layout import canonical_tensors
from models.quantize import Precision, encode_tensor
from models.slots import SlotTable
from models.token_batch import PASS_SIZES

SMALL: dict[str, Any] = {
    "vocab_size": 211,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}

FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2": {"model_type": "qwen2", "rope_theta": 1e6},
    "qwen2 tied": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2 windowed": {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 8,
        "max_window_layers": 1,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 32},
    "llama": {"model_type": "llama"},
    "llama linear (deepseek-coder)": {
        "model_type": "llama",
        "rope_scaling": {"type": "linear", "factor": 4.0},
        "rope_theta": 1e5,
    },
    "llama one key head per query head (codellama)": {
        "model_type": "llama",
        "num_key_value_heads": 4,
        "rope_theta": 1e6,
    },
    "llama biased": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama tied (smollm2)": {"model_type": "llama", "tie_word_embeddings": True},
    "llama3": {
        "model_type": "llama",
        "rope_theta": 5e5,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "yarn": {
        "model_type": "llama",
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "starcoder2": {"model_type": "starcoder2", "use_bias": True, "sliding_window": 9},
    "starcoder2 without window": {"model_type": "starcoder2", "sliding_window": None},
    "gemma": {"model_type": "gemma", "head_dim": 32, "num_key_value_heads": 1},
    "stablelm (stable-code)": {
        "model_type": "stablelm",
        "partial_rotary_factor": 0.25,
        "rope_theta": 1e6,
    },
    "stablelm biased": {
        "model_type": "stablelm",
        "partial_rotary_factor": 0.5,
        "use_qkv_bias": True,
        "layer_norm_eps": 1e-2,
    },
    "stablelm rotating whole heads": {"model_type": "stablelm", "partial_rotary_factor": 1.0},
    "stablelm yarn": {
        "model_type": "stablelm",
        "partial_rotary_factor": 0.5,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
}


def build_pair(
    overrides: dict[str, Any], precision: Precision = Precision.FLOAT32, **options: Any
) -> tuple[Any, Decoder]:
    """Return transformers' model and ours with the same random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    raw = {**SMALL, **overrides}
    hf_config = AutoConfig.for_model(**raw)
    oracle = AutoModelForCausalLM.from_config(hf_config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for parameter in oracle.parameters():
            # Biases and norms start as zeros and ones; random ones show a swapped or lost tensor.
            parameter.add_(torch.randn_like(parameter) * 0.1)
    config = ModelConfig.from_hf(hf_config.to_dict())
    weights: dict[str, Tensor] = {}
    state = oracle.state_dict()
    for name, tensor in canonical_tensors(config, state.__getitem__):
        weights.update(encode_tensor(name, tensor, precision))
    return oracle, Decoder(config, weights, "cpu", precision, **options)


def run_chunks(decoder: Decoder, token_ids: list[int], sizes: list[int]) -> Tensor:
    """Return the logits of every token, computed in chunks of ``sizes``."""
    pool = decoder.new_pool(300)
    table = SlotTable(pool, 280)
    rows, start = [], 0
    for size in sizes:
        batch = table.stage(token_ids[start : start + size])
        rows.append(decoder.logits(decoder.forward(batch, pool)))
        table.commit()
        table.check()
        start += size
    assert start == len(token_ids)
    return torch.cat(rows)


def random_tokens(count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, SMALL["vocab_size"], (count,), generator=generator).tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_equal_transformers_in_prefill_and_step_by_step(name: str) -> None:
    oracle, decoder = build_pair(FAMILIES[name])
    token_ids = random_tokens(40)
    with torch.no_grad():
        expected = oracle(torch.tensor([token_ids])).logits[0]
    torch.testing.assert_close(run_chunks(decoder, token_ids, [40]), expected, atol=1e-4, rtol=0)
    stepwise = run_chunks(decoder, token_ids, [17, 8, 4, *[1] * 11])
    torch.testing.assert_close(stepwise, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["yarn", "stablelm yarn"])
def test_long_yarn_context_equals_transformers_beyond_the_original_length(name: str) -> None:
    oracle, decoder = build_pair(FAMILIES[name])
    token_ids = random_tokens(200)
    with torch.no_grad():
        expected = oracle(torch.tensor([token_ids])).logits[0]
    torch.testing.assert_close(
        run_chunks(decoder, token_ids, [128, 72]), expected, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": "bloom"}, "RoPE"),
        ({"model_type": "llama", "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "dynamic"),
        ({"model_type": "llama", "rope_scaling": {"rope_type": "longrope"}}, "longrope"),
        ({"model_type": "llama", "partial_rotary_factor": 0.5}, "partial .* not in llama"),
        ({"model_type": "qwen3", "rope_parameters": {"partial_rotary_factor": 0.5}}, "partial"),
        ({"model_type": "stablelm", "partial_rotary_factor": 0.2}, "3 rotary dimensions"),
        ({"model_type": "stablelm", "partial_rotary_factor": 0.0}, "0 rotary dimensions"),
        ({"model_type": "stablelm", "use_parallel_residual": True}, "use_parallel_residual"),
        ({"model_type": "stablelm", "qk_layernorm": True}, "qk_layernorm"),
        ({"model_type": "llama", "hidden_act": "tanhshrink"}, "tanhshrink"),
        ({"model_type": "llama", "num_attention_heads": 5, "hidden_size": 80}, "5 query heads"),
    ],
)
def test_a_network_whose_cache_cannot_be_patched_is_refused(
    raw: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=words):
        ModelConfig.from_hf({**SMALL, **raw})


@pytest.mark.parametrize("name", FAMILIES)
def test_config_survives_json(name: str) -> None:
    config = ModelConfig.from_hf({**SMALL, **FAMILIES[name]})
    assert ModelConfig.from_json(config.to_json()) == config


def test_layer_ranges_compose_to_the_whole_network() -> None:
    _, decoder = build_pair(FAMILIES["qwen2"])
    pool = decoder.new_pool(64)
    table = SlotTable(pool, 60)
    batch = table.stage(random_tokens(10))
    whole = decoder.forward(batch, pool)
    early = decoder.forward(batch, pool, layers=range(2))
    resumed = decoder.forward(batch, pool, layers=range(2, 3), hidden=early)
    assert torch.equal(whole, resumed)


def test_tree_branches_see_their_ancestors_only() -> None:
    _, decoder = build_pair(FAMILIES["qwen2"])
    pool = decoder.new_pool(128)
    table = SlotTable(pool, 100)
    prompt = random_tokens(12)
    decoder.forward(table.stage(prompt), pool)
    table.commit()
    #      7 - 8        rows 0..4, two branches below row 0
    #     /
    #  5 -
    #     \ 9 - 10
    tree = table.stage([5, 7, 8, 9, 10], parents=[-1, 0, 1, 0, 3])
    rows = decoder.logits(decoder.forward(tree, pool))
    for branch, path in (([5, 7, 8], [0, 1, 2]), ([5, 9, 10], [0, 3, 4])):
        expected = run_chunks(decoder, prompt + branch, [len(prompt), 3])[-3:]
        torch.testing.assert_close(rows[path], expected, atol=1e-5, rtol=0)
    table.commit([0, 3, 4])
    table.check()
    assert table.token_ids == [*prompt, 5, 9, 10]
    follow_up = decoder.logits(decoder.forward(table.stage([11]), pool))
    expected = run_chunks(decoder, [*prompt, 5, 9, 10, 11], [16])[-1:]
    torch.testing.assert_close(follow_up, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", PASS_SIZES)
def test_padding_changes_nothing(size: int) -> None:
    _, decoder = build_pair(FAMILIES["qwen2"])
    token_ids = random_tokens(9 + size)
    pool = decoder.new_pool(128)
    table = SlotTable(pool, 100)
    decoder.forward(table.stage(token_ids[:9], pad_to=16), pool)
    table.commit()
    num_real = max(1, size - 2)
    batch = table.stage(token_ids[9 : 9 + num_real], pad_to=size)
    assert len(batch.token_ids) == size
    rows = decoder.logits(decoder.forward(batch, pool))[:num_real]
    expected = run_chunks(decoder, token_ids[: 9 + num_real], [9 + num_real])[9:]
    torch.testing.assert_close(rows, expected, atol=1e-5, rtol=0)


KERNELS: dict[str, Callable[[], Int8Kernels | None]] = {
    "as detected": detect_int8_kernels,
    "seven bits": lambda: Int8Kernels(max_activation=63),
    "packed only": lambda: Int8Kernels(has_plain=False),
}


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
def test_a_row_does_not_depend_on_the_other_rows(precision: Precision, kernels: str) -> None:
    _, decoder = build_pair(FAMILIES["qwen2"], precision, kernels=KERNELS[kernels]())
    results = []
    for other in (1, 2):
        pool = decoder.new_pool(64)
        table = SlotTable(pool, 60)
        decoder.forward(table.stage(random_tokens(6)), pool)
        table.commit()
        # Three siblings: none sees another, and only the middle one is the same both times.
        siblings = [random_tokens(1, other)[0], 42, random_tokens(1, other + 9)[0]]
        batch = table.stage(siblings, parents=[-1, -1, -1])
        results.append(decoder.logits(decoder.forward(batch, pool))[1])
    assert torch.equal(results[0], results[1])


@pytest.mark.parametrize("kernels", KERNELS)
def test_int8_stays_near_float32(kernels: str) -> None:
    oracle, decoder = build_pair(FAMILIES["qwen2"], Precision.INT8, kernels=KERNELS[kernels]())
    token_ids = random_tokens(40)
    with torch.no_grad():
        expected = oracle(torch.tensor([token_ids])).logits[0]
    actual = run_chunks(decoder, token_ids, [32, *[1] * 8])
    relative = (actual - expected).norm() / expected.norm()
    assert relative < 0.06


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [(Precision.FLOAT32, 5e-4), (Precision.INT8, 0.01)],  # half floats have 11 bits, int8 has 8
)
def test_token_vectors_are_the_input_embeddings(
    precision: Precision, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.decoder, "_NUM_COPIED", 50)
    oracle, decoder = build_pair(FAMILIES["qwen2"], precision)
    expected = oracle.get_input_embeddings().weight.detach()
    actual = torch.from_numpy(decoder.token_vectors())
    assert actual.dtype is torch.float16
    assert (actual.float() - expected).norm() < tolerance * expected.norm()


def test_packing_changes_no_bit_of_any_result() -> None:
    _, decoder = build_pair(FAMILIES["qwen2"], Precision.INT8, kernels=Int8Kernels())
    token_ids = random_tokens(40)
    sizes = [16, 8, 4, 4, *[1] * 8]
    before = run_chunks(decoder, token_ids, sizes)
    decoder.pack()
    assert torch.equal(run_chunks(decoder, token_ids, sizes), before)


def test_packing_can_be_interrupted_and_taken_up_again() -> None:
    _, decoder = build_pair(FAMILIES["qwen2"], Precision.INT8, kernels=Int8Kernels())
    token_ids = random_tokens(20)
    before = run_chunks(decoder, token_ids, [12, 8])

    class Stop(Exception):
        pass

    calls = iter(range(100))

    def checkpoint() -> None:
        if next(calls) == 5:
            raise Stop

    with pytest.raises(Stop):
        decoder.pack(checkpoint)
    assert torch.equal(run_chunks(decoder, token_ids, [12, 8]), before)
    decoder.pack()
    assert torch.equal(run_chunks(decoder, token_ids, [12, 8]), before)


def test_a_machine_without_integer_kernels_computes_in_floating_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.decoder.detect_int8_kernels", lambda: None)
    oracle, decoder = build_pair(FAMILIES["llama"], Precision.INT8)
    assert decoder.kernels is None
    token_ids = random_tokens(20)
    with torch.no_grad():
        expected = oracle(torch.tensor([token_ids])).logits[0]
    actual = run_chunks(decoder, token_ids, [20])
    assert (actual - expected).norm() / expected.norm() < 0.03


def test_an_abandoned_pass_leaves_the_table_as_it_was() -> None:
    _, decoder = build_pair(FAMILIES["qwen2"])
    token_ids = random_tokens(20)
    pool = decoder.new_pool(64)
    table = SlotTable(pool, 60)
    decoder.forward(table.stage(token_ids[:8]), pool)
    table.commit()

    class Stop(Exception):
        pass

    for last_layer in range(3):
        calls = iter(range(10))

        def checkpoint(calls: Any = calls, last_layer: int = last_layer) -> None:
            if next(calls) == last_layer:
                raise Stop

        with pytest.raises(Stop):
            decoder.forward(table.stage(token_ids[8:]), pool, checkpoint=checkpoint)
        table.discard()
        table.check()
        assert table.token_ids == token_ids[:8]
    rows = decoder.logits(decoder.forward(table.stage(token_ids[8:]), pool))
    torch.testing.assert_close(rows, run_chunks(decoder, token_ids, [20])[8:], atol=1e-5, rtol=0)
