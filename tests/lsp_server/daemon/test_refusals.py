"""Whom the daemon does not take: other users, other versions, and whoever says no hello."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lsp_server.daemon import server as daemon_server
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.hello import Hello, Role, decode_welcome, encode
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.framing import FrameDecoder

MakeHello = Callable[..., Hello]
StartDaemon = Callable[..., Any]


def raw(paths: RuntimePaths) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(paths.socket))
    return connection


def refusal(connection: socket.socket) -> str:
    decoder, said = FrameDecoder(), b""
    while chunk := connection.recv(65536):
        said += chunk
    (frame,) = decoder.feed(said)
    assert isinstance(frame, bytes)
    welcome = decode_welcome(frame)
    assert not welcome.accepted
    return welcome.reason


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"Content-Length: 2\r\n\r\n{}",
        b"Content-Length: 13\r\n\r\n[[[[[[[[[[[[[",
        b'Content-Length: 15\r\n\r\n{"fimble": null}',
        b"Content-Length: 99999999\r\n\r\n",
        b"\x00" * 20_000,
    ],
)
def test_a_bad_hello_is_refused_and_others_are_served(
    start_daemon: StartDaemon,
    connect: Callable[..., ControlClient],
    paths: RuntimePaths,
    said: bytes,
) -> None:
    start_daemon()
    with raw(paths) as connection:
        connection.sendall(said)
        assert refusal(connection) == "bad_hello"
    assert connect().request("status", {})["pid"] == os.getpid()


def test_a_client_that_says_nothing_is_given_up(
    start_daemon: StartDaemon,
    connect: Callable[..., ControlClient],
    paths: RuntimePaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon_server, "HELLO_TIMEOUT_S", 0.1)
    start_daemon()
    with raw(paths) as silent:
        assert connect().request("status", {})["pid"] == os.getpid()
        assert refusal(silent) == "bad_hello"


def test_an_editor_of_another_version_is_told(
    start_daemon: StartDaemon, paths: RuntimePaths, hello: MakeHello
) -> None:
    start_daemon()
    with raw(paths) as connection:
        connection.sendall(encode(hello(Role.LSP, version="9.9.9")))
        assert refusal(connection) == "version"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_a_connection_of_another_user_is_closed_without_a_word(
    start_daemon: StartDaemon, paths: RuntimePaths, hello: MakeHello
) -> None:
    start_daemon()
    folder = paths.folder
    for reachable in (folder, *folder.parents):  # as if the folder had been left open by mistake
        if reachable.stat().st_uid == 0 and str(reachable).startswith(str(folder.parents[2])):
            reachable.chmod(0o755)
    paths.socket.chmod(0o777)
    code = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
        "s.settimeout(20); s.connect(sys.argv[1]); "
        "s.sendall(b'Content-Length: 2\\r\\n\\r\\n{}'); print(len(s.recv(10)))"
    )
    command = [sys.executable, "-I", "-c", code, str(paths.socket)]
    answered = subprocess.run(command, capture_output=True, text=True, check=False)
    hung_up = ("ConnectionResetError", "BrokenPipeError")
    assert answered.stdout == "0\n" or any(name in answered.stderr for name in hung_up), answered
