"""Who is turned away: web pages, strangers, and clients that send too much or too slowly."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

import pytest

from lsp_server.errors import BadInputError
from lsp_server.http.access import Access, is_loopback
from lsp_server.http.connection import LimitedH11Protocol

TOKEN = "a-token-of-some-length"
BODY = b'{"prompt": "a", "max_tokens": 1}'
MAX_BODY_BYTES = 1_000_000


def raw(port: int, *parts: bytes, half_close: bool = False, timeout: float = 20) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        for part in parts:
            connection.sendall(part)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def head(port: int, *lines: str, method: str = "POST", path: str = "/v1/completions") -> bytes:
    named = any(line.lower().startswith("host:") for line in lines)
    fixed = [] if named else [f"Host: 127.0.0.1:{port}"]
    text = [f"{method} {path} HTTP/1.1", *fixed, "Connection: close", *lines, "", ""]
    return "\r\n".join(text).encode("latin-1")


def check_refused(response: bytes, status: int, code: str) -> None:
    first, _, rest = response.partition(b"\r\n")
    assert int(first.split()[1]) == status, response
    headers, _, body = rest.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in headers.lower()
    assert b"access-control" not in headers.lower()
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example",
        "127.0.0.1.nip.example:{port}",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "10.0.0.1:{port}",
        "[::ffff:10.0.0.1]",
        "0.0.0.0:{port}",
        "",
        " ",
        "127.0.0.1 evil.example",
    ],
)
def test_a_foreign_host_is_refused(tiny: Any, host: str) -> None:
    for path, method in (("/v1/completions", "POST"), ("/health", "GET"), ("/docs", "GET")):
        line = "Host: " + host.format(port=tiny.port)
        response = raw(tiny.port, head(tiny.port, line, method=method, path=path))
        assert int(response.split()[1]) in (400, 403), response
        body = json.loads(response.partition(b"\r\n\r\n")[2])
        assert body["error"]["code"] in ("host_not_allowed", "invalid_http")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:{port}", "LocalHost:{port}", "[::1]"])
def test_names_of_this_machine_are_accepted(tiny: Any, host: str) -> None:
    line = "Host: " + host.format(port=tiny.port)
    response = raw(tiny.port, head(tiny.port, line, method="GET", path="/health"))
    assert response.startswith(b"HTTP/1.1 200"), response


@pytest.mark.parametrize(
    "line",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:1",
        "Origin: https://127.0.0.1:{port}",
        "Origin: http://localhost:{port}",
        "Origin: ",
        "Origin: http://127.0.0.1:{port}\r\nOrigin: https://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_a_web_page_is_refused(tiny: Any, line: str) -> None:
    line = line.format(port=tiny.port)
    simple = ("Content-Type: text/plain", f"Content-Length: {len(BODY)}")
    check_refused(raw(tiny.port, head(tiny.port, line, *simple) + BODY), 403, "origin_not_allowed")
    for method, path in (("GET", "/docs"), ("GET", "/metrics"), ("OPTIONS", "/v1/completions")):
        answer = raw(tiny.port, head(tiny.port, line, method=method, path=path))
        check_refused(answer, 403, "origin_not_allowed")


def test_the_servers_own_page_is_not_refused(tiny: Any) -> None:
    origin = f"Origin: http://127.0.0.1:{tiny.port}"
    own = head(tiny.port, origin, "Sec-Fetch-Site: same-origin", method="GET", path="/docs")
    assert raw(tiny.port, own).startswith(b"HTTP/1.1 200")
    assert b"access-control" not in raw(tiny.port, own).lower()


def test_a_form_of_a_web_page_does_not_reach_the_engine(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service)
    form = head(server.port, "Content-Type: text/plain", f"Content-Length: {len(BODY)}")
    check_refused(raw(server.port, form + BODY), 415, "unsupported_media_type")
    assert service.requests == []


@pytest.mark.parametrize(
    "line",
    [
        None,
        "Authorization: Bearer wrong-token-of-some-length",
        "Authorization: Bearer",
        "Authorization: Bearer a-token-of-some-lengt",
        "Authorization: Bearer a-token-of-some-length-and-more",
        "Authorization: Basic a-token-of-some-length",
        "Authorization: a-token-of-some-length",
        "Authorization: Bearer A-TOKEN-OF-SOME-LENGTH",
        "Authorization: Bearer a-token-of-some-length\r\nAuthorization: Bearer x",
    ],
)
def test_without_the_token_nothing_but_health_is_shown(
    serve: Any, make_service: Any, line: str | None
) -> None:
    service = make_service()
    server = serve(service, token=TOKEN)
    lines = [] if line is None else [line]
    for method, path in (
        ("POST", "/v1/completions"),
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("POST", "/infill"),
        ("GET", "/props"),
        ("POST", "/v1/events"),
        ("GET", "/v1/health"),
        ("POST", "/v1/documents"),
        ("GET", "/v1/documents/1"),
        ("DELETE", "/v1/documents/1"),
        ("GET", "/health/"),
        ("GET", "//health"),
        ("GET", "/nothing"),
    ):
        answer = raw(server.port, head(server.port, *lines, method=method, path=path))
        check_refused(answer, 401, "invalid_api_key")
        assert b"www-authenticate: bearer" in answer.lower()
    answer = raw(server.port, head(server.port, *lines, method="GET", path="/health"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert service.requests == []


def test_with_the_token_everything_works(serve: Any, tiny_service: Any) -> None:
    server = serve(tiny_service, token=TOKEN)
    assert server.post({"prompt": "a"}).is_success
    assert server.get("/metrics").is_success


def test_an_open_address_needs_a_token(serve: Any, make_service: Any) -> None:
    for address in ("0.0.0.0", "::", ""):
        with pytest.raises(BadInputError, match="needs a token"):
            serve(make_service(), address=address)
    server = serve(make_service(), address="0.0.0.0", token=TOKEN)
    local = head(server.port, f"Authorization: Bearer {TOKEN}", method="GET", path="/v1/models")
    assert raw(server.port, local).startswith(b"HTTP/1.1 200")
    other = head(server.port, "Host: evil.example", method="GET", path="/health")
    check_refused(raw(server.port, other), 403, "host_not_allowed")


@pytest.mark.parametrize("token", ["short", "x" * 15, "ü" * 20])
def test_a_weak_token_is_refused(token: str) -> None:
    with pytest.raises(BadInputError, match="16 or more"):
        Access("127.0.0.1", token)


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(Access("0.0.0.0", TOKEN))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_known(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_a_large_body_is_refused_before_it_is_read(tiny: Any) -> None:
    length = f"Content-Length: {10**12}"
    request = head(tiny.port, "Content-Type: application/json", length)
    check_refused(raw(tiny.port, request, b"{", half_close=True), 413, "body_too_large")


def test_a_client_that_sends_a_large_body_reads_the_refusal(tiny: Any) -> None:
    response = tiny.post({"prompt": "a" * 5 * MAX_BODY_BYTES})
    assert response.status_code == 413
    assert "http.max_body_mb" in response.json()["error"]["message"]
    assert response.headers["connection"] == "close"
    assert tiny.get("/health").is_success


def test_a_large_body_in_chunks_without_a_length_is_refused(tiny: Any) -> None:
    kind, chunked = "Content-Type: application/json", "Transfer-Encoding: chunked"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    request = [
        head(tiny.port, kind, chunked),
        *[chunk] * (MAX_BODY_BYTES // 65536 + 2),
        b"0\r\n\r\n",
    ]
    check_refused(raw(tiny.port, *request), 413, "body_too_large")


def test_a_body_of_exactly_the_limit_is_read(tiny: Any) -> None:
    body = BODY + b" " * (MAX_BODY_BYTES - len(BODY))
    headers = {"Content-Type": "application/json"}
    response = tiny.request("POST", "/v1/completions", content=body, headers=headers)
    assert response.status_code == 200
    response = tiny.request("POST", "/v1/completions", content=body + b" ", headers=headers)
    assert response.status_code == 413


def test_large_bodies_are_held_within_a_limit_for_all_together(
    serve: Any, make_service: Any, monkeypatch: pytest.MonkeyPatch, wait: Any
) -> None:
    monkeypatch.setattr("lsp_server.http.bodies._MAX_NUM_BODIES", 1)
    service = make_service()
    service.gate.clear()
    server = serve(service)
    large = {"prompt": "a" * (MAX_BODY_BYTES * 2 // 3)}
    first: list[Any] = []
    waiting = threading.Thread(target=lambda: first.append(server.post(large)))
    waiting.start()
    wait(lambda: len(service.requests) == 1)
    refused = server.post(large)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["error"]["code"] == "too_much_at_once"
    service.gate.set()
    waiting.join()
    assert first[0].is_success
    assert server.post(large).is_success  # neither the answered nor the refused one counts


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of time that a test can wait for."""
    monkeypatch.setattr("lsp_server.http.app.BODY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(LimitedH11Protocol, "head_timeout_s", 0.2)
    monkeypatch.setattr(LimitedH11Protocol, "write_timeout_s", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_slow_body_is_refused(serve: Any, make_service: Any) -> None:
    server = serve(make_service())
    request = head(server.port, "Content-Type: application/json", "Content-Length: 50")
    check_refused(raw(server.port, request, b'{"prompt":'), 408, "body_timeout")
    assert server.get("/health").is_success


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: 127", b"GET"])
def test_a_slow_head_is_refused(tiny: Any, sent: bytes) -> None:
    check_refused(raw(tiny.port, sent), 408, "request_timeout")


@pytest.mark.usefixtures("impatient")
def test_a_head_that_trickles_does_not_begin_anew_with_each_byte(tiny: Any) -> None:
    trickle = b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 100_000
    with socket.create_connection(("127.0.0.1", tiny.port), timeout=20) as connection:
        stop = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):
                for byte in trickle:
                    if stop.wait(0.02):
                        return
                    connection.sendall(bytes([byte]))

        sender = threading.Thread(target=send)
        sender.start()
        answer = connection.recv(65536)
        stop.set()
        sender.join()
    check_refused(answer, 408, "request_timeout")


@pytest.mark.usefixtures("impatient")
def test_a_request_that_takes_long_is_no_slow_head(serve: Any, make_service: Any) -> None:
    service = make_service()
    service.gate.clear()
    server = serve(service)
    threading.Timer(0.6, service.gate.set).start()
    with server.client() as client:
        for _ in range(2):  # the second on the same connection
            assert client.post("/v1/completions", json={"prompt": "a"}).is_success


def test_what_is_no_http_gets_an_error_object(tiny: Any) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"hello\r\n\r\n"):
        check_refused(raw(tiny.port, sent), 400, "invalid_http")
    long = b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n"
    check_refused(raw(tiny.port, long), 400, "invalid_http")
    bad_chunk = head(tiny.port, "Content-Type: application/json", "Transfer-Encoding: chunked")
    check_refused(raw(tiny.port, bad_chunk, b"zz\r\n"), 400, "invalid_http")
    assert tiny.get("/health").is_success


def test_beyond_a_number_connections_are_refused(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedH11Protocol, "max_num_connections", 2)
    address = ("127.0.0.1", tiny.port)
    with socket.create_connection(address), socket.create_connection(address):
        check_refused(raw(tiny.port), 503, "too_many_connections")
    check_eventually_served(tiny)


def check_eventually_served(server: Any) -> None:
    """The next connection may come before the server has seen that others are gone."""
    for _ in range(100):
        with contextlib.suppress(Exception):
            if server.get("/health").is_success:
                return
    raise AssertionError("the server does not serve any more")


def test_an_upgrade_is_served_as_plain_http(tiny: Any) -> None:
    upgrade = head(
        tiny.port, "Upgrade: websocket", "Connection: Upgrade", method="GET", path="/health"
    )
    assert raw(tiny.port, upgrade).startswith(b"HTTP/1.1 200")
