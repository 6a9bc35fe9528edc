"""The pump on real pipes and sockets, against a daemon that is a script."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from lsp_server.framing import FrameDecoder, frame
from lsp_server.proxy.pump import Pump
from lsp_server.proxy.relay import Relay

TIMEOUT_S = 20


class Running:
    """A pump in a thread; each time it looks for a daemon it gets what ``daemons`` holds next."""

    def __init__(self) -> None:
        self.daemons: Queue[socket.socket | Exception] = Queue()
        input_fd, self._write_fd = os.pipe()
        self._read_fd, output_fd = os.pipe()
        self._fds = [input_fd, output_fd]
        self._decoder = FrameDecoder()
        self._messages: list[dict[str, Any]] = []
        self.code: int | None = None
        self._pump = Pump(Relay(), self._connect, input_fd, output_fd)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.code = self._pump.run()
        for fd in self._fds:
            os.close(fd)

    def _connect(self) -> socket.socket:
        found = self.daemons.get(timeout=TIMEOUT_S)
        if isinstance(found, Exception):
            raise found
        return found

    def new_daemon(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT_S)
        self.daemons.put(theirs)
        return ours

    def send(self, **message: Any) -> None:
        self.send_raw(frame(json.dumps({"jsonrpc": "2.0", **message}).encode()))

    def send_raw(self, raw: bytes) -> None:
        os.write(self._write_fd, raw)

    def read(self) -> dict[str, Any]:
        while not self._messages:
            for body in self._decoder.feed(os.read(self._read_fd, 65536)):
                assert isinstance(body, bytes)
                self._messages.append(json.loads(body))
        return self._messages.pop(0)

    def hang_up(self) -> None:
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def stop_reading(self) -> None:
        os.close(self._read_fd)
        self._read_fd = -1

    def join(self) -> int | None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()
        return self.code

    def close(self) -> None:
        self.hang_up()
        if self.daemons.empty():
            self.daemons.put(OSError("the test is over"))
        self.join()
        if self._read_fd >= 0:
            self.stop_reading()


@pytest.fixture
def running() -> Iterator[Running]:
    pump = Running()
    yield pump
    pump.close()


def heard(daemon: socket.socket) -> dict[str, Any]:
    """Return the next message that reaches the daemon."""
    decoder = FrameDecoder()
    while True:
        byte = daemon.recv(1)
        assert byte, "the proxy hung up"
        for body in decoder.feed(byte):
            assert isinstance(body, bytes)
            message: dict[str, Any] = json.loads(body)
            return message


def say(daemon: socket.socket, **message: Any) -> None:
    daemon.sendall(frame(json.dumps({"jsonrpc": "2.0", **message}).encode()))


def begin(running: Running) -> socket.socket:
    daemon = running.new_daemon()
    running.send(id=1, method="initialize", params={"capabilities": {}})
    assert heard(daemon)["id"] == 1
    say(daemon, id=1, result={"capabilities": {}})
    assert running.read()["id"] == 1
    return daemon


def test_a_session_from_the_first_byte_to_the_exit_code(running: Running) -> None:
    with begin(running) as daemon:
        running.send(id=2, method="shutdown")
        assert heard(daemon)["method"] == "shutdown"
        say(daemon, id=2, result=None)
        assert running.read()["result"] is None
        running.send(method="exit")
        assert heard(daemon)["method"] == "exit"
        assert running.join() == 0


def test_a_daemon_that_hangs_up_is_replaced_under_a_waiting_request(running: Running) -> None:
    daemon = begin(running)
    running.send(id=2, method="workspace/executeCommand", params={})
    assert heard(daemon)["id"] == 2
    daemon.close()
    assert running.read()["error"]["code"] == -32800
    running.send(id=3, method="workspace/executeCommand", params={})
    with running.new_daemon() as other:
        greeting = heard(other)
        assert greeting["method"] == "initialize"
        say(other, id=greeting["id"], result={"capabilities": {}})
        assert heard(other)["id"] == 3
        say(other, id=3, result="done")
        assert running.read()["result"] == "done"


def test_a_daemon_that_sends_nonsense_is_left(running: Running) -> None:
    with begin(running) as daemon:
        running.send(id=2, method="workspace/executeCommand", params={})
        assert heard(daemon)["id"] == 2
        daemon.sendall(b"Content-Length: nonsense\r\n\r\n")
        assert running.read()["error"]["code"] == -32800


def test_the_editor_reads_why_there_is_no_daemon(running: Running) -> None:
    running.send(id=1, method="initialize", params={"capabilities": {}})
    running.daemons.put(OSError("no room"))
    shown, refused = running.read(), running.read()
    assert "no room" in shown["params"]["message"]
    assert refused["error"]["code"] == -32603


def test_an_editor_that_hangs_up_ends_the_proxy_and_its_connection(running: Running) -> None:
    with begin(running) as daemon:
        running.hang_up()
        assert running.join() == 1
        assert daemon.recv(1) == b""


def test_an_editor_that_reads_no_more_ends_the_proxy(running: Running) -> None:
    with begin(running) as daemon:
        running.stop_reading()
        say(daemon, method="window/logMessage", params={"type": 3, "message": "x"})
        assert running.join() == 1


def test_exit_while_a_daemon_is_being_looked_for_ends_at_once(running: Running) -> None:
    running.send(id=1, method="initialize", params={"capabilities": {}})
    running.send(method="exit")
    assert running.read()["error"]["code"] == -32800
    assert running.join() == 1


def test_large_messages_pass_in_both_directions(running: Running) -> None:
    text = "é" * 2_000_000
    with begin(running) as daemon:
        body = json.dumps({"jsonrpc": "2.0", "method": "x/y", "params": {"text": text}}).encode()
        writer = threading.Thread(target=_write_all, args=(running, frame(body)))
        writer.start()
        decoder, received = FrameDecoder(), []
        while not received:
            received = list(decoder.feed(daemon.recv(1 << 20)))
        writer.join(TIMEOUT_S)
        assert received == [body]
        teller = threading.Thread(target=daemon.sendall, args=(frame(body),))
        teller.start()
        assert running.read()["params"]["text"] == text
        teller.join(TIMEOUT_S)


def _write_all(running: Running, raw: bytes) -> None:
    for start in range(0, len(raw), 65536):
        running.send_raw(raw[start : start + 65536])
