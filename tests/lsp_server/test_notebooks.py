"""Cells of a notebook, seen as one document by the model and as many by the editor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.types import DocumentSnapshot, apply_edits, document_key
from lsp_server.line_index import LspPosition
from lsp_server.notebooks import Cell, Notebook
from lsp_server.session import ContentChange, Session

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
NOTEBOOK = "file:///w/lab/n.ipynb"
CODE, MARKUP = 2, 1
CAPABLE = {"notebookDocument": {"synchronization": {}}}


def cell_uri(name: str) -> str:
    return f"vscode-notebook-cell:/w/lab/n.ipynb#{name}"


def text_item(name: str, text: str, language: str = "python") -> dict[str, Any]:
    return {"uri": cell_uri(name), "languageId": language, "version": 1, "text": text}


def cell(name: str, kind: int = CODE) -> dict[str, Any]:
    return {"kind": kind, "document": cell_uri(name)}


def open_notebook(client: Any, *cells: tuple[str, int, str, str]) -> None:
    """Open cells given as (name, kind, language, text)."""
    document = {
        "uri": NOTEBOOK,
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [cell(name, kind) for name, kind, _, _ in cells],
    }
    texts = [text_item(name, text, language) for name, _, language, text in cells]
    params = {"notebookDocument": document, "cellTextDocuments": texts}
    client.notify("notebookDocument/didOpen", params)


def change_cells(client: Any, version: int = 2, **cells: Any) -> None:
    document = {"uri": NOTEBOOK, "version": version}
    params = {"notebookDocument": document, "change": {"cells": cells}}
    client.notify("notebookDocument/didChange", params)


CELLS = (
    ("a", CODE, "python", "import math"),
    ("b", MARKUP, "markdown", "# Text"),
    ("c", CODE, "sql", "select 1"),
    ("d", CODE, "python", "x = "),
    ("e", CODE, "python", "print(x)"),
)


async def test_notebooks_are_followed_by_clients_that_can(
    connected: Connect, initialize: Initialize
) -> None:
    async with connected() as client:
        capabilities = (await initialize(client, capabilities=CAPABLE))["capabilities"]
    assert capabilities["notebookDocumentSync"] == {"notebookSelector": [{"notebook": "*"}]}


async def test_a_request_in_a_cell_sees_the_code_cells_of_its_language_around_it(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE, rootUri="file:///w")
        open_notebook(client, *CELLS)
        response = await client.response(client.complete(0, 4, uri=cell_uri("d")))
    (request,) = service.requests
    assert (request.prefix, request.suffix) == ("import math\n\nx = ", "\n\nprint(x)")
    assert (request.document.path, request.document.language_id) == ("lab/n.ipynb", "python")
    (item,) = response["result"]["items"]
    assert item["insertText"] == "x = a + b"
    start, end = {"line": 0, "character": 0}, {"line": 0, "character": 4}
    assert item["range"] == {"start": start, "end": end}


async def test_cells_that_are_no_code_stand_alone(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE)
        open_notebook(client, *CELLS)
        await client.response(client.complete(0, 6, uri=cell_uri("b")))
        await client.response(client.complete(0, 8, uri=cell_uri("c")))
    assert [request.document.text for request in service.requests] == ["# Text", "select 1"]


async def test_a_change_of_the_notebook_shows_in_the_next_request(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE)
        open_notebook(client, *CELLS)
        await client.response(client.complete(0, 4, uri=cell_uri("d")))
        array = {"start": 1, "deleteCount": 2, "cells": [cell("f")]}
        closed = [{"uri": cell_uri("b")}, {"uri": cell_uri("c")}]
        opened = [text_item("f", "y = 2")]
        structure = {"array": array, "didOpen": opened, "didClose": closed}
        span = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
        document = {"uri": cell_uri("d"), "version": 2}
        text = [{"document": document, "changes": [{"range": span, "text": "z"}]}]
        change_cells(client, structure=structure, textContent=text)
        await client.response(client.complete(0, 4, uri=cell_uri("d")))
        change_cells(client, 3, data=[cell("a", MARKUP)])
        await client.response(client.complete(0, 4, uri=cell_uri("d")))
    first, second, third = (request.document for request in service.requests)
    assert second.text == "import math\n\ny = 2\n\nz = \n\nprint(x)"
    assert third.text == "y = 2\n\nz = \n\nprint(x)"
    assert second.base_version == first.version
    assert apply_edits(first.text, second.edits) == second.text
    assert apply_edits(second.text, third.edits) == third.text


async def test_a_newer_request_in_another_cell_supersedes(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE)
        open_notebook(client, *CELLS)
        service.gate.clear()
        first = client.complete(0, 4, uri=cell_uri("d"))
        second = client.complete(0, 8, uri=cell_uri("e"))
        assert (await client.response(first))["error"]["code"] == -32800
        change_cells(client, data=[cell("a")])
        assert (await client.response(second))["error"]["code"] == -32800


async def test_a_closed_notebook_is_forgotten_whole(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE)
        open_notebook(client, *CELLS)
        await client.response(client.complete(0, 4, uri=cell_uri("d")))
        texts = [{"uri": cell_uri(name)} for name in "abcde"]
        params = {"notebookDocument": {"uri": NOTEBOOK}, "cellTextDocuments": texts}
        client.notify("notebookDocument/didClose", params)
        gone = await client.response(client.complete(0, 4, uri=cell_uri("d")))
    assert gone["result"] == {"items": []}
    cells = {document_key("", cell_uri(name)) for name in "abcde"}
    assert set(service.forgotten) == {document_key("", f"{NOTEBOOK}#python"), *cells}


async def test_a_change_that_cannot_be_read_loses_the_notebook_until_it_is_opened_anew(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE)
        open_notebook(client, *CELLS)
        change_cells(client, textContent=[{"document": 5}])
        lost = await client.response(client.complete(0, 4, uri=cell_uri("d")))
        assert lost["result"] == {"items": []}
        open_notebook(client, *CELLS)
        found = await client.response(client.complete(0, 4, uri=cell_uri("d")))
        assert found["result"]["items"]
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "cells",
    [
        {"structure": {"array": {"start": 99, "deleteCount": 99}}},
        {"structure": {"array": {"start": 0, "deleteCount": 0, "cells": [cell("never opened")]}}},
        {"textContent": [{"document": {"uri": "file:///no", "version": 1}, "changes": []}]},
        {"data": [cell("unknown")]},
    ],
)
async def test_a_change_of_what_is_not_there_ends_nothing(
    connected: Connect, initialize: Initialize, cells: dict[str, Any]
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, capabilities=CAPABLE)
        change_cells(client, **cells)
        open_notebook(client, *CELLS)
        change_cells(client, **cells)
        response = await client.response(client.complete(0, 4, uri=cell_uri("d")))
        assert response["result"]["items"]


texts = st.text(alphabet="ab\n\r😀", max_size=6)
actions = st.one_of(
    st.tuples(st.just("edit"), st.integers(0, 9), texts, st.integers(0, 6), st.integers(0, 6)),
    st.tuples(st.just("insert"), st.integers(0, 9), texts, st.booleans(), st.booleans()),
    st.tuples(st.just("delete"), st.integers(0, 9), st.integers(1, 3), st.none(), st.none()),
    st.tuples(st.just("turn"), st.integers(0, 9), st.booleans(), st.none(), st.none()),
)


class Mirror:
    """A notebook as an editor would hold it: (name, language, is code, text) for each cell."""

    def __init__(self) -> None:
        self.cells: list[tuple[str, str, bool, str]] = []
        self.session = Session()
        self.session.open_notebook(Notebook(NOTEBOOK, []), [])
        self._num_made = 0

    def apply(self, action: tuple[Any, ...]) -> None:
        kind, at = action[0], action[1] % (len(self.cells) + 1)
        if kind == "insert":
            self._insert(at, *action[2:])
        elif at < len(self.cells):
            {"edit": self._edit, "delete": self._delete, "turn": self._turn}[kind](at, *action[2:])

    def _insert(self, at: int, text: str, is_code: bool, is_python: bool) -> None:
        self._num_made += 1
        name, language = f"cell:{self._num_made}", "python" if is_python else "sql"
        self.cells.insert(at, (name, language, is_code, text))
        self.session.notebook(NOTEBOOK).splice(at, 0, [Cell(name, is_code)])
        self.session.open(DocumentSnapshot(name, 1, language, text))

    def _edit(self, at: int, inserted: str, first: int, second: int) -> None:
        name, language, is_code, text = self.cells[at]
        document = self.session.find(name)
        assert document is not None
        encoding = self.session.encoding
        ends = sorted(min(offset, len(text)) for offset in (first, second))
        span = [document.position_of(offset, encoding) for offset in ends]
        start, end = (document.offset_of(position, encoding) for position in span)
        self.session.change(name, 2, [ContentChange(inserted, (span[0], span[1]))])
        self.cells[at] = (name, language, is_code, text[:start] + inserted + text[end:])

    def _delete(self, at: int, num: int, *_: None) -> None:
        for name, *_rest in self.cells[at : at + num]:
            self.session.close(name)
        self.session.notebook(NOTEBOOK).splice(at, num, [])
        del self.cells[at : at + num]

    def _turn(self, at: int, is_code: bool, *_: None) -> None:
        name, language, _, text = self.cells[at]
        self.session.notebook(NOTEBOOK).update(Cell(name, is_code))
        self.cells[at] = (name, language, is_code, text)

    def expected(self, at: int) -> tuple[str, str]:
        """Return what stands before and behind the start of a cell."""
        name, language, is_code, text = self.cells[at]
        if not is_code:
            return "", text
        alike = [cell for cell in self.cells if cell[1] == language and cell[2]]
        place = [cell[0] for cell in alike].index(name)
        before = "".join(cell[3] + "\n\n" for cell in alike[:place])
        return before, "\n\n".join(cell[3] for cell in alike[place:])


@given(st.lists(actions, max_size=12))
def test_after_any_changes_every_cell_sees_the_notebook_that_the_editor_has(
    script: Sequence[tuple[Any, ...]],
) -> None:
    mirror = Mirror()
    seen: dict[str, DocumentSnapshot] = {}
    for action in script:
        mirror.apply(action)
        for at, (name, _, is_code, text) in enumerate(mirror.cells):
            view = mirror.session.view(name)
            assert view is not None
            before, behind = mirror.expected(at)
            assert view.snapshot.text == before + behind
            assert view.start == len(before)
            assert view.document.snapshot.text == text
            former = seen.get(view.snapshot.uri)
            if is_code and former is not None and former.version != view.snapshot.version:
                assert view.snapshot.base_version == former.version
                assert apply_edits(former.text, view.snapshot.edits) == view.snapshot.text
            if is_code:
                seen[view.snapshot.uri] = view.snapshot


def test_a_position_in_a_cell_is_counted_from_the_cell() -> None:
    session = Session()
    notebook = Notebook(NOTEBOOK, [Cell("u:1", is_code=True), Cell("u:2", is_code=True)])
    texts = [
        DocumentSnapshot("u:1", 1, "python", "a\nb"),
        DocumentSnapshot("u:2", 1, "python", "c"),
    ]
    session.open_notebook(notebook, texts)
    view = session.view("u:2")
    assert view is not None
    offset = view.document.offset_of(LspPosition(0, 1), session.encoding)
    assert view.snapshot.text[: view.start + offset] == "a\nb\n\nc"
