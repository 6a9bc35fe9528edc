"""Finding, starting and ending the daemon, whatever is in the way."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lsp_server.daemon import launch
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.hello import Hello, Role, Welcome, encode
from lsp_server.daemon.paths import RuntimePaths, prepare, runtime_paths
from lsp_server.errors import DaemonStartError, RuntimeFolderError

MakeHello = Callable[..., Hello]

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


def status(connection: socket.socket) -> dict[str, Any]:
    with ControlClient(connection) as client:
        return client.request("status", {})


def test_the_folder_is_made_private(paths: RuntimePaths) -> None:
    prepare(paths)
    assert stat.S_IMODE(paths.folder.stat().st_mode) == 0o700
    paths.folder.chmod(0o755)
    prepare(paths)
    assert stat.S_IMODE(paths.folder.stat().st_mode) == 0o700


def test_a_link_in_the_folders_place_is_refused(paths: RuntimePaths, tmp_path: Path) -> None:
    paths.folder.symlink_to(tmp_path)
    with pytest.raises(RuntimeFolderError, match="is a link"):
        prepare(paths)


@as_root
def test_another_users_folder_is_refused(paths: RuntimePaths) -> None:
    paths.folder.mkdir(mode=0o700)
    os.chown(paths.folder, 12345, 12345)
    with pytest.raises(RuntimeFolderError, match="belongs to user 12345"):
        prepare(paths)


@as_root
def test_another_users_socket_is_not_spoken_to(paths: RuntimePaths, hello: MakeHello) -> None:
    prepare(paths)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(paths.socket))
        listening.listen()
        os.chown(paths.socket, 12345, 12345)
        with pytest.raises(DaemonStartError, match="belongs to user 12345"):
            launch.find_or_start(paths, hello(), os.environ)


def test_a_path_too_long_for_a_socket_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFolderError, match=r"set server\.runtime_dir"):
        runtime_paths(str(tmp_path / ("x" * 100)), {})


def test_the_folder_of_the_system_is_used_if_it_is_ours(tmp_path: Path) -> None:
    assert runtime_paths("", {"XDG_RUNTIME_DIR": str(tmp_path)}).folder == tmp_path / "fimble"
    fallback = runtime_paths("", {"XDG_RUNTIME_DIR": str(tmp_path / "none"), "TMPDIR": "/t"})
    assert fallback.folder == Path(f"/t/fimble-{os.getuid()}")


def test_without_a_daemon_none_is_found_and_none_is_ended(
    paths: RuntimePaths, hello: MakeHello
) -> None:
    assert launch.find(paths, hello()) is None
    assert not launch.is_running(paths)
    assert not launch.stop(paths, "0.1.0")


@pytest.mark.e2e
def test_many_clients_at_once_start_one_daemon(
    paths: RuntimePaths, hello: MakeHello, real_daemon: dict[str, str]
) -> None:
    def connect(_: int) -> int:
        pid: int = status(launch.find_or_start(paths, hello(), real_daemon))["pid"]
        return pid

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(connect, range(6)))) == 1
    assert stat.S_IMODE(paths.socket.stat().st_mode) == 0o600
    assert launch.stop(paths, hello().version)
    assert not paths.socket.exists()
    assert not launch.is_running(paths)


@pytest.mark.e2e
def test_a_killed_daemon_leaves_nothing_in_the_way_of_the_next(
    paths: RuntimePaths, hello: MakeHello, real_daemon: dict[str, str]
) -> None:
    first = status(launch.find_or_start(paths, hello(), real_daemon))["pid"]
    os.kill(first, 9)
    second = status(launch.find_or_start(paths, hello(), real_daemon))["pid"]
    assert second != first


@pytest.mark.e2e
def test_the_daemon_does_not_import_from_where_it_was_started(
    paths: RuntimePaths, hello: MakeHello, real_daemon: dict[str, str], tmp_path: Path
) -> None:
    for name in ("models", "completion", "asyncio"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('hostile')")
    code = (
        "import os, sys; from lsp_server.daemon import launch; "
        "from lsp_server.commands.daemon import daemon_paths; "
        "from lsp_server.daemon.hello import command_hello; "
        "launch.find_or_start(daemon_paths(), command_hello(), {**os.environ, 'PYTHONPATH': os.getcwd()})"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, env=real_daemon, check=True)
    assert status(launch.find_or_start(paths, hello(), real_daemon))["pid"]
    working_directory = Path(f"/proc/{json.loads(paths.state.read_text())['pid']}/cwd")
    if working_directory.exists():
        assert working_directory.resolve() == Path("/")


@pytest.mark.e2e
def test_what_keeps_a_daemon_from_starting_reaches_whoever_started_it(
    paths: RuntimePaths, hello: MakeHello, real_daemon: dict[str, str], tmp_path: Path
) -> None:
    environment = {**real_daemon, "FIMBLE_SERVER_LOG_FILE": str(tmp_path / "file" / "log")}
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DaemonStartError, match="ended at its start"):
        launch.find_or_start(paths, hello(), environment)


@pytest.mark.e2e
def test_an_unused_daemon_ends_by_itself(
    paths: RuntimePaths, hello: MakeHello, real_daemon: dict[str, str]
) -> None:
    environment = {**real_daemon, "FIMBLE_SERVER_IDLE_SHUTDOWN_S": "1"}
    launch.find_or_start(paths, hello(), environment).close()
    assert launch._ended(paths, 20)
    assert not paths.socket.exists()


class OldDaemon:
    """A process' worth of another version: holds the lock, answers hellos, obeys ``stop``."""

    def __init__(self, paths: RuntimePaths, *, obeys: bool) -> None:
        prepare(paths)
        self._script = subprocess.Popen(
            [sys.executable, "-I", "-c", _OLD_DAEMON, str(paths.folder), str(obeys)],
            stdout=subprocess.PIPE,
        )
        assert self._script.stdout is not None
        assert self._script.stdout.readline() == b"ready\n"

    def close(self) -> None:
        self._script.kill()
        self._script.communicate()

    @property
    def has_ended(self) -> bool:
        return self._script.wait(10) is not None


_OLD_DAEMON = f"""
import fcntl, json, os, socket, sys
folder, obeys = sys.argv[1], sys.argv[2] == "True"
lock = os.open(folder + "/daemon.lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(lock, fcntl.LOCK_EX)
listening = socket.socket(socket.AF_UNIX)
listening.bind(folder + "/daemon.sock")
listening.listen()
with open(folder + "/daemon.json", "w") as state:
    json.dump({{"pid": os.getpid()}}, state)
print("ready", flush=True)
while True:
    client, _ = listening.accept()
    hello = client.recv(100000)
    if b'"control"' not in hello:
        client.sendall({encode(Welcome("0.0.1", 1, False, "version", "old"))!r})
        client.close()
        continue
    client.sendall({encode(Welcome("0.0.1", 1))!r})
    if obeys and b"stop" in client.recv(1000):
        sys.exit()
    client.close()
"""


@pytest.mark.e2e
@pytest.mark.parametrize("obeys", [True, False])
def test_a_daemon_of_another_version_makes_room(
    paths: RuntimePaths,
    hello: MakeHello,
    real_daemon: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    obeys: bool,
) -> None:
    monkeypatch.setattr(launch, "STOP_TIMEOUT_S", 20.0 if obeys else 0.5)
    old = OldDaemon(paths, obeys=obeys)
    try:
        launch.find_or_start(paths, hello(Role.LSP), real_daemon).close()
        assert old.has_ended
        assert json.loads(paths.state.read_text())["version"] == hello().version
    finally:
        old.close()


def test_what_does_not_answer_as_a_daemon_is_named(
    paths: RuntimePaths, hello: MakeHello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_ANSWER_TIMEOUT_S", 0.2)
    prepare(paths)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(paths.socket))
        listening.listen()
        with pytest.raises(DaemonStartError, match="does not answer"):
            launch.find(paths, hello())

        def answer() -> None:
            for _ in range(2):  # the first has given up waiting
                client, _ = listening.accept()
                with client, contextlib.suppress(OSError):
                    # Closing with the hello unread would reset the connection, and lose the answer.
                    client.recv(1 << 16)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DaemonStartError, match="does not answer"):
            launch.find(paths, hello())
        thread.join(10)
