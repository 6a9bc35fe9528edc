"""Random networks of published shapes, and random text for them: for latency, nothing else.

How long a pass takes does not depend on what the weights say. So a GPU can measure the shapes of the
paper without their weights, and without any text.
"""

from __future__ import annotations

import random
from typing import Any

from benchmarks.engine_cuda import random_weights
from benchmarks.left_to_right_edits import EditKind, edits_towards, undone
from benchmarks.left_to_right_policies import TokenCase
from kvedit.patch import PatchTarget
from models.config import ModelConfig
from models.decoder import Decoder
from models.quantize import Precision

NUM_LINE_TOKENS = (4, 16)  # code has 10 tokens a line
NUM_WORDS = 1_000  # few, so that names come again
NUM_LINES_BEHIND = 5  # the last edit: 16 tokens at least
_NEWLINE_ID = 0
# Guo et al. 2024, arXiv:2401.14196, table 2, and the models' published configurations.
_COMMON = {
    "model_type": "llama",
    "hidden_act": "silu",
    "max_position_embeddings": 16384,
    "rms_norm_eps": 1e-6,
    "rope_scaling": {"type": "linear", "factor": 4.0},
    "rope_theta": 100_000,
    "tie_word_embeddings": False,
    "vocab_size": 32256,
}


def _shape(hidden: int, inner: int, layers: int, heads: int, kv_heads: int) -> dict[str, Any]:
    return {
        **_COMMON,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


SHAPES = {
    "deepseek-coder-1.3b": _shape(2048, 5504, 24, 16, 16),
    "deepseek-coder-6.7b": _shape(4096, 11008, 32, 32, 32),
    "deepseek-coder-33b": _shape(7168, 19200, 62, 56, 8),
}


def random_decoder(shape: str) -> Decoder:
    """Return a network of that name's shape in bf16, on the GPU."""
    config = ModelConfig.from_hf(SHAPES[shape])
    return Decoder(config, random_weights(config, Precision.BF16), "cuda", Precision.BF16)


def spell(token_id: int) -> bytes:
    """Return what a token of the random text says: a name or a line break."""
    return b"\n" if token_id == _NEWLINE_ID else b" name%d" % token_id


def random_cases(kind: EditKind, seed: int, count: int, num_context: int) -> list[TokenCase]:
    """Return ``count`` edits of random lines, made as those of real ones are."""
    return [_random_case(kind, f"{seed}/{kind}/{idx}", num_context) for idx in range(count)]


def _random_case(kind: EditKind, name: str, num_context: int) -> TokenCase:
    rng = random.Random(name)
    after: list[str] = []
    left = num_context
    while left > 0:
        after.append(_line(rng, min(left, rng.randint(*NUM_LINE_TOKENS))))
        left -= len(after[-1].split())
    editable = after[:-NUM_LINES_BEHIND]
    edits = edits_towards(editable, kind, lambda num_lines: _lines(rng, num_lines), rng)
    return TokenCase(
        case_id=f"random/{name}",
        kind=kind,
        num_context=num_context,
        before=PatchTarget(_token_ids("".join(undone(after, edits)))),
        after=PatchTarget(_token_ids("".join(after))),
    )


def _lines(rng: random.Random, num_lines: int) -> list[str]:
    return [_line(rng, rng.randint(*NUM_LINE_TOKENS)) for _ in range(num_lines)]


def _line(rng: random.Random, num_tokens: int) -> str:
    """Return the ids of a line, the last of which is its line break."""
    words = [str(rng.randrange(1, NUM_WORDS)) for _ in range(num_tokens - 1)]
    return " ".join([*words, f"{_NEWLINE_ID}\n"])


def _token_ids(text: str) -> list[int]:
    return [int(word) for word in text.split()]
