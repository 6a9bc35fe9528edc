"""Untitled buffers, folders of the workspace, and why a request ended as it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.types import NoSuggestion, NoSuggestionReason
from lsp_server.folders import WorkspaceFolders, path_of

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}


def folder(path: str) -> dict[str, str]:
    return {"uri": f"file://{path}", "name": path}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///w/a.py", "/w/a.py"),
        ("file:///w/with%20space/%C3%A9.py", "/w/with space/é.py"),
        ("untitled:Untitled-1", None),
        ("untitled:/w/new.py", "/w/new.py"),
        ("vscode-notebook-cell:/w/n.ipynb#W0sZmlsZQ%3D%3D", "/w/n.ipynb"),
        ("git:/w/a.py?x", None),
        ("buffer", None),
        ("", None),
        ("file://[", None),
    ],
)
def test_a_uri_has_a_path_where_it_names_a_file(uri: str, path: str | None) -> None:
    assert path_of(uri) == path


@given(st.text(max_size=30), st.sampled_from(["", "file:", "untitled:", "vscode-notebook-cell:"]))
def test_any_uri_has_a_path_or_none(text: str, scheme: str) -> None:
    path = path_of(scheme + text)
    assert WorkspaceFolders().locate(path) == ("", path)


@pytest.mark.parametrize(
    ("opened", "uri", "name"),
    [
        ({"workspaceFolders": [folder("/w")]}, "file:///w/src/a.py", "src/a.py"),
        ({"workspaceFolders": [folder("/v"), folder("/w/src")]}, "file:///w/src/a.py", "a.py"),
        (
            {"workspaceFolders": [folder("/w/src"), folder("/w")]},
            "file:///w/src/deep/a.py",
            "deep/a.py",
        ),
        ({"workspaceFolders": [folder("/w")]}, "file:///wide/a.py", "/wide/a.py"),
        ({"workspaceFolders": None, "rootUri": "file:///w"}, "file:///w/a.py", "a.py"),
        ({"rootUri": None, "rootPath": "/w"}, "file:///w/a.py", "a.py"),
        ({"workspaceFolders": [], "rootUri": None}, "file:///w/a.py", "/w/a.py"),
        ({"workspaceFolders": [folder("/w")]}, "untitled:Untitled-1", None),
    ],
)
async def test_documents_are_named_by_their_innermost_folder(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    opened: dict[str, Any],
    uri: str,
    name: str | None,
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, **opened)
        client.open("x = ", uri=uri)
        response = await client.response(client.complete(0, 4, uri=uri))
        assert response["result"]["items"]
    (request,) = service.requests
    assert (request.document.path, request.document.uri) == (name, uri)
    assert request.document.language_id == "python"


async def test_folders_come_and_go(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        announced = await initialize(client, workspaceFolders=[folder("/w")])
        support = announced["capabilities"]["workspace"]["workspaceFolders"]
        assert support == {"supported": True, "changeNotifications": True}
        client.open("x = ", uri="file:///v/a.py")
        for added, removed in (["/v"], ["/w"]), ([], ["/v", "/unknown"]):
            event = {
                "added": [folder(path) for path in added],
                "removed": [folder(path) for path in removed],
            }
            client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
            await client.response(client.complete(0, 4, uri="file:///v/a.py"))
    assert [request.document.path for request in service.requests] == ["a.py", "/v/a.py"]


async def test_why_tells_how_the_last_request_of_a_document_ended(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    document = {"textDocument": {"uri": "file:///w/a.py"}}
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open("x = ")
        assert (await client.ask("fimble/why", document))["result"] is None
        await client.response(client.complete(0, 4))
        offered = (await client.ask("fimble/why", document))["result"]
        service.outcome = lambda request: NoSuggestion(
            request.request_id, NoSuggestionReason.REPEATS_SUFFIX, "duplicates"
        )
        await client.response(client.complete(0, 4))
        refused = (await client.ask("fimble/why", document))["result"]
        client.notify("textDocument/didClose", document)
        assert (await client.ask("fimble/why", document))["result"] == refused
    assert (offered["outcome"], offered["text"]) == ("suggestion", "a + b")
    assert "a suggestion was offered" in offered["sentence"]
    assert (refused["outcome"], refused["reason"]) == ("nothing", "repeats_suffix")
    assert "repeated the text that already follows the cursor (duplicates)" in refused["sentence"]


@pytest.mark.parametrize(
    "params", [None, {}, [], "x", {"textDocument": {}}, {"textDocument": {"uri": 5}}]
)
async def test_a_question_why_about_nothing_is_refused(
    connected: Connect, initialize: Initialize, params: object
) -> None:
    async with connected() as client:
        await initialize(client)
        refused = await client.ask("fimble/why", params)
        assert refused["error"]["code"] == -32602
        await client.no_further_response()
