"""An editor and the indexes of its folders: what reaches them, and what comes back as context."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from completion.context import ContextRoom
from completion.repository_context import RepositoryContext
from completion.types import CompletionOutcome, CompletionRequest, CompletionTrace, NoSuggestion
from completion.types import NoSuggestionReason as Reason
from lsp_server.host import ModelHost
from retrieval.workspaces import IndexOptions, IndexSummary, Workspaces

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
LIMIT_S = 60.0
STORE = """\
class PriceTable:
    def discounted_price(self, article: str, percent: float) -> float:
        return self.prices[article] * (1 - percent / 100)
"""
MAIN = """\
from store import PriceTable

table = PriceTable()
table.discounted_price
"""


async def until(condition: Callable[[], bool]) -> None:
    """Give other threads time until ``condition`` holds."""
    latest = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < latest, "what is waited for does not happen"
        await asyncio.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    (path / "store.py").write_text(STORE)
    (path / "main.py").write_text(MAIN)
    return path


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    home = {"HOME": str(tmp_path / "home")}
    return Workspaces(IndexOptions(tmp_path / "indexes", num_workers=1, environment=home))


@pytest.fixture
def host(workspaces: Workspaces, service: Any) -> Iterator[ModelHost]:
    """A host whose service answers nothing but says which context it would have shown."""
    context = RepositoryContext(workspaces)

    def answer(request: CompletionRequest) -> CompletionOutcome:
        shown = (0, len(request.document.text))
        room = ContextRoom(1_000, lambda chunk: len(chunk.text) // 4, shown)
        chunks = context.chunks(request, room) if request.use_retrieval else ()
        trace = CompletionTrace(context=tuple(chunks))
        return NoSuggestion(request.request_id, Reason.EMPTY_OUTPUT, trace=trace)

    service.outcome = answer
    made = ModelHost(lambda _settings, _progress: service, workspaces)
    yield made
    made.close()


def opened(*folders: Path) -> dict[str, Any]:
    found = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
    return {"workspaceFolders": found}


def of(summaries: list[IndexSummary], folder: Path) -> IndexSummary | None:
    found = [each for each in summaries if each.folder == str(folder.resolve())]
    return found[0] if found else None


async def indexed(workspaces: Workspaces, folder: Path, num_files: int = 2) -> None:
    """Wait until the index of ``folder`` is up to date."""

    def is_fresh() -> bool:
        found = of(workspaces.status(), folder)
        return found is not None and found.state == "up to date" and found.num_files == num_files

    await until(is_fresh)


async def context_in(client: Any, path: Path, line: int, column: int) -> list[dict[str, Any]]:
    """Return what the model would have been shown at a place of an open document."""
    await client.response(client.complete(line, column, uri=path.as_uri(), triggerKind=1))
    told = await client.ask("fimble/why", {"textDocument": {"uri": path.as_uri()}})
    found: list[dict[str, Any]] = told["result"]["context"]
    return found


async def test_lines_of_another_file_are_shown_and_why_names_them(
    connected: Connect,
    initialize: Initialize,
    host: ModelHost,
    workspaces: Workspaces,
    folder: Path,
) -> None:
    async with connected(host=host, **WAIT) as client:
        await initialize(client, **opened(folder))
        await indexed(workspaces, folder)
        client.open(MAIN, (folder / "main.py").as_uri())
        found = await context_in(client, folder / "main.py", 3, 22)
    assert [chunk["path"] for chunk in found] == ["store.py"]
    (chunk,) = found
    assert (chunk["start_line"], chunk["end_line"], chunk["source"]) == (1, 3, "similar")
    assert 0 < chunk["score"] <= 1
    assert "discounted_price" in chunk["reason"]


@pytest.mark.parametrize("way", ["flag", "initializationOptions", "configuration"])
@pytest.mark.parametrize("switch", ["engine.retrieval", "index.enabled"])
async def test_who_wants_no_context_gets_none(
    connected: Connect,
    initialize: Initialize,
    host: ModelHost,
    workspaces: Workspaces,
    folder: Path,
    tmp_path: Path,
    switch: str,
    way: str,
) -> None:
    section, name = switch.split(".")
    sent = {section: {name: False}}
    flags = {switch: "false"} if way == "flag" else {}
    options = {"initializationOptions": sent} if way == "initializationOptions" else {}
    async with connected(host=host, **flags, **WAIT) as client:
        await initialize(client, **opened(folder), **options)
        if way == "configuration":
            client.notify("workspace/didChangeConfiguration", {"settings": sent})
        client.open(MAIN, (folder / "main.py").as_uri())
        assert await context_in(client, folder / "main.py", 3, 22) == []
        has_index = of(workspaces.status(), folder) is not None
        if switch == "engine.retrieval":
            await indexed(workspaces, folder)
            assert await context_in(client, folder / "main.py", 3, 22) == []
        elif way != "configuration":  # which comes too late
            assert not has_index
            assert not (tmp_path / "indexes").exists()
        else:
            assert [each.num_clients for each in workspaces.status()] == [0]


async def test_folders_come_and_go_with_the_editor(
    connected: Connect,
    initialize: Initialize,
    host: ModelHost,
    workspaces: Workspaces,
    folder: Path,
    tmp_path: Path,
) -> None:
    def clients() -> dict[str, int]:
        return {Path(each.folder).name: each.num_clients for each in workspaces.status()}

    other = tmp_path / "other"
    other.mkdir()
    async with connected(host=host, **WAIT) as client:
        await initialize(client, **opened(folder))
        await until(lambda: clients() == {"project": 1})
        (added,), (removed,) = (opened(each)["workspaceFolders"] for each in (other, folder))
        event = {"added": [added], "removed": [removed]}
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
        await until(lambda: clients() == {"project": 0, "other": 1})
    assert clients() == {"project": 0, "other": 0}
    await until(lambda: "opening" not in {each.state for each in workspaces.status()})
    workspaces.close_unused(0.0)
    assert workspaces.status() == []


async def test_unsaved_text_is_context_until_its_document_is_closed(
    connected: Connect,
    initialize: Initialize,
    host: ModelHost,
    workspaces: Workspaces,
    folder: Path,
) -> None:
    main, store = folder / "main.py", folder / "store.py"
    text = "def restocked_articles(warehouse):\n    return warehouse.empty_shelves\n"
    asking = "restocked_articles(warehouse.empty_shelves)"
    async with connected(host=host, **WAIT) as client:
        await initialize(client, **opened(folder))
        await indexed(workspaces, folder)
        client.open(MAIN + asking, main.as_uri())
        client.open("", store.as_uri())
        start = {"line": 0, "character": 0}
        client.change(
            2, {"range": {"start": start, "end": start}, "text": text}, uri=store.as_uri()
        )
        found = await context_in(client, main, 4, len(asking))
        assert ("store.py", 1, 2) in {
            (chunk["path"], chunk["start_line"], chunk["end_line"]) for chunk in found
        }
        client.notify("textDocument/didClose", {"textDocument": {"uri": store.as_uri()}})
        client.change(2, {"text": MAIN}, uri=main.as_uri())
        found = await context_in(client, main, 3, 22)
        assert [(chunk["path"], chunk["end_line"]) for chunk in found] == [("store.py", 3)]


async def test_of_a_file_in_two_editors_the_text_noted_last_counts_for_both(
    connected: Connect,
    initialize: Initialize,
    host: ModelHost,
    workspaces: Workspaces,
    folder: Path,
) -> None:
    main, store = folder / "main.py", folder / "store.py"
    asking = "restocked_articles(warehouse.empty_shelves)\n" * 6
    lines = iter(range(6))

    async def lines_shown(client: Any) -> set[tuple[str, int]]:
        # What is shown stands while the cursor stays in its line.
        found = await context_in(client, main, next(lines), 43)
        return {(chunk["path"], chunk["end_line"]) for chunk in found}

    async with connected(host=host, owner="one", **WAIT) as one:
        await initialize(one, **opened(folder))
        await indexed(workspaces, folder)
        one.open(asking, main.as_uri())
        one.open("def restocked_articles(warehouse):\n    pass\n", store.as_uri())
        assert ("store.py", 2) in await lines_shown(one)
        async with connected(host=host, owner="other", **WAIT) as other:
            await initialize(other, **opened(folder))
            other.open(asking, main.as_uri())
            # Unsaved text of one editor is context for another: the index is shared.
            assert ("store.py", 2) in await lines_shown(other)
            other.open("\n\ndef restocked_articles(warehouse):\n    pass\n", store.as_uri())
            assert ("store.py", 4) in await lines_shown(other)
            assert ("store.py", 4) in await lines_shown(one)
        # What the other showed has gone with it.
        assert ("store.py", 2) in await lines_shown(one)


async def test_what_was_copied_is_context_for_whoever_copied_it(
    connected: Connect,
    initialize: Initialize,
    host: ModelHost,
    workspaces: Workspaces,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    main = folder / "main.py"
    text = 'def copied_helper():\n    password = "hunter2hunter2"\n    return 1\n'
    caplog.set_level(logging.DEBUG)

    async def sources(client: Any) -> list[str]:
        found = await context_in(client, main, 3, 22)
        return [chunk["source"] for chunk in found if chunk["path"] == "clipboard"]

    async with (
        connected(host=host, owner="one", **WAIT) as one,
        connected(host=host, owner="other", **WAIT) as other,
    ):
        for client in (one, other):
            await initialize(client, **opened(folder))
            client.open(MAIN, main.as_uri())
        await indexed(workspaces, folder)
        for nonsense in ({}, None, {"text": 3}, {"text": None}, []):
            one.notify("fimble/didCopy", nonsense)
        one.notify("fimble/didCopy", {"text": text})
        assert await sources(one) == ["clipboard"]
        assert await sources(other) == []
        assert workspaces.clipboards.text("one") == text
    assert workspaces.clipboards.text("one") == ""
    own = [one.getMessage() for one in caplog.records if not one.name.startswith("pygls")]
    assert "copied_helper" not in "".join(own)  # pygls logs what it sends: fimble keeps that out
    assert "hunter2" not in caplog.text


async def test_nothing_that_was_copied_is_kept_for_who_wants_no_context(
    connected: Connect, initialize: Initialize, host: ModelHost, workspaces: Workspaces
) -> None:
    async with connected(host=host, owner="one", **{"engine.retrieval": "false"}) as client:
        await initialize(client)
        client.notify("fimble/didCopy", {"text": "some_function()"})
        await client.no_further_response()
        assert workspaces.clipboards.text("one") == ""
