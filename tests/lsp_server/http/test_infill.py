"""``/infill`` as llama.vim and llama.vscode send it, and what they read of the answer."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import httpx
import pytest

from completion.types import (
    Candidate,
    CompletionRequest,
    NoSuggestion,
    NoSuggestionReason,
)
from lsp_server.http.dialects.infill_reply import indented

ABOVE = "import math\n\n\ndef area(radius):\n"
VIM_FIELDS = [
    "content",
    "timings/prompt_n",
    "timings/prompt_ms",
    "timings/prompt_per_token_ms",
    "timings/prompt_per_second",
    "timings/predicted_n",
    "timings/predicted_ms",
    "timings/predicted_per_token_ms",
    "timings/predicted_per_second",
    "truncated",
    "tokens_cached",
]
CHUNK = {"text": "def volume(radius):\n    return 4\n", "time": [2, 5], "filename": "solids.py"}
# What llama.vim sends while somebody types, and what it sends ahead.
VIM = {
    "id_slot": 0,
    "input_prefix": ABOVE,
    "input_suffix": "\n\n\nprint(area(2))\n",
    "input_extra": [CHUNK],
    "prompt": "    return ",
    "n_predict": 128,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 250,
    "response_fields": VIM_FIELDS,
    "model": "",
}
VIM_AHEAD = {
    "id_slot": 0,
    "input_prefix": "",
    "input_suffix": "",
    "input_extra": [CHUNK],
    "prompt": "",
    "n_predict": 0,
    "temperature": 0.0,
    "samplers": [],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 1,
    "t_max_predict_ms": 1,
    "response_fields": [""],
    "model": "",
}
VSCODE = {
    "id_slot": 0,
    "input_prefix": ABOVE,
    "input_suffix": "\n\n\nprint(area(2))\n",
    "input_extra": [{**CHUNK, "time": 1760000000000}],
    "prompt": "    return ",
    "n_predict": 128,
    "n_cmpl": 3,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "n_indent": 4,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
    "lora": [{"id": 0, "scale": 0.5}],
    "model": "some/model-GGUF",
}


def infill(server: Any, body: Any, **options: Any) -> httpx.Response:
    """Send ``body`` and return the answer, which has to be there."""
    response: httpx.Response = server.request("POST", "/infill", json=body, **options)
    assert response.status_code == 200, response.text
    return response


def test_llama_vim_finds_the_text_and_its_figures(serve: Any, make_service: Any) -> None:
    server = serve(make_service())
    response = infill(server, VIM)
    # Its own check before it decodes anything.
    assert re.match(r"\s*\{", response.text)
    assert re.search(r'"content"\s*:"', response.text)
    answer = response.json()
    assert answer["content"] == "a + b"
    assert set(answer) == set(VIM_FIELDS)
    assert all(isinstance(answer[name], float) for name in VIM_FIELDS if "_per_" in name)


def test_the_hole_stands_behind_the_prompt(serve: Any, make_service: Any) -> None:
    service = make_service()
    infill(serve(service), VIM)
    (request,) = service.requests
    assert (request.prefix, request.suffix) == (ABOVE + "    return ", VIM["input_suffix"])
    assert request.is_interactive
    assert not request.verbatim
    assert [(chunk.path, chunk.text) for chunk in request.context] == [("solids.py", CHUNK["text"])]
    assert request.document.language_id == "python"


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ({}, "deadline_ms", 750.0),
        ({"t_max_predict_ms": 0}, "deadline_ms", 120_000.0),
        ({"t_max_prompt_ms": 0, "t_max_predict_ms": 100}, "deadline_ms", 600.0),
        ({}, "max_new_tokens", 128),
        ({"n_predict": -1}, "max_new_tokens", 256),
        ({"n_predict": 100_000}, "max_new_tokens", 256),
        ({}, "top_k", 40),
        ({"top_k": -1}, "top_k", 0),
        ({}, "top_p", 0.9),
        ({"temperature": 0.5}, "temperature", 0.0),
        ({"temperature": 0.5, "samplers": ["top_k", "temperature"]}, "temperature", 0.5),
        ({"temperature": 0.5, "samplers": None}, "temperature", 0.5),
        ({"seed": -1}, "seed", None),
        ({"seed": 7}, "seed", 7),
        ({"stop": ["", "\n\n"]}, "stop", ("\n\n",)),
        ({"stop": ";"}, "stop", (";",)),
        ({"n": 2}, "num_candidates", 2),
        ({"n_cmpl": 4}, "num_candidates", 4),
        ({"input_extra": []}, "context", ()),
        ({"input_extra": None}, "context", ()),
    ],
)
def test_a_field_has_its_meaning(
    serve: Any, make_service: Any, more: dict[str, Any], field: str, value: object
) -> None:
    service = make_service()
    infill(serve(service), {**VIM, **more})
    assert getattr(service.requests[0], field) == value


def test_chunks_of_several_languages_say_nothing_of_the_text(serve: Any, make_service: Any) -> None:
    service = make_service()
    chunks = [CHUNK, {"text": "fn main() {}\n", "filename": "main.rs"}]
    infill(serve(service), {**VIM, "input_extra": chunks})
    assert service.requests[0].document.language_id == "plaintext"


def test_llama_vscode_gets_a_list_of_texts(serve: Any, make_service: Any) -> None:
    service = make_service()

    def several(request: CompletionRequest) -> Any:
        found = service.suggestion(request)
        texts = [found.text, "a - b"]
        return type(found)(
            **{
                **{name: getattr(found, name) for name in found.__slots__},
                "candidates": tuple(Candidate(text, -1.0, 3) for text in texts),
            }
        )

    service.outcome = several
    answer = infill(serve(service), VSCODE).json()
    assert [one["content"] for one in answer] == ["a + b", "a - b"]
    assert [one["index"] for one in answer] == [0, 1]
    assert all(one["generation_settings"]["n_ctx"] > 0 for one in answer)
    assert all(one["timings"]["predicted_n"] == 3 for one in answer)
    assert service.requests[0].num_candidates == 3


def test_the_whole_answer_has_what_llama_vscode_shows(serve: Any, make_service: Any) -> None:
    body = {name: value for name, value in VSCODE.items() if name != "n_cmpl"}
    answer = infill(serve(make_service()), body).json()
    assert answer["stop"] is True
    assert answer["stop_type"] == "eos"
    assert answer["truncated"] is False
    assert answer["model"] == "qwen2.5-coder-0.5b"
    for stage in ("prompt", "predicted"):
        assert {f"{stage}_n", f"{stage}_ms", f"{stage}_per_second"} <= set(answer["timings"])


def test_a_stream_has_the_text_and_an_end(serve: Any, make_service: Any) -> None:
    body = {**VIM, "stream": True, "response_fields": None}
    response = infill(serve(make_service()), body)
    assert response.headers["content-type"].startswith("text/event-stream")
    first, last = (
        json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line
    )
    assert (first["content"], first["stop"]) == ("a + b", False)
    assert (last["content"], last["stop"]) == ("", True)
    assert last["timings"]["prompt_n"] == 0


def test_what_is_sent_ahead_prepares_the_cache_for_what_was_asked_last(
    serve: Any, make_service: Any
) -> None:
    service = make_service()
    server = serve(service)
    assert infill(server, VIM_AHEAD).json() == {}
    assert service.prepared == []  # nothing was asked yet: there is no text to prepare for
    infill(server, {**VIM, "input_extra": []})
    assert infill(server, VIM_AHEAD).json() == {}
    ((prepared, _),) = service.prepared
    assert prepared.prefix == ABOVE + "    return "
    assert [chunk.path for chunk in prepared.context] == ["solids.py"]
    assert len(service.requests) == 1


def test_what_is_sent_ahead_with_its_text_prepares_that(serve: Any, make_service: Any) -> None:
    service = make_service()
    answer = infill(serve(service), {**VIM, "n_predict": 0}).json()
    assert answer["content"] == ""
    ((prepared, _),) = service.prepared
    assert prepared.prefix == ABOVE + "    return "
    assert service.requests == []


def test_an_answer_that_came_too_late_is_not_taken_for_an_empty_one(
    serve: Any, make_service: Any
) -> None:
    def late(request: CompletionRequest) -> NoSuggestion:
        return NoSuggestion(request.request_id, NoSuggestionReason.DEADLINE_BEFORE_FIRST_LINE)

    def nothing(request: CompletionRequest) -> NoSuggestion:
        return NoSuggestion(request.request_id, NoSuggestionReason.EMPTY_OUTPUT)

    answer = infill(serve(make_service(outcome=late)), VIM).json()
    assert "content" not in answer
    assert infill(serve(make_service(outcome=nothing)), VIM).json()["content"] == ""


def test_an_engine_that_fails_is_an_error(serve: Any, make_service: Any) -> None:
    def fail(request: CompletionRequest) -> NoSuggestion:
        return NoSuggestion(request.request_id, NoSuggestionReason.ENGINE_ERROR, "secret text")

    server = serve(make_service(outcome=fail))
    response = server.request("POST", "/infill", json=VIM)
    assert response.status_code == 500
    assert response.json()["error"]["message"]
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input_suffix": ""}, "input_prefix"),
        ({"input_prefix": ""}, "input_suffix"),
        ({**VIM, "input_extra": [{"filename": "a.py"}]}, "input_extra"),
        ({**VIM, "n_cmpl": 17}, "n_cmpl"),
        ({**VIM, "prompt": ["a"]}, "prompt"),
        ({**VIM, "prompt": "\ud800"}, "prompt"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(tiny: Any, body: dict[str, Any], param: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = tiny.request("POST", "/infill", content=json.dumps(body), headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_a_client_that_hangs_up_frees_the_engine_of_its_infill(
    serve: Any, make_service: Any
) -> None:
    service = make_service()
    service.gate.clear()
    server = serve(service)
    with server.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/infill", json=VIM, timeout=0.2)
    poll = threading.Event()
    for _ in range(2000):
        if service.cancelled_ids:
            break
        poll.wait(0.005)
    assert len(service.cancelled_ids) == 1
    service.gate.set()


def test_the_next_key_computes_little_though_the_first_line_was_scrolled_away(tiny: Any) -> None:
    lines = [f"value_{number} = compute({number})\n" for number in range(12)]
    body = {**VIM, "response_fields": None, "n_predict": 2, "t_max_predict_ms": 0, "n_indent": 0}
    first = {**body, "input_prefix": "".join(lines[:10]), "prompt": "x = ", "input_extra": []}
    infill(tiny, first)
    second = {**first, "input_prefix": "".join(lines[1:10]) + "x = 1\n", "prompt": "y"}
    timings = infill(tiny, second).json()["timings"]
    assert timings["prompt_n"] < timings["cache_n"]


def test_props_tell_the_size_of_the_context(tiny: Any) -> None:
    props = tiny.get("/props?model=x&autoload=false").json()
    assert props["default_generation_settings"]["n_ctx"] == 2048 + 256
    assert props["model_alias"] == "qwen2.5-coder-0.5b"


def test_health_says_ok_as_llama_vscode_expects(tiny: Any) -> None:
    assert tiny.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("text", "num_chars", "kept"),
    [
        ("a\n    b\n  c\n", 4, "a\n    b"),
        ("  a\n\n    b", 4, "  a\n\n    b"),
        ("a\nb", 0, "a\nb"),
        ("a", 8, "a"),
        ("", 3, ""),
    ],
)
def test_a_text_ends_before_a_line_that_is_indented_less(
    text: str, num_chars: int, kept: str
) -> None:
    assert indented(text, num_chars) == kept
