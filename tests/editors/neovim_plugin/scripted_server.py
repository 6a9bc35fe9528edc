"""A language server that offers what it was told to, late if it was told so, and keeps a record.

``python scripted_server.py RECORD OFFERS DELAY_S lsp``, where ``OFFERS`` is a JSON list of texts, of
which those are offered that continue the line up to the cursor. ``RECORD`` gets every message as a
line of JSON. It answers in place of ``fimble`` to the few other commands that a plugin runs.

For Neovim's worst case it takes no request back, whatever it is told, so late answers do arrive.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

EXPLANATION = {
    "id": "r1",
    "kept_from": "r0",
    "outcome": "nothing",
    "reason": "inside_word",
    "sentence": "the cursor stands inside a word",
    "text": None,
    "model": "scripted",
    "line": 1,
    "column": 3,
    "path": None,
    "timings_ms": {"total": 41.0, "prompt": 1.0, "prefill": 30.0, "decode": 10.0, "post": None},
    "prompt": {"num_tokens": 100, "num_cached": 90, "num_patched": 4, "num_new": 6},
    "context": [
        {"path": "lib.py", "start_line": 3, "end_line": 9, "score": 0.5, "reason": "imported here"}
    ],
    "feedback": {"shown": True, "accepted": "part"},
    "unknown_to_you": {"a": [1]},
}


GIVEN_UP = {"code": -32800, "message": "given up"}


class Server:
    """One connection over standard input and output."""

    def __init__(self, record: Path, offers: list[str], delay_s: float) -> None:
        self._record, self._offers, self._delay_s = record, offers, delay_s
        self._texts: dict[str, list[str]] = {}
        self._line_end = "\n"
        self._writing = threading.Lock()
        self._num_requests, self._refuses = 0, False

    def serve(self) -> None:
        while (message := self._read()) is not None:
            with self._record.open("a") as file:
                file.write(json.dumps(message) + "\n")
            method, params = message.get("method", ""), message.get("params") or {}
            handle = getattr(self, method.replace("/", "_").replace("$", ""), None)
            result = handle(params) if handle else None
            if method == "textDocument/inlineCompletion":
                answer = {"id": message["id"], "result": result}
                if self._refuses:
                    self._refuses = False
                    answer = {"id": message["id"], "error": GIVEN_UP}
                threading.Timer(self._delay_s, self._send, [answer]).start()
            elif method and "id" in message:
                self._send({"id": message["id"], "result": result})

    def initialize(self, _params: dict[str, Any]) -> dict[str, Any]:
        return {
            "capabilities": {
                "positionEncoding": "utf-16",
                "textDocumentSync": {"openClose": True, "change": 1},
                "inlineCompletionProvider": {},
                "executeCommandProvider": {"commands": ["fimble.accepted", "fimble.dashboard"]},
            }
        }

    def textDocument_didOpen(self, params: dict[str, Any]) -> None:
        self._take(params["textDocument"]["uri"], params["textDocument"]["text"])

    def textDocument_didChange(self, params: dict[str, Any]) -> None:
        self._take(params["textDocument"]["uri"], params["contentChanges"][-1]["text"])

    def _take(self, uri: str, text: str) -> None:
        self._line_end = "\r\n" if "\r\n" in text else "\n"
        self._texts[uri] = text.split(self._line_end)

    def textDocument_inlineCompletion(self, params: dict[str, Any]) -> dict[str, Any]:
        position = params["position"]
        line = self._texts[params["textDocument"]["uri"]][position["line"]]
        units = line.encode("utf-16-le")[: 2 * position["character"]]
        before = units.decode("utf-16-le")
        typed = before.lstrip()
        indent = before[: len(before) - len(typed)]
        self._num_requests += 1
        items = [
            {
                "insertText": indent + offer,
                "filterText": indent + offer,
                "range": {"start": {**position, "character": 0}, "end": position},
                "command": {
                    "title": "Accepted",
                    "command": "fimble.accepted",
                    "arguments": [f"r{self._num_requests}"],
                },
            }
            for offer in (text.replace("\n", self._line_end) for text in self._offers)
            if typed and offer.startswith(typed) and offer != typed
        ]
        return {"items": items}

    def workspace_executeCommand(self, params: dict[str, Any]) -> Any:
        is_dashboard = params["command"] == "fimble.dashboard"
        return {"url": "http://127.0.0.1:1/dashboard/#token=t"} if is_dashboard else None

    def fimble_why(self, params: dict[str, Any]) -> dict[str, Any] | None:
        return None if params.get("id") == "unknown" else EXPLANATION

    def testing_tell(self, params: dict[str, Any]) -> None:
        """Send the notification that the test wants."""
        self._send(params)

    def testing_refuse(self, params: dict[str, Any]) -> None:
        """Give up the next request, as fimble's proxy does when it loses the daemon."""
        self._refuses = True

    def testing_hang(self, params: dict[str, Any]) -> None:
        """Read and answer nothing any more."""
        threading.Event().wait()

    def testing_end(self, params: dict[str, Any]) -> None:
        os._exit(3)

    def exit(self, params: dict[str, Any]) -> None:
        os._exit(0)

    def _read(self) -> dict[str, Any] | None:
        length = 0
        while (header := sys.stdin.buffer.readline().strip()) != b"":
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        if not length:
            return None
        message: dict[str, Any] = json.loads(sys.stdin.buffer.read(length))
        return message

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with self._writing:
            sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            sys.stdout.buffer.flush()


def main(words: list[str]) -> None:
    record, offers, delay_s, *command = words
    if command == ["lsp"]:
        Server(Path(record), json.loads(offers), float(delay_s)).serve()
    elif command == ["--version"]:
        sys.stdout.write("fimble 9.9.9\n")
    elif command == ["daemon", "status", "--json"]:
        model = {"name": "scripted", "state": "ready"}
        sys.stdout.write(json.dumps({"pid": 1, "version": "9.9.9", "models": [model]}))
    elif command == ["daemon", "logs"]:
        sys.stdout.write("the daemon's last words\n")


if __name__ == "__main__":
    main(sys.argv[1:])
