"""Messages that no client should send: each gets what JSON-RPC says, and the server lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, NOT_INITIALIZED = -32602, -32002

Connect = Callable[..., Any]
Initialize = Callable[..., Any]


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("raw", "msg_id", "code"),
    [
        (framed(b"{"), None, PARSE_ERROR),
        (framed(b"\xff\xfe"), None, PARSE_ERROR),
        (framed(b"[" * 100_000), None, PARSE_ERROR),
        (b"Foo: bar\r\n\r\n", None, PARSE_ERROR),
        (b"Content-Length: many\r\n\r\n", None, PARSE_ERROR),
        (framed(b"[]"), None, INVALID_REQUEST),
        (framed(b"null"), None, INVALID_REQUEST),
        (framed(b'{"id":5,"method":"shutdown"}'), None, INVALID_REQUEST),
        (framed(b'{"jsonrpc":"2.0","id":[1],"method":"shutdown"}'), None, INVALID_REQUEST),
        (framed(b'{"jsonrpc":"2.0","id":5,"method":7}'), None, INVALID_REQUEST),
        (framed(b'{"jsonrpc":"2.0","id":5,"method":"no/such"}'), 5, METHOD_NOT_FOUND),
        (
            framed(b'{"jsonrpc":"2.0","id":5,"method":"textDocument/inlineCompletion"}'),
            5,
            INVALID_PARAMS,
        ),
        (
            framed(
                b'{"jsonrpc":"2.0","id":"s","method":"textDocument/inlineCompletion","params":'
                b'{"textDocument":{"uri":"u"},"position":{"line":"x"},"context":{"triggerKind":9}}}'
            ),
            "s",
            INVALID_PARAMS,
        ),
        (
            framed(b'{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"capabilities":{}}}'),
            5,
            INVALID_REQUEST,
        ),
    ],
)
async def test_a_malformed_message_gets_one_error_and_the_next_one_is_served(
    connected: Connect, initialize: Initialize, raw: bytes, msg_id: object, code: int
) -> None:
    async with connected() as client:
        await initialize(client)
        client.send_raw(raw)
        response = await client.response(msg_id)
        assert response["error"]["code"] == code
        await client.no_further_response()


@pytest.mark.parametrize(
    "raw",
    [
        framed(b'{"jsonrpc":"2.0","method":"no/such"}'),
        framed(b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{}}'),
        framed(b'{"jsonrpc":"2.0","method":"textDocument/didChange","params":5}'),
        framed(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{}}'),
        framed(b'{"jsonrpc":"2.0","id":"nobody asked","result":{}}'),
        framed(b'{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"no"}}'),
    ],
)
async def test_a_malformed_notification_or_response_is_ignored(
    connected: Connect, initialize: Initialize, raw: bytes
) -> None:
    async with connected() as client:
        await initialize(client)
        client.send_raw(raw)
        await client.no_further_response()


async def test_requests_out_of_order_are_refused_not_ignored(
    connected: Connect, initialize: Initialize
) -> None:
    server = connected()
    async with server as client:
        early = await client.ask("shutdown", None)
        assert early["error"]["code"] == NOT_INITIALIZED
        await initialize(client)
        assert (await client.ask("shutdown", None))["result"] is None
        late = await client.response(client.complete(0, 0))
        assert late["error"]["code"] == INVALID_REQUEST
        client.notify("exit", None)
    assert server.exit_code == 0


async def test_an_exit_without_shutdown_is_reported_by_the_exit_code(connected: Connect) -> None:
    server = connected()
    async with server as client:
        client.notify("exit", None)
    assert server.exit_code == 1
