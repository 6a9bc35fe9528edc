"""Shapes and meanings of ``/v1/completions``, on a small random network."""

from __future__ import annotations

import json
from typing import Any

import pytest


def events(text: str) -> list[Any]:
    """Return the objects of a stream, which has to end with ``[DONE]``."""
    lines = [line for line in text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines), lines
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_completion_has_the_shape_of_openais(tiny: Any) -> None:
    response = tiny.post({"prompt": "def add(a, b):\n", "suffix": "\n", "max_tokens": 5})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["object"] == "text_completion"
    assert body["id"].startswith("cmpl-")
    assert body["id"].endswith(response.headers["x-request-id"])
    assert body["model"] == "qwen2.5-coder-0.5b"
    (choice,) = body["choices"]
    assert choice["text"]
    assert (choice["index"], choice["logprobs"], choice["finish_reason"]) == (0, None, "length")
    usage = body["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["prompt_tokens"] > len("def add(a, b):\n")
    assert usage["total_tokens"] == usage["prompt_tokens"] + 5


def test_sixteen_tokens_are_generated_unless_told(tiny: Any) -> None:
    body = tiny.post({"prompt": "x = "}).json()
    assert body["usage"]["completion_tokens"] <= 16
    assert body["choices"][0]["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize("more", [{}, {"n": 3, "temperature": 1.0, "seed": 5}, {"echo": True}])
def test_a_stream_brings_the_same_text_piece_by_piece(tiny: Any, more: dict[str, Any]) -> None:
    body = {"prompt": ["def f(x):\n    ", "class"], "suffix": "\nend", "max_tokens": 12, **more}
    whole = tiny.post(body).json()
    response = tiny.post({**body, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events(response.text)
    assert len(chunks) > 12
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for chunk in chunks:
        assert chunk["object"] == "text_completion"
        assert "usage" not in chunk
        (choice,) = chunk["choices"]
        texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
        if choice["finish_reason"]:
            reasons[choice["index"]] = choice["finish_reason"]
    assert texts == {choice["index"]: choice["text"] for choice in whole["choices"]}
    assert reasons == {choice["index"]: choice["finish_reason"] for choice in whole["choices"]}


def test_a_stream_ends_with_usage_if_asked(tiny: Any) -> None:
    body = {"prompt": "a", "max_tokens": 3, "stream": True}
    response = tiny.post({**body, "stream_options": {"include_usage": True}})
    *chunks, last = events(response.text)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3
    assert all(chunk["usage"] is None for chunk in chunks)


def test_choices_stand_in_the_order_of_their_prompts(tiny: Any) -> None:
    prompts = ["first = ", "second = "]
    both = tiny.post({"prompt": prompts, "n": 2, "echo": True, "max_tokens": 4}).json()
    texts = [choice["text"] for choice in both["choices"]]
    assert [choice["index"] for choice in both["choices"]] == [0, 1, 2, 3]
    assert [text.startswith(prompts[at // 2]) for at, text in enumerate(texts)] == [True] * 4
    assert texts[0] == texts[1]  # the likeliest text is one text
    assert both["usage"]["completion_tokens"] == 16


def test_a_seed_makes_sampling_repeatable_and_choices_differ(tiny: Any) -> None:
    body = {"prompt": "x", "n": 4, "temperature": 1.2, "seed": 9, "max_tokens": 12}
    first, second = (
        [choice["text"] for choice in tiny.post(body).json()["choices"]] for _ in range(2)
    )
    assert first == second
    assert len(set(first)) > 1


def test_a_stop_string_ends_the_text_before_it(tiny: Any) -> None:
    body = {"prompt": "value = ", "max_tokens": 40}
    text = tiny.post(body).json()["choices"][0]["text"]
    stop = text[20]
    stopped = tiny.post({**body, "stop": [stop]}).json()["choices"][0]
    assert stopped["text"] == text[: text.index(stop)]
    assert stopped["finish_reason"] == "stop"


def test_logprobs_list_every_token(tiny: Any) -> None:
    body = {"prompt": "value = ", "max_tokens": 8, "logprobs": 3}
    choice = tiny.post(body).json()["choices"][0]
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == choice["text"]
    assert len(found["token_logprobs"]) == 8
    assert all(logprob <= 0 for logprob in found["token_logprobs"])
    assert found["text_offset"][0] == 0
    assert all(1 <= len(top) <= 3 for top in found["top_logprobs"])


def test_logprobs_of_a_stream_come_with_the_end_of_the_choice(tiny: Any) -> None:
    body = {"prompt": "value = ", "max_tokens": 8, "logprobs": 0}
    whole = tiny.post(body).json()["choices"][0]["logprobs"]
    chunks = events(tiny.post({**body, "stream": True}).text)
    *others, last = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert others == [None] * (len(chunks) - 1)
    # Rows of longer and shorter passes may differ in the last bits; see ARCHITECTURE.md.
    logprobs = pytest.approx(whole["token_logprobs"], abs=1e-4)
    assert last == {**whole, "token_logprobs": logprobs}
    assert whole["top_logprobs"] is None


def test_the_next_keystroke_finds_its_prompt_in_the_cache(tiny: Any) -> None:
    head = "def a_function(with_names):\n    first = 1\n    second = 2\n    third = 3\n    return "
    tiny.post({"prompt": head, "suffix": "\n", "max_tokens": 2})
    typed = tiny.post({"prompt": head + "fi", "suffix": "\n", "max_tokens": 2}).json()["usage"]
    cached = typed["prompt_tokens_details"]["cached_tokens"]
    assert cached >= typed["prompt_tokens"] - 4
    other = tiny.post({"prompt": head + "fi", "max_tokens": 2, "user": "b", "suffix": "\n"}).json()
    assert other["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_the_model_goes_by_its_name_only(tiny: Any) -> None:
    assert tiny.post({"prompt": "a", "model": "qwen2.5-coder-0.5b"}).status_code == 200
    refused = tiny.post({"prompt": "a", "model": "gpt-3.5-turbo-instruct"})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "qwen2.5-coder-0.5b" in error["message"]


def test_models_are_listed_and_looked_up(tiny: Any) -> None:
    (card,) = tiny.get("/v1/models").json()["data"]
    assert card["id"] == "qwen2.5-coder-0.5b"
    assert tiny.get("/v1/models/qwen2.5-coder-0.5b").json() == card
    assert tiny.get("/v1/models/a/b").json()["error"]["code"] == "model_not_found"


def test_trimmed_text_is_what_an_editor_would_show(tiny: Any) -> None:
    body = {"prompt": "def f():\n    return ", "max_tokens": 40, "stream": True}
    response = tiny.post({**body, "fimble": {"trim": True, "language_id": "python"}})
    chunks = events(response.text)
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    raw = tiny.post({**body, "stream": False}).json()["choices"][0]["text"]
    assert text != raw


def test_the_description_and_its_page_load_nothing_from_elsewhere(tiny: Any) -> None:
    described = tiny.get("/openapi.json")
    document = described.json()
    assert set(document["paths"]) >= {
        "/v1/completions",
        "/v1/models",
        "/v1/models/{model}",
        "/infill",
        "/props",
        "/v1/events",
        "/v1/health",
        "/v1/documents",
        "/v1/documents/{document_id}",
        "/v1/documents/{document_id}/edits",
        "/v1/documents/{document_id}/complete",
        "/health",
        "/metrics",
    }
    assert "422" not in described.text
    described_as = document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
    assert list(described_as) == ["text/plain"]
    page = tiny.get("/docs")
    for field in ("max_tokens", "segments", "input_prefix", "filepath", "filename"):
        assert f"<code>{field}</code>" in page.text
    for word in ("<script", "src=", "http:", "https:", "//", "@import"):
        assert word not in page.text.replace("<!doctype html>", ""), word
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_metrics_count_requests_and_outcomes(serve: Any, tiny_service: Any) -> None:
    server = serve(tiny_service)
    server.post({"prompt": "a", "max_tokens": 3})
    server.get("/made/up")
    text = server.get("/metrics").text
    count = 'fimble_http_responses_total{method="POST",route="/v1/completions",status="200"} 1.0'
    assert count in text
    assert (
        'fimble_requests_total{door="http",outcome="suggestion",reason="",source="engine"} 1.0'
        in text
    )
    assert "made" not in text
