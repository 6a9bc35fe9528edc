from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

CANCELLED = -32800
Answers = Callable[[list[dict[str, Any]]], dict[Any, Any]]
DOCUMENT = {"textDocument": {"uri": "file:///a.py"}}


def test_frames_pass_unchanged_in_both_directions(conversation: Any) -> None:
    conversation.begin()
    body = b'{ "jsonrpc":"2.0",\t"id":"x","method":"workspace/executeCommand","params":{"a":1.50} }'
    conversation.relay.take_editor(body)
    assert bytes(conversation.relay.for_daemon).endswith(b"\r\n\r\n" + body)
    answer = b'{"jsonrpc": "2.0",  "id": "x", "result": "\\u00e9"}'
    conversation.relay.take_daemon(answer)
    assert bytes(conversation.relay.for_editor).endswith(b"\r\n\r\n" + answer)


def test_what_comes_before_the_daemon_is_there_is_handed_over_in_order(
    answers: Answers, conversation: Any
) -> None:
    conversation.type("initialize", {"capabilities": {}}, 1)
    conversation.type("initialized", {})
    conversation.open("x = ")
    conversation.complete(2)
    conversation.change(2, {"text": "y"})
    assert conversation.heard() == []
    conversation.relay.daemon_found()
    assert [said["method"] for said in conversation.heard()] == ["initialize"]
    conversation.welcome(1)
    assert [said["method"] for said in conversation.heard()] == [
        "initialized",
        "textDocument/didOpen",
        "textDocument/inlineCompletion",
        "textDocument/didChange",
    ]
    assert set(answers(conversation.shown())) == {1}


def test_a_daemon_that_dies_before_it_answers_initialize_is_replaced_unseen(
    answers: Answers,
    conversation: Any,
) -> None:
    conversation.relay.daemon_found()
    conversation.type("initialize", {"capabilities": {}}, 1)
    conversation.type("initialized", {})
    conversation.relay.daemon_lost()
    assert conversation.relay.wants_daemon
    assert conversation.shown() == []
    conversation.heard()
    conversation.relay.daemon_found()
    assert [said["id"] for said in conversation.heard()] == [1]
    conversation.welcome(1)
    assert answers(conversation.shown()) == {1: {"capabilities": {}}}
    assert [said["method"] for said in conversation.heard()] == ["initialized"]


def test_a_new_daemon_is_told_all_that_came_before_and_its_answer_stays_here(
    conversation: Any,
) -> None:
    conversation.relay.daemon_found()
    folder = {"uri": "file:///w", "name": "w"}
    conversation.type("initialize", {"capabilities": {}, "workspaceFolders": [folder]}, 1)
    conversation.welcome(1)
    conversation.type("initialized", {})
    for name in ("first", "second"):
        conversation.type("workspace/didChangeConfiguration", {"settings": {"name": name}})
    event = {"added": [{"uri": "file:///v", "name": "v"}], "removed": [folder]}
    conversation.type("workspace/didChangeWorkspaceFolders", {"event": event})
    conversation.open("x")
    conversation.open("gone", "file:///b.py")
    params = {"textDocument": {"uri": "file:///b.py"}}
    conversation.type("textDocument/didClose", params)
    conversation.change(7, {"text": "y"})
    conversation.shown()
    conversation.heard()
    greeting, *rest = conversation.replace_daemon()
    assert greeting["params"]["workspaceFolders"] == event["added"]
    assert [said["method"] for said in rest] == [
        "initialized",
        "workspace/didChangeConfiguration",
        "textDocument/didOpen",
    ]
    assert rest[1]["params"]["settings"] == {"name": "second"}
    opened = {"uri": "file:///a.py", "languageId": "python", "version": 7, "text": "y"}
    assert rest[2]["params"]["textDocument"] == opened
    assert conversation.shown() == []


def test_what_the_dead_daemon_owed_is_answered_once(answers: Answers, conversation: Any) -> None:
    conversation.begin()
    conversation.complete(2)
    conversation.complete(3)
    conversation.say(id=2, result={"items": []})
    conversation.relay.daemon_lost()
    assert answers(conversation.shown()) == {2: {"items": []}, 3: CANCELLED}
    conversation.relay.daemon_found()
    conversation.heard()
    conversation.welcome("fimble-proxy/initialize")
    conversation.say(id=3, result={"items": []})  # nobody waits for it any more
    assert conversation.shown() == []


def test_a_request_waits_for_the_next_daemon_and_asks_for_it(
    answers: Answers, conversation: Any
) -> None:
    conversation.begin()
    conversation.relay.daemon_lost()
    assert not conversation.relay.wants_daemon, "one that was told to stop would not stay away"
    conversation.complete(2)
    assert conversation.relay.wants_daemon
    conversation.relay.daemon_found()
    conversation.heard()
    conversation.welcome("fimble-proxy/initialize")
    assert conversation.heard()[-1]["id"] == 2
    conversation.say(id=2, result={"items": []})
    assert answers(conversation.shown()) == {2: {"items": []}}


def test_a_keystroke_asks_for_the_next_daemon(conversation: Any) -> None:
    conversation.begin()
    conversation.open("x")
    conversation.relay.daemon_lost()
    conversation.type("textDocument/didSave", DOCUMENT)
    assert not conversation.relay.wants_daemon
    conversation.change(2, {"text": "y"})
    assert conversation.relay.wants_daemon


def test_a_waiting_request_ends_when_its_document_changes_or_it_is_cancelled(
    answers: Answers,
    conversation: Any,
) -> None:
    conversation.begin()
    conversation.open("x")
    conversation.open("x", "file:///b.py")
    conversation.relay.daemon_lost()
    for msg_id, uri in ((2, "file:///a.py"), (3, "file:///b.py"), (4, "file:///b.py")):
        conversation.complete(msg_id, uri)
    conversation.change(2, {"text": "y"})
    conversation.type("$/cancelRequest", {"id": 4})
    assert answers(conversation.shown()) == {2: CANCELLED, 4: CANCELLED}
    conversation.relay.daemon_found()
    conversation.heard()
    conversation.welcome("fimble-proxy/initialize")
    assert [said["id"] for said in conversation.heard() if "id" in said] == [3]


def test_the_editors_response_to_a_dead_daemon_is_dropped(conversation: Any) -> None:
    conversation.begin()
    conversation.say(id="q", method="workspace/configuration", params={"items": []})
    assert [message["id"] for message in conversation.shown()] == ["q"]
    conversation.replace_daemon()
    conversation.send({"id": "q", "result": []})
    assert conversation.heard() == []
    conversation.say(id="r", method="workspace/configuration", params={"items": []})
    conversation.send({"id": "r", "result": []})
    assert [message["id"] for message in conversation.heard()] == ["r"]


def test_a_registration_that_the_editor_has_is_answered_here(
    answers: Answers, conversation: Any
) -> None:
    conversation.begin()

    def register(msg_id: str, *entries: tuple[str, str]) -> None:
        registrations = [{"id": name, "method": method} for name, method in entries]
        params = {"registrations": registrations}
        conversation.say(id=msg_id, method="client/registerCapability", params=params)

    register("1", ("a", "textDocument/inlineCompletion"))
    assert len(conversation.shown()) == 1
    conversation.send({"id": "1", "result": None})
    conversation.replace_daemon()
    register("2", ("b", "textDocument/inlineCompletion"))
    assert conversation.shown() == []
    assert answers(conversation.heard()) == {"2": None}
    register("3", ("c", "textDocument/inlineCompletion"), ("d", "textDocument/completion"))
    (asked,) = conversation.shown()
    assert [entry["id"] for entry in asked["params"]["registrations"]] == ["d"]
    # The editor knows the first daemon's name for what the second one takes back.
    entries = [{"id": "b", "method": "textDocument/inlineCompletion"}]
    params = {"unregisterations": entries}
    conversation.say(id="4", method="client/unregisterCapability", params=params)
    (asked,) = conversation.shown()
    assert asked["params"]["unregisterations"][0]["id"] == "a"
    register("5", ("e", "textDocument/inlineCompletion"))
    assert len(conversation.shown()) == 1


def test_progress_of_a_dead_daemon_ends_and_an_unused_token_is_kept(
    answers: Answers, conversation: Any
) -> None:
    conversation.begin()
    for token in ("begun", "unused", "over"):
        params = {"token": token}
        conversation.say(id=token, method="window/workDoneProgress/create", params=params)
        conversation.send({"id": token, "result": None})
    for token, kind in (("begun", "begin"), ("over", "begin"), ("over", "end")):
        params = {"token": token, "value": {"kind": kind}}
        conversation.say(method="$/progress", params=params)
    conversation.shown()
    told = conversation.replace_daemon()
    assert told
    (ended,) = conversation.shown()
    assert ended["params"] == {"token": "begun", "value": {"kind": "end"}}
    conversation.say(id="x", method="window/workDoneProgress/create", params={"token": "unused"})
    assert conversation.shown() == []
    assert answers(conversation.heard()) == {"x": None}
    conversation.say(id="y", method="window/workDoneProgress/create", params={"token": "begun"})
    assert len(conversation.shown()) == 1, "an ended token has to be created again"


def test_three_deaths_within_a_minute_end_the_attempts_for_a_while(
    answers: Answers, conversation: Any
) -> None:
    conversation.begin()
    conversation.open("x")
    for death in range(3):
        conversation.complete(10 + death)
        conversation.relay.daemon_lost()
        if death < 2:
            conversation.change(2 + death, {"text": "y"})
            assert conversation.relay.wants_daemon
            conversation.relay.daemon_found()
            conversation.welcome("fimble-proxy/initialize")
    shown = conversation.shown()
    assert answers(shown) == {10: CANCELLED, 11: CANCELLED, 12: CANCELLED}
    (told,) = [message for message in shown if "method" in message]
    assert told["params"]["type"] == 1
    assert told["params"]["message"].endswith("the daemon ended 3 times within a minute; look here")
    conversation.complete(20)
    conversation.type("textDocument/completion", {}, 21)
    conversation.type("workspace/executeCommand", {}, 22)
    conversation.type("fimble/why", {}, 23)
    conversation.change(9, {"text": "z"})
    assert not conversation.relay.wants_daemon
    found = answers(conversation.shown())
    assert found[20] == {"items": []}
    assert found[21]["items"] == []
    assert (found[22], found[23]) == (None, -32803)
    conversation.now += 61
    conversation.complete(30)
    assert conversation.relay.wants_daemon
    conversation.relay.daemon_found()
    conversation.heard()
    conversation.welcome("fimble-proxy/initialize")
    *_, opened, asked = conversation.heard()
    assert (opened["params"]["textDocument"]["text"], asked["id"]) == ("z", 30)


def test_deaths_that_lie_far_apart_are_no_crash_loop(conversation: Any) -> None:
    conversation.begin()
    for _ in range(5):
        conversation.replace_daemon()
        conversation.now += 31
    assert conversation.shown() == []


def test_without_any_daemon_initialize_fails_with_the_reason_and_nothing_stays_open(
    answers: Answers,
    conversation: Any,
) -> None:
    conversation.type("initialize", {"capabilities": {}}, 1)
    conversation.type("initialized", {})
    conversation.complete(2)
    conversation.relay.daemon_missing("no room")
    shown = conversation.shown()
    assert answers(shown) == {1: -32603, 2: -32002}
    assert shown[0]["params"]["message"] == "fimble offers no suggestions: no room; look here"
    conversation.complete(3)
    assert answers(conversation.shown()) == {3: -32002}
    conversation.type("initialize", {"capabilities": {}}, 4)
    assert conversation.relay.wants_daemon, "the editor was restarted and may have more luck"


def test_the_same_complaint_is_shown_once(answers: Answers, conversation: Any) -> None:
    conversation.begin()
    conversation.relay.daemon_lost()
    for attempt in range(3):
        conversation.complete(10 + attempt)
        conversation.relay.daemon_missing("no room")
        conversation.now += 61
    shown = conversation.shown()
    assert len([message for message in shown if "method" in message]) == 1
    assert answers(shown) == {10 + attempt: {"items": []} for attempt in range(3)}


@pytest.mark.parametrize("was_answered", [True, False])
def test_shutdown_is_answered_with_null_whoever_is_alive(
    answers: Answers, conversation: Any, was_answered: bool
) -> None:
    conversation.begin()
    conversation.type("shutdown", None, 2)
    if was_answered:
        conversation.say(id=2, result=None)
    conversation.relay.daemon_lost()
    assert answers(conversation.shown()) == {2: None}
    assert not conversation.relay.wants_daemon
    conversation.complete(3)
    assert answers(conversation.shown()) == {3: -32600}
    conversation.type("exit", None)
    assert conversation.relay.exit_code == 0


def test_shutdown_does_not_wait_for_another_daemon(answers: Answers, conversation: Any) -> None:
    conversation.begin()
    conversation.relay.daemon_lost()
    conversation.type("shutdown", None, 2)
    assert answers(conversation.shown()) == {2: None}
    conversation.type("exit", None)
    assert conversation.relay.exit_code == 0


def test_exit_answers_whoever_still_waits(answers: Answers, conversation: Any) -> None:
    conversation.begin()
    conversation.complete(2)
    conversation.heard()
    conversation.type("exit", None)
    assert conversation.relay.exit_code == 1
    assert answers(conversation.shown()) == {2: CANCELLED}
    assert [said["method"] for said in conversation.heard()] == ["exit"]


def test_exit_right_behind_everything_else_answers_all_of_it(
    answers: Answers, conversation: Any
) -> None:
    conversation.type("initialize", {"capabilities": {}}, 1)
    conversation.complete(2)
    conversation.type("shutdown", None, 3)
    conversation.type("exit", None)
    assert conversation.relay.exit_code == 0
    assert answers(conversation.shown()) == {1: CANCELLED, 2: CANCELLED, 3: None}


def test_an_editor_that_is_gone_ends_the_proxy(conversation: Any) -> None:
    conversation.begin()
    conversation.relay.editor_gone()
    assert conversation.relay.exit_code == 1
