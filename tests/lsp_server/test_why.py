"""``fimble/why`` and the command ``fimble.why`` over LSP."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from completion.types import NoSuggestion, NoSuggestionReason
from lsp_server.host import ModelHost
from lsp_server.logs import LogLevel, configure_logging
from lsp_server.settings import ServerSettings

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": True}
URI = "file:///w/a.py"
SECRET = "hunter2_is_my_password"


def command(*arguments: object) -> dict[str, Any]:
    return {"command": "fimble.why", "arguments": list(arguments)}


async def test_the_command_answers_by_id_by_document_and_for_the_newest(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    async with connected(**WAIT) as client:
        capabilities = (await initialize(client))["capabilities"]
        assert "fimble.why" in capabilities["executeCommandProvider"]["commands"]
        assert (await client.ask("workspace/executeCommand", command()))["result"] is None
        for uri in (URI, "file:///w/b.py"):
            client.open("x = ", uri=uri)
            response = await client.response(client.complete(0, 4, uri=uri))
        (item,) = response["result"]["items"]
        (request_id,) = item["command"]["arguments"]
        told = [
            (await client.ask("workspace/executeCommand", asked))["result"]
            for asked in (
                command(),
                command({}),
                command({"id": request_id}),
                command({"uri": "file:///w/b.py"}),
            )
        ]
        assert all(each == told[0] for each in told)
        assert (told[0]["id"], told[0]["uri"]) == (request_id, "file:///w/b.py")
        other = (await client.ask("workspace/executeCommand", command({"uri": URI})))["result"]
        assert other["uri"] == URI
        by_id = await client.ask("fimble/why", {"id": other["id"]})
        assert by_id["result"] == other
        unknown = await client.ask("workspace/executeCommand", command({"id": "nobody"}))
        assert unknown["result"] is None


@pytest.mark.parametrize("argument", [5, "x", [], {"id": 5}, {"uri": 5}])
async def test_a_command_that_asks_for_nothing_is_refused(
    connected: Connect, initialize: Initialize, argument: object
) -> None:
    async with connected() as client:
        await initialize(client)
        refused = await client.ask("workspace/executeCommand", command(argument))
        assert refused["error"]["code"] == -32602


async def test_the_place_is_told_as_people_count(
    connected: Connect, initialize: Initialize
) -> None:
    async with connected(**WAIT) as client:
        await initialize(client, clientInfo={"name": "Neovim"})
        client.open("🙂 = 1\n🙂 = ")
        await client.response(client.complete(1, 5))
        told = (await client.ask("fimble/why", {"textDocument": {"uri": URI}}))["result"]
    assert (told["line"], told["column"]) == (2, 5)
    assert (told["door"], told["client"], told["path"]) == ("lsp", "Neovim", "/w/a.py")
    assert told["timings_ms"]["total"] > 0


async def test_a_request_the_editor_took_back_is_remembered_and_not_shown_as_the_answer(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    connection = connected(**WAIT)
    async with connection as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        service.gate.clear()
        client.complete(0, 4)
        client.change(2, {"text": "x = 1"})
        await client.any_response()
        service.gate.set()
        told = (await client.ask("fimble/why", {"textDocument": {"uri": URI}}))["result"]
        outcomes = [each.summary()["outcome"] for each in connection.host.explanations.newest(5)]
    assert told["outcome"] == "suggestion"
    assert outcomes == ["cancelled", "suggestion"]


async def test_a_refusal_of_the_settings_is_explained_too(
    connected: Connect, initialize: Initialize
) -> None:
    async with connected(**WAIT, **{"completion.enabled": False}) as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        told = (await client.ask("fimble/why", {"textDocument": {"uri": URI}}))["result"]
    assert (told["outcome"], told["reason"]) == ("nothing", "disabled")


async def test_two_editors_ask_about_their_own_documents(
    connected: Connect, initialize: Initialize, service: Any
) -> None:
    host = ModelHost(lambda _settings, _progress: service)
    async with (
        connected(host=host, owner="a", **WAIT) as first,
        connected(host=host, owner="b", **WAIT) as second,
    ):
        for client in (first, second):
            await initialize(client)
            client.open("x = ")
        await first.response(first.complete(0, 4))
        document = {"textDocument": {"uri": URI}}
        assert (await first.ask("fimble/why", document))["result"] is not None
        assert (await second.ask("fimble/why", document))["result"] is None
        assert (await second.ask("workspace/executeCommand", command()))["result"] is None
    host.close()


def _files_with(text: str, folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


async def test_explanations_leave_no_text_in_the_log_or_on_the_disk(
    connected: Connect,
    initialize: Initialize,
    service: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    configure_logging(ServerSettings(log_level=LogLevel.INFO), str(tmp_path / "log"))
    service.text = SECRET
    async with connected(**WAIT) as client:
        await initialize(client)
        client.open(f"{SECRET} = ")
        await client.response(client.complete(0, len(SECRET) + 3))
        told = await client.ask("fimble/why", {"textDocument": {"uri": URI}})
        assert SECRET in json.dumps(told)
        service.outcome = lambda request: NoSuggestion(
            request.request_id, NoSuggestionReason.REPEATS_SUFFIX, "duplicates"
        )
        await client.response(client.complete(0, len(SECRET) + 3))
        await client.ask("workspace/executeCommand", command())
    logging.shutdown()
    assert not _files_with(SECRET, tmp_path)
    assert _files_with("nothing, repeats_suffix", tmp_path)
