"""From a checkpoint's tensor names to ours: fused projections, interleaved RoPE pairs.

Canonical names, ``i`` a layer: ``embedding.weight``, ``layers.i.attention_norm.weight``,
``layers.i.qkv.weight``, ``layers.i.output.weight``, ``layers.i.query_norm.weight``,
``layers.i.key_norm.weight``, ``layers.i.mlp_norm.weight``, ``layers.i.gate_up.weight`` (or
``layers.i.up.weight``), ``layers.i.down.weight``, ``final_norm.weight``, ``head.weight`` (absent when
tied); biases end in ``.bias``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models.config import ModelConfig
from models.rope import interleave_halves

GetTensor = Callable[[str], Tensor]


def canonical_tensors(config: ModelConfig, get: GetTensor) -> Iterator[tuple[str, Tensor]]:
    """Yield every canonical tensor, layer by layer, so that a converter needs one layer of memory.

    Args:
        config: The network's shape.
        get: Returns a tensor by its Hugging Face name; raises KeyError for an unknown one.
    """
    yield "embedding.weight", get("model.embed_tokens.weight")
    for layer_idx in range(config.num_layers):
        for name, tensor in _layer_tensors(config, get, f"model.layers.{layer_idx}."):
            yield f"layers.{layer_idx}.{name}", tensor
    yield from _norm(config, get, "final_norm", "model.norm")
    if not config.tie_embeddings:
        yield "head.weight", get("lm_head.weight")


def _layer_tensors(
    config: ModelConfig, get: GetTensor, source: str
) -> Iterator[tuple[str, Tensor]]:
    yield from _norm(config, get, "attention_norm", f"{source}input_layernorm")
    yield from _norm(config, get, "mlp_norm", f"{source}post_attention_layernorm")
    attention = f"{source}self_attn."
    yield "qkv.weight", _qkv(config, get, attention, "weight")
    if config.qkv_bias:
        yield "qkv.bias", _qkv(config, get, attention, "bias")
    yield from _linear(get, "output", f"{attention}o_proj", config.output_bias)
    if config.qk_norm:
        yield "query_norm.weight", _interleaved(config, get(f"{attention}q_norm.weight"))
        yield "key_norm.weight", _interleaved(config, get(f"{attention}k_norm.weight"))
    yield from _mlp(config, get, f"{source}mlp.")


def _mlp(config: ModelConfig, get: GetTensor, source: str) -> Iterator[tuple[str, Tensor]]:
    if not config.gated_mlp:
        yield from _linear(get, "up", f"{source}c_fc", config.mlp_bias)
        yield from _linear(get, "down", f"{source}c_proj", config.mlp_bias)
        return
    for part in ("weight", "bias") if config.mlp_bias else ("weight",):
        yield (
            f"gate_up.{part}",
            torch.cat([get(f"{source}gate_proj.{part}"), get(f"{source}up_proj.{part}")]),
        )
    yield from _linear(get, "down", f"{source}down_proj", config.mlp_bias)


def _linear(get: GetTensor, name: str, source: str, has_bias: bool) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", get(f"{source}.weight")
    if has_bias:
        yield f"{name}.bias", get(f"{source}.bias")


def _norm(
    config: ModelConfig, get: GetTensor, name: str, source: str
) -> Iterator[tuple[str, Tensor]]:
    weight = get(f"{source}.weight")
    # Gemma stores the distance from one.
    yield f"{name}.weight", weight.float() + 1.0 if config.family == "gemma" else weight
    if config.norm_kind == "layer":
        yield f"{name}.bias", get(f"{source}.bias")


def _qkv(config: ModelConfig, get: GetTensor, source: str, part: str) -> Tensor:
    query = _interleaved(config, get(f"{source}q_proj.{part}"))
    key = _interleaved(config, get(f"{source}k_proj.{part}"))
    return torch.cat([query, key, get(f"{source}v_proj.{part}")])


def _interleaved(config: ModelConfig, rows: Tensor) -> Tensor:
    return interleave_halves(rows, config.head_dim, config.rope.rotary_dim)
