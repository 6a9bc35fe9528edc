"""Starting fimble as users and editors do: as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

ISOLATED = (sys.executable, "-I", "-m", "lsp_server")
SCRIPT = (str(Path(sys.executable).with_name("fimble")),)

RunFimble = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(params=[ISOLATED, SCRIPT], ids=["isolated module", "console script"])
def either_command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Both ways to start fimble."""
    command: tuple[str, ...] = request.param
    return command


@pytest.fixture
def run_fimble(tmp_path: Path) -> RunFimble:
    """Return ``run(*args, ...)``: run fimble in ``tmp_path`` and return the finished process."""

    def run(
        *arguments: str,
        command: tuple[str, ...] = ISOLATED,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            input=stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    return run


class ServerProcess:
    """A language server as a process, and the simplest client that can talk to it."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], log: Path) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._num_requests = 0
        self.exit_code: int | None = None

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """End the connection as LSP asks, unless the test failed or hung up before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if kind is not None:
            self._process.kill()
        elif not self._process.stdin.closed:
            self.ask("shutdown", None)
            self.notify("exit", None)
            self._process.stdin.close()
        try:
            self.exit_code = self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            if not self._process.stdin.closed:
                self._process.stdin.close()
            self._log.close()

    def hang_up(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def send_raw(self, raw: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(raw)
        self._process.stdin.flush()

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> dict[str, Any]:
        self._num_requests += 1
        self._send({"id": self._num_requests, "method": method, "params": params})
        while (message := self._read()).get("id") != self._num_requests:
            pass
        return message

    def await_notification(self, method: str) -> dict[str, Any]:
        while (message := self._read()).get("method") != method:
            pass
        return message

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        num_bytes = 0
        while line := self._process.stdout.readline():
            if line == b"\r\n":
                message: dict[str, Any] = json.loads(self._process.stdout.read(num_bytes))
                return message
            if line.startswith(b"Content-Length: "):
                num_bytes = int(line.split()[1])
        raise AssertionError(f"the server is gone; its log: {Path(self._log.name).read_text()}")


@pytest.fixture
def start_server(tmp_path: Path) -> Callable[..., ServerProcess]:
    """Return ``start(*flags, command=..., env=...)``: ``fimble lsp`` in ``tmp_path``."""

    def start(
        *flags: str, command: tuple[str, ...] = ISOLATED, env: dict[str, str] | None = None
    ) -> ServerProcess:
        environment = {**os.environ, **(env or {})}
        return ServerProcess(
            [*command, "lsp", *flags], tmp_path, environment, tmp_path / "server.log"
        )

    return start


@pytest.fixture
def hostile_workspace(tmp_path: Path) -> Path:
    """A folder with packages of our names; importing one of them writes the file ``imported``."""
    for package in ("models", "completion", "retrieval", "kvedit", "lsp_server"):
        for module in ("__init__", "types", "loader", "service", "cli", "errors", "__main__"):
            path = tmp_path / package / f"{module}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                "import pathlib\n"
                f"with pathlib.Path({str(tmp_path / 'imported')!r}).open('a') as log:\n"
                "    log.write(__name__ + '\\n')\n"
            )
    return tmp_path


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """Return ``serving(folder, *flags)``, a context: ``fimble serve`` that is ready, by its URL."""
    return _serving


@contextmanager
def _serving(folder: Path, *flags: str) -> Iterator[str]:
    """Run ``fimble serve`` on a free port until the block ends, and yield its URL once ready."""
    log = (folder / "serve.log").open("wb")
    process = subprocess.Popen(
        [*ISOLATED, "serve", "--port", "0", *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "FIMBLE_MODEL_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().decode().strip()
        assert url, (folder / "serve.log").read_text()
        _wait_until_ready(url)
        yield url
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        log.close()


def _wait_until_ready(url: str) -> None:
    health, poll = url.removesuffix("/v1") + "/health", threading.Event()
    for _ in range(600):
        if httpx.get(health).status_code == 200:
            return
        poll.wait(0.1)
    raise AssertionError(httpx.get(health).text)
