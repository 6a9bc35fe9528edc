"""What the proxy says itself where no daemon can, and what it reads in passing."""

from __future__ import annotations

from lsp_server.framing import BrokenFrame
from lsp_server.messages import (
    PARSE_ERROR,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    Json,
    UnreadableMessageError,
    error_response,
    notification,
    read_message,
    result_response,
    value_at,
)
from lsp_server.text_units import PositionEncoding

Frame = bytes | BrokenFrame

_EMPTY_RESULTS: dict[str, Json] = {
    "textDocument/inlineCompletion": {"items": []},  # null would leave old ghost text on screen
    "textDocument/completion": {"isIncomplete": True, "items": []},
    "workspace/executeCommand": None,
    "shutdown": None,
}
_ERROR_MESSAGE_TYPE = 1


def message_in(body: Frame) -> dict[str, Json] | None:
    """Return the message in ``body``, None if it is none."""
    if isinstance(body, BrokenFrame):
        return None
    try:
        return read_message(body)
    except UnreadableMessageError:
        return None


def refusal_of(body: Frame) -> dict[str, Json]:
    """Return the answer to something that is no message."""
    if isinstance(body, BrokenFrame):
        return error_response(None, PARSE_ERROR, body.reason)
    try:
        read_message(body)
    except UnreadableMessageError as error:
        return error_response(None, error.code, error.reason)
    raise AssertionError("only what is no message is refused")


def nothing_for(request: dict[str, Json]) -> dict[str, Json]:
    """Return the answer of a server that has nothing to offer."""
    method = request["method"]
    if method in _EMPTY_RESULTS:
        return result_response(request["id"], _EMPTY_RESULTS[method])
    return error_response(request["id"], REQUEST_FAILED, f"{method}: no daemon is running")


def cancelled(request: dict[str, Json], reason: str) -> dict[str, Json]:
    """Return the answer to a request that nobody will answer; ``shutdown`` has succeeded by then."""
    if request["method"] == "shutdown":
        return result_response(request["id"], None)
    return error_response(request["id"], REQUEST_CANCELLED, reason)


def error_shown(text: str) -> dict[str, Json]:
    """Return the message that lets the user read ``text``."""
    return notification("window/showMessage", {"type": _ERROR_MESSAGE_TYPE, "message": text})


def document_of(request: dict[str, Json]) -> str | None:
    """Return the URI of the document that a request is about."""
    uri = value_at(request, "params", "textDocument", "uri")
    return uri if isinstance(uri, str) else None


def encoding_in(answer: dict[str, Json]) -> PositionEncoding | None:
    """Return what a server chose on ``initialize``, None if it refused to begin."""
    capabilities = value_at(answer, "result", "capabilities")
    if not isinstance(capabilities, dict):
        return None
    try:
        return PositionEncoding(capabilities.get("positionEncoding", PositionEncoding.UTF16))
    except ValueError:
        return None
