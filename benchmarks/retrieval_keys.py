"""From a typed key to an index that has it, on keys that people typed, beside a large index.

A key is what an editor sends: the new text and the edit. The index is fresh once the text is parsed
and its chunks are in, which is what the next search would wait for.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.retrieval_percentiles import percentile_figures
from benchmarks.traces.packages import RELEASE_PAIRS, read_release
from benchmarks.traces.recordings import Origin, Trace, rust_trace, vscode_traces
from benchmarks.traces.stays import typed_key
from benchmarks.traces.typing_model import typed_trace
from retrieval.open_text import OpenText
from retrieval.workspace import WorkspaceIndex
from retrieval.workspaces import IndexOptions

PERCENTS = (50, 95, 99)
NUM_KEYS_IN_RUN = 100  # keys in a row are of one place in one text
MAX_NUM_KEYS_PER_RELEASE_FILE = 200
_OWNER = "benchmark"
_SEED = 0


@dataclass(frozen=True, slots=True)
class Key:
    """One typed key: milliseconds until the index had it, and those of the thread alone."""

    wall_ms: float
    cpu_ms: float


def key_figures(
    prefix: str, tree: Path, indexes: Path, sources: tuple[Path, Path], max_num_keys: int
) -> list[Figure]:
    """Return percentiles over up to ``max_num_keys`` keys of each origin, beside ``tree``'s index.

    ``sources`` are the folders of the recordings and of the archives of releases.
    """
    index = WorkspaceIndex(tree, IndexOptions(indexes, kept_fresh=False))
    figures: list[Figure] = []
    every_run: list[Sequence[Key]] = []
    try:
        for origin, traces in _traces(*sources).items():
            runs = [
                run for keys in _some_of(index, traces, max_num_keys) for run in runs_of_keys(keys)
            ]
            figures += _percentiles(f"{prefix}_key_{origin}", runs)
            every_run += runs
    finally:
        index.close()
    return [*_percentiles(f"{prefix}_key", every_run), *figures]


def _traces(data: Path, archives: Path) -> dict[Origin, Iterator[Trace]]:
    """Return histories by how they are known; documents in no known language are left out."""
    people = [rust_trace(data), *vscode_traces(data)]
    known = [trace for trace in people if trace.language_id != "plaintext"]
    return {
        Origin.KEYSTROKES: (trace for trace in known if trace.origin is Origin.KEYSTROKES),
        Origin.RECORDING: (trace for trace in known if trace.origin is Origin.RECORDING),
        Origin.RELEASE: _typed_releases(archives),
    }


def _typed_releases(archives: Path) -> Iterator[Trace]:
    files = [file for pair in RELEASE_PAIRS for file in read_release(pair, archives).changed]
    random.Random(_SEED).shuffle(files)
    return (typed_trace(file, _SEED) for file in files)


def _some_of(
    index: WorkspaceIndex, traces: Iterable[Trace], max_num_keys: int
) -> Iterator[list[Key]]:
    """Yield the keys of one history after the other, until there are enough."""
    num_left = max_num_keys
    for trace in traces:
        limit = MAX_NUM_KEYS_PER_RELEASE_FILE if trace.origin is Origin.RELEASE else num_left
        keys = timed_keys(index, trace, min(limit, num_left))
        yield keys
        num_left -= len(keys)
        if num_left <= 0:
            return


def timed_keys(index: WorkspaceIndex, trace: Trace, max_num_keys: int) -> list[Key]:
    """Return the timings of the first typed keys of a history, which ``index`` follows.

    Everything else that was done is done too, and not timed.

    Raises:
        AssertionError: The index does not have the text that was typed.
    """
    found: list[Key] = []
    path = f"typed/{trace.name}"
    texts = trace.texts()
    _show(index, trace, path, 0, next(texts))
    cursors = pairwise(trace.cursors())
    version = 0
    text = trace.start_text
    for event, text, (cursor, _) in zip(trace.events, texts, cursors, strict=True):
        if len(found) >= max_num_keys:
            break
        if not event.edits:
            continue
        version += 1
        edits = tuple((edit.start, edit.end, edit.inserted) for edit in event.edits)
        key = _show(index, trace, path, version, text, edits)
        found += [key] if typed_key(event, cursor) is not None else []
    index.drop(path, _OWNER)
    return found


def _show(
    index: WorkspaceIndex,
    trace: Trace,
    path: str,
    version: int,
    text: str,
    edits: tuple[tuple[int, int, str], ...] = (),
) -> Key:
    """Show a version to the index, and return how long it took until the index had it."""
    shown = OpenText(
        workspace=str(index.folder),
        path=path,
        owner=_OWNER,
        language_id=trace.language_id,
        version=version,
        text=text,
        base_version=version - 1 if edits else None,
        edits=edits,
    )
    started, cpu_started = time.perf_counter(), time.thread_time()
    index.note(shown)
    tree = index.tree(path)
    cpu_ended, ended = time.thread_time(), time.perf_counter()
    assert tree is not None
    assert tree.text == text
    return Key((ended - started) * 1000, (cpu_ended - cpu_started) * 1000)


def runs_of_keys(keys: Sequence[Key]) -> list[Sequence[Key]]:
    """Return the keys of one history cut into runs."""
    return [keys[start : start + NUM_KEYS_IN_RUN] for start in range(0, len(keys), NUM_KEYS_IN_RUN)]


def _percentiles(name: str, runs: Sequence[Sequence[Key]]) -> list[Figure]:
    wall = [[key.wall_ms for key in run] for run in runs]
    cpu = [[key.cpu_ms for key in run] for run in runs]
    return [
        *percentile_figures(name, wall, PERCENTS),
        *percentile_figures(f"{name}_cpu", cpu, PERCENTS),
    ]
