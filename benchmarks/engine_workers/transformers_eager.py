"""transformers in eager mode with its scaled-dot-product attention, from the same GGUF file."""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import torch
from torch import Tensor
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM

from benchmarks.engine_workers.serve import serve

GLOBAL_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def load_qwen2(model: Path, dtype: torch.dtype) -> torch.nn.Module:
    """Return the library's Qwen2 with the dequantised weights of a GGUF file.

    transformers can read such a file itself, but only with a package that nothing here needs.

    Raises:
        ValueError: If the file holds another architecture.
    """
    reader = gguf.GGUFReader(model)
    if (architecture := reader.fields["general.architecture"].contents()) != "qwen2":
        raise ValueError(f"{model.name} holds {architecture}; this comparison knows qwen2")
    tensors = {
        _their_name(tensor.name): torch.from_numpy(
            gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy()
        )
        for tensor in reader.tensors
    }
    with torch.device("meta"):
        network = Qwen2ForCausalLM(_config(reader, tensors))
    network.load_state_dict(tensors, assign=True)
    # The frequencies are computed, not stored, so the meta device has left them empty.
    network.model.rotary_emb = type(network.model.rotary_emb)(network.config)
    # Through the base class, whose types its own decorated methods hide.
    return torch.nn.Module.to(torch.nn.Module.eval(network), dtype)


def _their_name(name: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if not stem.startswith("blk."):
        return f"{GLOBAL_NAMES[stem]}.{kind}"
    _, layer_idx, part = stem.split(".")
    return f"model.layers.{layer_idx}.{LAYER_NAMES[part]}.{kind}"


def _config(reader: gguf.GGUFReader, tensors: dict[str, Tensor]) -> Qwen2Config:
    def field(name: str) -> object:
        return reader.fields[f"qwen2.{name}"].contents()

    settings = {
        "vocab_size": len(tensors["model.embed_tokens.weight"]),
        "hidden_size": field("embedding_length"),
        "intermediate_size": field("feed_forward_length"),
        "num_hidden_layers": field("block_count"),
        "num_attention_heads": field("attention.head_count"),
        "num_key_value_heads": field("attention.head_count_kv"),
        "max_position_embeddings": field("context_length"),
        "rms_norm_eps": field("attention.layer_norm_rms_epsilon"),
        "rope_parameters": {"rope_type": "default", "rope_theta": field("rope.freq_base")},
        "tie_word_embeddings": "lm_head.weight" not in tensors,
        "attn_implementation": "sdpa",
    }
    return Qwen2Config.from_dict(settings)


class TransformersEngine:
    """The library's own modules and cache, used as its ``generate`` uses them."""

    def __init__(self, model: Path, dtype: torch.dtype, device: str) -> None:
        self._model = load_qwen2(model, dtype).to(device)
        self._device = device
        self._cache = DynamicCache()

    def prefill(self, token_ids: list[int]) -> None:
        """See ``Engine``."""
        self._cache = DynamicCache()
        self._forward(token_ids, num_logits=1)

    def extend(self, token_ids: list[int]) -> None:
        """See ``Engine``."""
        self._forward(token_ids, num_logits=len(token_ids))

    def rewind(self, num_tokens: int) -> None:
        """See ``Engine``."""
        num_removed = self._cache.get_seq_length() - num_tokens
        if num_removed:
            self._cache.crop(-num_removed)

    @torch.inference_mode()
    def _forward(self, token_ids: list[int], *, num_logits: int) -> None:
        result = self._model(
            input_ids=torch.tensor([token_ids], device=self._device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=num_logits,
        )
        result.logits[0, -1, 0].item()


def main() -> None:
    """Serve one model file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num-threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.num_threads)
    dtype = torch.float32 if options.dtype == "float32" else torch.bfloat16
    serve(lambda: TransformersEngine(options.model, dtype, options.device))


if __name__ == "__main__":
    main()
