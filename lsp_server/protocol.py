"""JSON-RPC rules that pygls leaves to its user.

Every request gets exactly one response, also a broken one: bad JSON, wrong parameters, a request
before ``initialize`` or after ``shutdown``. pygls answers none of these, and the client would wait
for ever. pygls' own document store is switched off: it takes U+2028 for a line end, and it would
hold every text a second time.

What cannot be read may have been the change of a document. ``on_lost_change`` is then told, as its
text is no longer what the editor shows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol

from lsp_server.indentation import Formatting
from lsp_server.messages import (
    Json,
    UnreadableMessageError,
    changed_uri,
    error_response,
    may_hold_change,
    read_message,
)
from lsp_server.turns import name_turns
from lsp_server.wire import WireDialect

logger = logging.getLogger(__name__)

# What pygls would do on these, our handlers in `features` do instead.
_REPLACED_BUILTINS = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS,
    types.EXIT,
)


class FimbleProtocol(LanguageServerProtocol):
    """pygls' protocol, strict about responses and tolerant of nonsense."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for method in _REPLACED_BUILTINS:
            self.fm.builtin_features.pop(method, None)
        self.exit_code: int | None = None
        # Told the URI of the document or notebook, None if the message does not name one.
        self.on_lost_change: Callable[[str | None], None] = lambda _uri: None
        self._dialect = WireDialect()

    def formatting(self, uri: str) -> Formatting | None:
        """Return how the client's editor indents the document, None if it never told."""
        return self._dialect.formatting(uri)

    def receive(self, body: bytes) -> None:
        """Handle the body of one message; never raises on anything a client can send."""
        try:
            message = read_message(body)
        except UnreadableMessageError as error:
            self.refuse(None, error.code, error.reason)
            if may_hold_change(body):
                self.on_lost_change(None)
            return
        method: str = message.get("method", "response")
        name_turns(method)
        if method == types.EXIT:
            self.exit_code = 0 if self._shutdown else 1
        elif self._is_allowed(message):
            self._structure_and_handle(message)

    def receive_broken(self, reason: str) -> None:
        """Take note of a message that is lost with its header, and of what it may have been."""
        self.refuse(None, types.ErrorCodes.ParseError, reason)
        self.on_lost_change(None)

    def refuse(self, msg_id: int | str | None, code: int, reason: str) -> None:
        """Answer with an error; ``msg_id`` is ``None`` where the request's id is not known."""
        logger.warning("refused message %s: %s", msg_id, reason)
        # Written by hand, as lsprotocol leaves out an id that is None and JSON-RPC wants a null.
        self._send_data(error_response(msg_id, int(code), reason))

    def _is_allowed(self, message: Json) -> bool:
        """Whether the message may be handled now; a request that may not is refused."""
        method = message.get("method")
        refusal = self._refusal(method) if method is not None else None
        if refusal is None and "id" in message and _is_notification(method):
            # pygls would take it for one and answer nothing.
            refusal = types.ErrorCodes.InvalidRequest, "is a notification and has no id"
        if refusal is None:
            return True
        code, reason = refusal
        if "id" in message:
            self.refuse(message["id"], code, f"{method}: {reason}")
        else:
            logger.warning("ignored notification %s: %s", method, reason)
        self._note_lost_change(*changed_uri(message))
        return False

    def _refusal(self, method: str) -> tuple[int, str] | None:
        """Why ``method`` cannot be handled in this state of the connection."""
        is_initialized = self._workspace is not None
        if not self._knows(method):
            # Also keeps pygls from structuring it, which fails on an unknown method without params.
            return types.ErrorCodes.MethodNotFound, "unknown method"
        if method == types.INITIALIZE and is_initialized:
            return types.ErrorCodes.InvalidRequest, "initialize was already sent"
        if method != types.INITIALIZE and not is_initialized:
            return types.ErrorCodes.ServerNotInitialized, "send initialize first"
        if self._shutdown:
            return types.ErrorCodes.InvalidRequest, "the server was shut down"
        return None

    def _knows(self, method: str) -> bool:
        known = (self.fm.builtin_features, self.fm.features, (types.CANCEL_REQUEST,))
        return any(method in methods for methods in known)

    def _structure_and_handle(self, message: Json) -> None:
        # Read first: structuring may consume parts of the message.
        method, msg_id = message.get("method"), message.get("id")
        is_request = method is not None and "id" in message
        is_change, uri = changed_uri(message)
        self._dialect.mend(message)
        try:
            structured = self.structure_message(message)
        except JsonRpcException as error:
            reason = f"{method or 'response'} has wrong parameters: {_explain(error.__cause__)}"
            if is_request:
                self.refuse(msg_id, types.ErrorCodes.InvalidParams, reason)
            else:
                logger.warning("ignored: %s", reason)
            self._note_lost_change(is_change, uri)
            return
        self.handle_message(structured)

    def _note_lost_change(self, is_change: bool, uri: str | None) -> None:
        if is_change:
            self.on_lost_change(uri)

    def _handle_response(
        self, msg_id: int | str, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        """Take the answer to a request of ours; nobody waits for any other.

        pygls keeps the client's requests by their ids in the same place, and would end them with
        whatever the client answers under such an id.
        """
        future = self._request_futures.get(msg_id)
        if not isinstance(future, Future) or future.done():
            logger.warning("ignored a response to %r, for which nobody waits", msg_id)
            return
        super()._handle_response(msg_id, result, error)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        """Cancel a request of the client's; it may be over, and the id may be anything at all."""
        if isinstance(msg_id, int | str) and msg_id in self._request_futures:
            super()._handle_cancel_notification(msg_id)

    def cancel_running_requests(self) -> None:
        """Cancel every request in progress; each client-side wait ends with RequestCancelled."""
        for future in list(self._request_futures.values()):
            if isinstance(future, asyncio.Future):
                future.cancel()


def _is_notification(method: str) -> bool:
    """Whether the protocol has no answer to ``method``."""
    kinds = types.METHOD_TO_TYPES.get(method)
    return kinds is not None and kinds[1] is None


def _explain(error: BaseException | None) -> str:
    """Say which fields are wrong by path and kind, without their values: these may be source."""
    if isinstance(error, cattrs.BaseValidationError):
        return "; ".join(cattrs.transform_error(error))
    return type(error).__name__
