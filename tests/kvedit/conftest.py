"""Small random networks, one for each way of stretching RoPE."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from models.config import ModelConfig
from models.decoder import Decoder
from models.layout import canonical_tensors
from models.quantize import Precision

SMALL: dict[str, Any] = {
    "model_type": "qwen2",
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
ROPES: dict[str, dict[str, Any]] = {
    "default": {"rope_theta": 1e6},
    "linear": {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama3": {
        "model_type": "llama",
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
    "windowed": {"use_sliding_window": True, "sliding_window": 12, "max_window_layers": 1},
}


def make_decoder(**overrides: Any) -> Decoder:
    config = ModelConfig.from_hf({**SMALL, **overrides})
    generator = torch.Generator().manual_seed(7)
    hidden, inner = config.hidden_size, config.intermediate_size
    key = config.num_kv_heads * config.head_dim
    shapes = {"embed_tokens": (64, hidden), "k_proj": (key, hidden), "v_proj": (key, hidden)}
    shapes |= {"gate_proj": (inner, hidden), "up_proj": (inner, hidden)}
    shapes |= {"down_proj": (hidden, inner)}
    biases = {"q_proj": (hidden,), "k_proj": (key,), "v_proj": (key,)}

    def get(name: str) -> Tensor:
        part, kind = name.split(".")[-2:]
        if "norm" in part:
            return torch.ones(hidden)
        shape = biases[part] if kind == "bias" else shapes.get(part, (hidden, hidden))
        return torch.randn(shape, generator=generator) * 0.3

    weights = dict(canonical_tensors(config, get))
    return Decoder(config, weights, "cpu", Precision.FLOAT32)


@pytest.fixture(scope="session")
def network() -> Callable[[str], Decoder]:
    """Returns the network of a name in ``ROPES``."""
    return functools.cache(lambda rope: make_decoder(**ROPES[rope]))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks only lose by more, and other work may need the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
