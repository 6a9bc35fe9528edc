"""Tabby's completions, events and health as its plugins send and read them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from completion.types import CompletionRequest, NoSuggestion, NoSuggestionReason

# What the agent of Tabby's plugins sends while somebody types.
BODY = {
    "language": "python",
    "segments": {
        "prefix": "def area(radius):\n    return ",
        "suffix": "\n",
        "filepath": "src/area.py",
        "git_url": "https://user:secret@example.org/shapes.git",
        "declarations": [{"filepath": "src/consts.py", "body": "PI = 3.14\n"}],
        "relevant_snippets_from_changed_files": [
            {"filepath": "src/a.py", "body": "best = 1\n", "score": 2.5},
            {"filepath": "src/b.py", "body": "good = 1\n", "score": 1},
        ],
        "relevant_snippets_from_recently_opened_files": [
            {"filepath": "src/c.py", "body": "seen = 1\n", "score": 9.0}
        ],
        "clipboard": "copied = 1\n",
        "edit_history": None,
    },
    "user": "somebody",
    "temperature": 0.1,
    "mode": "standard",
}


def complete(server: Any, **more: Any) -> dict[str, Any]:
    """Ask for the usual completion and return the answer, which has to be there."""
    response = server.post({**BODY, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def event(server: Any, **fields: Any) -> httpx.Response:
    """Send an event about a completion."""
    body = {"choice_index": 0, "view_id": "view-1", "elapsed": 120, **fields}
    response: httpx.Response = server.request("POST", "/v1/events", json=body)
    return response


def test_segments_tell_tabbys_words_from_openais(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service)
    answer = complete(server)
    assert set(answer) == {"id", "choices"}
    assert answer["choices"] == [{"index": 0, "text": "a + b"}]
    assert answer["id"].startswith("cmpl-")
    other = server.post({"prompt": "def area(radius):\n    return ", "suffix": "\n"}).json()
    assert other["object"] == "text_completion"
    first, second = service.requests
    assert (first.prefix, first.suffix) == (second.prefix, second.suffix)
    assert (first.verbatim, second.verbatim) == (False, True)


def test_what_matters_most_stands_nearest_to_the_cursor(serve: Any, make_service: Any) -> None:
    service = make_service()
    complete(serve(service))
    (request,) = service.requests
    assert [chunk.path for chunk in request.context] == [
        "clipboard",
        "src/c.py",
        "src/b.py",
        "src/a.py",
        "src/consts.py",
    ]
    assert request.document.path == "src/area.py"
    assert request.document.language_id == "python"
    assert request.temperature == 0.1
    assert request.deadline_ms == 1500


def test_repositories_and_users_have_documents_of_their_own(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service)
    complete(server)
    complete(server, user="other")
    complete(server, segments={**BODY["segments"], "git_url": None})  # type: ignore[dict-item]
    complete(server)
    keys = [request.document.key for request in service.requests]
    assert len(set(keys)) == 3
    assert keys[0] == keys[3]
    assert not any("secret" in key for key in keys)


def test_debug_options_return_what_was_shown(tiny: Any) -> None:
    options = {"return_snippets": True, "return_prompt": True}
    shown = complete(tiny, debug_options=options)["debug_data"]
    assert "return" in shown["prompt"]
    # A random network's tiny prompt has no room for all of them: what matters least goes first.
    assert shown["snippets"][-1]["filepath"] == "src/consts.py"
    assert shown["snippets"][-1]["body"] in shown["prompt"]
    options = {**options, "disable_retrieval_augmented_code_completion": True}
    assert complete(tiny, debug_options=options)["debug_data"]["snippets"] == []


def test_nothing_to_say_is_an_empty_choice_and_a_failure_is_none(
    serve: Any, make_service: Any
) -> None:
    def nothing(request: CompletionRequest) -> NoSuggestion:
        return NoSuggestion(request.request_id, NoSuggestionReason.EMPTY_OUTPUT)

    def fail(request: CompletionRequest) -> NoSuggestion:
        return NoSuggestion(request.request_id, NoSuggestionReason.ENGINE_ERROR)

    assert complete(serve(make_service(outcome=nothing)))["choices"][0]["text"] == ""
    assert serve(make_service(outcome=fail)).post(BODY).status_code == 500


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"segments": {"suffix": "a"}}, "segments.prefix"),
        ({"segments": []}, "segments"),
        ({"segments": {"prefix": 3}}, "segments.prefix"),
        ({**BODY, "mode": "next_edit_suggestion"}, "mode"),
        ({**BODY, "debug_options": {"raw_prompt": "a"}}, "debug_options"),
        ({**BODY, "seed": -1}, "seed"),
        ({"segments": {"prefix": "\ud800"}}, "segments.prefix"),
    ],
)
def test_a_field_of_tabbys_that_makes_no_sense_is_named(
    tiny: Any, body: dict[str, Any], param: str
) -> None:
    headers = {"Content-Type": "application/json"}
    response = tiny.request("POST", "/v1/completions", content=json.dumps(body), headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("fields", "accepted", "length"),
    [
        ({"type": "view"}, None, 0),
        ({"type": "select"}, "all", 9),
        ({"type": "select", "select_kind": "line"}, "part", 5),
    ],
)
def test_events_are_counted(
    serve: Any, make_service: Any, fields: dict[str, Any], accepted: str | None, length: int
) -> None:
    service = make_service(text="a + b\n- c")
    server = serve(service)
    told: list[tuple[str, dict[str, Any]]] = []
    server.host.feedback.subscribe(lambda request_id, fields: told.append((request_id, fields)))
    answer = complete(server)
    assert event(server, completion_id=answer["id"], **fields).status_code == 200
    ((request_id, became),) = told
    assert f"cmpl-{request_id}" == f"{answer['id']}.0"
    assert became["shown"]
    assert (became["accepted"], became["accepted_length"]) == (accepted, length)
    assert service.accepted_ids == ([request_id] if accepted == "all" else [])


def test_a_dismissal_is_counted(serve: Any, make_service: Any) -> None:
    server = serve(make_service())
    told: list[dict[str, Any]] = []
    server.host.feedback.subscribe(lambda _, fields: told.append(fields))
    event(server, completion_id=complete(server)["id"], type="dismiss")
    assert told[0]["dismissed"]


def test_the_kind_may_stand_in_the_query(serve: Any, make_service: Any) -> None:
    server = serve(make_service(text="a\nb"))
    told: list[dict[str, Any]] = []
    server.host.feedback.subscribe(lambda _, fields: told.append(fields))
    body = {"type": "select", "completion_id": complete(server)["id"], "choice_index": 0}
    assert server.request("POST", "/v1/events?select_kind=line", json=body).is_success
    assert told[0]["accepted"] == "part"


def test_events_of_unknown_completions_are_fine_and_unknown_events_are_not(tiny: Any) -> None:
    assert event(tiny, completion_id="cmpl-unknown", type="view").status_code == 200
    assert event(tiny, completion_id="cmpl-unknown", type="applaud").status_code == 400
    assert event(tiny, type="view").status_code == 400


def test_health_has_what_plugins_look_for(tiny: Any) -> None:
    for response in (tiny.get("/v1/health"), tiny.request("POST", "/v1/health", json={})):
        health = response.json()
        assert health["model"] == "qwen2.5-coder-0.5b"
        assert "fimble" in health["version"]["git_describe"]
        assert set(health["version"]) == {
            "build_date",
            "build_timestamp",
            "git_sha",
            "git_describe",
        }


def test_health_of_a_model_that_cannot_be_loaded_is_an_error(serve: Any) -> None:
    def build(*_: Any) -> Any:
        raise OSError("the disk is full")

    server = serve(build=build)
    for _ in range(400):
        response = server.get("/v1/health")
        if response.status_code == 503:
            break
    assert "the disk is full" in response.json()["error"]["message"]
