"""Fuzzing of LSP frames and messages: no crash, no hang, every request answered exactly once.

    python -m benchmarks.fuzz_lsp
    python -m benchmarks.fuzz_lsp --seed 1234     # one session again, verbosely

Most inputs go to a server in this process, with a service that answers at random times: sessions as
editors write them in which things went wrong (`fuzz_inputs`), and messages that hypothesis makes up.
Some go to a daemon with the real model. What must hold is in `fuzz_oracle`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis
from hypothesis import strategies as st

from benchmarks.daemon import Daemon, Inbox, SocketWire, greeted, running_daemon
from benchmarks.figures import Figure, share_figure
from benchmarks.fuzz_inputs import JUNK, METHODS, encoded, mutated_frames
from benchmarks.fuzz_oracle import MAX_WAIT_S, play
from benchmarks.results import write_result
from completion.types import (
    CancellationToken,
    Cancelled,
    Candidate,
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    SuggestionSource,
)
from lsp_server.host import ModelHost
from lsp_server.options import Options, from_flags
from lsp_server.server import FimbleLanguageServer
from lsp_server.transport import StreamFrames, serve_frames
from lsp_server.turns import watch_turns

Json = Any
NUM_AT_ONCE = 16
MAX_NUM_MESSAGES = 12  # of a session that hypothesis makes up


class RandomService:
    """Keeps the contract of CompletionService without a model: blocks, obeys its token."""

    model_name, num_waiting, busy_s = "none", 0, 0.0

    def lookup(self, request: CompletionRequest) -> Suggestion | NoSuggestion | None:
        """Know a fifth of all answers."""
        if hash((request.offset, len(request.document.text))) % 5:
            return None
        return NoSuggestion(request.request_id, NoSuggestionReason.EMPTY_DOCUMENT)

    def complete(
        self,
        request: CompletionRequest,
        cancel: CancellationToken,
        on_text: Callable[[str], None] | None = None,
    ) -> CompletionOutcome:
        """Answer after up to 20 ms, unless cancelled."""
        until = time.monotonic() + random.random() ** 3 * 0.02
        while time.monotonic() < until:
            if cancel.is_cancelled:
                return Cancelled(request.request_id)
            time.sleep(0.001)
        text = random.choice(("", "pass", "a\n    b", "\U0001f642\u2028", ")"))
        start = max(0, request.offset - random.randrange(3))
        end = min(len(request.document.text), request.offset + random.randrange(3))
        return Suggestion(
            request.request_id, text, start, end, (Candidate(text, -1.0),), 0.5,
            FinishReason.STOP, SuggestionSource.ENGINE, CompletionTrace(model="none"),
        )  # fmt: skip

    def accepted(self, request_id: str) -> None:
        """Check what a client's command may bring."""
        assert isinstance(request_id, str)

    def forget(self, key: str) -> None:
        """Forget nothing."""

    def close(self) -> None:
        """End nothing."""


class LocalWire(Inbox):
    """A server in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.to_server = asyncio.StreamReader()

    async def send(self, raw: bytes) -> None:
        """Hand ``raw`` over in pieces, between which the server may run."""
        for start in range(0, len(raw), 4096):
            self.to_server.feed_data(raw[start : start + 4096])
            await asyncio.sleep(0)

    def write(self, raw: bytes) -> None:
        """Take what the server writes."""
        self.feed(raw)

    def close(self) -> None:
        """The server never closes it."""


class ErrorLog(logging.Handler):
    """Errors that were logged; none of them may be one that a client's nonsense caused."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep errors that are no refusal."""
        error = record.exc_info[1] if record.exc_info else None
        is_refusal = type(error).__name__ == "JsonRpcInvalidParams"
        if record.name.startswith(("asyncio", "lsp_server")) and not is_refusal:
            self.found.append(f"{record.name}: {record.getMessage()} {error!r}")


@asynccontextmanager
async def local_server() -> AsyncIterator[LocalWire]:
    """A server with a ``RandomService``, and a wire to it."""
    wire = LocalWire()
    flags = from_flags({"server.wait_for_model": "true"})
    host = ModelHost(lambda _settings, _progress: RandomService())  # type: ignore[arg-type,return-value]
    server = FimbleLanguageServer(host, Options({}), flags)
    server.protocol.set_writer(wire)

    async def run() -> None:
        try:
            await serve_frames(server.protocol, StreamFrames(wire.to_server))
        finally:
            wire.feed(b"")

    task = asyncio.create_task(run())
    try:
        yield wire
    finally:
        wire.to_server.feed_eof()
        async with asyncio.timeout(MAX_WAIT_S):
            await task  # raises what the server raised
        server.disconnect()
        host.close()


@dataclass
class Report:
    """What was sent, and what went wrong."""

    num_sessions: int = 0
    num_frames: int = 0
    num_inputs: int = 0  # frames that no sane client sends
    failures: list[str] = field(default_factory=list)

    def add(self, num_frames: int, num_inputs: int) -> None:
        """Count one session."""
        self.num_sessions += 1
        self.num_frames += num_frames
        self.num_inputs += num_inputs


async def fuzz_seeds(seeds: range, report: Report) -> None:
    """Play one mutated session for each seed."""
    waiting = list(reversed(seeds))

    async def work() -> None:
        while waiting:
            seed = waiting.pop()
            frames, num_mutated = mutated_frames(random.Random(seed))
            report.add(len(frames), num_mutated)
            problems = await play_locally(frames)
            report.failures += [f"seed {seed}: {problem}" for problem in problems]

    await asyncio.gather(*(work() for _ in range(NUM_AT_ONCE)))


async def play_locally(frames: list[bytes]) -> list[str]:
    """Play ``frames`` to a server in this process and return what went wrong."""
    try:
        async with local_server() as wire:
            return await play(wire, frames)
    except Exception as error:  # noqa: BLE001 - a server that raises is what is looked for
        return [f"the server raised {type(error).__name__}: {error}"]


def message_strategy() -> st.SearchStrategy[Json]:
    """Return messages that hypothesis makes up: right on the outside, anything inside."""
    leaves = st.sampled_from(JUNK) | st.integers() | st.text() | st.floats()
    names = st.sampled_from(
        ("textDocument", "uri", "position", "line", "character", "context", "triggerKind", "range",
         "start", "end", "text", "version", "languageId", "contentChanges", "id", "command",
         "arguments", "settings", "capabilities", "token", "value", "notebookDocument", "cells")
    )  # fmt: skip
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
        max_leaves=12,
    )
    ids = st.integers(-2, 3) | st.sampled_from(("", "a", "1"))
    envelope = {"jsonrpc": st.just("2.0")}
    return st.one_of(
        st.fixed_dictionaries({**envelope, "id": ids, "method": st.sampled_from(METHODS)},
                              optional={"params": values}),
        st.fixed_dictionaries({**envelope, "method": st.sampled_from(METHODS)},
                              optional={"params": values}),
        st.fixed_dictionaries({**envelope, "id": ids}, optional={"result": values, "error": values}),
        values,
    )  # fmt: skip


def fuzz_generated(num_examples: int, report: Report) -> None:
    """Play sessions made up by hypothesis; the smallest that fails is reported."""
    opening = [
        encoded({"jsonrpc": "2.0", "id": "first", "method": "initialize",
                 "params": {"processId": None, "rootUri": None, "capabilities": {}}}),
    ]  # fmt: skip

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=num_examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        st.booleans(), st.lists(message_strategy(), min_size=1, max_size=MAX_NUM_MESSAGES)
    )
    def run(is_open: bool, messages: list[Json]) -> None:
        frames = [*(opening if is_open else []), *map(encoded, messages)]
        report.add(len(frames), len(messages))
        problems = runner.run(play_locally(frames))
        assert not problems, problems

    with asyncio.Runner() as runner:
        watch_turns(runner.get_loop())
        try:
            run()
        except AssertionError as error:
            report.failures.append(f"hypothesis: {error} {getattr(error, '__notes__', '')}")


async def fuzz_daemon(seeds: range, report: Report) -> None:
    """Play mutated sessions to one daemon with the real model, several at once."""
    waiting = list(reversed(seeds))

    async def work(daemon: Daemon) -> None:
        while waiting:
            seed = waiting.pop()
            frames, num_mutated = mutated_frames(random.Random(seed))
            report.add(len(frames), num_mutated)
            try:
                async with greeted(daemon) as streams:
                    wire = SocketWire(*streams)
                    reading = asyncio.create_task(wire.read())
                    problems = await play(wire, frames)
                    reading.cancel()
            except Exception as error:  # noqa: BLE001 - a daemon that fails is what is looked for
                problems = [f"{type(error).__name__}: {error}"]
            report.failures += [f"daemon, seed {seed}: {problem}" for problem in problems]

    with running_daemon(SERVER_LOG_LEVEL="error") as daemon:
        await asyncio.gather(*(work(daemon) for _ in range(NUM_AT_ONCE)))
        mistakes = [line for line in daemon.log.read_text().splitlines() if _is_mistake(line)]
    report.failures += [f"the daemon's log: {line}" for line in mistakes]


def _is_mistake(line: str) -> bool:
    """Whether a line of the daemon's log is an error that no client's nonsense may cause."""
    return " ERROR " in line and "InvalidParams" not in line and "Invalid Params" not in line


def figures(reports: dict[str, Report], errors: list[str]) -> list[Figure]:
    """Return counts of inputs, sessions and failures, each part by itself and all together."""
    found = []
    num_failures = sum(len(report.failures) for report in reports.values()) + len(errors)
    num_inputs = sum(report.num_inputs for report in reports.values())
    counts = {"inputs": num_inputs, "failures": num_failures}
    for name, report in reports.items():
        counts[f"inputs_{name}"] = report.num_inputs
        counts[f"sessions_{name}"] = report.num_sessions
        counts[f"frames_{name}"] = report.num_frames
    for name, count in counts.items():
        found.append(Figure(name, count, "", num_inputs, count, count, count, "a count"))
    found.append(share_figure("share_of_inputs_that_failed", num_failures, num_inputs))
    return found


def main() -> int:
    """Fuzz, print, write ``fuzz_lsp.json``; the exit status is 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz_lsp", description=__doc__)
    parser.add_argument("--num-sessions", type=int, default=3000, help="mutated, in this process")
    parser.add_argument("--num-examples", type=int, default=2000, help="made up by hypothesis")
    parser.add_argument("--num-on-daemon", type=int, default=400, help="mutated, on one daemon")
    parser.add_argument("--seed", type=int, help="play one mutated session and stop")
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    log = ErrorLog()
    logging.basicConfig(level=logging.ERROR, handlers=[log])
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    if options.seed is not None:
        frames, _ = mutated_frames(random.Random(options.seed))
        print(*frames, *asyncio.run(play_locally(frames)), *log.found, sep="\n")
        return 0
    reports = {"mutated": Report(), "generated": Report(), "daemon": Report()}
    started = time.monotonic()
    asyncio.run(fuzz_seeds(range(options.num_sessions), reports["mutated"]))
    if options.num_examples:
        fuzz_generated(options.num_examples, reports["generated"])
    if options.num_on_daemon:
        asyncio.run(fuzz_daemon(range(options.num_on_daemon), reports["daemon"]))
    measured = figures(reports, log.found)
    for figure in measured:
        print(f"{figure.name:32} {figure.value:10.0f}")
    failures = [*log.found, *(line for r in reports.values() for line in r.failures)]
    print(*failures[:50], f"{time.monotonic() - started:.0f} s", sep="\n")
    if not options.dry_run:
        settings = {
            name: getattr(options, name)
            for name in ("num_sessions", "num_examples", "num_on_daemon")
        }
        write_result("fuzz_lsp", measured, num_threads=1, settings=settings, notes=failures[:20])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
