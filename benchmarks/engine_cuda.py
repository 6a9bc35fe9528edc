"""Decoding on a GPU at a 7B model's shape: the share of the memory's bandwidth that is used.

    python -m benchmarks.engine_cuda

One token reads every weight once, so time per token is bounded by bytes over bandwidth. The
bandwidth is measured on the same GPU, by copying a buffer. The weights are random: speed does not
depend on their values. Comparisons with other engines on a GPU are ``benchmarks.engine --device
cuda``.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.figures import Figure, timing_figure
from benchmarks.results import write_result
from models.config import ModelConfig
from models.decoder import Decoder
from models.layout import canonical_tensors
from models.quantize import Precision, encode_tensor
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.token_batch import TokenBatch

SHAPE_7B = {  # the published shape of Qwen2.5-Coder-7B
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 32768,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
    "vocab_size": 152064,
}
COPY_BYTES = 4 << 30
NUM_WARM_UP = 5


def time_ms(work: Callable[[], object], num_repeats: int) -> list[float]:
    """Return the GPU's milliseconds for each of ``num_repeats`` calls, after a warm-up."""
    for _ in range(NUM_WARM_UP):
        work()
    samples: list[float] = []
    for _ in range(num_repeats):
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        samples.append(start.elapsed_time(end))
    return samples


def measure_bandwidth(num_repeats: int) -> list[float]:
    """Return GB/s of copies; a copy reads and writes each byte."""
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copies = time_ms(lambda: target.copy_(source), num_repeats)
    return [2 * COPY_BYTES / 1e6 / ms for ms in copies]


def random_tensor(config: ModelConfig, name: str) -> Tensor:
    """Return random values for the tensor of a Qwen2 checkpoint called ``name``, on the GPU."""
    hidden, inner = config.hidden_size, config.intermediate_size
    widths = {
        "q_proj": config.num_heads * config.head_dim,
        "k_proj": config.num_kv_heads * config.head_dim,
        "v_proj": config.num_kv_heads * config.head_dim,
        "gate_proj": inner,
        "up_proj": inner,
        "embed_tokens": config.vocab_size,
        "lm_head": config.vocab_size,
    }
    *_, module, kind = name.split(".")
    num_rows = widths.get(module, hidden)
    if kind == "bias" or "norm" in module:
        return torch.ones(num_rows, device="cuda", dtype=torch.bfloat16)
    num_columns = inner if module == "down_proj" else hidden
    weights = torch.randn(num_rows, num_columns, device="cuda", dtype=torch.bfloat16)
    return weights.mul_(num_columns**-0.5)


def random_weights(config: ModelConfig, precision: Precision) -> dict[str, Tensor]:
    """Return encoded random weights of ``config``'s shape on the GPU."""
    encoded: dict[str, Tensor] = {}
    for name, tensor in canonical_tensors(config, functools.partial(random_tensor, config)):
        encoded.update(encode_tensor(name, tensor, precision))
    return encoded


def run_pass(decoder: Decoder, batch: TokenBatch, pool: SlotPool) -> Tensor:
    """Return the logits of one pass; writing the same slots again changes nothing."""
    return decoder.logits(decoder.forward(batch, pool))


def figures_of(
    config: ModelConfig, precision: Precision, context: int, num_repeats: int
) -> Iterator[Figure]:
    """Yield time per pass and the share of bandwidth at ``context`` tokens."""
    weights = random_weights(config, precision)
    # Of an embedding that is not the output matrix as well, a pass reads a row or eight.
    num_bytes = sum(t.nbytes for name, t in weights.items() if not name.startswith("embedding"))
    decoder = Decoder(config, weights, "cuda", precision)
    del weights
    pool = decoder.new_pool(context + 64)
    table = SlotTable(pool, context + 63)
    for start in range(0, context, 512):
        decoder.forward(table.stage(list(range(start, min(start + 512, context)))), pool)
        table.commit()
    bandwidth = measure_bandwidth(num_repeats)
    for width in (1, 8):
        batch = table.stage(list(range(width)))
        passes = time_ms(functools.partial(run_pass, decoder, batch, pool), num_repeats)
        yield timing_figure(f"pass_{width}_at_{context}_ms", passes)
        if width == 1:
            shares = [100 * num_bytes / 1e6 / ms / max(bandwidth) for ms in passes]
            yield timing_figure("bandwidth_share_7b", shares, "%")
    yield timing_figure("bandwidth_gb_s", bandwidth, "GB/s")


def main() -> None:
    """Measure and write ``engine_cuda.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_cuda", description=__doc__)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--num-repeats", type=int, default=30)
    parser.add_argument("--precision", type=Precision, default=Precision.BF16)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("engine_cuda: torch sees no CUDA device; this benchmark has nothing to measure")
    config = ModelConfig.from_hf(SHAPE_7B)
    figures = list(figures_of(config, options.precision, options.context, options.num_repeats))
    for figure in figures:
        print(
            f"{figure.name:30} {figure.value:10.2f} {figure.unit}  [{figure.low:.2f}, {figure.high:.2f}]"
        )
    if options.dry_run:
        return
    settings = {
        "shape": "Qwen2.5-Coder-7B, random weights",
        "gpu": torch.cuda.get_device_name(),
        "precision": str(options.precision),
        "context": options.context,
    }
    write_result("engine_cuda", figures, num_threads=torch.get_num_threads(), settings=settings)


if __name__ == "__main__":
    main()
