"""What the fuzzer sends: sessions as editors write them, and what becomes of them.

Everything is drawn from one ``random.Random``, so a seed names a session.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Json = Any
Message = dict[str, Json]

URIS = (
    "file:///w/a.py",
    "file:///w/b%20c.ts",
    "untitled:Untitled-1",
    "vscode-notebook-cell:/w/n.ipynb#W0sZmlsZQ",
    "",
)
LANGUAGES = ("python", "typescript", "go", "plaintext", "no-such-language")
TEXTS = (
    "def add(a, b):\n    return \n",
    "const x = \r\nif (x) {\r\n\r\n}\r\n",
    "e\u0301 = '\U0001f642'\nprint(\n",
    "\u2028\u2029\x0b\x0c\r\n\n\r",
    "",
    "x" * 3000,
    "(" * 400,
)
JUNK: tuple[Json, ...] = (
    None, True, False, 0, -1, 1, 3, 1.5, 2**31, 2**53, -(2**63), 10**30, 1e308, float("nan"),
    float("inf"), "", "0", "\ud800", "\udfff\ud800", "\x00", "\u2028", "a" * 5000, "file:///w/a.py",
    "untitled:1", "%", "file://%zz", "file:///w/\x00", [], {}, [[]], [None], {"": None},
    {"line": -1, "character": -1}, {"start": {}, "end": {}}, [0, 0],
)  # fmt: skip
METHODS = (
    "initialize", "initialized", "shutdown", "textDocument/didOpen", "textDocument/didChange",
    "textDocument/didSave", "textDocument/didClose", "textDocument/inlineCompletion",
    "textDocument/completion", "completionItem/resolve", "workspace/executeCommand",
    "workspace/didChangeConfiguration", "workspace/didChangeWorkspaceFolders",
    "notebookDocument/didOpen", "notebookDocument/didChange", "notebookDocument/didClose",
    "window/workDoneProgress/cancel", "$/cancelRequest", "$/setTrace", "$/progress",
    "textDocument/didShowCompletion", "textDocument/hover", "no/such", "",
)  # fmt: skip


def framed(body: bytes) -> bytes:
    """Return ``body`` as a frame."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def encoded(message: Json) -> bytes:
    """Return ``message`` as a frame, whatever it holds."""
    return framed(json.dumps(message).encode())


def session(rng: random.Random) -> list[Message]:
    """Return what an editor sends from ``initialize`` to ``exit``."""
    return list(_Editor(rng).messages())


def mutated_frames(rng: random.Random) -> tuple[list[bytes], int]:
    """Return the frames of a session in which things went wrong, and how many of them did."""
    messages, num_mutated = session(rng), 0
    for _ in range(rng.randrange(3)):
        rng.choice(REORDERINGS)(messages, rng)
        num_mutated += 1
    frames: list[bytes] = []
    for message in messages:
        draw = rng.random()
        if draw < 0.35:
            frames.append(encoded(_mutated(message, rng)))
        elif draw < 0.5:
            frames.append(rng.choice(FRAME_MUTATIONS)(encoded(message), rng))
        else:
            frames.append(encoded(message))
        num_mutated += draw < 0.5
    return frames, num_mutated


def junk(rng: random.Random, depth: int = 3) -> Json:
    """Return any JSON value."""
    draw = rng.random()
    if depth and draw < 0.15:
        return [junk(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and draw < 0.3:
        return {rng.choice(("uri", "text", "id", "x")): junk(rng, depth - 1) for _ in range(3)}
    return copy.deepcopy(rng.choice(JUNK))


class _Editor:
    """Writes one session: opens a document, types, asks, cancels, closes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._next_id, self._version = rng, 0, 1
        self._uri = rng.choice(URIS)
        self._text_id = rng.random() < 0.2  # some clients number their requests in text

    def messages(self) -> Iterator[Message]:
        rng = self._rng
        yield self._request("initialize", self._initialize())
        yield _notification("initialized", {})
        yield self._open()
        for _ in range(rng.randrange(2, 14)):
            yield from rng.choice(self._actions())()
        yield _notification("textDocument/didClose", {"textDocument": {"uri": self._uri}})
        if rng.random() < 0.3:
            yield self._request("shutdown", None)
            if rng.random() < 0.5:
                yield _notification("exit", None)

    def _actions(self) -> list[Callable[[], Iterator[Message]]]:
        return [
            self._type_and_ask, self._type_and_ask, self._ask_and_cancel, self._ask_twice,
            self._list, self._save, self._configure, self._folders, self._accept, self._answer,
            self._notebook, self._unknown,
        ]  # fmt: skip

    def _type_and_ask(self) -> Iterator[Message]:
        yield self._change()
        yield self._ask()

    def _ask_and_cancel(self) -> Iterator[Message]:
        asked = self._ask()
        yield asked
        yield _notification("$/cancelRequest", {"id": asked["id"]})

    def _ask_twice(self) -> Iterator[Message]:
        yield self._ask()
        yield self._ask()

    def _list(self) -> Iterator[Message]:
        params = {"textDocument": {"uri": self._uri}, "position": self._position()}
        yield self._request("textDocument/completion", {**params, "context": {"triggerKind": 1}})

    def _save(self) -> Iterator[Message]:
        text = self._rng.choice(TEXTS)
        params = {"textDocument": {"uri": self._uri}, "text": text}
        yield _notification("textDocument/didSave", params)

    def _configure(self) -> Iterator[Message]:
        settings = {"fimble": {"completion": {"max_new_tokens": self._rng.choice(JUNK)}}}
        yield _notification("workspace/didChangeConfiguration", {"settings": settings})

    def _folders(self) -> Iterator[Message]:
        event = {"added": [{"uri": "file:///v", "name": "v"}], "removed": []}
        yield _notification("workspace/didChangeWorkspaceFolders", {"event": event})

    def _accept(self) -> Iterator[Message]:
        command = {"command": "fimble.accepted", "arguments": [self._rng.choice(JUNK)]}
        yield self._request("workspace/executeCommand", command)

    def _answer(self) -> Iterator[Message]:
        """Answer what nobody asked; ids of servers and of clients are two sets of names."""
        yield {"jsonrpc": "2.0", "id": self._next_id, "result": self._rng.choice(JUNK)}

    def _notebook(self) -> Iterator[Message]:
        cell = {"uri": "vscode-notebook-cell:/w/n.ipynb#1", "languageId": "python", "version": 1}
        notebook = {"uri": "file:///w/n.ipynb", "notebookType": "jupyter-notebook", "version": 1}
        params = {
            "notebookDocument": {**notebook, "cells": [{"kind": 2, "document": cell["uri"]}]},
            "cellTextDocuments": [{**cell, "text": self._rng.choice(TEXTS)}],
        }
        yield _notification("notebookDocument/didOpen", params)

    def _unknown(self) -> Iterator[Message]:
        yield self._request(self._rng.choice(METHODS), {"textDocument": {"uri": self._uri}})

    def _initialize(self) -> Json:
        encodings = self._rng.sample(["utf-8", "utf-16", "utf-32"], self._rng.randrange(4))
        text = {"inlineCompletion": {"dynamicRegistration": self._rng.random() < 0.5}}
        return {
            "processId": None,
            "clientInfo": {"name": self._rng.choice(("Neovim", "Visual Studio Code"))},
            "rootUri": "file:///w",
            "workspaceFolders": [{"uri": "file:///w", "name": "w"}],
            "initializationOptions": {"completion": {"num_candidates": 2}, "log": self._version},
            "capabilities": {"general": {"positionEncodings": encodings}, "textDocument": text},
        }

    def _open(self) -> Message:
        item = {
            "uri": self._uri,
            "languageId": self._rng.choice(LANGUAGES),
            "version": self._version,
            "text": self._rng.choice(TEXTS),
        }
        return _notification("textDocument/didOpen", {"textDocument": item})

    def _change(self) -> Message:
        self._version += 1
        document = {"uri": self._uri, "version": self._version}
        changes = [
            {"range": self._range(), "text": self._rng.choice(("a", "", "\n", "\U0001f642"))}
            for _ in range(self._rng.randrange(3))
        ]
        if self._rng.random() < 0.2:
            changes.append({"text": self._rng.choice(TEXTS)})
        params = {"textDocument": document, "contentChanges": changes}
        return _notification("textDocument/didChange", params)

    def _ask(self) -> Message:
        context: dict[str, Json] = {"triggerKind": self._rng.randrange(3)}
        if self._rng.random() < 0.2:
            span: Json = self._range()
            # As vscode-languageclient 9.0.1 writes it.
            span = [span["start"], span["end"]] if context["triggerKind"] == 0 else span
            context["selectedCompletionInfo"] = {"range": span, "text": "append"}
        params = {"textDocument": {"uri": self._uri}, "position": self._position()}
        return self._request("textDocument/inlineCompletion", {**params, "context": context})

    def _range(self) -> Json:
        return {"start": self._position(), "end": self._position()}

    def _position(self) -> Json:
        return {
            "line": self._rng.choice((0, 0, 1, 2, 9, 2**31 - 1)),
            "character": self._rng.choice((0, 1, 4, 11, 5000, 2**31 - 1)),
        }

    def _request(self, method: str, params: Json) -> Message:
        self._next_id += 1
        msg_id = f"r{self._next_id}" if self._text_id else self._next_id
        return {"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params}


def _notification(method: str, params: Json) -> Message:
    return {"jsonrpc": "2.0", "method": method, "params": params}


# -------------------------------------------------------------------------- what goes wrong


def _mutated(message: Message, rng: random.Random) -> Json:
    """Return a copy with something replaced, removed, added or renamed somewhere."""
    root: list[Json] = [copy.deepcopy(message)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        owner, key = rng.choice(list(_places(root)))
        draw = rng.random()
        if draw < 0.6:
            owner[key] = junk(rng)
        elif draw < 0.75 and isinstance(owner, dict):
            del owner[key]
        elif draw < 0.85 and isinstance(owner, dict):
            owner[rng.choice(("id", "method", "result", "error", "x"))] = junk(rng)
        elif isinstance(owner[key], str):
            owner[key] = owner[key] + rng.choice(("\ud800", "x", "\x00"))
        else:
            owner[key] = [owner[key]]
    return root[0]


def _places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Yield owner and key of every value inside ``value``."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _swap(messages: list[Message], rng: random.Random) -> None:
    one, other = rng.randrange(len(messages)), rng.randrange(len(messages))
    messages[one], messages[other] = messages[other], messages[one]


def _repeat(messages: list[Message], rng: random.Random) -> None:
    """Send one again, with its id: clients that retry do so."""
    messages.insert(rng.randrange(len(messages)), rng.choice(messages))


def _drop(messages: list[Message], rng: random.Random) -> None:
    del messages[rng.randrange(len(messages))]


def _flood(messages: list[Message], rng: random.Random) -> None:
    at = rng.randrange(len(messages))
    messages[at:at] = [messages[at]] * rng.randrange(2, 30)


REORDERINGS = (_swap, _repeat, _drop, _flood)


def _flip(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    return frame[:at] + bytes([rng.randrange(256)]) + frame[at + 1 :]


def _cut(frame: bytes, rng: random.Random) -> bytes:
    return frame[: rng.randrange(len(frame))]


def _insert(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    return frame[:at] + rng.randbytes(rng.randrange(1, 40)) + frame[at:]


def _wrong_length(frame: bytes, rng: random.Random) -> bytes:
    body = frame.partition(b"\r\n\r\n")[2]
    length = rng.choice(
        (b"-1", b"", b"x", b"1e3", b"0", b"99999999999", b"%d" % max(0, len(body) - 5),
         b"%d" % (len(body) + rng.randrange(1, 3000)), b"0x10", b"1 2", "\u0663".encode())
    )  # fmt: skip
    return b"Content-Length: " + length + b"\r\n\r\n" + body


def _other_header(frame: bytes, rng: random.Random) -> bytes:
    body = frame.partition(b"\r\n\r\n")[2]
    length = b"%d" % len(body)
    forms = (
        b"content-length:%s\n\n", b"Content-Type: a/b; charset=latin-1\r\nCONTENT-LENGTH: %s\r\n\r\n",
        b"Content-Length: %s\r\nContent-Length: 3\r\n\r\n", b"Content-Length %s\r\n\r\n",
        b"X: Content-Length: %s\r\n\r\n", b"%s\r\n\r\n", b"\r\n\r\nContent-Length: %s\r\n\r\n",
    )  # fmt: skip
    return rng.choice(forms).replace(b"%s", length) + body


def _noise(_: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((1, 10, 300, 20_000)))


def _deep(_: bytes, rng: random.Random) -> bytes:
    depth = rng.choice((50, 900, 1100, 100_000))
    nest = b"[" * depth + b"]" * depth
    body = b'{"jsonrpc":"2.0","id":"deep","method":"textDocument/didOpen","params":%s}' % nest
    return framed(rng.choice((nest, body)))


FRAME_MUTATIONS = (_flip, _cut, _insert, _wrong_length, _other_header, _noise, _deep)
