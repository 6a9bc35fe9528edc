"""The indexes that a daemon keeps: who sees them, and when they go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from completion.types import (
    Candidate,
    CompletionTimings,
    CompletionTrace,
    ContextChunk,
    FinishReason,
    Suggestion,
    SuggestionSource,
)
from lsp_server.daemon import server
from lsp_server.daemon.client import ControlClient
from lsp_server.metrics import Door, Metrics
from retrieval.workspaces import IndexOptions, IndexSummary, Workspaces

LIMIT_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    (path / "a.py").write_text("def one():\n    return 1\n")
    return path


def test_the_status_lists_indexes_and_the_daemon_closes_those_that_nobody_uses(
    start_daemon: Callable[..., Any],
    connect: Callable[..., ControlClient],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
) -> None:
    running = start_daemon()
    watcher = connect()
    assert watcher.request("status", {})["indexes"] == []
    running.host.workspaces = workspaces = Workspaces(IndexOptions(tmp_path / "indexes"))
    workspaces.enter(str(folder))
    workspaces.wait_for(str(folder), LIMIT_S)
    monkeypatch.setattr(server, "INDEX_UNUSED_S", 0.0)
    (index,) = watcher.request("status", {})["indexes"]
    assert index.pop("state") in ("indexing", "up to date")
    assert index.pop("num_files") in (0, 1)
    assert index == {"folder": str(folder), "num_clients": 1, "detail": ""}
    workspaces.leave(str(folder))
    while watcher.request("status", {})["indexes"]:
        pass


def test_the_metrics_show_indexes_and_what_was_shown_of_them() -> None:
    metrics = Metrics()
    metrics.observe_indexes(
        lambda: [IndexSummary("/a", "up to date", 1, 3), IndexSummary("/b", "indexing", 0, 4)]
    )
    assert b'fimble_context_snippets_total{source="definition"} 0.0' in metrics.render()
    chunks = tuple(
        ContextChunk("a.py", 1, 2, "x", 1.0, source)
        for source in ("similar", "definition", "similar")
    )
    trace = CompletionTrace(context=chunks, timings_ms=CompletionTimings(total=1.0))
    candidates = (Candidate("x", -1.0),)
    engine, stop = SuggestionSource.ENGINE, FinishReason.STOP
    metrics.count(Suggestion("1", "x", 0, 0, candidates, 0.5, stop, engine, trace), Door.LSP)
    shown = metrics.render().decode()
    for line in (
        'fimble_indexes{state="indexing"} 1.0',
        'fimble_indexes{state="up to date"} 1.0',
        "fimble_indexed_files 7.0",
        'fimble_context_snippets_total{source="similar"} 2.0',
        'fimble_context_snippets_total{source="definition"} 1.0',
    ):
        assert f"\n{line}\n" in shown
