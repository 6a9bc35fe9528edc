"""What a server owes its client, worked out from the bytes that were sent to it.

One response for each request, whatever is wrong with it, one with the id ``null`` for everything
that is no message, and none for a notification or a response. After all of it, a valid request is
answered. ``exit`` ends the duty.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Protocol

from benchmarks.fuzz_inputs import encoded
from lsp_server.framing import BrokenFrame, FrameDecoder

Json = Any
# A server that has not answered by then hangs; with the real model, others may be before it.
MAX_WAIT_S = 120.0
INTERNAL_ERROR, NOT_INITIALIZED, INVALID_REQUEST = -32603, -32002, -32600
MAX_NUM_PROBES = 100
PROBE_URI = "file:///w/probe.py"
# So long that the body of a frame with a length too large is filled up by a few of them.
_PADDING = "x" * 2000


class Wire(Protocol):
    """A connection to a server."""

    received: list[dict[str, Json]]  # every message so far
    has_news: asyncio.Event  # set whenever one was added, and at the end of the stream
    has_ended: bool  # whether the server closed its side

    async def send(self, raw: bytes) -> None:
        """Write ``raw``."""
        ...


class Debts:
    """Which ids must be answered, and how often."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self.owed: Counter[str] = Counter()
        self.has_exited = False

    def take(self, raw: bytes) -> None:
        """Take in bytes that the server gets."""
        for frame in self._decoder.feed(raw):
            if self.has_exited:
                return
            self._take_frame(frame)

    def _take_frame(self, frame: bytes | BrokenFrame) -> None:
        if isinstance(frame, BrokenFrame):
            self.owed["null"] += 1
            return
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            self.owed["null"] += 1
            return
        if not _is_message(message):
            self.owed["null"] += 1
        elif message.get("method") == "exit":
            self.has_exited = True
            if "id" in message:
                self.owed[id_key(message["id"])] += 0
        elif "method" in message and "id" in message:
            self.owed[id_key(message["id"])] += 1


def _is_message(message: Json) -> bool:
    """The envelope as JSON-RPC 2.0 and LSP define it: ids are whole numbers or strings."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    if "id" in message and (type(message["id"]) not in (int, str)):
        return False
    if "method" in message:
        return isinstance(message["method"], str)
    return "id" in message and ("result" in message or "error" in message)


def id_key(msg_id: Json) -> str:
    """Return a text that tells ``1`` from ``"1"``."""
    return json.dumps(msg_id)


async def play(wire: Wire, frames: list[bytes]) -> list[str]:
    """Send ``frames``, then ask whether the server lives; return what it did wrong."""
    debts, problems = Debts(), list[str]()
    try:
        for frame in frames:
            debts.take(frame)
            await wire.send(frame)
            if debts.has_exited:
                break
        if not debts.has_exited:
            problems += await _probe(wire, debts)
        await _settled(wire, debts)
    except (TimeoutError, ConnectionError, EOFError) as error:
        problems.append(f"{type(error).__name__} {error}; owed {_open_debts(wire, debts)}")
    return problems + _wrong_answers(wire, debts)


async def _probe(wire: Wire, debts: Debts) -> list[str]:
    """Ask for a suggestion until the question gets through whatever stands in the stream."""
    for number in range(MAX_NUM_PROBES):
        before, msg_id = debts.owed.copy(), f"probe {number}"
        for message in _probe_messages(number, msg_id):
            raw = encoded(message)
            debts.take(raw)
            await wire.send(raw)
        got_through = debts.owed[id_key(f"start {number}")] and debts.owed[id_key(msg_id)]
        if got_through and debts.owed["null"] == before["null"]:
            answer = await _answer(wire, msg_id)
            code = answer.get("error", {}).get("code")
            is_list = isinstance((answer.get("result") or {}).get("items"), list)
            # A session may have sent `shutdown`; nothing but the refusal is right then.
            return [] if is_list or code == INVALID_REQUEST else [f"the probe got {answer}"]
    return [f"no probe of {MAX_NUM_PROBES} got through"]


def _probe_messages(number: int, msg_id: str) -> list[dict[str, Json]]:
    position = {"line": 0, "character": 4}
    document = {"uri": PROBE_URI, "languageId": "python", "version": number, "text": "x = "}
    asked = {
        "textDocument": {"uri": PROBE_URI},
        "position": position,
        "context": {"triggerKind": 2},
        "padding": _PADDING,
    }
    initialize: Json = {"processId": None, "rootUri": None, "capabilities": {}}
    return [
        {"jsonrpc": "2.0", **rest}
        for rest in (
            {"id": f"start {number}", "method": "initialize", "params": initialize},
            {"method": "textDocument/didOpen", "params": {"textDocument": document}},
            {"id": msg_id, "method": "textDocument/inlineCompletion", "params": asked},
        )
    ]


async def _answer(wire: Wire, msg_id: str) -> dict[str, Json]:
    async with asyncio.timeout(MAX_WAIT_S):
        while True:
            for message in reversed(wire.received):
                if message.get("id") == msg_id and "method" not in message:
                    return message
            await _news(wire)


async def _settled(wire: Wire, debts: Debts) -> None:
    """Wait until all is answered, or until the server has gone where it was told to."""
    async with asyncio.timeout(MAX_WAIT_S):
        while not wire.has_ended and (debts.has_exited or _open_debts(wire, debts)):
            await _news(wire)
    if wire.has_ended and not debts.has_exited:
        raise EOFError("the server went away")


async def _news(wire: Wire) -> None:
    if wire.has_ended:
        raise EOFError("the server went away")
    wire.has_news.clear()
    await wire.has_news.wait()


def _open_debts(wire: Wire, debts: Debts) -> Counter[str]:
    return debts.owed - _paid(wire)


def _paid(wire: Wire) -> Counter[str]:
    return Counter(id_key(m.get("id")) for m in wire.received if "method" not in m)


def _wrong_answers(wire: Wire, debts: Debts) -> list[str]:
    problems = [
        f"answered too often: {dict(extra)}" for extra in [_paid(wire) - debts.owed] if extra
    ]
    for message in wire.received:
        if message.get("error", {}).get("code") == INTERNAL_ERROR:
            problems.append(f"an internal error: {message}")
        if "method" not in message and ("result" in message) == ("error" in message):
            problems.append(f"neither result nor error, or both: {message}")
    return problems
