"""llama.cpp through llama-cpp-python; runs in an interpreter that has it.

Also makes the quantisations of the same weights that are compared.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path

import llama_cpp
from llama_cpp import _internals

from benchmarks.engine_workers.serve import serve

MAX_CONTEXT = 4096
FILE_TYPES = {
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_1": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_1,
    "q4_k_s": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_S,
    "q5_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_0,
    "iq4_nl": llama_cpp.LLAMA_FTYPE_MOSTLY_IQ4_NL,
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "f16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
}


class LlamaEngine:
    """One model file with flash attention, batches as the library prefers them."""

    def __init__(self, model: Path, num_threads: int, num_gpu_layers: int) -> None:
        self._llama = llama_cpp.Llama(
            str(model),
            n_ctx=MAX_CONTEXT,
            n_batch=2048,
            n_ubatch=512,
            n_threads=num_threads,
            n_threads_batch=num_threads,
            n_gpu_layers=num_gpu_layers,
            flash_attn=True,
            verbose=False,
        )
        self._context = self._llama._ctx
        self._batch = _internals.LlamaBatch(n_tokens=2048, embd=0, n_seq_max=1, verbose=False)
        self._num_tokens = 0

    def prefill(self, token_ids: list[int]) -> None:
        """See ``Engine``."""
        self.rewind(0)
        for start in range(0, len(token_ids), 2048):
            self._decode(token_ids[start : start + 2048], all_logits=False)

    def extend(self, token_ids: list[int]) -> None:
        """See ``Engine``."""
        self._decode(token_ids, all_logits=True)

    def rewind(self, num_tokens: int) -> None:
        """See ``Engine``."""
        self._context.kv_cache_seq_rm(0, num_tokens, -1)
        self._num_tokens = num_tokens

    def _decode(self, token_ids: list[int], *, all_logits: bool) -> None:
        self._batch.set_batch(batch=token_ids, n_past=self._num_tokens, logits_all=all_logits)
        self._context.decode(self._batch)
        self._context.get_logits()  # waits for the computation
        self._num_tokens += len(token_ids)


def quantise(source: Path, target: Path, file_type: str, num_threads: int) -> None:
    """Write the weights of ``source`` to ``target`` in another quantisation.

    Raises:
        RuntimeError: If llama.cpp refuses.
    """
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[file_type]
    params.nthread = num_threads
    params.allow_requantize = True
    partial = target.with_suffix(".partial")
    status = llama_cpp.llama_model_quantize(
        str(source).encode(), str(partial).encode(), ctypes.byref(params)
    )
    if status != 0:
        raise RuntimeError(f"llama.cpp could not write {file_type} (status {status})")
    partial.rename(target)


def main() -> None:
    """Serve a model file, or make one with ``--quantise``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--num-threads", type=int, required=True)
    parser.add_argument("--num-gpu-layers", type=int, default=0)
    parser.add_argument("--quantise", choices=sorted(FILE_TYPES))
    parser.add_argument("--target", type=Path)
    options = parser.parse_args()
    if options.quantise is not None:
        quantise(options.model, options.target, options.quantise, options.num_threads)
        return
    serve(lambda: LlamaEngine(options.model, options.num_threads, options.num_gpu_layers))


if __name__ == "__main__":
    main()
