"""The proxy's decisions, without any input or output: frames in, frames out.

A daemon may go away at any moment. The next one is told what the ledger holds, and the editor sees
one server that never left: every request gets exactly one response.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lsp_server.framing import BrokenFrame, frame
from lsp_server.messages import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    SERVER_NOT_INITIALIZED,
    Json,
    UnreadableMessageError,
    encode,
    error_response,
    notification,
    read_message,
    result_response,
)
from lsp_server.proxy.announced import Announced
from lsp_server.proxy.ledger import Ledger
from lsp_server.text_units import PositionEncoding

MAX_NUM_DEATHS, DEATHS_WITHIN_S = 3, 60.0
RETRY_AFTER_S = 60.0
MAX_NUM_WAITING = 10_000  # messages of the editor held back while there is no daemon

_REPLAY_ID = "fimble-proxy/initialize"
_EMPTY_ANSWERS: dict[str, Json] = {
    "textDocument/inlineCompletion": {"items": []},  # null would leave old ghost text on screen
    "textDocument/completion": {"isIncomplete": True, "items": []},
    "workspace/executeCommand": None,
    "shutdown": None,
}
_ERROR_MESSAGE_TYPE = 1

MsgId = int | str


class DaemonError(Exception):
    """The daemon does not keep to the protocol; its connection has to be closed."""


class Relay:
    """One editor's connection.

    ``for_editor`` and ``for_daemon`` collect what is to be written; their owner takes it out.
    ``wants_daemon`` asks for a connection, which ``daemon_found`` or ``daemon_missing`` answers.
    ``exit_code`` is set when all is over.
    """

    def __init__(
        self,
        where_to_look: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without an editor's word and without a daemon.

        Args:
            where_to_look: Ends the sentence that tells the user there is no daemon.
            clock: Seconds since some moment.
        """
        self.for_editor = bytearray()
        self.for_daemon = bytearray()
        self.wants_daemon = True
        self.exit_code: int | None = None
        self.ledger = Ledger()
        self._announced = Announced()
        self._where_to_look = where_to_look
        self._clock = clock
        self._is_linked = False  # a daemon is there
        self._is_greeted = False  # and has been told all that came before
        self._greeting_id: MsgId | None = None  # the editor's own initialize, while unanswered
        self._early: list[bytes] = []  # what the editor sent behind it
        self._held: dict[MsgId, tuple[dict[str, Json], bytes]] = {}  # requests without a daemon
        self._pending: dict[MsgId, dict[str, Json]] = {}  # requests that the daemon has
        self._was_shut_down = False
        self._deaths: list[float] = []
        self._retry_at: float | None = None  # set while there is no hope for a daemon
        self._last_complaint = ""

    # ------------------------------------------------------------------ from the editor

    @property
    def is_full(self) -> bool:
        """Whether to read no more of the editor until a daemon is there."""
        return len(self._early) + len(self._held) > MAX_NUM_WAITING

    def take_editor(self, body: bytes | BrokenFrame) -> None:
        """Handle what the editor sent; never raises on anything it can send."""
        if isinstance(body, BrokenFrame):
            self._tell_editor(error_response(None, PARSE_ERROR, body.reason))
            return
        try:
            message = read_message(body)
        except UnreadableMessageError as error:
            self._tell_editor(error_response(None, error.code, error.reason))
            return
        method = message.get("method")
        if method == "exit":
            self._exit(body)
        elif method is not None and self._greeting_id is not None:
            self._early.append(body)
        elif method is None:
            self._take_response(message, body)
        elif "id" in message:
            self._take_request(message, body)
        else:
            self._take_notification(message, body)

    def editor_gone(self) -> None:
        """End: the editor closed its stream without a word."""
        self.exit_code = 1

    def _take_request(self, message: dict[str, Json], body: bytes) -> None:
        msg_id, method = message["id"], message["method"]
        if method == "initialize" and self.ledger.initialize is None:
            self._start_session(message, body)
        elif self._is_greeted:
            self._was_shut_down = self._was_shut_down or method == "shutdown"
            self._pending[msg_id] = message
            self._tell_daemon(body)
        elif self._was_shut_down:
            self._refuse(msg_id, INVALID_REQUEST, f"{method}: the server was shut down")
        elif self.ledger.initialize is None and not self.wants_daemon and not self._is_linked:
            self._refuse(msg_id, SERVER_NOT_INITIALIZED, f"{method}: send initialize first")
        elif method == "shutdown":
            self._was_shut_down = True
            self._tell_editor(result_response(msg_id, None))
        elif self._is_hopeless():
            self._answer_with_nothing(message)
        else:
            self._held[msg_id] = (message, body)
            self.wants_daemon = not self._is_linked

    def _start_session(self, message: dict[str, Json], body: bytes) -> None:
        self.ledger.initialize = message
        self._greeting_id = message["id"]
        if self._is_linked:
            self._is_greeted = False
            self._tell_daemon(body)
        else:
            self.wants_daemon = True

    def _take_notification(self, message: dict[str, Json], body: bytes) -> None:
        if self.ledger.initialize is not None:
            self._note(message)
        if self._is_greeted:
            self._tell_daemon(body)
        elif message["method"] == "$/cancelRequest":
            params = message.get("params")
            self._cancel_held(params.get("id") if isinstance(params, dict) else None)

    def _note(self, message: dict[str, Json]) -> None:
        """Keep a notification; what was asked about a document that it changes is outdated."""
        changed = self.ledger.note(message)
        if self._is_greeted or not changed:
            return
        for msg_id, (request, _) in list(self._held.items()):
            if _document_of(request) in changed:
                self._cancel_held(msg_id)
        if not self._is_linked and not self._is_hopeless() and not self._was_shut_down:
            self.wants_daemon = True

    def _take_response(self, message: dict[str, Json], body: bytes) -> None:
        if self._announced.is_answer_wanted(message["id"]) and self._is_linked:
            self._tell_daemon(body)

    def _exit(self, body: bytes) -> None:
        """End in order; whoever still waits is answered first."""
        if self._is_linked:
            self._tell_daemon(body)
        self._cancel_waiting("the server ends")
        self.exit_code = 0 if self._was_shut_down else 1

    def _cancel_waiting(self, reason: str) -> None:
        early = [read_message(body) for body in self._early]
        waiting = [message for message, _ in self._held.values()]
        if self._greeting_id is not None:
            self._refuse(self._greeting_id, REQUEST_CANCELLED, reason)
        for message in (*self._pending.values(), *waiting, *early):
            if "id" in message:
                self._cancel(message, reason)
        self._greeting_id = None
        self._early, self._held, self._pending = [], {}, {}

    def _cancel_held(self, msg_id: Json) -> None:
        if isinstance(msg_id, int | str) and self._held.pop(msg_id, None) is not None:
            self._refuse(msg_id, REQUEST_CANCELLED, "cancelled")

    # ------------------------------------------------------------------ from the daemon

    def take_daemon(self, body: bytes | BrokenFrame) -> None:
        """Handle what the daemon sent.

        Raises:
            DaemonError: It is no message, or the daemon refuses the session it should continue.
        """
        if isinstance(body, BrokenFrame):
            raise DaemonError(body.reason)
        try:
            message = read_message(body)
        except UnreadableMessageError as error:
            if error.code == PARSE_ERROR:
                raise DaemonError(error.reason) from error
            self._pass_to_editor(body)  # the refusal of a message whose id nobody knows
            return
        if "method" not in message:
            self._take_answer(message, body)
        elif "id" in message:
            question, answer = self._announced.ask(message)
            if question is not None:
                self._pass_to_editor(body if question is message else encode(question))
            if answer is not None:
                self._tell_daemon(encode(answer))
        else:
            self._announced.note(message)
            self._pass_to_editor(body)

    def _take_answer(self, message: dict[str, Json], body: bytes) -> None:
        msg_id = message["id"]
        if self._greeting_id is not None and msg_id == self._greeting_id:
            self._pass_to_editor(body)
            self._greeting_id = None
            self._begin(message)
        elif not self._is_greeted and msg_id == _REPLAY_ID:
            self._resume(message)
        elif self._pending.pop(msg_id, None) is not None:
            self._pass_to_editor(body)

    def _begin(self, message: dict[str, Json]) -> None:
        """Go on behind the first answer to the editor's own ``initialize``."""
        encoding = _encoding_in(message)
        if encoding is None:
            self.ledger = Ledger()  # refused: the editor may try again
        else:
            self.ledger.encoding = encoding
        self._is_greeted = True
        self._let_go()

    def _resume(self, message: dict[str, Json]) -> None:
        """Tell a new daemon what the one before knew."""
        if _encoding_in(message) is not self.ledger.encoding:
            raise DaemonError("it does not continue the session of the one before")
        self._is_greeted = True
        for past in self.ledger.replay():
            self._tell_daemon(encode(past))
        self._let_go()

    def _let_go(self) -> None:
        """Send what was held back, in its order."""
        self._retry_at, self._last_complaint = None, ""
        held, self._held = self._held, {}
        early, self._early = self._early, []
        for message, body in held.values():
            self._take_request(message, body)
        for body in early:
            self.take_editor(body)

    # ------------------------------------------------------------------ the daemon's life

    def daemon_found(self) -> None:
        """A daemon is connected: tell it how the session began."""
        self.wants_daemon, self._is_linked = False, True
        greeting = self.ledger.initialize
        if greeting is None:
            self._is_greeted = True
            self._let_go()
        elif self._greeting_id is not None:
            self._tell_daemon(encode(greeting))
        else:
            self._tell_daemon(encode({**greeting, "id": _REPLAY_ID}))

    def daemon_lost(self) -> None:
        """The connection ended: answer what it can answer no more, and go on without it."""
        self._is_linked = self._is_greeted = False
        self.for_daemon.clear()
        pending, self._pending = self._pending, {}
        for message in pending.values():
            self._cancel(message, "the daemon ended before it answered")
        for message in self._announced.end_daemon():
            self._tell_editor(message)
        now = self._clock()
        self._deaths = [death for death in self._deaths if now - death < DEATHS_WITHIN_S] + [now]
        if len(self._deaths) >= MAX_NUM_DEATHS and not self._was_shut_down:
            self._deaths.clear()
            self.daemon_missing(f"the daemon ended {MAX_NUM_DEATHS} times within a minute")
        else:
            # Otherwise the next keystroke asks for it: a daemon that was told to stop stays away
            # until it is needed.
            self.wants_daemon = bool(self._held) or self._greeting_id is not None

    def daemon_missing(self, reason: str) -> None:
        """No daemon can be had for now: say so once, and answer all requests with nothing."""
        self.wants_daemon = False
        self._retry_at = self._clock() + RETRY_AFTER_S
        complaint = f"fimble offers no suggestions: {reason}{self._where_to_look()}"
        if complaint != self._last_complaint:
            params = {"type": _ERROR_MESSAGE_TYPE, "message": complaint}
            self._tell_editor(notification("window/showMessage", params))
        self._last_complaint = complaint
        if self._greeting_id is not None:
            self._refuse(self._greeting_id, INTERNAL_ERROR, complaint)
            self._greeting_id, self.ledger = None, Ledger()
        held, self._held = self._held, {}
        early, self._early = self._early, []
        for message, _ in held.values():
            self._answer_with_nothing(message)
        for body in early:
            self.take_editor(body)

    def _is_hopeless(self) -> bool:
        return self._retry_at is not None and self._clock() < self._retry_at

    # ------------------------------------------------------------------ writing

    def _answer_with_nothing(self, message: dict[str, Json]) -> None:
        method = message["method"]
        if method in _EMPTY_ANSWERS:
            self._tell_editor(result_response(message["id"], _EMPTY_ANSWERS[method]))
        else:
            self._refuse(message["id"], REQUEST_FAILED, f"{method}: no daemon is running")

    def _cancel(self, message: dict[str, Json], reason: str) -> None:
        if message["method"] == "shutdown":
            self._was_shut_down = True
            self._tell_editor(result_response(message["id"], None))
        else:
            self._refuse(message["id"], REQUEST_CANCELLED, reason)

    def _refuse(self, msg_id: MsgId, code: int, reason: str) -> None:
        self._tell_editor(error_response(msg_id, code, reason))

    def _tell_editor(self, message: dict[str, Json]) -> None:
        self._pass_to_editor(encode(message))

    def _pass_to_editor(self, body: bytes) -> None:
        self.for_editor += frame(body)

    def _tell_daemon(self, body: bytes) -> None:
        self.for_daemon += frame(body)


def _document_of(request: dict[str, Json]) -> str | None:
    try:
        uri = request["params"]["textDocument"]["uri"]
    except (KeyError, TypeError):
        return None
    return uri if isinstance(uri, str) else None


def _encoding_in(answer: dict[str, Json]) -> PositionEncoding | None:
    """Return the encoding that the server chose, ``None`` if it refused to begin."""
    try:
        capabilities = answer["result"]["capabilities"]
        return PositionEncoding(capabilities.get("positionEncoding", PositionEncoding.UTF16))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
