"""Whatever is wrong with a request: one error object, and the server lives on."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from completion.types import CompletionRequest, NoSuggestion, NoSuggestionReason
from models.progress import Progress


def wait_until(holds: Any) -> None:
    """Poll until ``holds()``, or fail."""
    poll = threading.Event()
    for _ in range(4000):
        if holds():
            return
        poll.wait(0.005)
    raise AssertionError("it did not happen in time")


def check_error(response: Any, status: int, code: str, param: str | None, *told: str) -> None:
    """The response is an error object in OpenAI's shape whose message holds the words ``told``."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert (error["code"], error["param"]) == (code, param), error
    for words in told:
        assert words in error["message"], error["message"]


@pytest.mark.parametrize(
    ("body", "code", "param", "told"),
    [
        ({}, "invalid_value", "prompt", "missing"),
        ({"prompt": 3}, "invalid_value", "prompt", "a string or a list"),
        ({"prompt": [1, 2]}, "invalid_value", "prompt", "a string or a list"),
        ({"prompt": []}, "invalid_value", "prompt", "1 to 16"),
        ({"prompt": ["a"] * 17}, "invalid_value", "prompt", "1 to 16"),
        ({"prompt": ["a"] * 16, "n": 3}, "invalid_value", "n", "48 choices"),
        ({"prompt": "a\ud800"}, "invalid_value", "prompt", "surrogate"),
        ({"prompt": "a", "suffix": "\udfff"}, "invalid_value", "suffix", "surrogate"),
        ({"prompt": "a", "stop": "\udfff"}, "invalid_value", "stop", "surrogate"),
        ({"prompt": "a", "\ud800": 1}, "invalid_value", None, "object"),
        ({"prompt": "a", "max_tokens": 0}, "invalid_value", "max_tokens", "greater"),
        ({"prompt": "a", "max_tokens": "16"}, "invalid_value", "max_tokens", "integer"),
        ({"prompt": "a", "max_tokens": 257}, "invalid_value", "max_tokens", "256"),
        (
            {"prompt": "a", "max_tokens": 10**400},
            "invalid_value",
            "max_tokens",
            "completion.max_new_tokens",
        ),
        ({"prompt": "a", "temperature": 2.5}, "invalid_value", "temperature", "2"),
        ({"prompt": "a", "temperature": -1}, "invalid_value", "temperature", "0"),
        ({"prompt": "a", "top_p": 1.5}, "invalid_value", "top_p", "1"),
        ({"prompt": "a", "n": 17}, "invalid_value", "n", "16"),
        ({"prompt": "a", "n": True}, "invalid_value", "n", "integer"),
        ({"prompt": "a", "seed": 2**63}, "invalid_value", "seed", ""),
        ({"prompt": "a", "stop": ["a"] * 5}, "invalid_value", "stop", "up to 4"),
        ({"prompt": "a", "stop": ""}, "invalid_value", "stop", "none of them empty"),
        ({"prompt": "a", "logprobs": 6}, "invalid_value", "logprobs", "5"),
        ({"prompt": "a", "logprobs": 1, "echo": True}, "invalid_value", "echo", "logprobs"),
        ({"prompt": "a", "best_of": 3}, "invalid_value", "best_of", "not supported"),
        ({"prompt": "a", "logit_bias": {"5": 1}}, "invalid_value", "logit_bias", "not supported"),
        (
            {"prompt": "a", "presence_penalty": 0.5},
            "invalid_value",
            "presence_penalty",
            "not supported",
        ),
        ({"prompt": "a", "frequency_penalty": -1}, "invalid_value", "frequency_penalty", "0"),
        ({"messages": [], "prompt": "a"}, "unknown_parameter", "messages", "no chat"),
        ({"prompt": "a", "temprature": 1}, "unknown_parameter", "temprature", "not supported"),
        ({"prompt": "a", "x" * 500: 1}, "unknown_parameter", "x" * 64, "not supported"),
        (
            {"prompt": "a", "stream_options": {"include_usage": True}},
            "invalid_value",
            "stream_options",
            "stream",
        ),
        (
            {"prompt": "a", "stream": True, "stream_options": {"x": 1}},
            "unknown_parameter",
            "stream_options.x",
            "not supported",
        ),
        ({"prompt": "a", "fimble": {"trm": 1}}, "unknown_parameter", "fimble.trm", ""),
        ({"prompt": "a", "n": 2, "fimble": {"trim": True}}, "invalid_value", "n", "trim"),
        ({"prompt": "a", "echo": True, "fimble": {"trim": True}}, "invalid_value", "echo", "trim"),
    ],
)
def test_a_bad_field_is_named(
    tiny: Any, body: dict[str, Any], code: str, param: str, told: str
) -> None:
    check_error(post_raw(tiny, json.dumps(body).encode()), 400, code, param, told)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"3", b"null", b'"text"', b"\xff\xfe", b'{"prompt": NaN}', b"[" * 100_000],
)
def test_a_body_that_is_no_object_is_refused(tiny: Any, body: bytes) -> None:
    response = post_raw(tiny, body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["code"] in ("invalid_json", "invalid_value")


def test_numbers_that_are_none_are_refused(tiny: Any) -> None:
    for value in (b"NaN", b"Infinity", b"1e999"):
        response = post_raw(tiny, b'{"prompt": "a", "temperature": %s}' % value)
        check_error(response, 400, "invalid_value", "temperature")


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ""},
        {"prompt": "\0"},
        {"prompt": "a", "suffix": ""},
        {"prompt": "a", "top_p": 0, "temperature": 1},
        {"prompt": "a", "temperature": 5e-324},
        {"prompt": "a", "temperature": 0.001},
        {"prompt": "a", "temperature": 2, "top_p": 1e-300, "seed": -(2**63)},
        {"prompt": "a", "n": 2, "temperature": 1, "seed": 2**63 - 17},
        {"prompt": "<|endoftext|><|fim_middle|>", "stop": ["<|endoftext|>"]},
        {"prompt": "a", "stop": [], "n": None, "stream": None, "stream_options": None},
        {"prompt": "a", "best_of": 1, "presence_penalty": 0, "frequency_penalty": 0.0},
        {"prompt": "a", "logit_bias": {}, "logprobs": None, "user": None, "model": None},
        {"prompt": "word " * 20_000, "suffix": " word" * 20_000, "max_tokens": 1},
    ],
)
def test_what_is_odd_but_possible_is_answered(tiny: Any, body: dict[str, Any]) -> None:
    response = tiny.post(body)
    assert response.status_code == 200, response.text


def post_raw(server: Any, body: bytes) -> Any:
    headers = {"Content-Type": "application/json"}
    return server.request("POST", "/v1/completions", content=body, headers=headers)


def test_routes_and_methods_that_are_none_are_refused_in_the_same_shape(tiny: Any) -> None:
    check_error(tiny.get("/v2"), 404, "unknown_url", None, "/docs")
    check_error(tiny.get("/v1/models/"), 404, "model_not_found", "model")
    chat = tiny.request("POST", "/v1/chat/completions", json={"messages": []})
    check_error(chat, 404, "unknown_url", None, "no chat")
    wrong = tiny.get("/v1/completions")
    check_error(wrong, 405, "method_not_allowed", None, "POST")
    assert wrong.headers["allow"] == "POST"
    check_error(tiny.request("DELETE", "/health"), 405, "method_not_allowed", None, "GET")


def test_only_json_is_taken(tiny: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        response = tiny.request(
            "POST", "/v1/completions", content=b'{"prompt": "a"}', headers={"Content-Type": kind}
        )
        check_error(response, 415, "unsupported_media_type", None, "application/json")
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = b'{"prompt": "a"}'
    assert tiny.request("POST", "/v1/completions", content=body, headers=headers).is_success


def test_while_the_model_loads_clients_are_told_to_come_back(serve: Any, make_service: Any) -> None:
    fetched = threading.Event()

    def build(_settings: Any, progress: Any) -> Any:
        progress(Progress("fetching", 1, 4))
        assert fetched.wait(30)
        return make_service()

    server = serve(build=build)
    wait_until(lambda: server.get("/health").json()["progress"] is not None)
    for stream in (False, True):
        response = server.post({"prompt": "a", "stream": stream})
        check_error(response, 503, "model_loading", None, "loading")
        assert int(response.headers["retry-after"]) >= 1
    health = server.get("/health")
    assert health.status_code == 503
    assert health.json()["progress"] == {"stage": "fetching", "fraction": 0.25}
    assert server.get("/v1/models").is_success
    fetched.set()
    wait_until(lambda: server.get("/health").is_success)
    assert server.post({"prompt": "a"}).is_success


def test_a_model_that_cannot_be_loaded_is_named_and_tried_again(
    serve: Any, make_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = iter([OSError("the disk is full"), make_service()])

    def build(*_: Any) -> Any:
        service = next(services)
        if isinstance(service, OSError):
            raise service
        return service

    server = serve(build=build)
    wait_until(lambda: server.get("/health").json()["status"] == "failed")
    check_error(server.post({"prompt": "a"}), 503, "model_failed", None, "the disk is full")
    monkeypatch.setattr("lsp_server.http.door.RETRY_LOADING_S", 0.0)
    server.post({"prompt": "a"})
    wait_until(lambda: server.get("/health").is_success)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        (NoSuggestionReason.ENGINE_ERROR, 500, "engine_error"),
        (NoSuggestionReason.DEADLINE_BEFORE_FIRST_LINE, 504, "deadline_exceeded"),
    ],
)
def test_a_failure_of_the_engine_has_its_status(
    serve: Any,
    make_service: Any,
    stream: bool,
    reason: NoSuggestionReason,
    status: int,
    code: str,
) -> None:
    def fail(request: CompletionRequest) -> NoSuggestion:
        return NoSuggestion(request.request_id, reason, "secret source text")

    server = serve(make_service(outcome=fail))
    response = server.post({"prompt": "a", "stream": stream})
    check_error(response, status, code, None)
    assert "secret" not in response.text


def test_a_failure_within_a_stream_is_an_event(serve: Any, make_service: Any) -> None:
    service = make_service()

    def fail_second(request: CompletionRequest) -> Any:
        if len(service.requests) == 1:
            return service.suggestion(request)
        return NoSuggestion(request.request_id, NoSuggestionReason.ENGINE_ERROR)

    service.outcome = fail_second
    server = serve(service)
    text = server.post({"prompt": ["a", "b"], "stream": True}).text
    assert "[DONE]" not in text
    last = json.loads(text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == "engine_error"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_is_answered_and_logged(
    serve: Any, make_service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(make_service(error=RuntimeError("source text")))
    response = server.post({"prompt": "a"})
    check_error(response, 500, "internal_error", None, "log")
    assert "x-request-id" in response.headers
    assert "source text" not in response.text
    wait_until(lambda: "RuntimeError" in caplog.text)
    assert server.get("/health").is_success


def test_beyond_a_number_clients_are_told_to_come_back(
    serve: Any, make_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_server.http.door.MAX_NUM_REQUESTS", 1)
    service = make_service()
    service.gate.clear()
    server = serve(service)
    first: list[Any] = []
    waiting = threading.Thread(target=lambda: first.append(server.post({"prompt": "a"})))
    waiting.start()
    wait_until(lambda: len(service.requests) == 1)
    for stream in (False, True):
        response = server.post({"prompt": "b", "stream": stream})
        check_error(response, 429, "queue_full", None)
        assert response.headers["retry-after"]
    service.gate.set()
    waiting.join()
    assert first[0].is_success
    assert server.post({"prompt": "b"}).is_success


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_the_engine(
    serve: Any, make_service: Any, stream: bool
) -> None:
    service = make_service()
    service.gate.clear()
    server = serve(service)
    with server.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/completions", json={"prompt": "a", "stream": stream}, timeout=0.2)
    wait_until(lambda: len(service.cancelled_ids) == 1)
    service.gate.set()
    assert server.post({"prompt": "b"}).is_success


def test_a_client_that_leaves_a_stream_frees_the_engine(serve: Any, tiny_service: Any) -> None:
    server = serve(tiny_service)
    body = {"prompt": "a", "max_tokens": 256, "n": 16, "temperature": 2, "stream": True}
    with (
        server.client() as client,
        client.stream("POST", "/v1/completions", json=body) as response,
    ):
        assert next(response.iter_lines()).startswith("data: ")
    metric = 'route="/v1/completions",status="200"'
    wait_until(lambda: metric in server.get("/metrics").text)
    made = 'fimble_requests_total{door="http",outcome="suggestion",reason="",source="engine"}'
    (line,) = [line for line in server.get("/metrics").text.splitlines() if line.startswith(made)]
    assert float(line.split()[-1]) < 16


def test_closing_answers_what_is_running_and_gives_the_lease_back(
    serve: Any, make_service: Any
) -> None:
    service = make_service()
    service.gate.clear()
    server = serve(service)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(server.post({"prompt": "a"})))
    waiting.start()
    wait_until(lambda: len(service.requests) == 1)
    server.threads.run(server.listener.close())
    waiting.join()
    check_error(answers[0], 503, "stopping", None)
    assert [status.num_clients for status in server.host.status()] == [0]
    assert len(service.forgotten) == 1
