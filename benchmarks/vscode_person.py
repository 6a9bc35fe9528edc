"""An afternoon of a person in VS Code, with a picture of every step.

    python -m benchmarks.vscode_person --out FOLDER [--dry-run]

A fresh profile, the extension from its package, a clone of this repository. Somebody types a
function at 200 ms a key, takes it by the word, takes that back, changes files, saves, renames,
reloads the window, and types on while the daemon is killed. Exit code 1: something was not right.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.figures import Figure, timing_figure
from benchmarks.results import write_result
from benchmarks.vscode_workbench import FIMBLE, REPOSITORY, VSCode, package_extension

MAX_LOADING_S, MAX_GHOST_S = 2.0, 6.0
LOADING = ("fimble: starting", "fimble: loading")
SAVED = """\
def area(width, height):
    return width * height

def volume(width, height, depth):
    return width * height * depth

def perimeter(width, height):
    return 2 * (width + height)
"""


def act(home: Path) -> dict[str, Any]:
    """Return what was seen, and the file that was typed as it was saved."""
    package = package_extension(home)
    code = VSCode(home)
    source = ["git", "clone", "--quiet", "--local", str(REPOSITORY), str(code.workspace)]
    subprocess.run(source, check=True)
    (code.workspace / "shapes.py").write_text("", encoding="utf-8")
    code.install(package)
    with code.serve() as address:
        task = {
            "daemonStatus": [*FIMBLE, "daemon", "status", "--json"],
            "environment": code.environment,
        }
        url = f"http://{address}/?folder={code.workspace}"
        seen: dict[str, Any] = code.drive("person.mjs", url, task, timeout_s=300)
    seen["saved"] = (code.workspace / "figures.py").read_text(encoding="utf-8")
    return seen


def wrongs(seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was not as it has to be."""
    if (seen["afterWord"], seen["afterUndo"]) != ("    return width", "    return wid"):
        yield f"a word was not taken and taken back: {seen['afterWord']!r}, {seen['afterUndo']!r}"
    if seen["afterTab"] != seen["whole"]:
        yield f"Tab left {seen['afterTab']!r}"
    for mismatch in seen["mismatches"]:
        yield f"ghost text beside the text: {mismatch}"
    for note in seen["notifications"]:
        if note["isError"]:
            yield f"an error popped up: {note['text']}"
    loading_s = first_loading_s(seen)
    if loading_s is None or loading_s > MAX_LOADING_S:
        yield f"loading was shown after {loading_s} s: {seen['statesAfterKill']}"
    if not seen["ghostAfterKill"] or seen["ghostAfterKillS"] > MAX_GHOST_S:
        yield f"ghost text was back after {seen['ghostAfterKillS']:.1f} s"
    if words(seen["saved"]) != words(SAVED):
        yield f"text was lost or added: {seen['saved']!r}"


def figures(seen: Mapping[str, Any], found: Sequence[str]) -> list[Figure]:
    """Return how long the daemon's death was felt, and how much was not right."""
    loading_s = first_loading_s(seen)
    return [
        timing_figure("loading_after_kill_s", [math.inf if loading_s is None else loading_s], "s"),
        timing_figure("ghost_text_after_kill_s", [seen["ghostAfterKillS"]], "s"),
        timing_figure("wrong", [float(len(found))], "findings"),
    ]


def first_loading_s(seen: Mapping[str, Any]) -> float | None:
    """Return after how many seconds the status bar told that the server comes back."""
    states = seen["statesAfterKill"]
    return next((each["afterS"] for each in states if each["status"] in LOADING), None)


def words(text: str) -> list[str]:
    """Return a text without what an editor may do to its blanks."""
    return text.split()


def main() -> int:
    """Act, keep the pictures, and return 1 if something was not right."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vscode_person", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and report")
    parser.add_argument("--dry-run", action="store_true", help="write no result")
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fimble-person-") as folder:
        home = Path(folder)
        try:
            seen = act(home)
        finally:
            for picture in sorted((home / "screenshots").glob("*.png")):
                shutil.copy(picture, out)
    found = list(wrongs(seen))
    report = json.dumps({**seen, "wrong": found}, indent=1)
    (out / "report.json").write_text(report, encoding="utf-8")
    sys.stdout.write("\n".join(found or ["all was right"]) + "\n")
    if not options.dry_run:
        threads = torch.get_num_threads()
        write_result("vscode_person", figures(seen, found), num_threads=threads, settings={})
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
