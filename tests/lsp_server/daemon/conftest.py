"""Daemons of their own folder: one in this process, with a stand-in for the model, or real ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from lsp_server.daemon import launch
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.hello import Hello, Role, new_client_id
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.daemon.server import Daemon
from lsp_server.host import ModelHost
from lsp_server.settings import ServerSettings
from lsp_server.version import current


@pytest.fixture
def paths(tmp_path_factory: pytest.TempPathFactory) -> RuntimePaths:
    # Not tmp_path: a socket's path may have about 100 bytes, and names of tests are long.
    return RuntimePaths(tmp_path_factory.mktemp("d") / "run")


@pytest.fixture
def hello() -> Callable[..., Hello]:
    """Return ``hello(role, **fields)``: what a client of this version says."""

    def make(role: Role = Role.CONTROL, **fields: Any) -> Hello:
        return Hello(**{"version": current(), "role": role, "client": new_client_id(), **fields})

    return make


class DaemonThread:
    """A daemon on an event loop in a thread, so that blocking clients can be tested."""

    def __init__(self, paths: RuntimePaths, build: Callable[[Any], Any], **settings: Any) -> None:
        self.host = ModelHost(lambda chosen, _progress: build(chosen))
        self._paths, self._settings = paths, ServerSettings(**settings)
        self._ready: Future[Daemon] = Future()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.daemon = self._ready.result(10)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            else:
                raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        daemon = Daemon(self.host, self._paths, self._settings)
        task = asyncio.create_task(daemon.run())
        listens = asyncio.create_task(daemon.listens.wait())
        await asyncio.wait([task, listens], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._ready.set_result(daemon)
        listens.cancel()
        await task

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.daemon.stop)
        self.join()
        self.host.close()

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def start_daemon(paths: RuntimePaths, service: Any) -> Iterator[Callable[..., DaemonThread]]:
    """Return ``start_daemon(build=..., **settings)``; every daemon ends with the test."""
    started: list[DaemonThread] = []

    def start(build: Callable[[Any], Any] | None = None, **settings: Any) -> DaemonThread:
        started.append(DaemonThread(paths, build or (lambda _settings: service), **settings))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture
def real_daemon(paths: RuntimePaths, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment for commands whose daemon ends with the test."""
    import os

    yield {
        **os.environ,
        "FIMBLE_SERVER_RUNTIME_DIR": str(paths.folder),
        "FIMBLE_SERVER_LOG_FILE": str(tmp_path / "daemon.log"),
        "FIMBLE_SERVER_LOG_LEVEL": "info",
    }
    launch.stop(paths, current())


@pytest.fixture
def connect(
    paths: RuntimePaths, hello: Callable[..., Hello]
) -> Iterator[Callable[..., ControlClient]]:
    opened: list[ControlClient] = []

    def open_client(**fields: Any) -> ControlClient:
        connection = launch.find(paths, hello(**fields))
        assert connection is not None
        opened.append(ControlClient(connection))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()
