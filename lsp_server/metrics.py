"""What this process has done and holds, in Prometheus' form.

One ``Metrics`` belongs to one process and has a registry of its own. Each door tells it every
outcome at one place; what the process holds is read when somebody asks. Names follow
https://prometheus.io/docs/practices/naming: base units, and ``_total`` for what only grows.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from enum import StrEnum
from typing import Protocol

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionTimings,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    SuggestionSource,
)
from kvedit.policy import CacheStats
from lsp_server import version
from retrieval.snippet import SnippetSource

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From a lookup to a script that waits two minutes; around the second that an editor waits, closer.
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 120)
_STAGES = tuple(field.name for field in fields(CompletionTimings) if field.name != "total")
_TOKEN_KINDS = ("cached", "patched", "new", "generated")


class Door(StrEnum):
    """Where a request came in."""

    LSP = "lsp"
    CONTROL = "control"
    HTTP = "http"


class ModelState(Protocol):
    """What is read of each model."""

    @property
    def name(self) -> str:
        """The model's name; several may share it, with different settings."""
        ...

    @property
    def state(self) -> str:
        """One word, such as ``ready``."""
        ...

    @property
    def num_waiting(self) -> int:
        """Jobs that wait for its engine."""
        ...

    @property
    def busy_s(self) -> float:
        """Seconds that its engine has worked, in finished jobs."""
        ...

    @property
    def cache(self) -> CacheStats:
        """What was computed into its caches, and how exact it turned out to be."""
        ...


class IndexState(Protocol):
    """What is read of each index."""

    @property
    def state(self) -> str:
        """A word or two, such as ``up to date``."""
        ...

    @property
    def num_files(self) -> int:
        """Files in it."""
        ...


class Metrics:
    """The counters of one process; may be told and asked from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "fimble_requests",
            "Requests that have ended, by how they ended.",
            ("door", "outcome", "reason", "source"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "fimble_request_seconds",
            "Seconds from handing a request to the engine to its outcome.",
            ("door",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "fimble_stage_seconds",
            "Seconds that one stage of a request took; waiting is what came before the engine.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter(
            "fimble_tokens",
            "Tokens of prompts by how they were had, and tokens decoded, refused ones too.",
            ("kind",),
            registry=self.registry,
        )
        self._snippets = Counter(
            "fimble_context_snippets",
            "Stretches of other files that were shown to the model, by how they were found.",
            ("source",),
            registry=self.registry,
        )
        self._long_turns = Counter(
            "fimble_long_turns",
            "Times that one handler kept the event loop for more than 20 ms.",
            registry=self.registry,
        )
        self._connections = Gauge(
            "fimble_connections", "Open connections.", ("role",), registry=self.registry
        )
        build = Info("fimble_build", "What is running.", registry=self.registry)
        build.info({"version": version.current(), "python": platform.python_version()})
        self._create_series()
        self.registry.register(_Process())

    def observe_models(self, models: Callable[[], Sequence[ModelState]]) -> None:
        """Show the state of ``models()`` whenever the metrics are read; call it once."""
        self.registry.register(_Models(models))

    def observe_indexes(self, indexes: Callable[[], Sequence[IndexState]]) -> None:
        """Show how large ``indexes()`` are whenever the metrics are read; call it once."""
        self.registry.register(_Indexes(indexes))

    def observe_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Show how many tasks ``loop`` has whenever the metrics are read; call it once."""
        tasks = Gauge("fimble_tasks", "Tasks of the event loop.", registry=self.registry)
        tasks.set_function(lambda: len(asyncio.all_tasks(loop)))

    def count(self, outcome: CompletionOutcome, door: Door) -> None:
        """Take in how one request ended."""
        kind, reason, source = _labels(outcome)
        self._requests.labels(door, kind, reason, source).inc()
        timings = outcome.trace.timings_ms
        if not timings.total:
            return  # answered without the engine
        self._seconds.labels(door).observe(timings.total / 1000)
        for stage in _STAGES:
            self._stage_seconds.labels(stage).observe(getattr(timings, stage) / 1000)
        prompt, decoding = outcome.trace.prompt, outcome.trace.speculation
        for chunk in outcome.trace.context:
            self._snippets.labels(chunk.source).inc()
        self._tokens.labels("cached").inc(prompt.num_cached_tokens)
        self._tokens.labels("patched").inc(prompt.num_patched_tokens)
        self._tokens.labels("new").inc(prompt.num_new_tokens)
        num_decoded = decoding.num_forward_passes + decoding.num_accepted_tokens
        self._tokens.labels("generated").inc(num_decoded)

    async def counted(
        self, work: Awaitable[CompletionOutcome], door: Door, request_id: str
    ) -> CompletionOutcome:
        """Await ``work`` and count how it ended, also if its client took the request back."""
        try:
            outcome = await work
        except asyncio.CancelledError:
            self.count(Cancelled(request_id), door)
            raise
        self.count(outcome, door)
        return outcome

    def count_long_turn(self) -> None:
        """Take in that a handler kept the event loop too long."""
        self._long_turns.inc()

    @contextmanager
    def connection(self, role: str) -> Iterator[None]:
        """Count a connection of ``role`` as open until the end of the block."""
        with self._connections.labels(role).track_inprogress():
            yield

    def render(self) -> bytes:
        """Return everything in Prometheus' text form, whose type is ``CONTENT_TYPE``."""
        return generate_latest(self.registry)

    def _create_series(self) -> None:
        """Show a zero for what has not happened yet: a series that appears late has no rate."""
        for door in Door:
            self._seconds.labels(door)
            self._requests.labels(door, "cancelled", "", "")
            for source in SuggestionSource:
                self._requests.labels(door, "suggestion", "", source)
            for reason in NoSuggestionReason:
                self._requests.labels(door, "none", reason, "")
        for stage in _STAGES:
            self._stage_seconds.labels(stage)
        for kind in _TOKEN_KINDS:
            self._tokens.labels(kind)
        for origin in SnippetSource:
            self._snippets.labels(origin)


def _labels(outcome: CompletionOutcome) -> tuple[str, str, str]:
    """Return outcome, reason and source, in the words of ``report``."""
    match outcome:
        case Suggestion():
            return "suggestion", "", outcome.source.value
        case NoSuggestion():
            return "none", outcome.reason.value, ""
        case Cancelled():
            return "cancelled", "", ""


class _Models(Collector):
    """The models of this process, read when asked."""

    def __init__(self, models: Callable[[], Sequence[ModelState]]) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield how many models there are by state, how much waits for them, how long they worked."""
        models = self._models()
        states = GaugeMetricFamily("fimble_models", "Models by state.", labels=["state"])
        for state in sorted({model.state for model in models}):
            states.add_metric([state], sum(model.state == state for model in models))
        yield states
        waiting = GaugeMetricFamily(
            "fimble_queue_length", "Jobs that wait for a model's engine.", labels=["model"]
        )
        busy = CounterMetricFamily(
            "fimble_engine_busy_seconds", "Seconds that a model's engine worked.", labels=["model"]
        )
        for name in sorted({model.name for model in models}):
            same = [model for model in models if model.name == name]
            waiting.add_metric([name], sum(model.num_waiting for model in same))
            busy.add_metric([name], sum(model.busy_s for model in same))
        yield waiting
        yield busy
        yield from _caches(models)


class _Indexes(Collector):
    """The indexes of workspaces, read when asked."""

    def __init__(self, indexes: Callable[[], Sequence[IndexState]]) -> None:
        self._indexes = indexes

    def collect(self) -> Iterator[Metric]:
        """Yield how many indexes there are by state, and how many files they hold."""
        indexes = self._indexes()
        states = GaugeMetricFamily("fimble_indexes", "Indexes by state.", labels=["state"])
        for state in sorted({index.state for index in indexes}):
            states.add_metric([state], sum(index.state == state for index in indexes))
        yield states
        num_files = sum(index.num_files for index in indexes)
        yield GaugeMetricFamily("fimble_indexed_files", "Files in all indexes.", value=num_files)


def _caches(models: Sequence[ModelState]) -> Iterator[Metric]:
    """Yield what was computed into caches, and how far patched ones were from exact ones."""
    counters: dict[str, tuple[str, Callable[[ModelState], float]]] = {
        "fimble_computed_tokens": (
            "Tokens of prompts computed, for requests and ahead of them.",
            lambda model: model.cache.num_computed,
        ),
        "fimble_healed_tokens": (
            "Tokens computed to make patched caches exact again.",
            lambda model: model.cache.num_healed,
        ),
        "fimble_drift_probes": (
            "Patched caches that were compared with the exact ones they were healed to.",
            lambda model: model.cache.drift.num_probes,
        ),
        "fimble_drift_same_top": (
            "Comparisons in which the likeliest token was the same.",
            lambda model: model.cache.drift.num_same_top,
        ),
        "fimble_drift_nats": (
            "Sum over comparisons of KL(exact || patched).",
            lambda model: model.cache.drift.sum_kl,
        ),
    }
    for metric, (meaning, value) in counters.items():
        family = CounterMetricFamily(metric, meaning, labels=["model"])
        for name in sorted({model.name for model in models}):
            family.add_metric([name], sum(value(model) for model in models if model.name == name))
        yield family


class _Process(Collector):
    """What the operating system says of this process; prometheus-client knows that on Linux only."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        """Yield memory, processor time, descriptors and threads."""
        process = self._process
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
            num_threads, started = process.num_threads(), process.create_time()
        yield CounterMetricFamily(
            "process_cpu_seconds", "Processor time of this process.", value=cpu.user + cpu.system
        )
        for name, meaning, value in (
            ("process_resident_memory_bytes", "Memory that this process holds.", memory.rss),
            ("process_start_time_seconds", "When it started, in Unix time.", started),
            ("process_threads", "Threads of this process.", num_threads),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        if hasattr(process, "num_fds"):  # not on Windows
            yield GaugeMetricFamily(
                "process_open_fds", "Open file descriptors.", value=process.num_fds()
            )
