"""A process that looks after an index out of the way of the one that decodes.

    python -I -m retrieval.worker

It says that it is ready and reads lines of JSON from standard input: first a ``Job``, then tasks,
each of which it answers with one line. It ends with its standard input, so it does not outlive the
process that started it. What it makes are segments; only the process that started it commits them.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from retrieval.files.rules import FileRules
from retrieval.prepare import left_out, prepare
from retrieval.scan import find_changes
from retrieval.sparse.errors import IndexFolderError
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.merge import merge
from retrieval.sparse.segment import Segment
from retrieval.sparse.store import IndexStore

_PR_SET_PDEATHSIG = 1
MAX_FILE_CPU_S = 20.0  # a megabyte of the slowest language takes two


@dataclass(frozen=True, slots=True)
class Job:
    """What all tasks have in common.

    ``folder`` is the workspace, ``store`` where its index is. ``global_excludes`` is a file of the
    user's own patterns, empty for none. ``in_background``: give way to every other process.
    """

    folder: str
    store: str
    max_file_bytes: int
    max_num_files: int
    global_excludes: str
    in_background: bool

    @property
    def rules(self) -> FileRules:
        """What belongs into the index."""
        excludes = Path(self.global_excludes) if self.global_excludes else None
        return FileRules(
            Path(self.folder), global_excludes=excludes, max_num_bytes=self.max_file_bytes
        )


@dataclass(frozen=True, slots=True)
class ScanTask:
    """Compare the folder with the index as it was last committed."""


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """Make the segment ``target`` of files."""

    paths: Sequence[str]
    target: str


@dataclass(frozen=True, slots=True)
class MergeTask:
    """Make the segment ``target`` of others; ``dead`` are rows of their files that are left out."""

    folders: Sequence[str]
    dead: Sequence[Sequence[int]]
    target: str


Task = ScanTask | PrepareTask | MergeTask


@dataclass(frozen=True, slots=True)
class Scanned:
    """``changed`` files with their sizes, those that are ``gone``, and reasons for leaving out."""

    changed: Sequence[tuple[str, int]]
    gone: Sequence[str]
    num_found: int
    excluded: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Made:
    """The segment ``target`` is there."""

    target: str
    num_files: int = 0
    num_lines: int = 0


def main() -> None:
    """Serve until standard input ends."""
    _die_with_parent()
    answers = _claim_stdout()
    answers.write(b"ready\n")
    answers.flush()
    job = Job(**json.loads(sys.stdin.buffer.readline()))
    if job.in_background:
        step_back()
    runs: Mapping[str, Callable[[Job, Any], Scanned | Made]] = {
        "ScanTask": lambda job, sent: scan(job),
        "PrepareTask": lambda job, sent: make(job, PrepareTask(**sent)),
        "MergeTask": lambda job, sent: merged(MergeTask(**sent)),
    }
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    while True:
        kind, sent = json.loads(lines.get())
        try:
            answer: dict[str, Any] = asdict(runs[kind](job, sent))
        except IndexFolderError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def scan(job: Job) -> Scanned:
    """Return what is not as it was indexed."""
    index = SparseIndex(IndexStore.for_reading(Path(job.store)).load())
    changes = find_changes(job.rules, index.stamps(), job.max_num_files, lambda: None)
    changed = [(file.path, file.size) for file in changes.changed]
    excluded = {str(reason): number for reason, number in changes.excluded.items()}
    return Scanned(changed, changes.gone, changes.num_found, excluded)


def make(job: Job, task: PrepareTask) -> Made:
    """Prepare files; one that vanished meanwhile is left out."""
    num_files = num_lines = 0

    def prepared() -> Iterator[IndexedFile]:
        nonlocal num_files, num_lines
        for path in task.paths:
            file = _prepared(job, path)
            if file is not None:
                num_files += 1
                num_lines += file.chunks[-1].end_line if file.chunks else 0
                yield file

    Segment.build(prepared()).write(Path(task.target))
    return Made(task.target, num_files, num_lines)


def merged(task: MergeTask) -> Made:
    """Merge segments."""
    dead = [frozenset(rows) for rows in task.dead]
    merge([Path(folder) for folder in task.folders], dead, Path(task.target))
    return Made(task.target)


def _prepared(job: Job, path: str) -> IndexedFile | None:
    """Return a file ready to be indexed; one that cannot be has no chunks.

    A single file must not keep all others from being indexed, whatever is wrong with it or with us.
    """
    folder = Path(job.folder)
    try:
        with _limited(MAX_FILE_CPU_S):
            return prepare(folder, path, job.max_file_bytes)
    except Exception:  # noqa: BLE001 - this is the barrier; the file is shown as not indexed
        return left_out(folder, path)


@contextmanager
def _limited(cpu_s: float) -> Iterator[None]:
    """Raise TimeoutError inside of the block once it has computed for ``cpu_s`` seconds."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"more than {cpu_s} s of processor time")

    former = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def step_back() -> None:
    """Let every other process go first: whoever types must not notice that files are indexed."""
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    elif hasattr(os, "nice"):
        os.nice(19)


def _die_with_parent() -> None:
    """End when the process that started this one is killed, even while this one stands still.

    Who stands still does not see the end of its input. Only Linux has this.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listen(lines: SimpleQueue[bytes]) -> None:
    """Hand on what is asked, and end the process with its standard input, at work or not."""
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def _claim_stdout() -> BinaryIO:
    """Return the stream of answers; whatever else is printed goes to standard error."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return stream


if __name__ == "__main__":
    main()
