"""How long training takes from nothing: the exit head, and the controller of stops.

    python -m benchmarks.training --work FOLDER

The default model's, with every setting of ``fimble train``. Each part begins in an empty folder, so
that nothing of an interrupted run is taken over; what is trained is thrown away.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from benchmarks.figures import timing_figure
from benchmarks.kv_policies import use_threads
from benchmarks.results import write_result
from completion.training.exit_training import train_exit
from completion.training.stop_training import train_stop
from lsp_server.progress_bar import ProgressPrinter
from models.loader import load_model
from models.registry import DEFAULT_MODEL
from models.threads import in_own_thread

TRAINERS = {"exit": train_exit, "stop": train_stop}


def seconds_of(part: str, work: Path, seed: int) -> float:
    """Return how long training ``part`` takes, the loading of the model not counted."""
    folder = work / part
    shutil.rmtree(folder, ignore_errors=True)
    model = in_own_thread(lambda: load_model(DEFAULT_MODEL))
    with ProgressPrinter(sys.stderr) as printer:
        started = time.perf_counter()
        TRAINERS[part](model, folder, printer.show, seed)
        seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def main() -> None:
    """Train, and write how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for what is computed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="write no result")
    arguments = parser.parse_args()
    num_threads = use_threads(arguments.threads)
    figures = [
        timing_figure(f"{part}_min", [seconds_of(part, arguments.work, arguments.seed) / 60], "min")
        for part in TRAINERS
    ]
    for figure in figures:
        print(figure)
    if not arguments.dry_run:
        settings = {"model": DEFAULT_MODEL, "seed": arguments.seed}
        write_result("training", figures, num_threads=num_threads, settings=settings)


if __name__ == "__main__":
    main()
