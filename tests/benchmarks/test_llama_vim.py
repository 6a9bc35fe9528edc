"""The plugin's behaviour against a stand-in for llama-server that refuses what it would not expect."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.llama_server import Address
from benchmarks.llama_vim import LlamaAnswer, LlamaConfig, LlamaVim, Purpose, Source

PATH = "shapes.py"
NUMBERED = "".join(f"value_{line_idx} = {line_idx}\n" for line_idx in range(2000))
SHARED = {"id_slot": int, "input_prefix": str, "input_suffix": str, "input_extra": list,
          "prompt": str, "n_predict": int, "samplers": list, "stream": bool, "cache_prompt": bool,
          "t_max_prompt_ms": int, "t_max_predict_ms": int, "response_fields": list,
          "model": str}  # fmt: skip
COMPLETION_ONLY = {"stop": list, "n_indent": int, "top_k": int, "top_p": float}
RING_ONLY = {"temperature": float}

Request = dict[str, Any]


class StandIn(ThreadingHTTPServer):
    """Answers /infill with what ``content_for`` says and keeps every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.content_for: Callable[[Request], str] = lambda request: ""

    @property
    def address(self) -> Address:
        host, port = self.server_address[:2]
        return str(host), port

    def answer(self, request: Request) -> Request:
        kinds = SHARED | (RING_ONLY if request["n_predict"] == 0 else COMPLETION_ONLY)
        if {name: type(value) for name, value in request.items()} != kinds:
            raise ValueError(f"unexpected request: {request}")
        self.requests.append(request)
        num_words = len(request["input_prefix"].split())
        known = {
            "content": self.content_for(request),
            "timings/prompt_n": 1 + len(request["prompt"]),
            "timings/predicted_n": 3,
            "tokens_evaluated": num_words,
        }
        return {name: known[name] for name in request["response_fields"] if name in known}


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            status, answer = 200, self.server.answer(request)
        except ValueError as error:
            status, answer = 400, {"error": str(error)}
        self.send_response(status if self.path == "/infill" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[StandIn]:
    with StandIn() as standing_in:
        thread = threading.Thread(target=standing_in.serve_forever, args=(0.01,))
        thread.start()
        yield standing_in
        standing_in.shutdown()
        thread.join()


@pytest.fixture
def vim(server: StandIn) -> LlamaVim:
    return LlamaVim(server.address)


def complete(vim: LlamaVim, before: str, after: str = "\n", path: str = PATH) -> LlamaAnswer:
    return vim.complete(path, before + after, len(before))


def purposes(vim: LlamaVim) -> list[Purpose]:
    return [exchange.purpose for exchange in vim.exchanges]


def texts_of_extra(request: Request) -> list[str]:
    return [chunk["text"] for chunk in request["input_extra"]]


def test_request_says_what_the_plugin_says(server: StandIn, vim: LlamaVim) -> None:
    complete(vim, "import math\n\ndef area(radius):\n    return ma", ")\nprint(area(2))\n")
    request = server.requests[0]
    fields = request.pop("response_fields")
    assert {"content", "timings/prompt_n", "timings/predicted_ms", "tokens_cached"} <= set(fields)
    assert request == {
        "id_slot": 0,
        "input_prefix": "import math\n\ndef area(radius):\n",
        "input_suffix": ")\nprint(area(2))\n",
        "input_extra": [],
        "prompt": "    return ma",
        "n_predict": 128,
        "stop": [],
        "n_indent": 4,
        "top_k": 40,
        "top_p": 0.9,
        "samplers": ["top_k", "top_p", "infill"],
        "stream": False,
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 250,
        "model": "",
    }


def test_answer_carries_the_counts_and_the_time_of_its_request(
    server: StandIn, vim: LlamaVim
) -> None:
    server.content_for = lambda request: "th.pi\n"
    answer = complete(vim, "import math\nma")
    assert (answer.text, answer.source) == ("th.pi", Source.SERVER)
    counts = answer.num_prompt_tokens, answer.num_computed_tokens, answer.num_predicted
    assert counts == (2, 3, 3)
    assert answer.ms >= vim.exchanges[0].reply.ms > 0


def test_typing_into_a_suggestion_shows_the_rest_of_it_at_once(
    server: StandIn, vim: LlamaVim
) -> None:
    server.content_for = lambda request: "lue = 1"
    complete(vim, "va")
    vim.until(1000)
    answer = vim.edited("val\n", 3)
    assert (answer.text, answer.source) == ("ue = 1", Source.CACHE)
    assert server.requests[-1]["prompt"] == "val"  # the plugin asks for the place all the same


def test_place_whose_answer_is_known_is_not_asked_for(server: StandIn, vim: LlamaVim) -> None:
    server.content_for = lambda request: "(radius)"
    complete(vim, "area")
    vim.until(1000)
    num_requests = len(server.requests)
    answer = complete(vim, "area")
    assert (answer.text, answer.source) == ("(radius)", Source.CACHE)
    vim.until(2000)
    assert len(server.requests) == num_requests


def test_accepted_suggestion_meets_an_answer_that_was_made_ahead(
    server: StandIn, vim: LlamaVim
) -> None:
    server.content_for = lambda r: "\n    b = 2" if r["prompt"] == "    a = 1" else "\n    c = 3"
    assert complete(vim, "def f():\n    a = 1").text == "\n    b = 2"
    vim.until(vim.now_ms + 200)
    assert purposes(vim) == [Purpose.COMPLETION, Purpose.SPECULATION]
    ahead = server.requests[1]
    assert (ahead["input_prefix"], ahead["prompt"]) == ("def f():\n    a = 1\n", "    b = 2")
    assert ahead["t_max_predict_ms"] == 1000
    vim.until(1000)
    answer = complete(vim, "def f():\n    a = 1\n    b = 2")
    assert (answer.text, answer.source) == ("\n    c = 3", Source.CACHE)


def test_keystroke_during_a_request_is_asked_for_when_a_retry_finds_it_ended(
    server: StandIn, vim: LlamaVim
) -> None:
    vim.edited("a", 1)
    vim.edited("ab", 2)
    vim.edited("abc", 3)
    assert [request["prompt"] for request in server.requests] == ["a"]
    vim.until(99)
    assert len(server.requests) == 1
    vim.until(5000)
    assert [request["prompt"] for request in server.requests] == ["a", "abc"]


def test_answer_that_arrives_late_shows_if_the_keystrokes_agree(
    server: StandIn, vim: LlamaVim
) -> None:
    server.content_for = lambda request: "lue = 1"
    vim.edited("va", 2)
    vim.edited("valu", 4)
    assert vim.shown.source is Source.NONE
    vim.until(5000)
    assert (vim.shown.text, vim.shown.source) == ("e = 1", Source.SERVER)


@pytest.mark.parametrize(("after", "num_requests"), [("12345678\n", 1), ("123456789\n", 0)])
def test_much_text_behind_the_cursor_suppresses_requests(
    server: StandIn, vim: LlamaVim, after: str, num_requests: int
) -> None:
    assert complete(vim, "x = ", after).text == ""
    assert len(server.requests) == num_requests


def test_nothing_shows_in_normal_mode(server: StandIn, vim: LlamaVim) -> None:
    server.content_for = lambda request: " = 1"
    vim.edited("x", 1)
    vim.moved("x", 0)
    vim.until(1000)
    assert vim.shown.source is Source.NONE


def test_idle_server_reads_the_chunks_that_the_next_request_carries(
    server: StandIn, vim: LlamaVim
) -> None:
    vim.opened("other.py", "def square(x):\n    return x * x\n# end\n", 0)
    assert vim.num_queued_chunks == 1
    exchange = vim.idle()
    assert exchange is not None
    assert (exchange.purpose, vim.num_queued_chunks) == (Purpose.RING, 0)
    warm_up = server.requests[0]
    assert (warm_up["n_predict"], warm_up["prompt"], warm_up["samplers"]) == (0, "", [])
    complete(vim, "area")
    assert server.requests[1]["input_extra"] == warm_up["input_extra"]
    assert warm_up["input_extra"][0]["filename"] == "other.py"
    assert vim.idle() is None


def test_ring_grows_every_second_unless_somebody_types(vim: LlamaVim) -> None:
    vim.edited("x", 1)
    vim.yanked(["one", "two", "three"])
    vim.yanked(["four", "five", "six"])
    vim.until(2999)
    assert vim.num_queued_chunks == 2
    vim.until(3000)
    assert vim.num_queued_chunks == 1
    vim.moved("x", 0)
    vim.until(4000)
    assert vim.num_queued_chunks == 0


def test_completion_waits_for_the_server_to_read_the_ring(vim: LlamaVim) -> None:
    vim.yanked(["one", "two", "three"])
    exchange = vim.idle()
    assert exchange is not None
    assert complete(vim, "x").ms > exchange.reply.ms + vim.exchanges[1].reply.ms


def test_only_saved_text_becomes_a_chunk_of_its_own_file(vim: LlamaVim) -> None:
    vim.opened(PATH, "a\nb\n", 0)
    vim.edited("a\nb\nc\nd\n", 5)
    vim.opened("empty.py", "", 0)
    assert vim.num_queued_chunks == 0
    vim.opened(PATH, "a\nb\nc\nd\n", 5)
    vim.saved()
    assert vim.num_queued_chunks == 1


def test_far_move_queues_text_outside_the_local_context(server: StandIn) -> None:
    vim = LlamaVim(server.address, seed=3)
    vim.opened(PATH, "", 0)
    place = NUMBERED.index("value_1000 ")
    vim.complete(PATH, NUMBERED[:place] + NUMBERED[place:].replace(" = 1000", "", 1), place + 10)
    assert vim.num_queued_chunks == 2
    vim.moved("", 0)
    vim.until(10_000)
    before, behind = texts_of_extra(server.requests[-1])
    assert 0 <= int(before.split()[2]) < 1000 - 256
    assert 1000 + 64 <= int(behind.split()[2]) <= 1000 + 128


def test_chunk_like_the_text_at_the_cursor_leaves_the_ring(server: StandIn, vim: LlamaVim) -> None:
    vim.yanked(["def area(radius):", "    return math.pi * radius**2", ""])
    vim.yanked(["class Queue:", "    items: list[str]", "    limit: int"])
    vim.idle()
    vim.idle()
    complete(vim, "def area(radius):\n    return math.pi * ra")
    assert [text.split()[0] for text in texts_of_extra(server.requests[-1])] == ["class"]


def test_full_ring_forgets_its_oldest_chunk(server: StandIn) -> None:
    vim = LlamaVim(server.address, LlamaConfig(ring_n_chunks=2))
    for word in ("one", "two", "three"):
        vim.yanked([f"{word}_{line_idx}" for line_idx in range(3)])
        vim.idle()
    assert [text[:3] for text in texts_of_extra(server.requests[-1])] == ["two", "thr"]


def test_refused_request_is_an_error(server: StandIn) -> None:
    vim = LlamaVim(server.address, LlamaConfig(n_predict=0))
    with pytest.raises(RuntimeError, match="unexpected request"):
        complete(vim, "x")
