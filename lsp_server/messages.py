"""The outer form of JSON-RPC messages: one rule for the server and for the proxy before it."""

from __future__ import annotations

import json
from typing import Any

# JSON as it comes from the wire: anything at all until it has been structured.
Json = Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_NOT_INITIALIZED = -32002
REQUEST_CANCELLED = -32800
REQUEST_FAILED = -32803

CHANGES = ("textDocument/didChange", "notebookDocument/didChange")
_OPENINGS = ("textDocument/didOpen", "notebookDocument/didOpen")


class UnreadableMessageError(Exception):
    """A body that is no message; the sender is told ``reason`` with an id of null."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def read_message(body: bytes) -> dict[str, Json]:
    """Return the request, notification or response in ``body``.

    Raises:
        UnreadableMessageError: It holds something else.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = f"not JSON: {type(error).__name__}"
        raise UnreadableMessageError(PARSE_ERROR, reason) from error
    if not _is_message(message):
        reason = "not a JSON-RPC 2.0 message; batches are not part of LSP"
        raise UnreadableMessageError(INVALID_REQUEST, reason)
    read: dict[str, Json] = message
    return read


def error_response(msg_id: int | str | None, code: int, reason: str) -> dict[str, Json]:
    """Return the refusal of a request; ``msg_id`` is ``None`` where the request's id is not known."""
    return {"jsonrpc": "2.0", "id": msg_id, "error": {"code": code, "message": reason}}


def result_response(msg_id: int | str, result: Json) -> dict[str, Json]:
    """Return the answer to a request."""
    return {"jsonrpc": "2.0", "id": msg_id, "result": result}


def notification(method: str, params: Json) -> dict[str, Json]:
    """Return a message that nobody answers."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def encode(message: dict[str, Json]) -> bytes:
    """Return the body that holds ``message``; half a surrogate pair is escaped, not refused."""
    return json.dumps(message, separators=(",", ":")).encode()


def changed_uri(message: Json) -> tuple[bool, str | None]:
    """Return whether a message, perhaps malformed, changes a document, and which one.

    ``None`` means that the message does not say which, so it may be any.
    """
    method = message.get("method")
    if method not in (*CHANGES, *_OPENINGS):
        return False, None
    kind = "textDocument" if "textDocument" in method else "notebookDocument"
    uri = value_at(message, "params", kind, "uri")
    return True, uri if isinstance(uri, str) else None


def may_hold_change(body: bytes) -> bool:
    """Whether a body that is no message at all may have carried the change of a document."""
    return any(method.encode() in body for method in CHANGES)


def value_at(value: Json, *path: str) -> Json:
    """Return what lies at ``path``, None if anything on the way is missing or of another kind."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _is_message(message: Json) -> bool:
    """Whether ``message`` has the outer form of a request, a notification or a response."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    msg_id = message.get("id")
    has_good_id = "id" not in message or (
        isinstance(msg_id, int | str) and not isinstance(msg_id, bool)
    )
    if "method" in message:
        return has_good_id and isinstance(message["method"], str)
    # A response to an unknown id (null) is an error report of the client: nothing to match it with.
    return "id" in message and has_good_id and ("result" in message or "error" in message)
