"""Suggestions in an editor: shown, taken, and what is left of them later, seen through the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from completion.types import CompletionRequest, Suggestion
from lsp_server.host import ModelHost
from lsp_server.learning.feedback import Feedback
from lsp_server.learning.store import ObservationStore

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}
URI = "file:///w/a.py"
DID_SHOW = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT = "textDocument/didPartiallyAcceptCompletion"


def span(line: int, start: int, end: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line, "character": end},
    }


def insertion(text: str, character: int, line: int = 0) -> dict[str, Any]:
    return {"text": text, "range": span(line, character, character)}


class Editor:
    """A client with one document that asks at the end of its first line, as an editor does."""

    def __init__(self, client: Any, text: str) -> None:
        self.client = client
        self.version = 1
        client.open(text)

    def change(self, *changes: dict[str, Any]) -> None:
        self.version += 1
        self.client.change(self.version, *changes)

    async def offered(self, character: int) -> dict[str, Any]:
        response = await self.client.response(self.client.complete(0, character))
        (item,) = response["result"]["items"]
        return dict(item)

    def notify(self, method: str, item: dict[str, Any], **more: Any) -> None:
        self.client.notify(method, {"item": item, **more})

    async def accept(self, item: dict[str, Any]) -> None:
        command = item["command"]
        arguments = {"command": command["command"], "arguments": command["arguments"]}
        answer = await self.client.ask("workspace/executeCommand", arguments)
        assert answer["result"] is None

    async def settle(self) -> None:
        """Return once the server has handled all that was sent."""
        await self.client.ask("fimble/why", {"textDocument": {"uri": URI}})


def id_of(item: dict[str, Any]) -> str:
    return str(item["command"]["arguments"][0])


@pytest.fixture
def rows(feedback: Feedback, store: ObservationStore) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        feedback.flush()
        return store.read()

    return read


async def test_a_suggestion_is_noted_with_its_language_model_and_confidence(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client, clientInfo={"name": "Some Editor"})
        editor = Editor(client, "x = ")
        await editor.offered(4)
    (row,) = rows()
    assert (row.language, row.client, row.door) == ("python", "Some Editor", "lsp")
    assert (row.model, row.source, row.confidence) == ("qwen2.5-coder-0.5b", "engine", 0.9)
    assert (row.num_chars, row.num_lines, row.shown, row.accepted) == (5, 1, 0, 0)
    assert row.latency_ms > 0


async def test_copilots_notification_says_that_a_suggestion_was_shown(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.notify(DID_SHOW, item)
        await editor.settle()
    assert [row.shown for row in rows()] == [1]


@pytest.mark.parametrize("tells_first", [False, True])
async def test_what_was_accepted_is_measured_after_half_a_minute_two_and_ten(
    connected: Connect,
    initialize: Initialize,
    learning_host: ModelHost,
    clock: Any,
    rows: Any,
    service: Any,
    tells_first: bool,
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = \ny = 1\n")
        item = await editor.offered(4)
        if tells_first:
            await editor.accept(item)
        # As VS Code does it: the whole line is replaced.
        editor.change({"text": item["insertText"], "range": item["range"]})
        if not tells_first:
            await editor.accept(item)
        await editor.settle()
        clock.advance(30)
        editor.change({"text": "", "range": span(0, 5, 7)})  # "a + b" to "a b"
        editor.change(insertion("# above\n", 0))
        await editor.settle()
        clock.advance(90)
        editor.change({"text": "", "range": span(1, 0, 7)})  # the line is gone
        await editor.settle()
        clock.advance(480)
        await editor.settle()
    (row,) = rows()
    assert (row.accepted, row.accepted_chars, row.typed) == (2, 5, 0)
    assert (row.kept_30, row.kept_120, row.kept_600) == (1.0, 0.6, 0.0)
    assert service.accepted_ids == [row.id]


async def test_an_undo_within_half_a_minute_leaves_nothing(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, clock: Any, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.change(insertion("a + b", 4))
        await editor.accept(item)
        editor.change({"text": "", "range": span(0, 4, 9)})
        await editor.settle()
        clock.advance(30)
    (row,) = rows()
    assert (row.accepted, row.kept_30, row.kept_120) == (2, 0.0, 0.0)


async def test_a_formatter_that_replaces_the_whole_text_leaves_what_it_did_not_change(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, clock: Any, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x=1\ny = \n")
        client.complete(1, 4)
        response = await client.any_response()
        (item,) = response["result"]["items"]
        editor.change(insertion("a + b", 4, line=1))
        await editor.accept(item)
        editor.change({"text": "x = 1\ny = (a + b)\n"})
        await editor.settle()
        clock.advance(30)
    assert [row.kept_30 for row in rows()] == [1.0]


async def test_words_that_are_accepted_one_by_one_are_one_suggestion(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, clock: Any, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        assert item["insertText"] == "x = a + b"
        editor.change(insertion("a ", 4))
        editor.notify(DID_PARTIALLY_ACCEPT, item, acceptedLength=len("x = a "))
        editor.change(insertion("+ ", 6))
        editor.notify(DID_PARTIALLY_ACCEPT, item, acceptedLength=len("x = a + "))
        editor.change({"text": "", "range": span(0, 6, 8)})
        await editor.settle()
        clock.advance(30)
        assert learning_host.feedback.fields_of(id_of(item)) == {
            "shown": True,
            "accepted": "part",
            "accepted_length": 4,
            "typed": False,
            "dismissed": False,
            "kept": {"30": 0.5},
        }
    (row,) = rows()
    assert (row.accepted, row.accepted_chars, row.kept_30) == (1, 4, 0.5)


async def test_the_accepted_length_counts_utf16_units(
    connected: Connect,
    initialize: Initialize,
    learning_host: ModelHost,
    service: Any,
    rows: Any,
) -> None:
    service.text = "'😀' + b"
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "é = ")
        item = await editor.offered(4)
        editor.change(insertion("'😀'", 4))
        editor.notify(DID_PARTIALLY_ACCEPT, item, acceptedLength=len("é = ") + 4)
        await editor.settle()
    assert [row.accepted_chars for row in rows()] == [3]


async def test_a_suggestion_that_is_typed_out_counts_on_its_own_and_once(
    connected: Connect,
    initialize: Initialize,
    learning_host: ModelHost,
    service: Any,
    rows: Any,
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        await editor.offered(4)
        for number, char in enumerate("a + b"):
            editor.change(insertion(char, 4 + number))
            service.text = "a + b"[number + 1 :]
            if service.text:
                await editor.offered(5 + number)
        await editor.settle()
    (row,) = rows()
    assert (row.typed, row.accepted, row.num_chars) == (1, 0, 5)


async def test_other_text_than_was_suggested_takes_nothing(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        await editor.offered(4)
        editor.change(insertion("a", 4))
        editor.change(insertion("z", 5))
        await editor.offered(6)
    first, second = rows()
    assert (first.typed, first.accepted) == (0, 0)
    assert first.id != second.id


async def test_closing_the_document_measures_once_and_leaves_the_rest_unknown(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, clock: Any, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.change(insertion("a + b", 4))
        await editor.accept(item)
        clock.advance(30)
        editor.change({"text": "", "range": span(0, 8, 9)})
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        await editor.settle()
        assert clock.num_pending == 0
        clock.advance(1000)
    (row,) = rows()
    assert (row.kept_30, row.kept_120, row.kept_600) == (1.0, 0.8, None)


async def test_a_client_that_goes_away_leaves_no_timer(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, clock: Any, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.change(insertion("a + b", 4))
        await editor.accept(item)
        assert clock.num_pending == 3
    assert clock.num_pending == 0
    assert [row.kept_30 for row in rows()] == [1.0]


async def test_of_a_document_whose_text_is_lost_nothing_is_measured(
    connected: Connect, initialize: Initialize, learning_host: ModelHost, clock: Any, rows: Any
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.change(insertion("a + b", 4))
        await editor.accept(item)
        client.notify("textDocument/didChange", {"textDocument": {"uri": URI}})
        await editor.settle()
        clock.advance(30)
        editor.change({"text": "# new\nx = a + b"})
        await editor.settle()
        clock.advance(90)
    (row,) = rows()
    assert (row.kept_30, row.kept_120) == (None, 1.0)


async def test_with_learning_switched_off_nothing_is_written(
    connected: Connect,
    initialize: Initialize,
    learning_host: ModelHost,
    feedback: Feedback,
    store: ObservationStore,
) -> None:
    off = {"learning.enabled": "false"}
    async with connected(host=learning_host, **WAIT, **off) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.notify(DID_SHOW, item)
        await editor.accept(item)
        fields = feedback.fields_of(id_of(item))
        assert fields is not None
        assert fields["accepted"] == "all"
    feedback.flush()
    assert not store.path.exists()


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"item": None},
        {"item": {"insertText": "a"}},
        {"item": {"insertText": "a", "command": {"command": "x", "title": "x"}}},
        {"item": {"insertText": 5, "command": {"arguments": [1]}}, "acceptedLength": 1},
        {"item": {"insertText": "a", "command": {"arguments": ["nobody"]}}, "acceptedLength": -1},
        {"item": {"insertText": "a", "command": {"arguments": ["nobody"]}}, "acceptedLength": 9},
    ],
)
@pytest.mark.parametrize("method", [DID_SHOW, DID_PARTIALLY_ACCEPT])
async def test_notifications_that_make_no_sense_change_nothing(
    connected: Connect,
    initialize: Initialize,
    learning_host: ModelHost,
    rows: Any,
    caplog: pytest.LogCaptureFixture,
    method: str,
    params: Any,
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        client.notify(method, params)
        await editor.offered(4)
    assert [(row.shown, row.accepted) for row in rows()] == [(0, 0)]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_explanation_tells_what_became_of_the_suggestion(
    connected: Connect, initialize: Initialize, learning_host: ModelHost
) -> None:
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        item = await editor.offered(4)
        editor.change(insertion("a + b", 4))
        await editor.accept(item)
        why = await client.ask("fimble/why", {"textDocument": {"uri": URI}})
        told = why["result"]["feedback"]
        assert (told["accepted"], told["accepted_length"], told["kept"]) == ("all", 5, {})


async def test_of_several_candidates_the_one_in_the_document_is_the_one_that_was_taken(
    connected: Connect,
    initialize: Initialize,
    learning_host: ModelHost,
    service: Any,
    clock: Any,
    rows: Any,
) -> None:
    def outcome(request: CompletionRequest) -> Suggestion:
        from dataclasses import replace

        from completion.types import Candidate

        suggestion = service.suggestion(request, "first()")
        return replace(suggestion, candidates=(Candidate("second(x)", -1.0),))

    service.outcome = outcome
    async with connected(host=learning_host, **WAIT) as client:
        await initialize(client)
        editor = Editor(client, "x = ")
        response = await client.response(client.complete(0, 4))
        item = response["result"]["items"][1]
        editor.change(insertion("second(x)", 4))
        await editor.accept(item)
        clock.advance(30)
    (row,) = rows()
    assert (row.accepted_chars, row.kept_30) == (len("second(x)"), 1.0)
