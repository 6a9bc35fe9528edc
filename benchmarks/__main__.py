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
    found += [["kv_steps"], ["busy_machine"]]
    if options.llama_python is not None:
        found.append(["engine", "--llama-python", options.llama_python])
    if options.data is not None:
        found.append(["humaneval", "--data", options.data, "--work", options.work])
    if options.edits is not None:
        kept = ["--work", options.work]
        archives = ["--cache", options.archives, *kept]
        found += [["kv_edit", "--data", options.edits, *archives], ["kv_edit", *kept, "--report"]]
        found += [["left_to_right", *archives], ["left_to_right", *kept, "--report"]]
        if options.tree is not None:
            found.append(["retrieval", "--tree", options.tree, "--data", options.edits, *archives])
    return found


def main() -> int:
    """Run them and return 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--llama-python", help="interpreter that has llama-cpp-python")
    parser.add_argument("--data", help="folder with the HumanEval-Infilling files")
    parser.add_argument("--edits", help="folder with the recorded edits")
    parser.add_argument("--archives", help="folder for archives of releases, which are fetched")
    parser.add_argument("--tree", help="folder of real sources to index, used with --edits")
    parser.add_argument("--work", help="folder for finished tasks, so that a run can be resumed")
    options = parser.parse_args()
    has_work = options.work is not None
    if (options.data is not None or options.edits is not None) != has_work:
        parser.error("--data, --edits and --work belong together")
    if (options.edits is None) != (options.archives is None):
        parser.error("--edits and --archives belong together")
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
