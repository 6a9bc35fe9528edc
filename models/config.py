"""What a checkpoint says about its network, in one vocabulary for every supported family.

Knows Hugging Face's field names (old and new spelling) and nothing of files or tensors.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.errors import UnsupportedModelError

FAMILIES = ("qwen2", "qwen3", "llama", "starcoder2", "gemma", "stablelm")


class NormKind(StrEnum):
    """How hidden states are normalised."""

    RMS = "rms"
    LAYER = "layer"


class Activation(StrEnum):
    """The nonlinearity of the MLP."""

    SILU = "silu"
    GELU_TANH = "gelu_tanh"
    GELU = "gelu"


class RopeKind(StrEnum):
    """How rotary frequencies were stretched in training; each is fixed, so keys can be re-rotated."""

    DEFAULT = "default"
    LINEAR = "linear"
    LLAMA3 = "llama3"
    YARN = "yarn"


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Parameters of the rotary embedding; unused ones keep their defaults.

    ``rotary_dim`` is how many leading dimensions of a head rotate, None where all do. Checkpoints
    converted before it existed lack it.
    """

    theta: float = 10_000.0
    kind: RopeKind = RopeKind.DEFAULT
    factor: float = 1.0
    original_max_positions: int = 0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float = 1.0
    truncate: bool = True
    rotary_dim: int | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Shape of one decoder. ``layer_windows[i]`` is layer ``i``'s sliding window, or None."""

    family: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_positions: int
    rope: RopeConfig
    layer_windows: tuple[int | None, ...]
    norm_kind: NormKind = NormKind.RMS
    norm_eps: float = 1e-6
    activation: Activation = Activation.SILU
    gated_mlp: bool = True
    qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    tie_embeddings: bool = False
    embedding_scale: float = 1.0
    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise UnsupportedModelError(
                f"{self.num_heads} query heads do not divide among {self.num_kv_heads} key heads"
            )
        if self.head_dim % 2:
            raise UnsupportedModelError(f"head dimension {self.head_dim} is odd; RoPE needs pairs")
        rotary_dim = self.rope.rotary_dim
        if rotary_dim is not None and (rotary_dim % 2 or not 0 < rotary_dim < self.head_dim):
            raise UnsupportedModelError(
                f"{rotary_dim} rotary dimensions do not fit heads of {self.head_dim}; RoPE rotates "
                "pairs, at least one"
            )

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any]) -> ModelConfig:
        """Return the config described by a Hugging Face ``config.json``.

        Raises:
            UnsupportedModelError: The family is unknown, has no RoPE, or stretches RoPE by the
                length of the input, so that a cached key could not be moved.
        """
        family = str(raw.get("model_type", ""))
        if family not in FAMILIES:
            raise UnsupportedModelError(
                f"model type {family!r} is not supported; fimble runs RoPE decoders of the families "
                f"{', '.join(FAMILIES)}, because only their key cache can be patched"
            )
        num_heads = int(raw["num_attention_heads"])
        head_dim = int(raw.get("head_dim") or int(raw["hidden_size"]) // num_heads)
        max_positions = int(raw.get("max_position_embeddings", 8192))
        return cls(
            family=family,
            vocab_size=int(raw["vocab_size"]),
            hidden_size=int(raw["hidden_size"]),
            intermediate_size=int(raw["intermediate_size"]),
            num_layers=int(raw["num_hidden_layers"]),
            num_heads=num_heads,
            num_kv_heads=int(raw.get("num_key_value_heads") or num_heads),
            head_dim=head_dim,
            max_positions=max_positions,
            rope=_rope_from_hf(raw, family, head_dim, max_positions),
            layer_windows=_layer_windows(raw, family),
            tie_embeddings=bool(raw.get("tie_word_embeddings", family == "gemma")),
            bos_id=raw.get("bos_token_id"),
            eos_ids=_as_ids(raw.get("eos_token_id")),
            **_family_traits(raw, family),
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict that ``from_json`` reads back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ModelConfig:
        """Return the config that ``to_json`` wrote."""
        fields = dict(raw)
        rope = dict(fields.pop("rope"))
        rope["kind"] = RopeKind(rope["kind"])
        return cls(
            rope=RopeConfig(**rope),
            layer_windows=tuple(fields.pop("layer_windows")),
            norm_kind=NormKind(fields.pop("norm_kind")),
            activation=Activation(fields.pop("activation")),
            eos_ids=tuple(fields.pop("eos_ids")),
            **fields,
        )


def _as_ids(value: int | list[int] | None) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _family_traits(raw: Mapping[str, Any], family: str) -> dict[str, Any]:
    eps = float(raw.get("rms_norm_eps", 1e-6))
    bias = bool(raw.get("attention_bias", False))
    if family == "qwen2":
        return {"norm_eps": eps, "qkv_bias": True}
    if family == "qwen3":
        return {"norm_eps": eps, "qk_norm": True, "qkv_bias": bias, "output_bias": bias}
    if family == "llama":
        return {
            "norm_eps": eps,
            "qkv_bias": bias,
            "output_bias": bias,
            "mlp_bias": bool(raw.get("mlp_bias", False)),
            "activation": _activation(raw.get("hidden_act", "silu")),
        }
    if family == "gemma":
        name = raw.get("hidden_activation") or raw.get("hidden_act") or "gelu_pytorch_tanh"
        # Gemma's first configs said "gelu" and meant the tanh form the network was trained with.
        activation = Activation.GELU_TANH if name == "gelu" else _activation(name)
        return {
            "norm_eps": eps,
            "qkv_bias": bias,
            "output_bias": bias,
            "activation": activation,
            "embedding_scale": math.sqrt(int(raw["hidden_size"])),
        }
    if family == "stablelm":
        return _stablelm_traits(raw)
    use_bias = bool(raw.get("use_bias", True))
    return {
        "norm_kind": NormKind.LAYER,
        "norm_eps": float(raw.get("norm_epsilon", 1e-5)),
        "qkv_bias": use_bias,
        "output_bias": use_bias,
        "mlp_bias": use_bias,
        "gated_mlp": False,
        "activation": _activation(raw.get("hidden_act", "gelu_pytorch_tanh")),
    }


def _stablelm_traits(raw: Mapping[str, Any]) -> dict[str, Any]:
    for option in ("use_parallel_residual", "qk_layernorm"):
        if raw.get(option, False):
            raise UnsupportedModelError(f"stablelm networks with {option} are not supported")
    return {
        "norm_kind": NormKind.LAYER,
        "norm_eps": float(raw.get("layer_norm_eps", 1e-5)),
        "qkv_bias": bool(raw.get("use_qkv_bias", False)),
        "activation": _activation(raw.get("hidden_act", "silu")),
    }


def _activation(name: str) -> Activation:
    known = {
        "silu": Activation.SILU,
        "swish": Activation.SILU,
        "gelu": Activation.GELU,
        "gelu_new": Activation.GELU_TANH,
        "gelu_pytorch_tanh": Activation.GELU_TANH,
    }
    if name not in known:
        raise UnsupportedModelError(f"activation {name!r} is unknown; known: {', '.join(known)}")
    return known[name]


def _layer_windows(raw: Mapping[str, Any], family: str) -> tuple[int | None, ...]:
    num_layers = int(raw["num_hidden_layers"])
    window = raw.get("sliding_window")
    if family in ("qwen2", "qwen3") and not raw.get("use_sliding_window", False):
        window = None
    if family in ("llama", "gemma", "stablelm") or window is None:
        return (None,) * num_layers
    layer_types = raw.get("layer_types")
    if layer_types:
        return tuple(int(window) if t == "sliding_attention" else None for t in layer_types)
    first = int(raw.get("max_window_layers", 0)) if family != "starcoder2" else 0
    return tuple(int(window) if i >= first else None for i in range(num_layers))


def _rope_from_hf(
    raw: Mapping[str, Any], family: str, head_dim: int, max_positions: int
) -> RopeConfig:
    scaling = dict(raw.get("rope_parameters") or raw.get("rope_scaling") or {})
    theta = float(scaling.get("rope_theta") or raw.get("rope_theta") or 10_000.0)
    name = str(scaling.get("rope_type") or scaling.get("type") or "default")
    if name not in {kind.value for kind in RopeKind}:
        raise UnsupportedModelError(
            f"RoPE scaling {name!r} depends on the input's length, so its key cache cannot be "
            f"patched; supported: {', '.join(RopeKind)}"
        )
    factor = float(scaling.get("factor") or 1.0)
    return RopeConfig(
        theta=theta,
        kind=RopeKind(name),
        factor=factor,
        original_max_positions=int(
            scaling.get("original_max_position_embeddings") or max_positions
        ),
        low_freq_factor=float(scaling.get("low_freq_factor") or 1.0),
        high_freq_factor=float(scaling.get("high_freq_factor") or 4.0),
        beta_fast=float(scaling.get("beta_fast") or 32.0),
        beta_slow=float(scaling.get("beta_slow") or 1.0),
        attention_factor=_yarn_attention_factor(scaling, factor) if name == "yarn" else 1.0,
        truncate=bool(scaling.get("truncate", True)),
        rotary_dim=_rotary_dim(raw, scaling, family, head_dim),
    )


def _rotary_dim(
    raw: Mapping[str, Any], scaling: Mapping[str, Any], family: str, head_dim: int
) -> int | None:
    """Return how many leading dimensions of a head rotate, as transformers counts; None for all."""
    stated = [
        float(source["partial_rotary_factor"])
        for source in (scaling, raw)
        if source.get("partial_rotary_factor") is not None
    ]
    # StableLM configs that state nothing mean a quarter, as in transformers.
    fraction = (*stated, 0.25 if family == "stablelm" else 1.0)[0]
    if fraction == 1.0:
        return None
    if family != "stablelm":
        raise UnsupportedModelError(
            f"partial rotary embeddings ({fraction} of each head) are supported in stablelm only, "
            f"not in {family}"
        )
    return int(head_dim * fraction)


def _yarn_attention_factor(scaling: Mapping[str, Any], factor: float) -> float:
    """Peng et al. 2023, arXiv:2309.00071, section 3.4; mscale as DeepSeek generalised it."""
    if scaling.get("attention_factor") is not None:
        return float(scaling["attention_factor"])

    def mscale(scale: float, weight: float) -> float:
        return 1.0 if scale <= 1 else 0.1 * weight * math.log(scale) + 1.0

    weight, weight_all = scaling.get("mscale"), scaling.get("mscale_all_dim")
    if weight and weight_all:
        return mscale(factor, float(weight)) / mscale(factor, float(weight_all))
    return mscale(factor, 1.0)
