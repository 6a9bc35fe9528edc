"""A listener on a free port in a thread of its own, with a random network or a stand-in behind it."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.service import CompletionService
from lsp_server.host import ModelHost
from lsp_server.http.access import Access
from lsp_server.http.listener import HttpListener, open_listener
from lsp_server.settings import HttpSettings, Settings
from retrieval.workspaces import Workspaces

TESTS = Path(__file__).parents[2]
MAX_BODY_MB = 1
SETTINGS = Settings(http=HttpSettings(max_body_mb=MAX_BODY_MB))


def _fixtures_of(folder: str) -> Any:
    path = TESTS / folder / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_completion = _fixtures_of("completion")
tiny_tokenizer, tiny_model = _completion.tiny_tokenizer, _completion.tiny_model


class LoopThread:
    """An event loop in a thread of its own, so that clients that block can be tested."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class _Kept:
    """A service that outlives its host: tests share it, or look at it afterwards."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def close(self) -> None: ...


def wait_until(holds: Callable[[], bool], timeout_s: float = 20) -> None:
    """Poll until ``holds()``, or fail."""
    poll = threading.Event()
    for _ in range(int(timeout_s / 0.005)):
        if holds():
            return
        poll.wait(0.005)
    raise AssertionError("it did not happen in time")


@pytest.fixture(scope="session")
def wait() -> Callable[..., None]:
    """Return ``wait(holds)``, which polls until it does, or fails."""
    return wait_until


@dataclass
class Running:
    """A listener and what a test needs to talk to it."""

    listener: HttpListener
    host: ModelHost
    threads: LoopThread
    token: str = ""

    @property
    def url(self) -> str:
        return self.listener.url

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def client(self, **options: Any) -> httpx.Client:
        base = self.url.removesuffix("/v1")
        return httpx.Client(base_url=base, headers=self.headers, timeout=30, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, body: Any, **options: Any) -> httpx.Response:
        return self.request("POST", "/v1/completions", json=body, **options)

    def close(self) -> None:
        self.threads.run(self.listener.close())
        self.host.close()


Serve = Callable[..., Running]


@pytest.fixture
def serve(threads: LoopThread) -> Iterator[Serve]:
    """Return ``serve(service, token=...)``: a server that is ready, unless it gets a ``build``."""
    yield from _serving(threads)


def _serving(threads: LoopThread) -> Iterator[Serve]:
    running: list[Running] = []

    def start(
        service: Any = None,
        *,
        build: Callable[..., Any] | None = None,
        token: str = "",
        address: str = "127.0.0.1",
        settings: Settings = SETTINGS,
        workspaces: Workspaces | None = None,
    ) -> Running:
        host = ModelHost(build or (lambda *_: _Kept(service)), workspaces)
        opened = open_listener(host, settings, Access(address, token), 0)
        server = Running(threads.run(opened), host, threads, token)
        running.append(server)
        if build is None:
            wait_until(lambda: server.get("/health").is_success)
        return server

    yield start
    for one in running:
        one.close()


@pytest.fixture(scope="session")
def threads() -> Iterator[LoopThread]:
    threads = LoopThread()
    yield threads
    threads.close()


@pytest.fixture(scope="session")
def tiny_service(tiny_model: Any) -> Iterator[CompletionService]:
    """The pipeline around a small random network, whose prompts hold 256 tokens."""
    config = CompletionConfig(
        prompt=PromptConfig(max_num_tokens=256), engine=EngineConfig(max_new_tokens=256)
    )
    service = CompletionService(tiny_model, config)
    yield service
    service.close()


@pytest.fixture(scope="session")
def tiny(threads: LoopThread, tiny_service: CompletionService) -> Iterator[Running]:
    """A server around the random network, the same for all tests."""
    for serve in _serving(threads):
        yield serve(tiny_service)
