"""Start-up of the command line, a cold file at its deadline, and resident memory.

    python -m benchmarks.startup

Each run is a new process with the model already converted in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import Figure, share_figure, timing_figure
from benchmarks.results import ROOT, write_result
from models.loader import load_model
from models.registry import DEFAULT_MODEL

NUM_COLD_TOKENS = 2_000
HOLE = "def greet(name: str) -> str:\n    return "


@dataclass(frozen=True, slots=True)
class ColdRun:
    """One process from start to exit."""

    wall_s: float
    decode_s: float
    resident_gb: float
    shown: bool
    total_ms: float
    finish_reason: str


def run_complete(cursor: str, *flags: str) -> ColdRun:
    """Run ``fimble complete`` on ``cursor`` in a new process and follow its memory.

    Raises:
        RuntimeError: If it ends with an error rather than an outcome.
    """
    started = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-I", "-m", "lsp_server", "complete", cursor, "--json", "--standalone", *flags],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    stdout, stderr = process.communicate()
    wall_s = time.perf_counter() - started
    if process.returncode not in (0, 3):
        raise RuntimeError(f"fimble complete ended with {process.returncode}: {stderr}")
    answer = json.loads(stdout)
    timings = answer["timings_ms"]
    return ColdRun(
        wall_s=wall_s,
        decode_s=timings["decode"] / 1000,
        resident_gb=peak / 1e9,
        shown=answer["outcome"] == "suggestion",
        total_ms=timings["total"],
        finish_reason=answer["finish_reason"] or answer["reason"] or "",
    )


def cold_files(folder: Path, count: int) -> list[Path]:
    """Write files of 2,000 tokens, each the head of another module of the standard library."""
    tokenizer = load_model(DEFAULT_MODEL, allow_network=False).tokenizer
    found: list[Path] = []
    for source in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        token_ids = tokenizer.encode(source.read_text(encoding="utf-8", errors="replace"))
        if len(token_ids) < NUM_COLD_TOKENS:
            continue
        head = tokenizer.decode(token_ids[:NUM_COLD_TOKENS])
        target = folder / source.name
        target.write_text(head, encoding="utf-8")
        found.append(target)
        if len(found) == count:
            break
    return found


def middle_of(path: Path) -> str:
    """Return the ``PATH:LINE:COL`` behind the first word of a line near the middle."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number in range(len(lines) // 2, len(lines)):
        line = lines[number]
        if line.strip() and line.lstrip() != line:
            indent = len(line) - len(line.lstrip())
            return f"{path}:{number + 1}:{indent + 1}"
    raise ValueError(f"{path.name} has no indented line in its second half")


def measure_start(folder: Path, num_runs: int) -> tuple[list[Figure], list[Figure]]:
    """Return the figures of start-up, and those of memory."""
    hole = folder / "hole.py"
    hole.write_text(HOLE + "\n", encoding="utf-8")
    runs = [run_complete(f"{hole}:2:12") for _ in range(num_runs + 1)][1:]  # first warms the disk
    start = [
        timing_figure("cold_process_before_decoding_s", [r.wall_s - r.decode_s for r in runs], "s"),
        timing_figure("cold_process_total_s", [run.wall_s for run in runs], "s"),
    ]
    memory = [timing_figure("resident_after_completion_gb", [r.resident_gb for r in runs], "GB")]
    return start, memory


def measure_deadline(folder: Path, num_files: int, deadline_ms: float) -> list[Figure]:
    """Return how often a cold file shows something at its deadline, and how late."""
    runs = [
        run_complete(middle_of(path), "--deadline-ms", f"{deadline_ms:g}")
        for path in cold_files(folder, num_files)
    ]
    overruns = [max(0.0, run.total_ms - deadline_ms) for run in runs]
    return [
        share_figure("cold_file_shown", sum(run.shown for run in runs), len(runs)),
        timing_figure("cold_file_overrun_ms", overruns),
        timing_figure("cold_file_total_ms", [run.total_ms for run in runs]),
    ]


def main() -> None:
    """Measure and write ``startup.json`` and ``memory.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--num-runs", type=int, default=7)
    parser.add_argument("--num-files", type=int, default=10)
    parser.add_argument("--deadline-ms", type=float, default=2_000.0)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        start, memory = measure_start(Path(name), options.num_runs)
        start += measure_deadline(Path(name), options.num_files, options.deadline_ms)
    for figure in (*start, *memory):
        print(
            f"{figure.name:40} {figure.value:10.2f} {figure.unit}  [{figure.low:.2f}, {figure.high:.2f}]"
        )
    if options.dry_run:
        return
    settings = {"model": DEFAULT_MODEL, "deadline_ms": options.deadline_ms}
    num_threads = os.cpu_count() or 1
    write_result("startup", start, num_threads=num_threads, settings=settings)
    write_result("memory", memory, num_threads=num_threads, settings=settings)


if __name__ == "__main__":
    main()
