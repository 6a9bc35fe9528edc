"""Many clients on one daemon for some minutes: who waits, and what grows.

    python -m benchmarks.soak

200 clients have a document open and ask for nothing. 20 others type into a document of their own
and ask for a suggestion after each change; now and then one asks again without waiting. A real
daemon with the real model answers; its own `/metrics` tells what it holds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.daemon import Daemon, LspClient, connected, greeted, running_daemon
from benchmarks.figures import Figure, timing_figure
from benchmarks.results import write_result
from lsp_server.daemon.hello import Role

MAX_WAIT_S = 120.0
SAMPLE_EVERY_S = 2.0
WARM_UP_SHARE = 0.3  # of the run, before growth counts
THINK_S = (0.02, 0.3)  # between an answer and the next key
REQUEST_CANCELLED = -32800
FUNCTION = "def area_{n}(width, height):\n    \n"
# What must not grow, by the name in /metrics.
HELD = {
    "resident_mb": ("process_resident_memory_bytes", 1e-6),
    "descriptors": ("process_open_fds", 1.0),
    "threads": ("process_threads", 1.0),
    "tasks": ("fimble_tasks", 1.0),
}


@dataclass
class Busy:
    """What one busy client lived through."""

    waits_ms: list[float] = field(default_factory=list)  # of what was answered with a list
    num_superseded: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sample:
    """What the daemon held at a moment."""

    at_s: float
    held: dict[str, float]


async def type_and_ask(client: LspClient, number: int, until_s: float, record: Busy) -> None:
    """Type into a document and ask for suggestions until ``until_s``."""
    rng = random.Random(number)
    uri, line, column, revision = f"file:///busy/{number}.py", 1, 4, 1
    client.open(uri, FUNCTION.format(n=number))
    while time.monotonic() < until_s:
        await asyncio.sleep(rng.uniform(*THINK_S))
        if column > 40:  # the line is full: the next
            client.insert(uri, revision := revision + 1, line, column, "\n    ")
            line, column = line + 1, 4
        client.insert(uri, revision := revision + 1, line, column, rng.choice("abcdefgh ="))
        column += 1
        asked = [client.complete(uri, line, column)[1]]
        started = time.perf_counter()
        if rng.random() < 0.2:
            await asyncio.sleep(rng.uniform(0, 0.2))
            asked.append(client.complete(uri, line, column)[1])
        for response in asked:
            message = await asyncio.wait_for(response, MAX_WAIT_S)
            if "result" in message:
                record.waits_ms.append((time.perf_counter() - started) * 1000)
            elif message["error"]["code"] == REQUEST_CANCELLED:
                record.num_superseded += 1
            else:
                record.errors.append(str(message["error"]))


async def scrape(url: str) -> dict[str, float]:
    """Return the samples without labels of the page ``url``."""
    text = await asyncio.to_thread(lambda: urlopen(url, timeout=60).read().decode())
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


async def watch(url: str, samples: list[Sample]) -> None:
    """Note what the daemon holds, every two seconds, until cancelled."""
    started = time.monotonic()
    while True:
        shown = await scrape(url)
        held = {name: shown[metric] * factor for name, (metric, factor) in HELD.items()}
        samples.append(Sample(time.monotonic() - started, held))
        await asyncio.sleep(SAMPLE_EVERY_S)


@dataclass
class Outcome:
    """One run."""

    busy: list[Busy]
    samples: list[Sample]
    idle_mb: float
    num_open: int
    num_long_turns: float
    num_left: float  # connections that the daemon still counts after all have gone


async def soak(daemon: Daemon, num_idle: int, num_busy: int, seconds: float) -> Outcome:
    """Return what happened with so many clients in so much time."""
    busy, samples = [Busy() for _ in range(num_busy)], list[Sample]()
    async with greeted(daemon, Role.CONTROL) as streams:
        control = LspClient(*streams)
        reading = asyncio.create_task(control.read())
        served = await control.ask("serve", {"host": "127.0.0.1", "port": 0, "token": None})
        url = served["url"].removesuffix("/v1") + "/metrics"
        async with contextlib.AsyncExitStack() as stack:
            typing = [await stack.enter_async_context(connected(daemon)) for _ in range(num_busy)]
            await _until_ready(typing[0])
            before = (await scrape(url))["process_resident_memory_bytes"]
            idle = [await stack.enter_async_context(connected(daemon)) for _ in range(num_idle)]
            for number, client in enumerate(idle):
                client.open(f"file:///idle/{number}.py", FUNCTION.format(n=number))
            idle_mb = ((await scrape(url))["process_resident_memory_bytes"] - before) / 1e6
            watching = asyncio.create_task(watch(url, samples))
            until_s = time.monotonic() + seconds
            async with asyncio.TaskGroup() as group:
                for number, (client, record) in enumerate(zip(typing, busy, strict=True)):
                    group.create_task(type_and_ask(client, number, until_s, record))
            watching.cancel()
            num_open = sum(client.num_open for client in (*typing, *idle))
            num_long_turns = (await scrape(url))["fimble_long_turns_total"]
        num_left = await _tasks_after_all_left(url)
        reading.cancel()
    return Outcome(busy, samples, idle_mb, num_open, num_long_turns, num_left)


async def _until_ready(client: LspClient) -> None:
    """Wait until the model answers."""
    client.open("file:///ready.py", "x = ")
    await client.complete("file:///ready.py", 0, 4)[1]  # held until the model is there


async def _tasks_after_all_left(url: str) -> float:
    """Return how many tasks the daemon has left; connections take a moment to end."""
    found = []
    for _ in range(10):
        await asyncio.sleep(0.3)
        found.append((await scrape(url))["fimble_tasks"])
    return min(found)


def growth_percent(values: Sequence[float]) -> float:
    """Return how much more was held in the last fifth of the run than just after the warm-up."""
    fifth = max(1, len(values) // 5)
    late = values[int(len(values) * WARM_UP_SHARE) :]
    before, after = statistics.median(late[:fifth]), statistics.median(late[-fifth:])
    return 100 * (after / before - 1)


def figures(outcome: Outcome, num_idle: int) -> list[Figure]:
    """Return who waited how long, and what grew."""
    busy = outcome.busy
    waits = [wait for record in busy for wait in record.waits_ms]
    counts = [len(record.waits_ms) for record in busy]
    medians = [statistics.median(record.waits_ms) for record in busy]
    num_asked = len(waits) + sum(record.num_superseded for record in busy)

    def single(name: str, value: float, unit: str, n: int) -> Figure:
        return Figure(name, value, unit, n, value, value, value, "one run")

    found = [
        single("requests", num_asked, "", num_asked),
        single("unanswered", outcome.num_open, "", num_asked),
        single("errors", sum(len(record.errors) for record in busy), "", num_asked),
        timing_figure("answered_per_client", counts, ""),
        single("answered_min_over_max", min(counts) / max(counts), "x", len(busy)),
        timing_figure("wait_ms", waits),
        single("wait_p95_ms", statistics.quantiles(waits, n=20)[-1], "ms", len(waits)),
        single("wait_median_slowest_over_quickest", max(medians) / min(medians), "x", len(busy)),
        single("mb_per_idle_connection", outcome.idle_mb / max(1, num_idle), "MB", num_idle),
        single("long_turns", outcome.num_long_turns, "", num_asked),
        single("tasks_after_all_left", outcome.num_left, "", 1),
    ]
    for name in HELD:
        values = [sample.held[name] for sample in outcome.samples]
        unit = "MB" if name.endswith("_mb") else ""
        found.append(timing_figure(name, values, unit))
        growth = growth_percent(values)
        found.append(single(f"{name.removesuffix('_mb')}_growth_percent", growth, "%", len(values)))
    return found


def main() -> None:
    """Measure and write ``soak.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--num-idle", type=int, default=200)
    parser.add_argument("--num-busy", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--num-threads", type=int, default=1, help="of the model")
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    with running_daemon(
        MODEL_NUM_THREADS=str(options.num_threads),
        MODEL_OFFLINE="true",
        SERVER_WAIT_FOR_MODEL="true",
    ) as daemon:
        outcome = asyncio.run(soak(daemon, options.num_idle, options.num_busy, options.seconds))
    measured = figures(outcome, options.num_idle)
    for figure in measured:
        print(
            f"{figure.name:36} {figure.value:10.2f} {figure.unit:8} [{figure.low:.2f}, {figure.high:.2f}]"
        )
    errors = [error for record in outcome.busy for error in record.errors]
    print(*errors[:10], sep="\n")
    if not options.dry_run:
        settings = {name: getattr(options, name) for name in ("num_idle", "num_busy", "seconds")}
        write_result("soak", measured, num_threads=options.num_threads, settings=settings)


if __name__ == "__main__":
    main()
