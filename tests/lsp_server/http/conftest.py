"""A listener on a free port in a thread of its own, with a random network or a stand-in behind it."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.service import CompletionService
from completion.types import CancellationToken
from lsp_server.http.access import Access
from lsp_server.http.listener import HttpListener, open_listener
from lsp_server.metrics import Metrics
from lsp_server.settings import Settings

TESTS = Path(__file__).parents[2]
MAX_BODY_MB = 1


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


@dataclass(frozen=True)
class HttpS:
    host: str = "127.0.0.1"
    port: int = 7417
    token: str = ""
    max_body_mb: int = 8


@dataclass(frozen=True)
class S(Settings):
    http: HttpS = field(default_factory=HttpS)


class FakeLease:
    """Keeps the contract of ``lsp_server.host.Lease`` around a service that a test sets."""

    def __init__(self, host: FakeHost, settings: Settings) -> None:
        self._host, self.settings = host, settings
        self._pool = ThreadPoolExecutor(64)

    @property
    def ready(self) -> Any:
        return self._host.service

    @property
    def is_settled(self) -> bool:
        return self._host.service is not None or self._host.error is not None

    @property
    def error(self) -> Exception | None:
        return self._host.error

    async def run(self, work: Callable[[CancellationToken], Any]) -> Any:
        token = CancellationToken()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, token)
        finally:
            token.cancel()

    def on_progress(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        self._host.listeners.append(callback)
        return lambda: self._host.listeners.remove(callback)

    def close(self) -> None:
        self._host.num_leases -= 1
        self._pool.shutdown(wait=False)


class FakeHost:
    """Hands out leases on ``service``; None: it is loading, unless there is an ``error``."""

    def __init__(self, service: Any = None, error: Exception | None = None) -> None:
        self.service, self.error = service, error
        self.listeners: list[Callable[[Any], None]] = []
        self.num_leases = 0

    def lease(self, settings: Settings) -> Any:
        self.num_leases += 1
        return FakeLease(self, settings)


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


@dataclass
class Running:
    """A listener and what a test needs to talk to it."""

    listener: HttpListener
    host: FakeHost
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


Serve = Callable[..., Running]


@pytest.fixture
def serve(threads: LoopThread) -> Iterator[Serve]:
    """Return ``serve(service_or_host, token=..., settings=...)``: a listener that is open."""
    yield from _serving(threads)


def _serving(threads: LoopThread) -> Iterator[Serve]:
    running: list[Running] = []

    def start(
        service: Any = None, *, token: str = "", address: str = "127.0.0.1", settings: Any = None
    ) -> Running:
        host = service if isinstance(service, FakeHost) else FakeHost(service)
        settings = settings or S(http=HttpS(max_body_mb=MAX_BODY_MB))
        opened = open_listener(host, settings, Access(address, token), 0, Metrics())  # type: ignore[arg-type]
        running.append(Running(threads.run(opened), host, threads, token))
        return running[-1]

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
    service = CompletionService(replace(tiny_model, name="qwen2.5-coder-0.5b"), config)
    yield service
    service.close()


@pytest.fixture(scope="session")
def tiny(threads: LoopThread, tiny_service: CompletionService) -> Iterator[Running]:
    """A server around the random network, the same for all tests."""
    for serve in _serving(threads):
        yield serve(tiny_service)


@pytest.fixture
def make_host() -> type[FakeHost]:
    return FakeHost
