"""What a busy neighbour costs: prefill and decoding beside a process that never rests.

    python -m benchmarks.busy_machine

Each way of waiting runs in a process of its own: alone, beside a loop of the same priority, and
beside one that was started with `nice`, as people start long builds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import torch

from benchmarks.figures import Figure, timing_figure
from benchmarks.results import write_result
from models.loader import load_model
from models.slots import SlotTable

NUM_TOKENS, NUM_STEPS = 512, 10
WAYS = {
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE"},
    "fimble": {},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
}


NEIGHBOURS = {"quiet": None, "busy": 0, "background": 10}  # and their niceness


def measure(num_rounds: int) -> dict[str, list[float]]:
    """Return seconds of a prefill and milliseconds of a decode step, of each round."""
    model = load_model("default")
    pool = model.decoder.new_pool(NUM_TOKENS + NUM_STEPS + 1)
    table = SlotTable(pool, NUM_TOKENS + NUM_STEPS)
    token_ids = [7919 * at % 50_000 for at in range(NUM_TOKENS)]
    found: dict[str, list[float]] = {"prefill_s": [], "step_ms": []}
    for _ in range(num_rounds + 1):
        table.truncate(0)
        started = time.perf_counter()
        model.decoder.forward(table.stage(token_ids), pool)
        table.commit()
        prefilled = time.perf_counter()
        for _ in range(NUM_STEPS):
            model.decoder.forward(table.stage([5]), pool)
            table.commit()
        found["prefill_s"].append(prefilled - started)
        found["step_ms"].append((time.perf_counter() - prefilled) / NUM_STEPS * 1000)
    return {name: values[1:] for name, values in found.items()}  # the first round warms up


def measured_in_process(way: str, num_rounds: int) -> dict[str, list[float]]:
    """Return what ``measure`` finds in a process that waits in that way."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.busy_machine", "--worker", "--rounds", str(num_rounds)],
        env={**kept, **WAYS[way]},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure every way on a quiet and on a busy machine."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments.rounds)))
        return
    figures: list[Figure] = []
    for neighbour, niceness in NEIGHBOURS.items():
        loop = ["nice", "-n", str(niceness), sys.executable, "-c", "while True: pass"]
        busy = subprocess.Popen(loop) if niceness is not None else None
        try:
            for way in WAYS:
                found = measured_in_process(way, arguments.rounds)
                for name, values in found.items():
                    unit = name.rpartition("_")[2]
                    figures.append(timing_figure(f"{neighbour}_{way}_{name}", values, unit))
                    print(f"{neighbour} {way} {name}: {figures[-1].value:.2f}", flush=True)
        finally:
            if busy is not None:
                busy.kill()
                busy.wait()
    write_result(
        "busy_machine",
        figures,
        num_threads=torch.get_num_threads(),
        settings={"model": "default", "num_tokens": NUM_TOKENS, "num_steps": NUM_STEPS},
    )


if __name__ == "__main__":
    main()
