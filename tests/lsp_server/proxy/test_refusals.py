"""What cannot be used: broken messages, unreadable changes, daemons that speak nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lsp_server.framing import BrokenFrame, FrameDecoder, frame
from lsp_server.proxy.relay import MAX_NUM_WAITING, DaemonError

Answers = Callable[[list[dict[str, Any]]], dict[Any, Any]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (BrokenFrame("a header without Content-Length"), -32700),
        (b"{", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":[],"method":"x"}', -32600),
    ],
)
def test_what_is_no_message_is_refused_here_while_there_is_no_daemon(
    answers: Answers, conversation: Any, body: Any, code: int
) -> None:
    conversation.relay.take_editor(body)
    assert answers(conversation.shown()) == {None: code}


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_what_is_no_message_is_refused_by_the_daemon(conversation: Any, body: bytes) -> None:
    """It may have been a change: the daemon has to know that its texts are outdated."""
    conversation.begin()
    conversation.relay.take_editor(body)
    assert bytes(conversation.relay.for_daemon) == frame(body)
    assert conversation.shown() == []


def test_a_broken_frame_is_broken_for_the_daemon_too(answers: Answers, conversation: Any) -> None:
    conversation.begin()
    conversation.relay.take_editor(BrokenFrame("a header without Content-Length"))
    conversation.complete(2)
    broken, request = FrameDecoder().feed(bytes(conversation.relay.for_daemon))
    assert isinstance(broken, BrokenFrame)
    assert isinstance(request, bytes)
    refusal = {"code": -32700, "message": "broken"}
    conversation.say(id=None, error=refusal)
    assert answers(conversation.shown()) == {None: -32700}


@pytest.mark.parametrize(
    "change",
    [
        {"contentChanges": [{"text": 3}]},
        {"contentChanges": [{"text": "b"}, {"range": {"start": {"line": 0}}, "text": ""}]},
        {"contentChanges": [{"text": "b", "range": {"start": {"line": -1, "character": 0}}}]},
        {},
        [],
        None,
    ],
)
def test_a_document_with_an_unreadable_change_stays_lost_until_its_text_arrives(
    conversation: Any, change: Any
) -> None:
    conversation.begin()
    conversation.open("a")
    document = {"textDocument": {"uri": "file:///a.py", "version": 2}}
    params = {**document, **change} if isinstance(change, dict) else change
    conversation.type("textDocument/didChange", params)
    *_, opened, lost = conversation.replace_daemon()
    assert opened["params"]["textDocument"]["text"] == "a"
    assert lost["method"] == "textDocument/didChange"
    assert "contentChanges" not in lost["params"], "the server must not be able to read it"
    start = {"line": 0, "character": 0}
    incremental = {"text": "no", "range": {"start": start, "end": start}}
    conversation.change(3, incremental)
    *_, opened, lost = conversation.replace_daemon()
    assert opened["params"]["textDocument"]["text"] == "a"
    conversation.now += 100
    conversation.change(4, incremental, {"text": "b"}, incremental)
    *_, opened = conversation.replace_daemon()
    assert opened["params"]["textDocument"]["text"] == "nob"


@pytest.mark.parametrize("body", [BrokenFrame("x"), b'{"method":"textDocument/didChange"'])
def test_a_lost_message_loses_every_document(conversation: Any, body: Any) -> None:
    conversation.begin()
    conversation.open("a")
    conversation.relay.daemon_lost()
    conversation.relay.take_editor(body)
    conversation.relay.daemon_found()
    conversation.heard()
    conversation.welcome("fimble-proxy/initialize")
    assert [said["method"] for said in conversation.heard()] == [
        "initialized",
        "textDocument/didOpen",
        "textDocument/didChange",
    ]


def test_a_refused_initialize_leaves_no_session_to_replay(
    answers: Answers, conversation: Any
) -> None:
    conversation.relay.daemon_found()
    conversation.type("initialize", 3, 1)
    conversation.say(id=1, error={"code": -32602, "message": "wrong parameters"})
    assert answers(conversation.shown()) == {1: -32602}
    conversation.relay.daemon_lost()
    conversation.type("initialize", {"capabilities": {}}, 2)
    conversation.heard()
    conversation.relay.daemon_found()
    assert [said["id"] for said in conversation.heard()] == [2]


def test_a_daemon_that_counts_differently_is_not_used(conversation: Any) -> None:
    conversation.begin(positionEncoding="utf-8")
    conversation.relay.daemon_lost()
    conversation.relay.daemon_found()
    with pytest.raises(DaemonError):
        conversation.welcome("fimble-proxy/initialize", positionEncoding="utf-16")


@pytest.mark.parametrize("body", [BrokenFrame("a header"), b"{"])
def test_a_daemon_that_speaks_nonsense_is_not_used(conversation: Any, body: Any) -> None:
    conversation.begin()
    with pytest.raises(DaemonError):
        conversation.relay.take_daemon(body)
    with pytest.raises(DaemonError):
        conversation.relay.take_daemon(b"\xff")


def test_an_editor_that_asks_without_end_has_to_wait(answers: Answers, conversation: Any) -> None:
    conversation.begin()
    conversation.relay.daemon_lost()
    for msg_id in range(MAX_NUM_WAITING + 1):
        assert not conversation.relay.is_full
        conversation.complete(msg_id)
    assert conversation.relay.is_full
    conversation.relay.daemon_missing("no room")
    assert not conversation.relay.is_full
    assert len(answers(conversation.shown())) == MAX_NUM_WAITING + 1


def test_half_a_surrogate_pair_is_replayed_as_the_server_keeps_it(conversation: Any) -> None:
    conversation.begin()
    body = json.dumps({"uri": "u", "languageId": "python", "version": 1, "text": "\ud800x"})
    conversation.relay.take_editor(
        b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":%b}}'
        % body.encode()
    )
    *_, opened = conversation.replace_daemon()
    assert opened["params"]["textDocument"]["text"] == "\ufffdx"
