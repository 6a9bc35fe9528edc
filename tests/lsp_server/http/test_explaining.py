"""``/v1/explain`` and ``/v1/live``: what clients see, who may see it, and those who do not keep up."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from lsp_server.host import ModelHost
from lsp_server.http import live
from lsp_server.http.door import HttpDoor, Loading
from lsp_server.http.live import LiveFeed
from lsp_server.settings import Settings

TOKEN = "a-token-of-sixteen-letters"
BODY = {"prompt": "def add(a, b):\n    ret", "suffix": "\n", "max_tokens": 8}


@pytest.fixture
def private(serve: Any, tiny_service: Any) -> Any:
    return serve(tiny_service, token=TOKEN)


@contextmanager
def following(server: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """Yield the events of ``/v1/live`` as they come."""
    with server.client() as client, client.stream("GET", "/v1/live") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        yield (json.loads(line.removeprefix("data: ")) for line in lines if line)


def test_the_id_of_a_completion_leads_to_its_explanation(private: Any) -> None:
    completion = private.post({**BODY, "user": "ed"}).json()
    told = private.get(f"/v1/explain/{completion['id']}").json()
    assert told == private.get("/v1/explain/latest").json()
    assert told["text"] == completion["choices"][0]["text"]
    assert (told["door"], told["client"], told["outcome"]) == ("http", "ed", "suggestion")
    assert (told["line"], told["column"]) == (2, 8)
    prompt = told["prompt"]
    assert prompt["num_tokens"] == sum(span["num_tokens"] for span in prompt["spans"])
    assert "def add(a, b):" in "".join(span["text"] for span in prompt["spans"])
    assert "".join(token["text"] for token in told["output"]).startswith(told["text"])
    timings = told["timings_ms"]
    assert sum(timings.values()) == pytest.approx(2 * timings["total"])


def test_nobody_learns_the_id_by_which_a_document_can_be_changed(private: Any) -> None:
    opened = private.request("POST", "/v1/documents", json={"text": "x = "}).json()
    private.request("POST", f"/v1/documents/{opened['id']}/complete", json={"offset": 4})
    told = private.get("/v1/explain/latest").json()
    assert told["client"] == "http"
    listed = private.get("/v1/explain").text
    assert opened["id"] not in json.dumps(told) + listed


def test_each_choice_has_its_own_explanation(private: Any) -> None:
    completion = private.post({**BODY, "n": 2, "temperature": 1.0, "seed": 3}).json()
    texts = [
        private.get(f"/v1/explain/{completion['id']}.{index}").json()["text"] for index in range(2)
    ]
    assert texts == [choice["text"] for choice in completion["choices"]]


def test_the_newest_are_listed_without_tokens(private: Any) -> None:
    ids = [private.post({**BODY, "prompt": f"x{number} = "}).json()["id"] for number in range(3)]
    listed = private.get("/v1/explain", params={"limit": 2}).json()["explanations"]
    assert [f"cmpl-{told['id']}" for told in listed] == [f"{ids[2]}.0", f"{ids[1]}.0"]
    assert all("output" not in told and "spans" not in told["prompt"] for told in listed)
    assert len(private.get("/v1/explain").json()["explanations"]) == 3


@pytest.mark.parametrize("limit", ["0", "-1", "1000", "x"])
def test_an_impossible_limit_is_refused(private: Any, limit: str) -> None:
    refused = private.get("/v1/explain", params={"limit": limit})
    assert refused.status_code == 400
    assert "limit" in json.dumps(refused.json()["error"])


def test_an_unknown_id_is_not_found(private: Any) -> None:
    for name in ("nobody", "latest"):
        missing = private.get(f"/v1/explain/{name}")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "request_not_found"


@pytest.mark.parametrize("path", ["/v1/explain", "/v1/explain/latest", "/v1/live"])
def test_nobody_sees_texts_without_the_token(serve: Any, make_service: Any, path: str) -> None:
    private, public = serve(make_service(), token=TOKEN), serve(make_service())
    assert private.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    refused = public.get(path)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "token_needed"


def test_without_a_token_an_id_opens_what_came_over_http_and_nothing_else(
    serve: Any, make_service: Any
) -> None:
    public = serve(make_service())
    completion = public.post(BODY).json()
    explained = public.get(f"/v1/explain/{completion['id']}")
    assert explained.json()["text"] == "a + b"
    (http,) = public.host.explanations.newest(1)
    other = _of_an_editor(http)
    public.host.explanations.record(other)
    assert public.get(f"/v1/explain/{other.request_id}").status_code == 404


def _of_an_editor(explanation: Any) -> Any:
    from dataclasses import replace

    from lsp_server.metrics import Door

    question = replace(explanation.question, request_id="secret", door=Door.LSP)
    return replace(explanation, question=question)


def test_requests_are_seen_as_they_end_beside_what_the_process_holds(private: Any) -> None:
    with following(private) as events:
        first = next(events)
        assert first["type"] == "status"
        assert [model["state"] for model in first["models"]] == ["ready"]
        assert first["cache"]["num_slots"] > 0
        assert first["memory"]["resident_bytes"] > 0
        assert first["indexes"] == []
        completion = private.post(BODY).json()
        ended = next(events)
        while ended["type"] == "status":
            ended = next(events)
    assert ended["type"] == "explanation"
    assert f"cmpl-{ended['id']}" == f"{completion['id']}.0"
    assert ended["text"] == completion["choices"][0]["text"]
    assert "output" not in ended


def test_a_request_whose_client_went_away_is_seen_as_cancelled(
    serve: Any, make_service: Any
) -> None:
    service = make_service()
    service.gate.clear()
    server = serve(service, token=TOKEN)
    with following(server) as events:
        with server.client() as client, pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json=BODY, timeout=0.3)
        ended = next(event for event in events if event["type"] == "explanation")
    assert (ended["outcome"], ended["text"]) == ("cancelled", None)
    service.gate.set()


def test_status_comes_again_and_again(private: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.LiveFeed, "status_every_s", 0.02)
    with following(private) as events:
        times = [next(events)["time"] for _ in range(3)]
    assert times == sorted(set(times))


def test_who_does_not_read_is_dropped_and_delays_nobody(
    private: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.LiveFeed, "max_num_behind", 2)
    explanations = private.host.explanations
    private.post(BODY)
    (one,) = explanations.newest(1)
    head = f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", private.port), timeout=30) as silent:
        silent.sendall(head.encode())
        assert silent.recv(64).startswith(b"HTTP/1.1 200")
        assert len(explanations._listeners) == 1
        # In one turn of the loop, so that nothing is sent in between.
        private.threads.loop.call_soon_threadsafe(
            lambda: [explanations.record(one) for _ in range(10)]
        )
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            chunk = silent.recv(65536)
            assert chunk, "the response was cut"
            rest += chunk
    assert private.post(BODY).status_code == 200
    assert explanations._listeners == []


def test_only_so_many_may_look_on(private: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsp_server.http.door.MAX_NUM_WATCHING", 1)
    with following(private) as events:
        next(events)
        refused = private.get("/v1/live")
        assert refused.status_code == 429
        assert refused.headers["retry-after"]


def test_a_listener_that_closes_ends_its_streams_at_once(private: Any) -> None:
    with following(private) as events:
        next(events)
        private.threads.run(private.listener.close())
        assert all(event["type"] == "status" for event in events)  # to the end of the stream


async def test_a_stream_that_breaks_does_not_look_as_if_it_had_ended(make_service: Any) -> None:
    host = ModelHost(lambda *_: make_service())
    door = HttpDoor(host, Settings(), Loading.WHEN_NEEDED)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message.get("body"):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await LiveFeed(door)({}, receive, send)
    door.close()
    host.close()


def test_the_description_has_the_routes(private: Any) -> None:
    paths = private.get("/openapi.json").json()["paths"]
    assert {"/v1/explain", "/v1/explain/{request_id}", "/v1/live"} <= paths.keys()
    assert "/v1/live" in private.get("/docs").text
