"""Runs the benchmarks one after the other; ``make bench``.

What needs data or an engine that fimble does not install runs only when it is told where to find it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys


def commands(options: argparse.Namespace) -> list[list[str]]:
    """Return the benchmarks to run as module names with their arguments."""
    found = [["startup"], ["cancel"], ["soak"], ["fuzz_lsp"], ["quality"]]
    if options.llama_python is not None:
        found.append(["engine", "--llama-python", options.llama_python])
    if options.data is not None:
        found.append(["humaneval", "--data", options.data, "--work", options.work])
    return found


def main() -> int:
    """Run them and return 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--llama-python", help="interpreter that has llama-cpp-python")
    parser.add_argument("--data", help="folder with the HumanEval-Infilling files")
    parser.add_argument("--work", help="folder for finished tasks, so that a run can be resumed")
    options = parser.parse_args()
    if (options.data is None) != (options.work is None):
        parser.error("--data and --work belong together")
    failed = [
        command[0]
        for command in commands(options)
        if subprocess.run(
            [sys.executable, "-m", f"benchmarks.{command[0]}", *command[1:]]
        ).returncode
    ]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
