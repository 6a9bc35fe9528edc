"""An index made anew, looked over while nothing changed, and opened: time, memory, disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil

from benchmarks.figures import Figure, timing_figure
from benchmarks.results import ROOT

NUM_OPENED = 7
NUM_VERIFIED = 3
_SAMPLE_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Memory:
    """The most that was resident at once, in megabytes.

    ``parent`` and ``together`` are as the system counts for each process, the latter added up over
    a process and its workers; in ``shared_once``, what several of them have mapped counts once.
    """

    parent: float = 0.0
    together: float = 0.0
    shared_once: float = 0.0

    def most(self, other: Memory) -> Memory:
        """Return the higher of each value."""
        return Memory(
            max(self.parent, other.parent),
            max(self.together, other.together),
            max(self.shared_once, other.shared_once),
        )


def indexing_figures(prefix: str, tree: Path, indexes: Path, num_rounds: int) -> list[Figure]:
    """Return the figures ``prefix_*`` of ``tree``; its finished index is left below ``indexes``.

    Raises:
        subprocess.CalledProcessError: A process failed.
        ValueError: An index that was just made was not up to date.
    """
    made, memories = [], []
    for _ in range(num_rounds):
        shutil.rmtree(indexes, ignore_errors=True)
        found, memory = _run("refresh", tree, indexes)
        made.append(found)
        memories.append(memory)
    verified = [_run("refresh", tree, indexes)[0] for _ in range(NUM_VERIFIED)]
    if any(found["num_changed"] for found in verified):
        raise ValueError(f"the index of {tree.name} was made anew though nothing changed")
    opened = list(_opened(tree, indexes, is_evicted=False))
    evicted = list(_opened(tree, indexes, is_evicted=True))
    last = made[-1]
    counted = [
        timing_figure(f"{prefix}_lines", [last["num_lines"]], "lines"),
        timing_figure(f"{prefix}_files", [last["num_found"]], "files"),
        timing_figure(f"{prefix}_chunks", [last["num_chunks"]], "chunks"),
        timing_figure(f"{prefix}_disk_mb", [last["num_bytes"] / 1e6], "MB"),
    ]
    rates = [found["num_lines"] / found["seconds"] for found in made]
    return [
        *counted,
        timing_figure(f"{prefix}_cold_s", [found["seconds"] for found in made], "s"),
        timing_figure(f"{prefix}_cold_lines_per_s", rates, "lines/s"),
        *_memory_figures(prefix, memories),
        timing_figure(f"{prefix}_verify_s", [found["seconds"] for found in verified], "s"),
        *(_column(prefix, opened, name) for name in ("import_ms", "open_ms", "first_query_ms")),
        *(_column(f"{prefix}_evicted", evicted, name) for name in ("open_ms", "first_query_ms")),
    ]


def _memory_figures(prefix: str, memories: Sequence[Memory]) -> list[Figure]:
    named = {
        "parent_peak_mb": [memory.parent for memory in memories],
        "processes_peak_mb": [memory.together for memory in memories],
        "shared_once_peak_mb": [memory.shared_once for memory in memories],
    }
    return [timing_figure(f"{prefix}_{name}", values, "MB") for name, values in named.items()]


def _column(prefix: str, rows: Sequence[Mapping[str, float]], name: str) -> Figure:
    return timing_figure(f"{prefix}_{name}", [row[name] for row in rows])


def _opened(tree: Path, indexes: Path, *, is_evicted: bool) -> Iterator[dict[str, float]]:
    """Yield what opening took, in a new process each time.

    Where ``is_evicted``, the index is read from the disk; else it is still in the system's memory.
    """
    for _ in range(NUM_OPENED):
        if is_evicted:
            _evict(indexes)
        yield _run("open", tree, indexes)[0]


def _run(kind: str, tree: Path, indexes: Path) -> tuple[dict[str, float], Memory]:
    """Return what the process printed, and the most memory it and its workers had."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.retrieval_process", kind, str(tree), str(indexes)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    memory = Memory()
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        memory = memory.most(_memory_of(watched))
        time.sleep(_SAMPLE_EVERY_S)
    printed, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, kind)
    return cast(dict[str, float], json.loads(printed)), memory


def _memory_of(parent: psutil.Process) -> Memory:
    """Return what is resident now, nothing for processes that are ending."""
    try:
        own, *children = [each.memory_full_info() for each in _family(parent)]
    except (psutil.Error, ValueError):
        return Memory()
    everyone = [own, *children]
    # Only Linux tells what is shared by how many.
    shared_once = sum(getattr(each, "pss", each.rss) for each in everyone)
    return Memory(own.rss / 1e6, sum(each.rss for each in everyone) / 1e6, shared_once / 1e6)


def _family(parent: psutil.Process) -> list[psutil.Process]:
    return [parent, *parent.children(recursive=True)]


def _evict(folder: Path) -> None:
    """Ask the system to forget the files below ``folder``; without the means, they stay."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
