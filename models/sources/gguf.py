"""A GGUF file: its metadata in Hugging Face's words, its tensors dequantised to float32."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from torch import Tensor

from models.config import ModelConfig
from models.errors import CorruptWeightsError, UnsupportedModelError
from models.sources.gguf_tokenizer import tokenizer_json_from_gguf
from models.sources.source import fingerprint_of_files

# Suffixes of the two naming schemes; a StarCoder2 MLP has other names for the same places.
_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_GLOBAL_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
_ROPE_FACTORS = "rope_freqs.weight"


class GGUFSource:
    """Weights of one GGUF file; quantised types come out as float32."""

    is_float = False

    def __init__(self, path: Path, *, name: str | None = None, sha256: str | None = None) -> None:
        """Describe ``path`` without reading it; a known ``sha256`` becomes the fingerprint."""
        self._path = path
        self._name = name or path.stem
        self._sha256 = sha256

    @property
    def name(self) -> str:
        """The registered name, or the file's."""
        return self._name

    @cached_property
    def fingerprint(self) -> str:
        """The start of the file's sha256 where that is known, else of a sample of the file."""
        return self._sha256[:16] if self._sha256 else fingerprint_of_files([self._path])

    def prepare(self) -> None:
        """Nothing: the user brought the files."""

    def config(self) -> ModelConfig:
        """Return the network's shape; raises UnsupportedModelError, CorruptWeightsError."""
        return ModelConfig.from_hf(self._hf_config)

    def tokenizer_json(self) -> str:
        """Return a tokenizer.json built from the file's vocabulary; raises TokenizerError."""
        return tokenizer_json_from_gguf(self._metadata)

    def tensor(self, name: str) -> Tensor:
        """Return a float32 tensor by its Hugging Face name; raises KeyError if there is none."""
        stored = self._tensors[_gguf_name(name)]
        try:
            array = gguf.dequantize(stored.data, stored.tensor_type).astype(np.float32)
        except (NotImplementedError, ValueError) as error:
            raise UnsupportedModelError(
                f"{self._path}: tensor {stored.name} is stored as {stored.tensor_type.name}, which "
                f"cannot be read ({error}); take a Q4_K_M, Q8_0 or F16 file"
            ) from error
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return self._as_hugging_face(name, tensor)

    def _as_hugging_face(self, name: str, tensor: Tensor) -> Tensor:
        family = self._hf_config["model_type"]
        if family == "gemma" and "norm" in name:
            return tensor - 1.0  # GGUF stores the factor itself, Hugging Face its distance from one
        if family == "llama" and ".q_proj." in name:
            return _undo_rope_order(tensor, self._hf_config["num_attention_heads"])
        if family == "llama" and ".k_proj." in name:
            return _undo_rope_order(tensor, self._hf_config["num_key_value_heads"])
        return tensor

    @cached_property
    def _reader(self) -> Any:
        try:
            return gguf.GGUFReader(str(self._path))
        except (ValueError, IndexError, KeyError, OSError, OverflowError, UnicodeError) as error:
            raise CorruptWeightsError(
                f"{self._path} is damaged or no GGUF file ({error}); delete it and fetch it again"
            ) from error

    @cached_property
    def _metadata(self) -> dict[str, Any]:
        return {key: field.contents() for key, field in self._reader.fields.items()}

    @cached_property
    def _tensors(self) -> dict[str, Any]:
        return {tensor.name: tensor for tensor in self._reader.tensors}

    @cached_property
    def _hf_config(self) -> dict[str, Any]:
        try:
            return self._read_config()
        except KeyError as error:
            raise CorruptWeightsError(
                f"{self._path} lacks the metadata field {error}; convert the model again"
            ) from error

    def _read_config(self) -> dict[str, Any]:
        metadata, tensors = self._metadata, self._tensors
        family = metadata["general.architecture"]
        values = {
            key.removeprefix(f"{family}."): value
            for key, value in metadata.items()
            if key.startswith(f"{family}.")
        }
        if family == "stablelm":
            # The converter drops their RoPE base, and a wrong one gives plausible nonsense.
            raise UnsupportedModelError(
                f"{self._path}: GGUF files of stablelm networks do not state the base of their RoPE; "
                "take the model as safetensors"
            )
        num_heads = values["attention.head_count"]
        hidden_size = values["embedding_length"]
        head_dim = values.get("attention.key_length") or hidden_size // num_heads
        if values.get("rope.dimension_count", head_dim) != head_dim:
            raise UnsupportedModelError(
                f"{self._path}: rotary embeddings cover {values['rope.dimension_count']} of "
                f"{head_dim} dimensions; partial rotation is not supported"
            )
        config = {
            "model_type": family,
            "vocab_size": int(tensors["token_embd.weight"].shape[1]),
            "hidden_size": hidden_size,
            "intermediate_size": values["feed_forward_length"],
            "num_hidden_layers": values["block_count"],
            "num_attention_heads": num_heads,
            "num_key_value_heads": values.get("attention.head_count_kv", num_heads),
            "head_dim": head_dim,
            "max_position_embeddings": values["context_length"],
            "rope_theta": values.get("rope.freq_base", 10_000.0),
            "rope_scaling": self._rope_scaling(values),
            "tie_word_embeddings": "output.weight" not in tensors,
            "attention_bias": "blk.0.attn_q.bias" in tensors,
            "mlp_bias": "blk.0.ffn_up.bias" in tensors,
            "use_bias": "blk.0.attn_q.bias" in tensors,
            "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
            "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
        }
        for ours, theirs in (
            ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
            ("norm_epsilon", "attention.layer_norm_epsilon"),
            ("sliding_window", "attention.sliding_window"),
        ):
            if theirs in values:
                config[ours] = _shortest_float(values[theirs])
        return config

    def _rope_scaling(self, values: dict[str, Any]) -> dict[str, Any] | None:
        if _ROPE_FACTORS in self._tensors:
            return self._llama3_scaling(values)
        kind = values.get("rope.scaling.type", "none")
        if kind == "none":
            return None
        return {
            "rope_type": kind,
            "factor": values.get("rope.scaling.factor", 1.0),
            "original_max_position_embeddings": values.get("rope.scaling.original_context_length"),
        }

    def _llama3_scaling(self, values: dict[str, Any]) -> dict[str, Any]:
        """The converter keeps Llama 3's scaling only as divisors of the frequencies."""
        stored = np.asarray(self._tensors[_ROPE_FACTORS].data, dtype=np.float64)
        scaling = {
            "rope_type": "llama3",
            "factor": float(stored.max()),
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
        expected = _llama3_divisors(len(stored), values.get("rope.freq_base", 10_000.0), scaling)
        if not np.allclose(stored, expected, rtol=1e-3):
            raise UnsupportedModelError(
                f"{self._path}: its RoPE factors are none of Llama 3's; take the model as safetensors"
            )
        return scaling


def _llama3_divisors(num_pairs: int, theta: float, scaling: dict[str, Any]) -> np.ndarray[Any, Any]:
    wavelengths = 2 * np.pi * theta ** (np.arange(num_pairs) / num_pairs)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] / wavelengths
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    divisors: np.ndarray[Any, Any] = 1.0 / ((1.0 - smooth) / scaling["factor"] + smooth)
    return divisors


def _gguf_name(name: str) -> str:
    stem, _, part = name.rpartition(".")
    if stem in _GLOBAL_NAMES:
        return f"{_GLOBAL_NAMES[stem]}.{part}"
    _, _, layer_idx, inner = (*stem.split(".", 3), "", "")[:4]
    return f"blk.{layer_idx}.{_LAYER_NAMES.get(inner, inner)}.{part}"


def _undo_rope_order(tensor: Tensor, num_heads: int) -> Tensor:
    """Llama files hold the two halves of a head interleaved; put them one after the other."""
    pairs = tensor.reshape(num_heads, -1, 2, *tensor.shape[1:])
    return pairs.transpose(1, 2).reshape(tensor.shape).contiguous()


def _shortest_float(value: float | int) -> float | int:
    """1e-06 read back from float32 is 9.99999997e-07; take the decimal that was meant."""
    return float(str(np.float32(value))) if isinstance(value, float) else value
