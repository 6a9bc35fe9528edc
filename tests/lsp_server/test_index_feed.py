"""What the indexes are told, message by message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lsp_server.host import ModelHost
from retrieval.open_text import OpenText
from retrieval.workspaces import Workspaces

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
FOLDER = {"workspaceFolders": [{"uri": "file:///w", "name": "w"}]}
HERE = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 4}}
NOTEBOOK = "file:///w/n.ipynb"
CODE, MARKUP = 2, 1


class Heard(Workspaces):
    """Keeps what it is told, and has no indexes."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, ...]] = []
        self.texts: list[OpenText] = []

    def enter(self, folder: str) -> None:
        self.told.append(("enter", folder))

    def leave(self, folder: str) -> None:
        self.told.append(("leave", folder))

    def note(self, text: OpenText) -> None:
        self.texts.append(text)
        self.told.append(("note", text.workspace, text.path))

    def drop(self, workspace: str, path: str, owner: str) -> None:
        self.told.append(("drop", workspace, path))

    def touch(self, workspace: str, path: str) -> None:
        self.told.append(("touch", workspace, path))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def host(heard: Heard, service: Any) -> Iterator[ModelHost]:
    made = ModelHost(lambda _settings, _progress: service, heard)
    yield made
    made.close()


def saved(client: Any, uri: str, text: str | None = None) -> None:
    params = {"textDocument": {"uri": uri}, **({} if text is None else {"text": text})}
    client.notify("textDocument/didSave", params)


async def test_a_document_is_noted_version_by_version(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard
) -> None:
    async with connected(host=host, owner="me") as client:
        await initialize(client, **FOLDER)
        client.open("x = \n", "file:///w/src/a.py")
        client.change(2, {"range": HERE, "text": "é"}, uri="file:///w/src/a.py")
        saved(client, "file:///w/src/a.py", "x = é\n")
        saved(client, "file:///w/src/a.py", "x = 2\n")
        await client.no_further_response()
    assert [text.text for text in heard.texts] == ["x = \n", "x = é\n", "x = 2\n"]
    first, second, third = heard.texts
    assert (first.owner, first.language_id, first.base_version) == ("me", "python", None)
    assert (second.version, second.base_version, second.edits) == (2, 1, ((4, 4, "é"),))
    assert (third.base_version, third.edits) == (None, ())
    place = ("/w", "src/a.py")
    assert heard.told == [
        ("enter", "/w"),
        ("note", *place),
        ("note", *place),
        ("touch", *place),
        ("touch", *place),
        ("note", *place),
        ("drop", *place),
        ("leave", "/w"),
    ]


async def test_a_document_that_is_closed_is_dropped_once(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard
) -> None:
    async with connected(host=host) as client:
        await initialize(client, **FOLDER)
        client.open("x = \n", "file:///w/a.py")
        for _ in range(2):
            client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///w/a.py"}})
        await client.no_further_response()
    assert heard.told == [
        ("enter", "/w"),
        ("note", "/w", "a.py"),
        ("drop", "/w", "a.py"),
        ("leave", "/w"),
    ]


async def test_files_that_changed_on_disk_are_looked_at(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard
) -> None:
    uris = ("file:///w/a.py", "file:///outside/b.py", "untitled:x", "file:///w/c/d.py")
    changes = [{"uri": uri, "type": 1 + at % 3} for at, uri in enumerate(uris)]
    async with connected(host=host) as client:
        await initialize(client, **FOLDER)
        client.notify("workspace/didChangeWatchedFiles", {"changes": changes})
        await client.no_further_response()
    assert heard.told[1:-1] == [("touch", "/w", "a.py"), ("touch", "/w", "c/d.py")]


@pytest.mark.parametrize(
    "uri", ["file:///outside/a.py", "untitled:Untitled-1", "git:/w/a.py?x", "file:///w/n.ipynb#c1"]
)
async def test_what_is_no_file_of_a_folder_is_left_out(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard, uri: str
) -> None:
    async with connected(host=host) as client:
        await initialize(client, **FOLDER)
        client.open("x = \n", uri)
        client.change(2, {"range": HERE, "text": "1"}, uri=uri)
        client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        await client.no_further_response()
    assert heard.told == [("enter", "/w"), ("leave", "/w")]


@pytest.mark.parametrize(
    "uris",
    [
        ("vscode-notebook-cell:/w/n.ipynb#code", "vscode-notebook-cell:/w/n.ipynb#text"),
        ("file:///w/cells/code.py", "file:///w/cells/text.md"),
    ],
)
async def test_the_cells_of_a_notebook_are_left_out(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard, uris: tuple[str, str]
) -> None:
    cells = dict(zip(uris, (CODE, MARKUP), strict=True))
    document = {
        "uri": NOTEBOOK,
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [{"kind": kind, "document": uri} for uri, kind in cells.items()],
    }
    texts = [{"uri": uri, "languageId": "python", "version": 1, "text": "x = \n"} for uri in cells]
    async with connected(host=host) as client:
        await initialize(client, **FOLDER)
        params = {"notebookDocument": document, "cellTextDocuments": texts}
        client.notify("notebookDocument/didOpen", params)
        for uri in cells:
            client.change(2, {"range": HERE, "text": "1"}, uri=uri)
        await client.no_further_response()
    assert heard.told == [("enter", "/w"), ("leave", "/w")]


async def test_a_document_follows_the_folder_that_it_is_named_by(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard
) -> None:
    def change(client: Any, added: list[str], removed: list[str]) -> None:
        event = {
            "added": [{"uri": f"file://{path}", "name": path} for path in added],
            "removed": [{"uri": f"file://{path}", "name": path} for path in removed],
        }
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})

    async with connected(host=host) as client:
        await initialize(client)
        client.open("x = \n", "file:///w/src/a.py")
        change(client, ["/w"], [])
        change(client, ["/w/src"], [])
        change(client, [], ["/w"])
        change(client, [], ["/w/src"])
        await client.no_further_response()
        assert heard.told == [
            ("enter", "/w"),
            ("note", "/w", "src/a.py"),
            ("enter", "/w/src"),
            ("drop", "/w", "src/a.py"),
            ("note", "/w/src", "a.py"),
            ("leave", "/w"),
            ("drop", "/w/src", "a.py"),
            ("leave", "/w/src"),
        ]


async def test_an_index_that_is_switched_off_meanwhile_is_left(
    connected: Connect, initialize: Initialize, host: ModelHost, heard: Heard
) -> None:
    def switch(client: Any, *, is_on: bool) -> None:
        settings = {"index": {"enabled": is_on}}
        client.notify("workspace/didChangeConfiguration", {"settings": settings})

    async with connected(host=host) as client:
        await initialize(client, **FOLDER)
        client.open("x = \n", "file:///w/a.py")
        switch(client, is_on=False)
        client.change(2, {"range": HERE, "text": "1"}, uri="file:///w/a.py")
        saved(client, "file:///w/a.py")
        switch(client, is_on=True)
        await client.no_further_response()
    assert heard.told == [
        ("enter", "/w"),
        ("note", "/w", "a.py"),
        ("drop", "/w", "a.py"),
        ("leave", "/w"),
        ("enter", "/w"),
        ("note", "/w", "a.py"),
        ("drop", "/w", "a.py"),
        ("leave", "/w"),
    ]
    assert heard.texts[-1].text == "x = 1\n"
