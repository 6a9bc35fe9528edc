"""How long a search takes at random places of a real tree, and what bounding its work loses."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import Figure, mean_figure, share_figure, timing_figure
from benchmarks.retrieval_percentiles import percentile_figures, runs_of
from benchmarks.retrieval_trees import AskedPlace, places_in
from retrieval.context import NUM_HITS, ContextFinder, Place
from retrieval.languages import language_for
from retrieval.open_text import OpenText
from retrieval.query import Query, query_of
from retrieval.snippet import Snippet
from retrieval.sparse.corpus import Hit
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.scoring import Bm25
from retrieval.sparse.search import HiddenLines
from retrieval.sparse.store import IndexStore
from retrieval.workspace import WorkspaceIndex
from retrieval.workspaces import IndexOptions

NUM_COMPARED = 10
NUM_WARMING = 30  # searches that only bring the index into memory
NUM_TOKENS = 512  # of a prompt of 2,048, a quarter
CHARS_BEFORE, CHARS_AFTER = 4_500, 1_500  # what such a prompt shows of the document
CHARS_PER_TOKEN = 4
PERCENTS = (50, 95, 99)
_OWNER = "benchmark"


@dataclass(frozen=True, slots=True)
class Asked:
    """One search: what was searched, what it found, and the milliseconds it took.

    ``cpu_ms`` are those of its thread, so without the time in which others had the processor.
    """

    query: Query
    hidden: HiddenLines
    hits: Sequence[Hit]
    query_ms: float
    wall_ms: float
    cpu_ms: float


def query_figures(prefix: str, tree: Path, indexes: Path, num_queries: int) -> list[Figure]:
    """Return the figures ``prefix_*`` of searches in the finished index of ``tree``.

    The document in which a search is made is open, as it was indexed; what its prompt shows is
    hidden from the search.
    """
    places = places_in(tree, NUM_WARMING + 2 * num_queries, seed=0)
    before_mb = _resident_mb()
    index = WorkspaceIndex(tree, IndexOptions(indexes, kept_fresh=False))
    try:
        for place in places[:NUM_WARMING]:
            _search(index, place)
        found = [_search(index, place) for place in places[NUM_WARMING:-num_queries]]
        added_mb = _resident_mb() - before_mb
        contexts = [_find_context(index, place) for place in places[-num_queries:]]
    finally:
        index.close()
    exact = SparseIndex(IndexStore.for_reading(index.store_folder).load(), unbounded())
    return [
        *timings(prefix, "query", [each.wall_ms for each in found]),
        *timings(prefix, "query_cpu", [each.cpu_ms for each in found]),
        *timings(prefix, "query_made", [each.query_ms for each in found]),
        *timings(prefix, "context", [first_ms for first_ms, _ in contexts]),
        *timings(prefix, "context_again", [again_ms for _, again_ms in contexts]),
        *overlap_figures(prefix, exact, found),
        timing_figure(f"{prefix}_searching_added_mb", [added_mb], "MB"),
    ]


def _resident_mb() -> float:
    resident_bytes: int = psutil.Process().memory_info().rss
    return resident_bytes / 1e6


def timings(prefix: str, name: str, values: Sequence[float]) -> list[Figure]:
    """Return the percentiles of independent timings."""
    return percentile_figures(f"{prefix}_{name}", runs_of(values, 1), PERCENTS)


def unbounded() -> Bm25:
    """Return the default ranking without a limit to its work."""
    return Bm25(max_num_scanned=sys.maxsize)


def overlap_figures(prefix: str, exact: SparseIndex, found: Sequence[Asked]) -> list[Figure]:
    """Return which share of the best hits of an unbounded search was found.

    Searches that match nothing are left out. ``exact`` has the same files, none of them open.
    """
    shares, num_same_first = [], 0
    for asked in found:
        wanted = exact.search(asked.query.weights, NUM_COMPARED, hidden=asked.hidden)
        if wanted:
            shares.append(shared(wanted, asked.hits))
            num_same_first += shared(wanted[:1], asked.hits[:1]) == 1
    return [
        mean_figure(f"{prefix}_overlap_top_{NUM_COMPARED}", shares, "share"),
        share_figure(f"{prefix}_same_first", num_same_first, len(shares)),
    ]


def shared(wanted: Sequence[Hit], hits: Sequence[Hit]) -> float:
    """Return which share of as many ``hits`` is among those ``wanted``, or ties with their last.

    Which of several that score the same comes first means nothing.
    """
    places = {(hit.path, hit.start_line) for hit in wanted}
    lowest = min(hit.score for hit in wanted)
    num_found = sum(
        (hit.path, hit.start_line) in places or math.isclose(hit.score, lowest)
        for hit in hits[: len(wanted)]
    )
    return num_found / len(wanted)


def _search(index: WorkspaceIndex, asked: AskedPlace) -> Asked:
    _open(index, asked)
    place = _place(asked)
    window = place.window()
    started = time.perf_counter()
    query = query_of(asked.text, asked.offset, language_for(asked.language_id, asked.path))
    made = time.perf_counter()
    hidden = {asked.path: [(window.start_line, window.end_line)]}
    before, cpu_before = time.perf_counter(), time.thread_time()
    hits = index.search(query.weights, NUM_HITS, hidden)
    cpu_after, after = time.thread_time(), time.perf_counter()
    index.drop(asked.path, _OWNER)
    return Asked(
        query,
        hidden,
        hits,
        (made - started) * 1000,
        (after - before) * 1000,
        (cpu_after - cpu_before) * 1000,
    )


def _find_context(index: WorkspaceIndex, asked: AskedPlace) -> tuple[float, float]:
    """Return the milliseconds in which everything for a prompt was found, and was found again.

    The second time, the files that it quotes are in memory, as they are while somebody types.
    """
    _open(index, asked)
    index.prepare_symbols(asked.path)
    place, spent_ms = _place(asked), []
    for _ in range(2):
        finder = ContextFinder(index)
        started = time.perf_counter()
        finder.find(place, NUM_TOKENS, _num_tokens)
        spent_ms.append((time.perf_counter() - started) * 1000)
    index.drop(asked.path, _OWNER)
    first_ms, again_ms = spent_ms
    return first_ms, again_ms


def _open(index: WorkspaceIndex, asked: AskedPlace) -> None:
    workspace = str(index.folder)
    index.note(OpenText(workspace, asked.path, _OWNER, asked.language_id, 1, asked.text))
    index.tree(asked.path)  # parses it and lays it over its file


def _place(asked: AskedPlace) -> Place:
    return Place(
        path=asked.path,
        language_id=asked.language_id,
        text=asked.text,
        offset=asked.offset,
        visible=(max(0, asked.offset - CHARS_BEFORE), asked.offset + CHARS_AFTER),
    )


def _num_tokens(snippet: Snippet) -> int:
    return len(snippet.text) // CHARS_PER_TOKEN
