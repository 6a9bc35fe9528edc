"""Inputs for `fuzz_http`: bodies whose fields hold edge values, and bytes that resemble HTTP."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

_EDGES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    16,
    17,
    2**31,
    2**63,
    -(2**63),
    10**400,
    0.0,
    -0.0,
    1.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "\0",
    "\ud800",
    "a\r\nb",
    "\U0001f600",
    "<|fim_middle|>",
    "x" * 5000,
    [],
    [""],
    ["a", "b"],
    [[]],
    [1, 2],
    {},
    {"include_usage": True},
    {"trim": True},
    {"trim": True, "path": "a.py"},
    {"language_id": "rust", "deadline_ms": 10},
    {"a": {"b": {}}},
)
_LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.one_of(
        st.text(max_size=80),
        st.lists(st.text(max_size=20), min_size=1, max_size=3),
        st.sampled_from(["def f(", "x = (\n", "\t", "\r", "é\u0301", "}\n" * 200]),
    ),
    "suffix": st.text(max_size=40),
    "max_tokens": st.integers(1, 24),
    "temperature": st.one_of(st.floats(0, 2), st.sampled_from([0, 1e-12, 1e-3, 2])),
    "top_p": st.one_of(st.floats(0, 1), st.sampled_from([0, 1e-300, 1])),
    "n": st.integers(1, 3),
    "stop": st.one_of(st.text(min_size=1, max_size=3), st.lists(st.text(max_size=2), max_size=4)),
    "seed": st.integers(-(2**63), 2**63),
    "logprobs": st.integers(0, 5),
    "echo": st.booleans(),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
    "user": st.text(max_size=10),
    "model": st.sampled_from(["qwen2.5-coder-0.5b", "default", "gpt-4"]),
    "best_of": st.integers(0, 2),
    "presence_penalty": st.sampled_from([0, 0.0, 1]),
    "frequency_penalty": st.sampled_from([0, 0.0, -1]),
    "logit_bias": st.sampled_from([{}, {"1": 1}]),
    "messages": st.just([]),
    "fimble": st.fixed_dictionaries(
        {"trim": st.booleans()},
        optional={
            "language_id": st.sampled_from(["python", "rust", "", "nothing"]),
            "path": st.text(min_size=1, max_size=10),
            "deadline_ms": st.sampled_from([10, 50, 1e5]),
        },
    ),
}
_RARE = ("best_of", "presence_penalty", "frequency_penalty", "logit_bias", "messages", "model")


def bodies() -> st.SearchStrategy[bytes]:
    """Return bodies that are mostly right, some of whose fields hold what they should not."""
    return st.one_of(_likely_body(), _likely_body(), _edgy_body(), st.binary(max_size=50))


def _likely_body() -> st.SearchStrategy[bytes]:
    usual = {name: values for name, values in _LIKELY.items() if name not in _RARE}
    prompt = {"prompt": usual.pop("prompt")}
    return st.fixed_dictionaries(prompt, optional=usual).map(_encoded)


@st.composite
def _edgy_body(draw: st.DrawFn) -> bytes:
    body = draw(st.fixed_dictionaries({}, optional=_LIKELY))
    for name in draw(st.lists(st.sampled_from(sorted(_LIKELY)), max_size=3)):
        body[name] = draw(st.sampled_from(_EDGES))
    encoded = _encoded(body)
    cut = draw(st.one_of(st.none(), st.integers(0, len(encoded))))
    return encoded if cut is None else encoded[:cut]


def _encoded(body: object) -> bytes:
    return json.dumps(body).encode()


_LINES = (
    b"Host: 127.0.0.1",
    b"Host: evil.example",
    b"Host:",
    b"Origin: null",
    b"Origin: http://127.0.0.1",
    b"Content-Type: application/json",
    b"Content-Type: text/plain",
    b"Content-Length: 15",
    b"Content-Length: 0",
    b"Content-Length: 1000000000000",
    b"Content-Length: -1",
    b"Content-Length: 15, 15",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: Upgrade, close",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Authorization: Bearer x",
    b"Sec-Fetch-Site: none",
    b"X: " + b"y" * 20_000,
    b" folded",
    b"no colon",
    b"\x00: \xff",
)
_METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"TRACE", b"PRI", b"get", b"")
_TARGETS = (
    b"/v1/completions",
    b"/v1/models",
    b"/v1/models/%2e%2e/x",
    b"/health",
    b"/metrics",
    b"/docs",
    b"/openapi.json",
    b"/",
    b"*",
    b"//health",
    b"/%00",
    b"/%ff%fe",
    b"/../../etc/passwd",
    b"http://evil.example/health",
    b"/" + b"a" * 70_000,
)
_BODIES = (
    b"",
    b'{"prompt": "a"}',
    b'f\r\n{"prompt": "a"}\r\n0\r\n\r\n',
    b"zz\r\n",
    b"ffffffffffffffff\r\n",
    b"5;ext=1\r\nabcde\r\n0\r\nTrailer: x\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
)
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"")


@st.composite
def raw_requests(draw: st.DrawFn) -> bytes:
    """Return one or two requests put together from right and wrong parts, some bytes changed."""
    requests = draw(st.lists(_request(), min_size=1, max_size=2))
    sent = bytearray(b"".join(requests))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(sent) - 1)))
        sent[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(sent)


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    pick = st.sampled_from
    first = b" ".join((draw(pick(_METHODS)), draw(pick(_TARGETS)), draw(pick(_VERSIONS))))
    lines = draw(st.lists(pick(_LINES), max_size=5))
    if draw(st.booleans()):
        lines = [_LINES[0], *lines]
    return b"\r\n".join((first, *lines, b"", draw(pick(_BODIES))))
