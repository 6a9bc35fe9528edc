"""Whenever a daemon is replaced, the next one holds what the editor holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from completion.types import DocumentSnapshot
from lsp_server.line_index import LspPosition
from lsp_server.session import ContentChange, Session
from lsp_server.text_units import PositionEncoding

URIS = ["file:///a.py", "file:///b.py", "untitled:c"]
POSITION = st.fixed_dictionaries({"line": st.integers(0, 4), "character": st.integers(0, 8)})
RANGE = st.fixed_dictionaries({"start": POSITION, "end": POSITION})
TEXT = st.text(st.sampled_from("ab\r\né😀"), max_size=8)
CHANGE = st.one_of(
    st.fixed_dictionaries({"text": TEXT}),
    st.fixed_dictionaries({"text": TEXT, "range": RANGE}),
)
STEP = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(URIS), TEXT),
    st.tuples(st.just("change"), st.sampled_from(URIS), st.lists(CHANGE, max_size=3)),
    st.tuples(st.just("save"), st.sampled_from(URIS), TEXT),
    st.tuples(st.just("close"), st.sampled_from(URIS), st.none()),
    st.tuples(st.sampled_from(["kill", "find", "greet"]), st.none(), st.none()),
)


class ModelDaemon:
    """Follows documents as the real server does."""

    def __init__(self, encoding: PositionEncoding) -> None:
        self.session = Session()
        self.session.encoding = encoding
        self.uris: set[str] = set()

    def take(self, message: dict[str, Any]) -> None:
        params = message["params"]
        if message["method"] == "textDocument/didOpen":
            item = params["textDocument"]
            self.uris.add(item["uri"])
            self.session.open(
                DocumentSnapshot(item["uri"], item["version"], "python", item["text"], None)
            )
        elif message["method"] == "textDocument/didChange":
            if params["textDocument"]["uri"] not in self.uris:
                return
            changes = [_change(change) for change in params["contentChanges"]]
            document = params["textDocument"]
            self.session.change(document["uri"], document["version"], changes)
        elif message["method"] == "textDocument/didSave":
            document = self.session.find(params["textDocument"]["uri"])
            if document is not None:
                version = document.snapshot.version
                uri = document.snapshot.uri
                self.session.change(uri, version, [ContentChange(params["text"])])
        elif message["method"] == "textDocument/didClose":
            self.uris.discard(params["textDocument"]["uri"])
            self.session.close(params["textDocument"]["uri"])

    def documents(self) -> dict[str, tuple[int, str]]:
        found = {}
        for uri in self.uris:
            document = self.session.find(uri)
            assert document is not None
            found[uri] = (document.snapshot.version, document.snapshot.text)
        return found


def _change(change: dict[str, Any]) -> ContentChange:
    span = change.get("range")
    if span is None:
        return ContentChange(change["text"])
    ends = (span["start"], span["end"])
    first, second = (LspPosition(end["line"], end["character"]) for end in ends)
    return ContentChange(change["text"], (first, second))


@given(st.lists(STEP, max_size=25), st.sampled_from(list(PositionEncoding)))
def test_the_replayed_documents_equal_the_editors(
    new_conversation: Callable[[], Any], steps: list[tuple[Any, ...]], encoding: PositionEncoding
) -> None:
    talk = new_conversation()
    talk.begin(positionEncoding=encoding.value)
    truth, daemon = ModelDaemon(encoding), ModelDaemon(encoding)
    state = "live"
    for version, (kind, uri, content) in enumerate(steps, 2):
        if kind == "kill" and state != "away":
            talk.relay.daemon_lost()
            talk.now += 100  # seldom enough not to be a crash loop
            daemon, state = ModelDaemon(encoding), "away"
        elif kind == "find" and state == "away":
            talk.relay.daemon_found()
            state = "greeting"
        elif kind == "greet" and state == "greeting":
            (greeting,) = talk.heard()
            talk.welcome(greeting["id"], positionEncoding=encoding.value)
            state = "live"
        elif uri is not None:
            message = _message(kind, uri, version, content)
            talk.send(message)
            truth.take(message)
        if state == "live":
            for message in talk.heard():
                daemon.take(message)
            assert daemon.documents() == truth.documents()


def _message(kind: str, uri: str, version: int, content: Any) -> dict[str, Any]:
    name = {"uri": uri}
    if kind == "open":
        item = {**name, "languageId": "python", "version": version, "text": content}
        return {"method": "textDocument/didOpen", "params": {"textDocument": item}}
    if kind == "change":
        params = {"textDocument": {**name, "version": version}, "contentChanges": content}
        return {"method": "textDocument/didChange", "params": params}
    if kind == "save":
        return {"method": "textDocument/didSave", "params": {"textDocument": name, "text": content}}
    return {"method": "textDocument/didClose", "params": {"textDocument": name}}


def test_a_notebook_is_replayed_with_its_cells_as_they_are(conversation: Any) -> None:
    conversation.begin()

    def cell(name: str, text: str) -> dict[str, Any]:
        return {"uri": f"cell:{name}", "languageId": "python", "version": 1, "text": text}

    def entry(name: str) -> dict[str, Any]:
        return {"kind": 2, "document": f"cell:{name}"}

    notebook = {"uri": "nb:1", "notebookType": "jupyter", "version": 1, "cells": [entry("a")]}
    params = {"notebookDocument": notebook, "cellTextDocuments": [cell("a", "x = 1\n")]}
    conversation.type("notebookDocument/didOpen", params)
    structure = {
        "array": {"start": 0, "deleteCount": 0, "cells": [entry("b")]},
        "didOpen": [cell("b", "y")],
    }
    start = {"line": 0, "character": 4}
    span = {"start": start, "end": {"line": 0, "character": 5}}
    text = {
        "document": {"uri": "cell:a", "version": 2},
        "changes": [{"range": span, "text": "22"}],
    }
    change = {"cells": {"structure": structure, "textContent": [text], "data": []}}
    params = {"notebookDocument": {"uri": "nb:1", "version": 2}, "change": change}
    conversation.type("notebookDocument/didChange", params)
    *_, opened = conversation.replace_daemon()
    assert opened["method"] == "notebookDocument/didOpen"
    assert opened["params"]["notebookDocument"]["cells"] == [entry("b"), entry("a")]
    assert opened["params"]["notebookDocument"]["version"] == 2
    texts = {item["uri"]: item["text"] for item in opened["params"]["cellTextDocuments"]}
    assert texts == {"cell:a": "x = 22\n", "cell:b": "y"}
    conversation.type("notebookDocument/didClose", {"notebookDocument": {"uri": "nb:1"}})
    assert [said["method"] for said in conversation.replace_daemon()] == [
        "initialize",
        "initialized",
    ]
