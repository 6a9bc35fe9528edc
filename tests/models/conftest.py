"""Small made models: a two-layer network as a Hugging Face folder and as the same GGUF file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from torch import Tensor

from models.progress import Progress

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, LAYERS = 64, 4, 2, 16, 96, 2
SENTINELS = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
CORPUS = (
    "def add(first, second):\n    return first + second\n\n",
    "class Point:\n    def __init__(self, x, y):\n        self.x = x\n",
    "for index in range(10):\n    print(index, 'größe', \"日本語\")\n",
)
# Qwen2's splitting rule, written out so that the fixture does not lean on the code under test.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make_byte_level() -> Backend:
    backend = Backend(models.BPE())
    split = pre_tokenizers.Split(pattern_regex(QWEN2_SPLIT), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=alphabet, show_progress=False, min_frequency=1
    )
    backend.train_from_iterator(CORPUS * 3, trainer)
    # As in real checkpoints, only the end of text is marked special.
    backend.add_special_tokens([SENTINELS[0]])
    backend.add_tokens(
        [AddedToken(name, special=False, normalized=False) for name in SENTINELS[1:]]
    )
    return backend


def pattern_regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)


def hf_config(family: str) -> dict[str, Any]:
    return {
        "model_type": family,
        "vocab_size": make_byte_level().get_vocab_size(),
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "max_position_embeddings": 128,
        "rope_theta": 10_000.0,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    }


def hf_tensors(family: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.2

    vocab_size = hf_config(family)["vocab_size"]
    tensors = {
        "model.embed_tokens.weight": draw(vocab_size, HIDDEN),
        "model.norm.weight": draw(HIDDEN) + 1,
        "lm_head.weight": draw(vocab_size, HIDDEN),
    }
    rows = {"q": HEADS * HEAD_DIM, "k": KV_HEADS * HEAD_DIM, "v": KV_HEADS * HEAD_DIM}
    for layer_idx in range(LAYERS):
        layer = f"model.layers.{layer_idx}."
        for name, num_rows in rows.items():
            tensors[f"{layer}self_attn.{name}_proj.weight"] = draw(num_rows, HIDDEN)
            if family == "qwen2":
                tensors[f"{layer}self_attn.{name}_proj.bias"] = draw(num_rows)
        tensors[f"{layer}self_attn.o_proj.weight"] = draw(HIDDEN, HEADS * HEAD_DIM)
        tensors[f"{layer}mlp.gate_proj.weight"] = draw(FFN, HIDDEN)
        tensors[f"{layer}mlp.up_proj.weight"] = draw(FFN, HIDDEN)
        tensors[f"{layer}mlp.down_proj.weight"] = draw(HIDDEN, FFN)
        tensors[f"{layer}input_layernorm.weight"] = draw(HIDDEN) + 1
        tensors[f"{layer}post_attention_layernorm.weight"] = draw(HIDDEN) + 1
    return tensors


def write_directory(folder: Path, family: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(hf_config(family)))
    make_byte_level().save(str(folder / "tokenizer.json"))
    tensors = hf_tensors(family)
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    weight_map = {name: shard for shard, held in shards.items() for name in held}
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


GGUF_STEMS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def rope_order(array: np.ndarray[Any, Any], num_heads: int) -> np.ndarray[Any, Any]:
    """Row by row as a converter of Llama files does: pair i is (2i, 2i + 1) instead of (i, i + d/2)."""
    result = np.empty_like(array)
    head_dim = array.shape[0] // num_heads
    for head in range(num_heads):
        for pair in range(head_dim // 2):
            start = head * head_dim
            result[start + 2 * pair] = array[start + pair]
            result[start + 2 * pair + 1] = array[start + pair + head_dim // 2]
    return result


def write_gguf(path: Path, family: str, *, pre: str = "qwen2") -> Path:
    config = hf_config(family)
    writer = gguf.GGUFWriter(str(path), family)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    backend = make_byte_level()
    raw = json.loads(backend.to_str())
    tokens = sorted(backend.get_vocab(), key=backend.get_vocab().__getitem__)
    kinds = dict.fromkeys(SENTINELS, gguf.TokenType.CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([int(kinds.get(token, gguf.TokenType.NORMAL)) for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in raw["model"]["merges"]])
    writer.add_eos_token_id(backend.token_to_id(SENTINELS[0]))
    for name, tensor in hf_tensors(family).items():
        stem, _, part = name.rpartition(".")
        array = tensor.numpy()
        if family == "llama" and "q_proj" in name:
            array = rope_order(array, HEADS)
        if family == "llama" and "k_proj" in name:
            array = rope_order(array, KV_HEADS)
        if stem in GGUF_STEMS:
            writer.add_tensor(f"{GGUF_STEMS[stem]}.{part}", array)
        else:
            _, _, layer_idx, inner = stem.split(".", 3)
            writer.add_tensor(f"blk.{layer_idx}.{GGUF_STEMS[inner]}.{part}", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def tiny_directory(tmp_path: Path) -> Callable[[str], Path]:
    """Make a two-layer Hugging Face folder of a family, its weights in two shards."""
    return lambda family: write_directory(tmp_path / f"{family}-folder", family)


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Callable[..., Path]:
    """Make a GGUF file with exactly the weights of ``tiny_directory`` of the same family."""
    return lambda family, **options: write_gguf(tmp_path / f"{family}-tiny.gguf", family, **options)


@pytest.fixture
def tiny_tensors() -> Callable[[str], dict[str, Tensor]]:
    """The weights of both, by Hugging Face name."""
    return hf_tensors


@pytest.fixture
def byte_level_backend() -> Backend:
    """A small byte-level vocabulary with sentinels, most of them not marked special."""
    return make_byte_level()


@pytest.fixture
def seen_progress() -> list[Progress]:
    """A list whose ``append`` is a progress callback."""
    return []


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
