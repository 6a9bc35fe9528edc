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
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import Figure, share_figure, timing_figure
from benchmarks.results import ROOT, write_result
from completion.types import Cancelled, CompletionOutcome, NoSuggestion, Suggestion
from lsp_server.api import Completer
from lsp_server.settings import Settings
from models.loader import load_model
from models.registry import DEFAULT_MODEL

NUM_REST_RUNS = 2
NUM_COLD_TOKENS = 2_000
HOLE = "def greet(name: str) -> str:\n    return "


@dataclass(frozen=True, slots=True)
class ColdRun:
    """One process from start to exit."""

    wall_s: float
    decode_s: float
    resident_gb: float


def run_complete(cursor: str, model: str) -> ColdRun:
    """Run ``fimble complete`` on ``cursor`` in a new process and follow its memory.

    Raises:
        RuntimeError: If it ends with an error rather than an outcome.
    """
    started = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-I", "-m", "lsp_server", "complete", cursor, "--json", "--standalone", "--model", model],
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
    timings = json.loads(stdout)["timings_ms"]
    return ColdRun(
        wall_s=wall_s,
        decode_s=timings["decode"] / 1000,
        resident_gb=peak / 1e9,
    )


def cold_files(folder: Path, model: str, count: int) -> list[Path]:
    """Write files of 2,000 tokens, each the head of another module of the standard library."""
    tokenizer = load_model(model, allow_network=False).tokenizer
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


def middle_of(path: Path) -> tuple[int, int]:
    """Return line and column, from 1, behind the indentation of a line near the middle."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number in range(len(lines) // 2, len(lines)):
        indent = len(lines[number]) - len(lines[number].lstrip())
        if lines[number].strip() and indent:
            return number + 1, indent + 1
    raise ValueError(f"{path.name} has no indented line in its second half")


def measure_start(folder: Path, model: str, num_runs: int) -> tuple[list[Figure], list[Figure]]:
    """Return the figures of start-up, and those of memory."""
    hole = folder / "hole.py"
    hole.write_text(HOLE + "\n", encoding="utf-8")
    runs = [run_complete(f"{hole}:2:12", model) for _ in range(num_runs + 1)][
        1:
    ]  # first warms the disk
    start = [
        timing_figure("cold_process_before_decoding_s", [r.wall_s - r.decode_s for r in runs], "s"),
        timing_figure("cold_process_total_s", [run.wall_s for run in runs], "s"),
    ]
    memory = [timing_figure("resident_after_completion_gb", [r.resident_gb for r in runs], "GB")]
    return start, memory


def measure_rest(folder: Path, model: str) -> Figure:
    """Return the memory of a server at rest that has completed in a file of 2,000 tokens."""
    path = cold_files(folder, model, 1)[0]
    line, column = middle_of(path)
    command = [
        sys.executable,
        "-m",
        "benchmarks.resident",
        model,
        str(path),
        str(line),
        str(column),
    ]
    samples = []
    for _ in range(NUM_REST_RUNS):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        samples.append(int(done.stdout) / 1e9)
    return timing_figure("resident_at_rest_gb", samples, "GB")


def measure_deadline(
    folder: Path, model: str, num_files: int, deadline_ms: float
) -> tuple[list[Figure], list[str]]:
    """Return how often a file that was never seen shows something at its deadline, and the ends.

    One process asks for all files, as a server does; the first request is the first since loading.
    """
    outcomes: list[CompletionOutcome] = []
    totals_ms: list[float] = []
    with Completer(model) as completer:
        completer.load()
        for path in cold_files(folder, model, num_files):
            line, column = middle_of(path)
            started = time.perf_counter()
            outcomes.append(completer.complete(path, line, column, deadline_ms=deadline_ms))
            totals_ms.append((time.perf_counter() - started) * 1000)
    num_shown = sum(isinstance(outcome, Suggestion) for outcome in outcomes)
    figures = [
        share_figure("cold_file_shown", num_shown, len(outcomes)),
        timing_figure("cold_file_overrun_ms", [max(0.0, ms - deadline_ms) for ms in totals_ms]),
        timing_figure("cold_file_total_ms", totals_ms),
    ]
    return figures, [f"{n} cold files: {end}" for end, n in Counter(map(end_of, outcomes)).items()]


def end_of(outcome: CompletionOutcome) -> str:
    """Return how an outcome came about, in a word or two."""
    match outcome:
        case Suggestion():
            return f"shown, finished by {outcome.finish_reason}"
        case NoSuggestion():
            return f"nothing, {outcome.reason}"
        case Cancelled():
            return "cancelled"


def main() -> None:
    """Measure and write ``startup.json`` and ``memory.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--num-runs", type=int, default=7)
    parser.add_argument("--num-files", type=int, default=10)
    parser.add_argument("--deadline-ms", type=float, default=Settings().completion.deadline_ms)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        start, memory = measure_start(Path(name), options.model, options.num_runs)
        memory.append(measure_rest(Path(name), options.model))
        deadline, notes = measure_deadline(
            Path(name), options.model, options.num_files, options.deadline_ms
        )
        start += deadline
    for figure in (*start, *memory):
        print(
            f"{figure.name:40} {figure.value:10.2f} {figure.unit}  [{figure.low:.2f}, {figure.high:.2f}]"
        )
    print("\n".join(notes))
    if options.dry_run:
        return
    settings = {"model": options.model, "deadline_ms": options.deadline_ms}
    num_threads = os.cpu_count() or 1
    write_result("startup", start, num_threads=num_threads, settings=settings, notes=notes)
    write_result("memory", memory, num_threads=num_threads, settings=settings)


if __name__ == "__main__":
    main()
