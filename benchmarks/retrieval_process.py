"""A process whose only work is one index, so that its time and its memory are those of the index.

    python -m benchmarks.retrieval_process refresh|open FOLDER INDEXES

It prints one line of JSON. What the index consists of is imported while the clock runs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from retrieval.workspaces import IndexOptions

NUM_WANTED = 24


def refresh(folder: Path, indexes: Path) -> dict[str, float]:
    """Bring an index up to date as ``fimble index`` does, and return how long that took."""
    from retrieval.workspace import WorkspaceIndex

    index = WorkspaceIndex(folder, IndexOptions(indexes))
    started = time.perf_counter()
    done = index.refresh(lambda _: None, lambda: None)
    spent_s = time.perf_counter() - started
    status = index.status()
    index.close()
    return {
        "seconds": spent_s,
        "num_lines": done.num_lines,
        "num_found": done.num_found,
        "num_changed": done.num_changed,
        "num_chunks": status.num_chunks,
        "num_bytes": status.num_bytes,
    }


def open_and_ask(folder: Path, indexes: Path) -> dict[str, float]:
    """Return how long it took to import, to open an index, and to answer the first query."""
    started = time.perf_counter()
    from retrieval.workspace import WorkspaceIndex

    imported = time.perf_counter()
    index = WorkspaceIndex(folder, IndexOptions(indexes, kept_fresh=False))
    opened = time.perf_counter()
    query = _own_query()
    before = time.perf_counter()
    index.search(query, NUM_WANTED)
    answered = time.perf_counter()
    index.close()
    return {
        "import_ms": (imported - started) * 1000,
        "open_ms": (opened - imported) * 1000,
        "first_query_ms": (answered - before) * 1000,
    }


def _own_query() -> dict[str, float]:
    """Return the query of a cursor in the middle of this file."""
    from retrieval.languages import language_for
    from retrieval.query import query_of

    text = Path(__file__).read_text(encoding="utf-8")
    query = query_of(text, text.index("started = time"), language_for("python"))
    return dict(query.weights)


def main() -> None:
    """Do what the command line says."""
    works = {"refresh": refresh, "open": open_and_ask}
    kind, folder, indexes = sys.argv[1:]
    print(json.dumps(works[kind](Path(folder), Path(indexes))))


if __name__ == "__main__":
    main()
