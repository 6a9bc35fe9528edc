"""transformers in eager mode with its scaled-dot-product attention, from the same GGUF file."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from benchmarks.engine_workers.serve import serve


class TransformersEngine:
    """The library's own modules and cache, used as its ``generate`` uses them."""

    def __init__(self, model: Path, dtype: torch.dtype, device: str) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(
            model.parent, gguf_file=model.name, dtype=dtype, attn_implementation="sdpa"
        ).to(device)
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
        self._cache.crop(num_tokens)

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
