"""fimble's own decoder, through the same calls that completion makes."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from benchmarks.engine_workers.serve import serve
from completion.config import EngineConfig
from models.loader import load_model
from models.slots import SlotTable

MAX_CONTEXT = 4096


class FimbleEngine:
    """One session of one model."""

    def __init__(self, options: argparse.Namespace) -> None:
        loaded = load_model(
            options.model,
            device=options.device,
            precision=options.precision,
            allow_network=False,
            compile_elementwise=options.compile,
        )
        self._decoder = loaded.decoder
        self._decoder.pack()  # what a running server has done in its first idle seconds
        self._pool = self._decoder.new_pool(MAX_CONTEXT + 1)
        self._table = SlotTable(self._pool, MAX_CONTEXT)
        self._chunk_size = options.chunk_size

    def prefill(self, token_ids: list[int]) -> None:
        """See ``Engine``."""
        self._table.truncate(0)
        last = (len(token_ids) - 1) // self._chunk_size * self._chunk_size
        for start in range(0, last, self._chunk_size):
            self._compute(token_ids[start : start + self._chunk_size])
        self._decoder.logits(self._compute(token_ids[last:])[-1:])[0, 0].item()

    def extend(self, token_ids: list[int]) -> None:
        """See ``Engine``."""
        self._decoder.logits(self._compute(token_ids))[0, 0].item()

    def rewind(self, num_tokens: int) -> None:
        """See ``Engine``."""
        self._table.truncate(num_tokens)

    def _compute(self, token_ids: list[int]) -> Tensor:
        hidden = self._decoder.forward(self._table.stage(token_ids), self._pool)
        self._table.commit()
        return hidden


def main() -> None:
    """Serve one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", action="store_true", help="compile the elementwise parts")
    parser.add_argument("--num-threads", type=int, required=True)
    parser.add_argument("--chunk-size", type=int, default=EngineConfig().prefill_chunk)
    options = parser.parse_args()
    torch.set_num_threads(options.num_threads)
    serve(lambda: FimbleEngine(options))


if __name__ == "__main__":
    main()
