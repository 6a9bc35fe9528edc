"""How fast the index of a workspace is made, searched, and kept fresh, on real sources.

    python -m benchmarks.retrieval --tree FOLDER --data FOLDER --cache FOLDER --work FOLDER

Every part that is finished is a file in the work folder, so that a run can be interrupted and
resumed; whoever wants a part anew deletes its file. The result is made of what is there.

--tree    real sources, such as the site-packages of an environment
--data    recorded keystrokes, --cache archives of releases, which are fetched
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, timing_figure
from benchmarks.results import write_result
from benchmarks.retrieval_indexing import indexing_figures
from benchmarks.retrieval_keys import key_figures
from benchmarks.retrieval_queries import query_figures
from benchmarks.retrieval_trees import build_tree
from retrieval.worker_pool import MAX_NUM_WORKERS

SIZES = (1_700_000, 10_000_000)
NUM_COLD_ROUNDS = (3, 1)
PARTS = ("index", "queries", "keys", "completions")

NOTES = (
    "A tree is a part of --tree; lines that it does not have come from copies of it, in which names "
    "of few files and the files themselves get another ending.",
    "cold: no index, sources in the system's memory, a process of its own, all its workers at its "
    "own priority. evicted: the index has to be read from the disk.",
    "processes_peak_mb adds up what the system counts as resident for a process and its workers, "
    "index files that they map included; shared_once_peak_mb counts what several map once.",
    "query: one search with the document open and what the prompt shows hidden; query_made: from a "
    "text to the terms; context: all of what a prompt waits for, files read included; context_again: "
    "the same once more, as while somebody types.",
    "overlap: share of the ten best that an unbounded search ranks likewise; ties count as the same.",
    "key: from a key's text and edit to the index that has it. Keys follow each other at once.",
    "completion: greedy, without context; the index is made anew meanwhile by idle workers.",
)

Work = Callable[[], list[Figure]]


def main() -> None:
    """Run the parts that are missing, and write the result."""
    arguments = _parse()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Figure]] = {}
    for name, work in _works(arguments):
        target = result_file(arguments.work, name)
        if name.split("-")[0] in arguments.parts and not target.exists():
            save(target, work())
        if target.exists():
            found[name] = load(target)
            _show(found[name])
    if not arguments.dry_run:
        _report(found, arguments)


def prefix_of(num_lines: int) -> str:
    """Return how figures of a tree with so many lines begin."""
    return f"at_{num_lines // 1000}k"


def _works(arguments: argparse.Namespace) -> Iterator[tuple[str, Work]]:
    """Yield every part by its name, in the order in which they need each other."""
    for size, num_rounds in zip(arguments.lines, arguments.cold_rounds, strict=True):
        tree, indexes = _folders(arguments.work, size)
        yield f"index-{size}", partial(_index, arguments.tree, size, tree, indexes, num_rounds)
        queries = partial(query_figures, prefix_of(size), tree, indexes, arguments.num_queries)
        yield f"queries-{size}", queries
    smallest, largest = min(arguments.lines), max(arguments.lines)
    yield f"keys-{smallest}", partial(_keys, arguments, smallest)
    yield f"completions-{largest}", partial(_completions, arguments, largest)


def _folders(work: Path, size: int) -> tuple[Path, Path]:
    """Return where the tree with so many lines is, and where its index."""
    return work / f"tree-{size}", work / f"index-{size}"


def _index(source: Path, size: int, tree: Path, indexes: Path, num_rounds: int) -> list[Figure]:
    prefix = prefix_of(size)
    real = tree.with_suffix(".real")
    if not tree.exists():
        real.write_text(str(build_tree(source, tree, size)))
    num_real = int(real.read_text())
    return [
        timing_figure(f"{prefix}_real_lines", [num_real], "lines"),
        *indexing_figures(prefix, tree, indexes, num_rounds),
    ]


def _keys(arguments: argparse.Namespace, size: int) -> list[Figure]:
    tree, indexes = _folders(arguments.work, size)
    sources = (arguments.data, arguments.cache)
    return key_figures(prefix_of(size), tree, indexes, sources, arguments.num_keys)


def _completions(arguments: argparse.Namespace, size: int) -> list[Figure]:
    # Brings torch, whose memory and threads are none of the index's business.
    from benchmarks.retrieval_beside import beside_figures

    tree, _ = _folders(arguments.work, size)
    return beside_figures(tree, arguments.rounds)


def result_file(work: Path, part: str) -> Path:
    """Return where the figures of a finished part are kept."""
    return work / f"retrieval-{part}.json"


def save(target: Path, figures: Sequence[Figure]) -> None:
    """Keep the figures of a part: all of them or none."""
    partial_file = target.with_suffix(".partial")
    partial_file.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    partial_file.replace(target)


def load(target: Path) -> list[Figure]:
    """Return the figures of a finished part."""
    return [Figure(**row) for row in json.loads(target.read_text(encoding="utf-8"))]


def _show(figures: Sequence[Figure]) -> None:
    for figure in figures:
        spread = f"[{figure.low:.3f}, {figure.high:.3f}] n={figure.n}"
        print(f"{figure.name:44} {figure.value:12.3f} {figure.unit:8} {spread}", flush=True)


def _report(parts: Mapping[str, Sequence[Figure]], arguments: argparse.Namespace) -> Path:
    return write_result(
        "retrieval",
        [figure for figures in parts.values() for figure in figures],
        num_threads=min(os.cpu_count() or 1, MAX_NUM_WORKERS),
        settings={
            "tree": arguments.tree.name,
            "parts": list(parts),
            "num_queries": arguments.num_queries,
            "num_keys": arguments.num_keys,
            "model": "default",
        },
        notes=NOTES,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("tree", "data", "cache", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--lines", nargs="+", type=int, default=SIZES, help="sizes of trees")
    parser.add_argument("--cold-rounds", nargs="+", type=int, default=NUM_COLD_ROUNDS)
    parser.add_argument("--num-queries", type=int, default=1_000)
    parser.add_argument("--num-keys", type=int, default=10_000, help="of each origin")
    parser.add_argument("--rounds", type=int, default=8, help="with and without indexing")
    parser.add_argument("--dry-run", action="store_true", help="write no result")
    arguments = parser.parse_args()
    if len(arguments.lines) != len(arguments.cold_rounds):
        parser.error("--cold-rounds takes a number for each of --lines")
    return arguments


if __name__ == "__main__":
    main()
