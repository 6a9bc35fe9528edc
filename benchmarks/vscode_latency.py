"""From a key to painted ghost text in VS Code, beside the server's own time for the same request.

    python -m benchmarks.vscode_latency [-n 60] [--dry-run]

The page's own clock notes when a key goes down and when the frame with ghost text has been painted.
The server's time is that of its explanation. What is left between them is VS Code's own waiting of
50 ms, its extension host, the pipe, and painting; in a browser without a window and without a GPU.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.figures import Figure, bootstrap_bounds, timing_figure
from benchmarks.results import write_result
from benchmarks.vscode_workbench import FIMBLE, VSCode, package_extension

FILE = "shapes.py"
# What VS Code waits behind a key before it asks.
CLIENT_DEBOUNCE_MS = 50.0
SIDES = ("width", "height", "depth", "margin", "radius", "border", "indent", "length")
# A person's settings but for two: a key without ghost text measures nothing.
SETTINGS: dict[str, str | int | float] = {
    "fimble.completion.deadline_ms": 10_000,
    "fimble.engine.min_confidence": 0,
}


def source(num_functions: int, seed: int) -> tuple[str, list[dict[str, object]]]:
    """Return a file, and where to type what in it.

    The first key of each place is one that nothing was ever asked about; the second goes on with
    what is then shown.
    """
    rng = random.Random(seed)
    lines: list[str] = []
    trials: list[dict[str, object]] = []
    for number in range(num_functions):
        first, second = rng.sample(SIDES, 2)
        lines += [f"def area_{number}({first}, {second}):", f"    return {first} * {second[0]}", ""]
        trials.append({"line": len(lines) - 1, "keys": second[1:3]})
    return "\n".join(lines), trials


def measure(num_trials: int, seed: int) -> list[dict[str, Any]]:
    """Return of each key how long it took, what was shown and what the server says of it."""
    with tempfile.TemporaryDirectory(prefix="fimble-latency-") as folder:
        home = Path(folder)
        code = VSCode(home, SETTINGS)
        text, trials = source(num_trials, seed)
        (code.workspace / FILE).write_text(text, encoding="utf-8")
        code.install(package_extension(home))
        with code.serve() as address:
            task = {
                "file": FILE,
                "trials": trials,
                "whyCommand": [*FIMBLE, "why", "--json"],
                "environment": code.environment,
            }
            url = f"http://{address}/?folder={code.workspace}"
            seen: list[dict[str, Any]] = code.drive(
                "latency.mjs", url, task, timeout_s=120 + 15 * num_trials
            )
    return seen


def figures(seen: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return the percentiles of the keys that were answered, and how many were not.

    ``written`` are those for which the model was asked, ``all`` also those that went on with a
    suggestion in view.
    """
    timed = [each for each in seen if each["ms"] is not None and each["server"] is not None]
    written = [each for each in timed if each["source"] == "engine"]
    found: list[Figure] = []
    for kind, keys in (("written", written), ("all", timed)):
        painted = [each["ms"] for each in keys]
        server = [each["server"]["total"] for each in keys]
        above = [ms - total - CLIENT_DEBOUNCE_MS for ms, total in zip(painted, server, strict=True)]
        for name, samples in (
            ("key_to_paint", painted),
            ("server", server),
            ("above_server_and_debounce", above),
        ):
            found.append(timing_figure(f"{kind}_{name}_p50_ms", samples))
            found.append(p95_figure(f"{kind}_{name}_p95_ms", samples))
    unanswered = float(len(seen) - len(timed))
    found.append(timing_figure("keys_without_ghost_text", [unanswered], "keys"))
    return found


def p95_figure(name: str, samples: Sequence[float]) -> Figure:
    """Return the 95th percentile with a bootstrap interval."""
    low, high = bootstrap_bounds(samples, p95)
    return Figure(
        name,
        p95(samples),
        "ms",
        len(samples),
        statistics.median(samples),
        low,
        high,
        "bootstrap 95 %",
    )


def p95(samples: Sequence[float]) -> float:
    """Return the smallest sample that 95 % do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, -(-95 * len(ordered) // 100) - 1)]


def main() -> None:
    """Measure and write ``vscode_latency.json``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vscode_latency", description=__doc__
    )
    parser.add_argument("-n", "--num-trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    seen = measure(options.num_trials, options.seed)
    if options.dry_run:
        for each in seen:
            print(each)
    measured = figures(seen)
    for figure in measured:
        print(f"{figure.name:40} {figure.value:8.1f} {figure.unit} n={figure.n}")
    if not options.dry_run:
        settings = {"num_trials": options.num_trials, "seed": options.seed, **SETTINGS}
        write_result(
            "vscode_latency", measured, num_threads=torch.get_num_threads(), settings=settings
        )


if __name__ == "__main__":
    main()
