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
    SERVER_NOT_INITIALIZED,
    Json,
    UnreadableMessageError,
    changed_uri,
    encode,
    error_response,
    may_hold_change,
    read_message,
    result_response,
)
from lsp_server.proxy.announced import Announced
from lsp_server.proxy.answers import (
    Frame,
    cancelled,
    document_of,
    encoding_in,
    error_shown,
    message_in,
    nothing_for,
    refusal_of,
)
from lsp_server.proxy.ledger import Ledger

MAX_NUM_DEATHS, DEATHS_WITHIN_S = 3, 60.0
RETRY_AFTER_S = 60.0
MAX_NUM_WAITING = 10_000  # messages of the editor held back while there is no daemon

# What the editor broke is passed on as broken: the daemon refuses it and trusts no text any more.
_BROKEN_FRAME = b"Content-Length: broken\r\n\r\n"
_REPLAY_ID = "fimble-proxy/initialize"

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
        self._early: list[Frame] = []  # what the editor sent behind it
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

    def take_editor(self, body: Frame) -> None:
        """Handle what the editor sent; never raises on anything it can send."""
        message = message_in(body)
        method = message.get("method") if message is not None else None
        if method == "exit":
            self._exit()
        elif self._greeting_id is not None and (method is not None or message is None):
            self._early.append(body)
        elif isinstance(body, BrokenFrame) or message is None:
            self._take_unreadable(body)
        elif method is None:
            self._take_response(message, body)
        elif "id" in message:
            self._take_request(message, body)
        else:
            self._take_notification(message, body)

    def editor_gone(self) -> None:
        """End: the editor closed its stream without a word."""
        self.exit_code = 1

    def _take_unreadable(self, body: Frame) -> None:
        """Have it refused; if it may have been a change, no text can be trusted."""
        if isinstance(body, BrokenFrame) or may_hold_change(body):
            self.ledger.lose(None)
        if not self._is_greeted:
            self._tell_editor(refusal_of(body))
        elif isinstance(body, BrokenFrame):
            self.for_daemon += _BROKEN_FRAME
        else:
            self._tell_daemon(body)

    def _take_request(self, message: dict[str, Json], body: bytes) -> None:
        msg_id, method = message["id"], message["method"]
        is_change, uri = changed_uri(message)
        if is_change:
            self.ledger.lose(uri)  # a notification with an id is refused, and its change is lost
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
            self._tell_editor(nothing_for(message))
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
            if document_of(request) in changed:
                self._cancel_held(msg_id)
        if not self._is_linked and not self._is_hopeless() and not self._was_shut_down:
            self.wants_daemon = True

    def _take_response(self, message: dict[str, Json], body: bytes) -> None:
        if self._announced.is_answer_wanted(message["id"]) and self._is_linked:
            self._tell_daemon(body)

    def _exit(self) -> None:
        """End in order; whoever still waits is answered first."""
        if self._is_linked:
            self._tell_daemon(encode({"jsonrpc": "2.0", "method": "exit"}))
        reason = "the server ends"
        if self._greeting_id is not None:
            self._refuse(self._greeting_id, REQUEST_CANCELLED, reason)
        held = [message for message, _ in self._held.values()]
        for message in (*self._pending.values(), *held):
            self._cancel(message, reason)
        for body in self._early:
            unheard = message_in(body)
            if unheard is None:
                self._tell_editor(refusal_of(body))
            elif "id" in unheard:
                self._cancel(unheard, reason)
        self._greeting_id = None
        self._early, self._held, self._pending = [], {}, {}
        self.exit_code = 0 if self._was_shut_down else 1

    def _cancel_held(self, msg_id: Json) -> None:
        if isinstance(msg_id, int | str) and self._held.pop(msg_id, None) is not None:
            self._refuse(msg_id, REQUEST_CANCELLED, "cancelled")

    # ------------------------------------------------------------------ from the daemon

    def take_daemon(self, body: Frame) -> None:
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
        encoding = encoding_in(message)
        if encoding is None:
            self.ledger = Ledger()  # refused: the editor may try again
        else:
            self.ledger.encoding = encoding
        self._is_greeted = True
        self._let_go()

    def _resume(self, message: dict[str, Json]) -> None:
        """Tell a new daemon what the one before knew."""
        if encoding_in(message) is not self.ledger.encoding:
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
        for unread in early:
            self.take_editor(unread)

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
            self._tell_editor(error_shown(complaint))
        self._last_complaint = complaint
        if self._greeting_id is not None:
            self._refuse(self._greeting_id, INTERNAL_ERROR, complaint)
            self._greeting_id, self.ledger = None, Ledger()
        held, self._held = self._held, {}
        early, self._early = self._early, []
        for message, _ in held.values():
            self._tell_editor(nothing_for(message))
        for unread in early:
            self.take_editor(unread)

    def _is_hopeless(self) -> bool:
        return self._retry_at is not None and self._clock() < self._retry_at

    # ------------------------------------------------------------------ writing

    def _cancel(self, request: dict[str, Json], reason: str) -> None:
        self._was_shut_down = self._was_shut_down or request["method"] == "shutdown"
        self._tell_editor(cancelled(request, reason))

    def _refuse(self, msg_id: MsgId, code: int, reason: str) -> None:
        self._tell_editor(error_response(msg_id, code, reason))

    def _tell_editor(self, message: dict[str, Json]) -> None:
        self._pass_to_editor(encode(message))

    def _pass_to_editor(self, body: bytes) -> None:
        self.for_editor += frame(body)

    def _tell_daemon(self, body: bytes) -> None:
        self.for_daemon += frame(body)
