"""fimble's language server as an editor starts it, by itself or before a daemon."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.daemon import Daemon, LspClient, greeted, running_daemon
from lsp_server.daemon.hello import Role

WAIT_S = 120.0  # for the model to load, for the process to end
COMPUTED = ("fimble_computed_tokens_total", "fimble_healed_tokens_total")


@dataclass(frozen=True, slots=True)
class FimbleServer:
    """A server with a session begun; ``num_computed`` is ``None`` where nobody counts tokens."""

    client: LspClient
    process_ids: Sequence[int]
    num_computed: Callable[[], Awaitable[int | None]]


@asynccontextmanager
async def standalone(num_threads: int, settings: Mapping[str, str]) -> AsyncIterator[FimbleServer]:
    """A server that keeps the model in its process, ``fimble lsp --standalone``."""

    async def num_computed() -> int | None:
        return None

    environment = {**os.environ, **_prefixed({**_settings(num_threads), **settings})}
    async with _lsp(["--standalone"], environment) as (client, process_id):
        yield FimbleServer(client, [process_id], num_computed)


@asynccontextmanager
async def behind_daemon(
    num_threads: int, settings: Mapping[str, str]
) -> AsyncIterator[FimbleServer]:
    """A server before a daemon, ``fimble lsp``; the daemon counts what it computes."""
    with running_daemon(**_settings(num_threads), **settings, SERVER_NICE="0") as daemon:
        async with (
            _metrics_url(daemon) as url,
            _lsp([], {**os.environ, **daemon.variables}) as (client, process_id),
        ):
            num_computed = functools.partial(_scrape, url)
            yield FimbleServer(client, [process_id, daemon.process.pid], num_computed)


def _settings(num_threads: int) -> dict[str, str]:
    return {
        "MODEL_NUM_THREADS": str(num_threads),
        "MODEL_OFFLINE": "true",
        "SERVER_WAIT_FOR_MODEL": "true",
    }


def _prefixed(settings: dict[str, str]) -> dict[str, str]:
    return {f"FIMBLE_{name}": value for name, value in settings.items()}


@asynccontextmanager
async def _lsp(
    flags: Sequence[str], environment: dict[str, str]
) -> AsyncIterator[tuple[LspClient, int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "lsp_server", "lsp", *flags),
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    client = LspClient(process.stdout, process.stdin)
    reading = asyncio.create_task(client.read())
    try:
        general = {"positionEncodings": ["utf-32"]}
        params = {"processId": None, "rootUri": None, "capabilities": {"general": general}}
        await asyncio.wait_for(client.ask("initialize", params), WAIT_S)
        client.notify("initialized", {})
        yield client, process.pid
        await asyncio.wait_for(client.ask("shutdown", None), WAIT_S)
        client.notify("exit", None)
        await asyncio.wait_for(process.wait(), WAIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        reading.cancel()


@asynccontextmanager
async def _metrics_url(daemon: Daemon) -> AsyncIterator[str]:
    async with greeted(daemon, Role.CONTROL) as streams:
        control = LspClient(*streams)
        reading = asyncio.create_task(control.read())
        served = await control.ask("serve", {"host": "127.0.0.1", "port": 0, "token": None})
        yield served["url"].removesuffix("/v1") + "/metrics"
        reading.cancel()


async def _scrape(url: str) -> int | None:
    """Return how many tokens of prompts were computed, ``None`` from a daemon without a count."""
    page = await asyncio.to_thread(lambda: urlopen(url, timeout=60).read().decode())
    values = [
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name in COMPUTED
    ]
    return int(sum(values)) if values else None
