"""Prefill and decode speed of fimble's decoder against transformers and llama.cpp.

Each engine lives in a process of its own; they are measured in turn, one at a time, round after
round, on the same tokens of real source code with the same number of threads. A ratio compares
neighbours of the same round, so a slow minute of the machine hits both.

    python -m benchmarks.engine --llama-python PYTHON

llama.cpp is compared at the fastest of its quantisations, chosen separately for each measurement:
the file as given and those that llama.cpp makes from it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.engine_workers.serve import PASS_WIDTHS
from benchmarks.figures import Figure, ratio_figure, timing_figure
from benchmarks.results import ROOT, write_result
from models.loader import default_cache_dir, downloads_folder, load_model
from models.registry import DEFAULT_MODEL, registered_models
from models.sources.packaged import gguf_path

CONTEXTS = (128, 512, 2048)
LLAMA_FILE_TYPES = ("q4_0", "q4_1", "q4_k_s", "iq4_nl", "q8_0", "f16")
SOURCE_FILE = "argparse.py"  # of the standard library: long, plain, read by everyone

Samples = dict[tuple[str, str], list[float]]  # (engine, measurement) -> milliseconds per round


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How to start one engine."""

    name: str
    command: tuple[str, ...]
    max_num_rounds: int


class EngineProcess:
    """A running engine."""

    def __init__(self, spec: EngineSpec, num_threads: int) -> None:
        command = [*spec.command, "--num-threads", str(num_threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(num_threads)}
        self._name = spec.name
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read()

    def measure(self, context: Sequence[int], following: Sequence[int]) -> dict[str, list[float]]:
        """Return milliseconds per kind of work, see ``engine_workers.serve.measure``."""
        request = json.dumps({"context": list(context), "following": list(following)})
        print(request, file=_pipe(self._process.stdin), flush=True)
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, list[float]]:
        line = _pipe(self._process.stdout).readline()
        if not line:
            _, stderr = self._process.communicate()
            raise RuntimeError(f"engine {self._name} ended:\n{stderr[-2000:]}")
        answer: dict[str, list[float]] = json.loads(line)
        return answer


def engine_specs(options: argparse.Namespace) -> list[EngineSpec]:
    """Return the engines to compare, fimble first."""
    ours = (sys.executable, "-m", "benchmarks.engine_workers.fimble", "--model", options.model)
    specs = [
        EngineSpec(
            f"fimble_{precision}",
            (*ours, "--device", options.device, "--precision", precision),
            options.num_rounds,
        )
        for precision in options.precisions
    ]
    if options.compile:
        specs.append(EngineSpec("fimble_compiled", (*ours, "--compile"), options.num_rounds))
    theirs = (sys.executable, "-m", "benchmarks.engine_workers.transformers_eager")
    for dtype in ("float32", "bfloat16") if options.num_slow_rounds else ():
        what = ("--model", str(options.gguf), "--dtype", dtype, "--device", options.device)
        specs.append(EngineSpec(f"transformers_{dtype}", (*theirs, *what), options.num_slow_rounds))
    return [*specs, *llama_specs(options)]


def llama_specs(options: argparse.Namespace) -> list[EngineSpec]:
    """Return one engine per quantisation, made now if it is not in the work folder yet."""
    if options.llama_python is None:
        return []
    worker = (options.llama_python, "-m", "benchmarks.engine_workers.llama")
    gpu_layers = "999" if options.device == "cuda" else "0"
    specs = []
    for file_type in ("as_given", *options.llama_file_types):
        model = options.gguf
        if file_type != "as_given":
            options.work.mkdir(parents=True, exist_ok=True)
            model = options.work / f"{options.gguf.stem}-{file_type}.gguf"
        if not model.exists():
            make = ("--quantise", file_type, "--target", str(model), "--num-threads", "1")
            subprocess.run(
                [*worker, "--model", str(options.gguf), *make],
                cwd=ROOT, check=True, capture_output=True,
            )  # fmt: skip
        command = (*worker, "--model", str(model), "--num-gpu-layers", gpu_layers)
        specs.append(EngineSpec(f"llamacpp_{file_type}", command, options.num_rounds))
    return specs


def measure_in_turn(
    specs: Sequence[EngineSpec], token_ids: Sequence[int], options: argparse.Namespace
) -> Samples:
    """Return milliseconds for every engine and measurement, one value per round."""
    samples: Samples = defaultdict(list)
    engines: list[tuple[EngineSpec, EngineProcess]] = []
    try:
        for spec in specs:
            print(f"starting {spec.name}", file=sys.stderr)
            engines.append((spec, EngineProcess(spec, options.num_threads)))
        for _, engine in engines:
            engine.measure(token_ids[:64], token_ids[64:72])  # warm up, not recorded
        for round_idx in range(options.num_rounds):
            for num_tokens in options.contexts:
                for spec, engine in engines:
                    if round_idx >= spec.max_num_rounds:
                        continue
                    following = token_ids[num_tokens : num_tokens + max(PASS_WIDTHS)]
                    timings = engine.measure(token_ids[:num_tokens], following)
                    for kind, values in timings.items():
                        median = statistics.median(values)
                        samples[spec.name, f"{kind}_{num_tokens}"].append(median)
                    _show(round_idx, spec.name, num_tokens, timings)
    finally:
        for _, engine in engines:
            engine.close()
    return samples


def figures_of(samples: Samples, main_engine: str, contexts: Sequence[int]) -> list[Figure]:
    """Return the times of every engine, and fimble's ratios to the fastest llama.cpp."""
    figures = [
        timing_figure(f"{engine}_{measurement}_ms", values)
        for (engine, measurement), values in samples.items()
    ]
    fastest = fastest_rivals(samples)
    for num_tokens in contexts:
        one = samples[main_engine, f"pass_1_{num_tokens}"]
        eight = samples[main_engine, f"pass_8_{num_tokens}"]
        figures.append(ratio_figure(f"pass_8_over_pass_1_at_{num_tokens}", eight, one))
        for label, kind in (("prefill", "prefill"), ("decode", "pass_1"), ("pass_8", "pass_8")):
            measurement = f"{kind}_{num_tokens}"
            if measurement not in fastest:
                continue
            theirs = samples[fastest[measurement], measurement]
            for engine, suffix in ((main_engine, ""), ("fimble_compiled", "_compiled")):
                if (engine, measurement) in samples:
                    name = f"{label}_{num_tokens}_speed_vs_llamacpp{suffix}"
                    figures.append(ratio_figure(name, theirs, samples[engine, measurement]))
    return figures


def fastest_rivals(samples: Samples) -> Mapping[str, str]:
    """Return the fastest llama.cpp quantisation per measurement."""
    found: dict[str, str] = {}
    for name, measurement in samples:
        if "llama" not in name:
            continue
        best = found.get(measurement, name)
        if _median(samples, name, measurement) <= _median(samples, best, measurement):
            found[measurement] = name
    return found


def downloaded_gguf() -> Path:
    """Return the default model's file, which fimble keeps beside the converted one."""
    model = registered_models()[DEFAULT_MODEL]
    return gguf_path(model, downloads_folder(default_cache_dir(), model))


def parse_options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path of fimble's model")
    parser.add_argument(
        "--gguf", type=Path, default=downloaded_gguf(), help="the same weights for the others"
    )
    parser.add_argument("--llama-python", help="interpreter that has llama-cpp-python")
    parser.add_argument("--llama-file-types", nargs="*", default=list(LLAMA_FILE_TYPES))
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/fimble-benchmarks")
    parser.add_argument(
        "--precisions",
        nargs="+",
        help="the first is compared; int8 and int4 on a CPU, bf16 and int8 on CUDA if left out",
    )
    parser.add_argument("--compile", action="store_true", help="measure torch.compile as well")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--contexts", type=int, nargs="+", default=list(CONTEXTS))
    parser.add_argument("--num-threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--num-rounds", type=int, default=5)
    parser.add_argument(
        "--num-slow-rounds", type=int, default=2, help="rounds of transformers, 0 for none"
    )
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    if options.precisions is None:
        options.precisions = ["int8", "int4"] if options.device == "cpu" else ["bf16", "int8"]
    return options


def main() -> None:
    """Measure and write ``engine.json``."""
    options = parse_options()
    text = Path(sysconfig.get_path("stdlib"), SOURCE_FILE).read_text(encoding="utf-8")
    token_ids = load_model(options.model, allow_network=False).tokenizer.encode(text)
    samples = measure_in_turn(engine_specs(options), token_ids, options)
    figures = figures_of(samples, f"fimble_{options.precisions[0]}", options.contexts)
    for figure in figures:
        print(
            f"{figure.name:60} {figure.value:10.2f} {figure.unit}  [{figure.low:.2f}, {figure.high:.2f}]"
        )
    if options.dry_run:
        return
    settings = {
        "model": options.model,
        "device": options.device,
        "tokens": f"{SOURCE_FILE} of the standard library",
        "num_rounds": options.num_rounds,
        "fastest_llamacpp": fastest_rivals(samples),
    }
    benchmark = "engine" if options.device == "cpu" else "engine_on_cuda"
    write_result(
        benchmark,
        figures,
        num_threads=options.num_threads,
        settings=settings,
        notes=["Times are medians over rounds; a ratio above 1 means that fimble is faster."],
    )


def _median(samples: Samples, engine: str, measurement: str) -> float:
    return statistics.median(samples[engine, measurement])


def _show(round_idx: int, name: str, num_tokens: int, timings: dict[str, list[float]]) -> None:
    medians = ", ".join(f"{kind} {statistics.median(ms):.1f} ms" for kind, ms in timings.items())
    print(f"round {round_idx + 1}: {name} at {num_tokens}: {medians}", file=sys.stderr)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


if __name__ == "__main__":
    main()
