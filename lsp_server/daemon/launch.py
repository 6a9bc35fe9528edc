"""Finding the user's daemon, starting it, and ending it. Blocking, and light to import."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lsp_server.daemon.hello import (
    MAX_HELLO_BYTES,
    PROTOCOL,
    Hello,
    Refusal,
    Role,
    Welcome,
    decode_welcome,
    encode,
)
from lsp_server.daemon.paths import RuntimePaths, prepare
from lsp_server.errors import BadHelloError, DaemonStartError
from lsp_server.user_file import CONFIG_VARIABLE

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
_ANSWER_TIMEOUT_S = 10.0
_POLL_S = 0.02
_NUM_QUOTED_LINES = 5
_FOLDER_VARIABLE, _LOG_VARIABLE = "FIMBLE_SERVER_RUNTIME_DIR", "FIMBLE_SERVER_LOG_FILE"
_STOP = b'{"jsonrpc":"2.0","id":1,"method":"stop","params":{}}'


def find_or_start(
    paths: RuntimePaths, hello: Hello, environment: Mapping[str, str]
) -> socket.socket:
    """Return a connection to the daemon, behind the exchange of hellos.

    A daemon of another version is ended first: its clients find the new one by themselves.

    Args:
        paths: Where the daemon is.
        hello: What to say to it.
        environment: The variables that a new daemon is started with.

    Raises:
        DaemonStartError: None could be started, or it does not take us.
        RuntimeFolderError: The folder cannot be made private.
    """
    prepare(paths)
    found = _try(paths, hello)
    if found is not None:
        return found
    with _locked(paths.start_lock):
        # Somebody else may have started one while we waited. Only whoever holds the lock ends a
        # daemon of another version, or the second to do so would end the new one.
        return _try(paths, hello, replaces=True) or _start(paths, hello, environment)


def find(paths: RuntimePaths, hello: Hello) -> socket.socket | None:
    """Return a connection to a daemon that runs already, whatever its version, or None."""
    connected = _connect(paths)
    welcome = _greet(connected, hello) if connected is not None else None
    if connected is None or welcome is None or not welcome.accepted:
        return None
    return connected


def is_running(paths: RuntimePaths) -> bool:
    """Whether a daemon lives, also one that does not answer."""
    try:
        descriptor = os.open(paths.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def stop(paths: RuntimePaths, version: str) -> bool:
    """End the daemon, by force if it does not listen; returns whether there was one.

    Raises:
        DaemonStartError: It did not end.
    """
    if not is_running(paths):
        return False
    try:
        control = find(paths, Hello(version, Role.CONTROL, client="stop"))
        if control is not None:
            with control:
                control.sendall(b"Content-Length: %d\r\n\r\n" % len(_STOP) + _STOP)
                if _ended(paths, STOP_TIMEOUT_S):
                    return True
    except (OSError, DaemonStartError):
        pass  # what does not speak with us is ended by a signal
    return _kill(paths)


def _try(paths: RuntimePaths, hello: Hello, *, replaces: bool = False) -> socket.socket | None:
    """Return a greeted connection; None if there is no daemon of our version.

    One of another version, or on its way out, is gone afterwards if we are to replace it.
    """
    connected = _connect(paths)
    welcome = _greet(connected, hello) if connected is not None else None
    if connected is None or welcome is None:
        return None
    if welcome.accepted:
        return connected
    if welcome.reason not in (Refusal.VERSION, Refusal.STOPPING):
        raise DaemonStartError(f"the daemon refuses this client: {welcome.message}")
    if replaces and welcome.reason == Refusal.VERSION:
        stop(paths, hello.version)
    if replaces:
        _ended(paths, STOP_TIMEOUT_S)
    return None


def _connect(paths: RuntimePaths) -> socket.socket | None:
    """Return a connection to whoever listens; None if nobody does, as behind a stale socket."""
    try:
        owner = paths.socket.lstat().st_uid
    except FileNotFoundError:
        return None
    if owner != os.getuid():
        raise DaemonStartError(
            f"{paths.socket} belongs to user {owner}, not to you; remove it, or set "
            "server.runtime_dir to a folder of your own"
        )
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(_ANSWER_TIMEOUT_S)
        connected.connect(str(paths.socket))
    except (ConnectionRefusedError, FileNotFoundError):
        connected.close()
        return None
    except OSError as error:
        connected.close()
        raise DaemonStartError(f"cannot connect to {paths.socket}: {error}") from error
    return connected


def _greet(connected: socket.socket, hello: Hello) -> Welcome | None:
    """Exchange hellos; None if the daemon went away. A connection not accepted is closed."""
    welcome: Welcome | None = None
    try:
        connected.sendall(encode(hello))
        welcome = decode_welcome(_read_frame(connected))
        connected.settimeout(None)
    except ConnectionError:
        return None
    except (OSError, BadHelloError) as error:
        raise DaemonStartError(
            f"what listens on the daemon's socket does not answer as one: {error}; "
            "end it with `fimble daemon stop`"
        ) from error
    finally:
        if welcome is None or not welcome.accepted or welcome.protocol != PROTOCOL:
            connected.close()
    if welcome.protocol == PROTOCOL:
        return welcome
    return replace(welcome, accepted=False, reason=Refusal.VERSION)


def _read_frame(connected: socket.socket) -> bytes:
    """Return the body of one frame and read nothing behind it."""
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        header += _receive(connected, 1)
        if len(header) > 200:
            raise BadHelloError("no frame")
    name, _, length = header.strip().partition(b":")
    if name.lower() != b"content-length" or not length.strip().isdigit():
        raise BadHelloError("no frame")
    num_bytes = int(length)
    if num_bytes > MAX_HELLO_BYTES:
        raise BadHelloError(f"a frame of {num_bytes} bytes")
    body = b""
    while len(body) < num_bytes:
        body += _receive(connected, num_bytes - len(body))
    return body


def _receive(connected: socket.socket, num_bytes: int) -> bytes:
    received = connected.recv(num_bytes)
    if not received:
        raise ConnectionResetError("the daemon closed the connection")
    return received


def _start(paths: RuntimePaths, hello: Hello, environment: Mapping[str, str]) -> socket.socket:
    """Start a daemon and return a greeted connection to it."""
    import subprocess  # heavy, and needed only here

    command = [sys.executable, "-I", "-m", "lsp_server", "daemon", "run"]
    with open(paths.startup_log, "wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_for_daemon(environment, paths),
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        found = _try(paths, hello)
        if found is not None:
            # It lives on without us, but if it ends first, somebody has to take note.
            threading.Thread(target=process.wait, name="reaper", daemon=True).start()
            return found
        if process.poll() is not None and not is_running(paths):
            raise DaemonStartError(
                f"the daemon ended at its start, exit code {process.returncode}: "
                f"{_last_lines(paths.startup_log)}"
            )
        time.sleep(_POLL_S)
    process.kill()
    raise DaemonStartError(
        f"the daemon did not listen within {START_TIMEOUT_S:.0f} s; see {paths.startup_log}"
    )


def _for_daemon(environment: Mapping[str, str], paths: RuntimePaths) -> dict[str, str]:
    """Return the variables of a daemon, which works in another folder than we do."""
    named = {
        name: os.path.abspath(os.path.expanduser(value))
        for name, value in environment.items()
        if name in (CONFIG_VARIABLE, _LOG_VARIABLE) and value
    }
    return {**environment, **named, _FOLDER_VARIABLE: str(paths.folder)}


def _last_lines(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return (
        " | ".join([line for line in lines if line.strip()][-_NUM_QUOTED_LINES:]) or "it is silent"
    )


def _kill(paths: RuntimePaths) -> bool:
    """End a daemon that does not listen by a signal."""
    try:
        pid = int(json.loads(paths.state.read_text(encoding="utf-8"))["pid"])
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
            if _ended(paths, STOP_TIMEOUT_S):
                return True
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DaemonStartError(
            f"the daemon does not answer and {paths.state} does not say which process it is; "
            "end it by hand"
        ) from error
    raise DaemonStartError(f"the daemon, process {pid}, does not end; end it by hand")


def _ended(paths: RuntimePaths, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_running(paths):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock on ``path``; waits for whoever has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + START_TIMEOUT_S + STOP_TIMEOUT_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DaemonStartError(
                        f"another process holds {path} for too long; end it, or remove the file"
                    ) from None
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)
