"""Processors that lack instructions, forced with the switches that torch and oneDNN offer."""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from typing import Any

import pytest
import torch

IS_X86 = platform.machine().lower() in {"x86_64", "amd64"}
OLDER_PROCESSORS = {
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "AVX2, torch's own kernels only": {"ATEN_CPU_CAPABILITY": "avx2"},
    "no AVX": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    "no AVX, torch's own kernels only": {"ATEN_CPU_CAPABILITY": "default"},
}

# Runs where the switches are read: in a process of its own, before torch is imported.
REPORT = """
import json, sys
import torch
from models.config import ModelConfig
from models.decoder import Decoder
from models.kernels import detect_int8_kernels, packed_product, plain_product
from models.quantize import Precision, encode_tensor
from models.layout import canonical_tensors
from models.slots import SlotTable

torch.set_num_threads(1)
shape = {
    "model_type": "qwen2", "vocab_size": 96, "hidden_size": 64, "intermediate_size": 160,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 64, "tie_word_embeddings": True,
}
config = ModelConfig.from_hf(shape)
drawn = torch.Generator().manual_seed(5)
sizes = {"q_proj": (64, 64), "k_proj": (32, 64), "v_proj": (32, 64), "o_proj": (64, 64),
         "gate_proj": (160, 64), "up_proj": (160, 64), "down_proj": (64, 160),
         "embed_tokens": (96, 64)}

def tensor(name):
    part = name.split(".")[-2]
    if "norm" in part:
        return torch.ones(64)
    rows, columns = sizes[part]
    shape = (rows,) if name.endswith("bias") else (rows, columns)
    return torch.randn(*shape, generator=drawn) * 0.2

def logits(precision):
    drawn.manual_seed(5)
    weights = {}
    for name, value in canonical_tensors(config, tensor):
        weights.update(encode_tensor(name, value, precision))
    decoder = Decoder(config, weights, "cpu", precision)
    pool = decoder.new_pool(64)
    table, rows = SlotTable(pool, 60), []
    for chunk in ([3, 14, 15, 92, 65, 35, 89, 79], [32, 38, 46, 26], [43], [38]):
        rows.append(decoder.logits(decoder.forward(table.stage(chunk), pool)))
        table.commit()
        decoder.pack()
    return torch.cat(rows).tolist()

def is_exact(make, zero_point):
    weight = torch.randint(-127, 128, (80, 320), generator=drawn, dtype=torch.int8)
    weight[::3] = 127
    weight[1::3] = -127
    codes = torch.randint(1, 2 * zero_point, (16, 320), generator=drawn).to(torch.uint8)
    codes[::4] = 2 * zero_point - 1
    codes[1::4] = 1
    wanted = ((codes.long() - zero_point) @ weight.long().t()).float()
    product = make(weight, torch.ones(80), zero_point)
    return all(torch.equal(product(codes[:n]), wanted[:n]) for n in (1, 2, 5, 16))

found = detect_int8_kernels()
claims = []
if found is not None:
    claims += [is_exact(plain_product, found.zero_point)] if found.has_plain else []
    claims += [is_exact(packed_product, found.zero_point)] if found.has_packed else []
sys.stdout.write(json.dumps({
    "capability": torch.backends.cpu.get_cpu_capability(),
    "kernels": None if found is None else [found.max_activation, found.has_plain, found.has_packed],
    "claims": claims,
    "float32": logits(Precision.FLOAT32),
    "int8": logits(Precision.INT8),
}))
"""


@functools.cache
def report(processor: str | None) -> dict[str, Any]:
    """Return what a process finds and computes on that processor, None for this one as it is."""
    switches = OLDER_PROCESSORS[processor] if processor else {}
    names = {"ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env=environment | switches,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def relative_error(actual: list[list[float]], expected: list[list[float]]) -> float:
    wanted = torch.tensor(expected)
    return float((torch.tensor(actual) - wanted).norm() / wanted.norm())


def check(found: dict[str, Any]) -> None:
    """Kernels that are claimed are exact, and with or without them int8 stays near float32."""
    assert found["kernels"] is None or found["claims"]
    assert all(found["claims"]), found["kernels"]
    assert relative_error(found["int8"], found["float32"]) < tolerance(found)


def tolerance(found: dict[str, Any]) -> float:
    """Codes of seven bits err twice as much as those of eight; a sum that overflows errs by 1."""
    is_seven_bit = found["kernels"] is not None and found["kernels"][0] < 127
    return 0.1 if is_seven_bit else 0.05


def test_this_processor_computes_what_it_claims() -> None:
    check(report(None))


@pytest.mark.skipif(not IS_X86, reason="the switches name x86 instructions")
@pytest.mark.parametrize("processor", OLDER_PROCESSORS)
def test_an_older_processor_computes_nearly_the_same(processor: str) -> None:
    found, here = report(processor), report(None)
    wanted = OLDER_PROCESSORS[processor]["ATEN_CPU_CAPABILITY"].upper()
    assert found["capability"] == wanted, "the switch did nothing"
    check(found)
    torch.testing.assert_close(
        torch.tensor(found["float32"]), torch.tensor(here["float32"]), atol=1e-4, rtol=0
    )
    assert relative_error(found["int8"], here["int8"]) < tolerance(found)
