"""How soon the engine is free once a client has taken its request back.

    python -m benchmarks.cancel

Whole servers in this process, with the real model, each behind a socket. A document's request is
taken back at a random moment, by `$/cancelRequest` or by a newer request of the same document,
while another client's request waits for the engine. The time runs from writing that message to the
start of the waiting work, as a source of repository context sees it on the engine's thread: the
way of the message through the event loop is part of it. One decode step of the same run stands
beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import statistics
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from socket import socketpair
from typing import Any

import psutil
import torch

from benchmarks.daemon import LspClient
from benchmarks.figures import Figure, bootstrap_bounds, timing_figure
from benchmarks.resident import wait_until_idle
from benchmarks.results import write_result
from completion.config import CompletionConfig
from completion.context import ContextRoom, NoContext
from completion.service import CompletionService
from completion.types import CompletionRequest, ContextChunk
from lsp_server.host import ModelHost
from lsp_server.options import Options, from_flags
from lsp_server.server import FimbleLanguageServer
from lsp_server.settings import Settings
from lsp_server.transport import StreamFrames, StreamOutput, serve_frames
from models.loader import load_model
from models.progress import ProgressCallback
from models.registry import DEFAULT_MODEL

MAX_WAIT_S = 60.0
NUM_STEPS = 200  # decode steps that are timed without anybody cancelling
WAITING_URI, WAITING_TEXT = "file:///waiting.py", "x = "
# Lines of a document: a prefill of several chunks, and one that is soon over.
LONG, SHORT = (90, 140), (8, 14)
REQUEST_CANCELLED = -32800


class Phase(StrEnum):
    """What becomes of a request when its client takes it back."""

    QUEUED = "queued"
    PREFILL = "prefill"
    DECODE = "decode"


class Trace(NoContext):
    """What the engine does, told by the engine's thread; a source of no context."""

    def __init__(self) -> None:
        self.started_s: dict[str, float] = {}  # by document, when its last request got the engine
        self.num_started: dict[str, int] = {}
        self.phase = Phase.QUEUED
        self.steps_ms: list[float] = []
        self._last_step_s = math.inf

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        """Note that the engine begins with ``request``."""
        uri = request.document.uri
        self.started_s[uri] = time.perf_counter()
        self.num_started[uri] = self.num_started.get(uri, 0) + 1
        self.phase = Phase.PREFILL
        return ()

    def follow(self, decoder: Any) -> None:
        """Note when passes of one row begin: each is one decode step behind the one before."""
        forward = decoder.forward

        def traced(batch: Any, *arguments: Any, **named: Any) -> torch.Tensor:
            now, is_step = time.perf_counter(), len(batch.token_ids) == 1
            if is_step and self.phase is Phase.DECODE:
                self.steps_ms.append((now - self._last_step_s) * 1000)
            self.phase = Phase.DECODE if is_step else Phase.PREFILL
            self._last_step_s = now
            result: torch.Tensor = forward(batch, *arguments, **named)
            return result

        decoder.forward = traced


@dataclass(frozen=True, slots=True)
class Sample:
    """One request taken back, and after how long the engine was free."""

    phase: Phase
    free_ms: float
    answer_ms: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is under way."""

    client: LspClient
    uri: str
    msg_id: int
    response: asyncio.Future[dict[str, Any]]

    def cancel(self) -> None:
        """Take it back; one that has ended is none the worse."""
        self.client.notify("$/cancelRequest", {"id": self.msg_id})

    def close(self) -> None:
        """Close its document."""
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})


class Bench:
    """Three clients of one model."""

    def __init__(self, trace: Trace, clients: list[LspClient], seed: int) -> None:
        self._trace = trace
        self._first, self._second, self._waiting = clients
        self._rng, self._num_documents = random.Random(seed), 0
        library = Path(sysconfig.get_path("stdlib"))
        self._sources = [
            path.read_text(encoding="utf-8").splitlines(keepends=True)
            for path in sorted(library.glob("*.py"))[:60]
        ]

    async def prepare(self) -> None:
        """Open what waits, and time decode steps that nobody interrupts."""
        self._waiting.open(WAITING_URI, WAITING_TEXT)
        while len(self._trace.steps_ms) < NUM_STEPS:
            asked = self._ask(self._first, SHORT)
            await asked.response
            asked.close()

    async def cancel(self, wanted: Phase) -> Sample | None:
        """Cancel a request in phase ``wanted``; None if it was over by then."""
        running = self._ask(self._first, SHORT if wanted is Phase.DECODE else LONG)
        await self._reach(running, wanted)
        others = []
        if wanted is Phase.QUEUED:  # behind the running one, and cancelled before it
            others.append(self._ask(self._second, SHORT))
        num_before = self._trace.num_started.get(WAITING_URI, 0)
        waiting = Asked(self._waiting, WAITING_URI, *self._complete_waiting())
        await asyncio.sleep(0.02)  # until all are handed to the engine
        phase = self._trace.phase
        has_begun = self._trace.num_started.get(WAITING_URI, 0) != num_before
        written_s = time.perf_counter()
        for asked in (*others, running):
            asked.cancel()
        sample = None
        if not has_begun and not running.response.done():
            sample = await self._measure(WAITING_URI, written_s, running, phase, wanted)
        for asked in (waiting, running, *others):
            asked.cancel()
            await asyncio.wait_for(asked.response, MAX_WAIT_S)
        for asked in (running, *others):
            asked.close()
        if sample is not None and any(asked.uri in self._trace.started_s for asked in others):
            raise RuntimeError("a request that was cancelled in the queue got the engine")
        return sample

    async def supersede(self, wanted: Phase) -> Sample | None:
        """Ask again in the same document; None if the first request was over by then."""
        running = self._ask(self._first, SHORT if wanted is Phase.DECODE else LONG)
        await self._reach(running, wanted)
        phase, written_s = self._trace.phase, time.perf_counter()
        newer = Asked(self._first, running.uri, *self._first.complete(running.uri, 1, 0))
        sample = None
        if not running.response.done():
            sample = await self._measure(running.uri, written_s, running, phase, wanted)
        newer.cancel()
        for asked in (running, newer):
            await asyncio.wait_for(asked.response, MAX_WAIT_S)
        running.close()
        return sample

    async def _measure(
        self, uri: str, written_s: float, running: Asked, phase: Phase, wanted: Phase
    ) -> Sample | None:
        """Wait for the response and for the engine to begin with ``uri``."""
        error = (await asyncio.wait_for(running.response, MAX_WAIT_S)).get("error", {})
        answer_ms = (time.perf_counter() - written_s) * 1000
        await _until(lambda: self._trace.started_s.get(uri, 0) > written_s)
        if error.get("code") != REQUEST_CANCELLED:
            return None  # it had just ended
        free_ms = (self._trace.started_s[uri] - written_s) * 1000
        return Sample(Phase.QUEUED if wanted is Phase.QUEUED else phase, free_ms, answer_ms)

    async def _reach(self, asked: Asked, wanted: Phase) -> None:
        """Wait until the engine works on ``asked`` as wanted, and then for a random moment."""
        trace, response = self._trace, asked.response
        await _until(lambda: asked.uri in trace.started_s or response.done())
        if wanted is Phase.DECODE:
            await _until(lambda: trace.phase is Phase.DECODE or response.done())
        await asyncio.sleep(self._rng.uniform(0, 0.1 if wanted is Phase.DECODE else 0.4))

    def _complete_waiting(self) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        return self._waiting.complete(WAITING_URI, 0, len(WAITING_TEXT))

    def _ask(self, client: LspClient, size: tuple[int, int]) -> Asked:
        """Open a document that was never seen and ask for what follows its last line."""
        lines = self._rng.choice(self._sources)
        num_lines = min(len(lines), self._rng.randint(*size))
        start = self._rng.randrange(len(lines) - num_lines + 1)
        self._num_documents += 1
        uri, text = f"file:///{self._num_documents}.py", f"# {self._num_documents}\n"
        client.open(uri, text + "".join(lines[start : start + num_lines]))
        return Asked(client, uri, *client.complete(uri, num_lines + 1, 0))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(MAX_WAIT_S):
        while not condition():  # noqa: ASYNC110 - it becomes true in another thread
            await asyncio.sleep(0.002)


@asynccontextmanager
async def client_of(host: ModelHost, owner: str) -> AsyncIterator[LspClient]:
    """A server on a socket, and a client that has begun a session."""
    flags = from_flags({"completion.deadline_ms": "600000", "server.wait_for_model": "true"})
    server_end, client_end = socketpair()
    reader, writer = await asyncio.open_connection(sock=server_end)
    server = FimbleLanguageServer(host, Options({}), flags, owner)
    server.protocol.set_writer(StreamOutput(writer))
    serving = asyncio.create_task(serve_frames(server.protocol, StreamFrames(reader)))
    client = LspClient(*await asyncio.open_connection(sock=client_end))
    reading = asyncio.create_task(client.read())
    try:
        await client.initialize()
        yield client
    finally:
        reading.cancel()
        serving.cancel()
        server.disconnect()
        writer.close()


async def measure(
    host: ModelHost, trace: Trace, num_samples: int, seed: int
) -> dict[str, list[Sample]]:
    """Return samples by what was done and when."""
    async with (
        client_of(host, "a") as first,
        client_of(host, "b") as second,
        client_of(host, "c") as waiting,
    ):
        bench = Bench(trace, [first, second, waiting], seed)
        await bench.prepare()
        wait_until_idle(psutil.Process())  # weights are packed in the first idle seconds
        trace.steps_ms.clear()
        await bench.prepare()
        found: dict[str, list[Sample]] = {}
        for phase in Phase:
            await _collect(found, f"cancel_{phase}", num_samples, lambda: bench.cancel(phase))  # noqa: B023
        for phase in (Phase.PREFILL, Phase.DECODE):
            await _collect(found, f"supersede_{phase}", num_samples, lambda: bench.supersede(phase))  # noqa: B023
        return found


async def _collect(
    found: dict[str, list[Sample]],
    name: str,
    num_samples: int,
    take: Callable[[], Awaitable[Sample | None]],
) -> None:
    """Take samples until there are enough in the phase that ``name`` ends with."""
    samples = found[name] = []
    while len(samples) < num_samples:
        sample = await take()
        if sample is not None and name.endswith(sample.phase):
            samples.append(sample)


def p99(values: Sequence[float]) -> float:
    """Return the value that one in a hundred exceeds."""
    return sorted(values)[min(len(values) - 1, math.ceil(0.99 * len(values)) - 1)]


def p99_figure(name: str, samples: Sequence[float], unit: str = "ms") -> Figure:
    """Return the 99th percentile with a bootstrap 95 % interval."""
    low, high = bootstrap_bounds(samples, p99)
    median = statistics.median(samples)
    return Figure(name, p99(samples), unit, len(samples), median, low, high, "bootstrap 95 %")


def figures(found: dict[str, list[Sample]], steps_ms: list[float]) -> list[Figure]:
    """Return the percentiles, a decode step, and what share of it the percentiles are."""
    step_ms = statistics.median(steps_ms)
    measured = [timing_figure("decode_step_ms", steps_ms)]
    for name, samples in found.items():
        free_ms = [sample.free_ms for sample in samples]
        measured.append(p99_figure(f"{name}_p99_ms", free_ms))
        measured.append(
            p99_figure(f"{name}_p99_steps", [ms / step_ms for ms in free_ms], "decode steps")
        )
        answers = [sample.answer_ms for sample in samples]
        measured.append(p99_figure(f"{name}_answer_p99_ms", answers))
    everything = [sample.free_ms for samples in found.values() for sample in samples]
    measured.append(p99_figure("all_p99_ms", everything))
    measured.append(
        p99_figure("all_p99_steps", [ms / step_ms for ms in everything], "decode steps")
    )
    return measured


def main() -> None:
    """Measure and write ``cancel.json``, or ``cancel_on_cuda.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cancel", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--num-samples", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    trace = Trace()

    def build(_settings: Settings, _progress: ProgressCallback) -> CompletionService:
        model = load_model(options.model, device=options.device, allow_network=False)
        trace.follow(model.decoder)
        return CompletionService(model, CompletionConfig(), trace)

    host = ModelHost(build)
    found = asyncio.run(measure(host, trace, options.num_samples, options.seed))
    host.close()
    measured = figures(found, trace.steps_ms[:NUM_STEPS])
    for figure in measured:
        print(
            f"{figure.name:36} {figure.value:8.2f} {figure.unit:12} median {figure.median:8.2f} "
            f"[{figure.low:.2f}, {figure.high:.2f}] n={figure.n}"
        )
    if not options.dry_run:
        name = "cancel" if options.device == "cpu" else f"cancel_on_{options.device}"
        settings = {
            key: getattr(options, key) for key in ("model", "device", "num_samples", "seed")
        }
        write_result(name, measured, num_threads=torch.get_num_threads(), settings=settings)


if __name__ == "__main__":
    main()
