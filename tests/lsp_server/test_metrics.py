"""What Prometheus reads, after outcomes, connections and models."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionTimings,
    CompletionTrace,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    PromptStats,
    SpeculationStats,
    Suggestion,
    SuggestionSource,
)
from kvedit.policy import CacheStats, DriftStats
from lsp_server.metrics import Door, Metrics

WORKED = CompletionTrace(
    model="fake",
    prompt=PromptStats(110, 100, 4, 6),
    timings_ms=CompletionTimings(total=250, prompt=2, prefill=40, decode=200),
    speculation=SpeculationStats(num_forward_passes=7, num_accepted_tokens=3),
)


@dataclass(frozen=True)
class Model:
    name: str = "small"
    state: str = "ready"
    num_waiting: int = 0
    busy_s: float = 0.0
    cache: CacheStats = field(default_factory=CacheStats)


def suggestion(source: SuggestionSource, trace: CompletionTrace = WORKED) -> Suggestion:
    return Suggestion("r", "text", 0, 0, (), 0.5, FinishReason.STOP, source, trace)


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample as ``name{label="value"}``, with labels in alphabetical order."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{sample.labels[name]}"' for name in sorted(sample.labels))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def changed(act: Callable[[Metrics], None]) -> dict[str, float]:
    """What ``act`` changed of our own metrics, buckets and creation times left out."""
    metrics = Metrics()
    before = values(metrics)
    act(metrics)
    return {
        name: value - before.get(name, 0)
        for name, value in values(metrics).items()
        if value != before.get(name, 0)
        and name.startswith("fimble_")
        and not re.search("_bucket|_created", name)
    }


@pytest.mark.parametrize(
    ("outcome", "labels"),
    [
        (
            suggestion(SuggestionSource.CACHE, CompletionTrace()),
            'outcome="suggestion",reason="",source="cache"',
        ),
        (
            NoSuggestion("r", NoSuggestionReason.LOADING),
            'outcome="none",reason="loading",source=""',
        ),
        (Cancelled("r"), 'outcome="cancelled",reason="",source=""'),
    ],
)
def test_an_outcome_without_the_engine_counts_as_a_request_and_as_nothing_else(
    outcome: CompletionOutcome, labels: str
) -> None:
    assert changed(lambda metrics: metrics.count(outcome, Door.HTTP)) == {
        f'fimble_requests_total{{door="http",{labels}}}': 1
    }


def test_an_outcome_of_the_engine_brings_its_tokens_and_the_time_of_its_stages() -> None:
    done = suggestion(SuggestionSource.ENGINE)
    assert changed(lambda metrics: metrics.count(done, Door.LSP)) == pytest.approx(
        {
            'fimble_requests_total{door="lsp",outcome="suggestion",reason="",source="engine"}': 1,
            'fimble_request_seconds_count{door="lsp"}': 1,
            'fimble_request_seconds_sum{door="lsp"}': 0.25,
            'fimble_stage_seconds_count{stage="waiting"}': 1,
            'fimble_stage_seconds_count{stage="retrieval"}': 1,
            'fimble_stage_seconds_count{stage="prompt"}': 1,
            'fimble_stage_seconds_sum{stage="prompt"}': 0.002,
            'fimble_stage_seconds_count{stage="patch"}': 1,
            'fimble_stage_seconds_count{stage="prefill"}': 1,
            'fimble_stage_seconds_sum{stage="prefill"}': 0.04,
            'fimble_stage_seconds_count{stage="post"}': 1,
            'fimble_stage_seconds_count{stage="decode"}': 1,
            'fimble_stage_seconds_sum{stage="decode"}': 0.2,
            'fimble_tokens_total{kind="cached"}': 100,
            'fimble_tokens_total{kind="patched"}': 4,
            'fimble_tokens_total{kind="new"}': 6,
            'fimble_tokens_total{kind="generated"}': 10,
        }
    )


def test_everything_that_can_be_counted_is_there_from_the_start() -> None:
    shown = values(Metrics())
    for door in Door:
        for source in SuggestionSource:
            labels = f'door="{door}",outcome="suggestion",reason="",source="{source}"'
            assert shown[f"fimble_requests_total{{{labels}}}"] == 0
        for reason in NoSuggestionReason:
            labels = f'door="{door}",outcome="none",reason="{reason}",source=""'
            assert shown[f"fimble_requests_total{{{labels}}}"] == 0
    assert shown["fimble_long_turns_total"] == 0


async def test_a_request_counts_once_whether_it_ends_or_is_taken_back() -> None:
    metrics, done = Metrics(), suggestion(SuggestionSource.ENGINE)
    name = 'fimble_requests_total{{door="lsp",outcome="{}",reason="",source="{}"}}'

    async def answer() -> CompletionOutcome:
        return done

    assert await metrics.counted(answer(), Door.LSP, "r") is done
    never: asyncio.Future[CompletionOutcome] = asyncio.Future()
    task = asyncio.create_task(metrics.counted(never, Door.LSP, "r"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    shown = values(metrics)
    assert shown[name.format("suggestion", "engine")] == 1
    assert shown[name.format("cancelled", "")] == 1


async def test_the_lsp_door_counts_each_request_once(
    connected: Callable[..., Any], initialize: Callable[..., Any], service: Any
) -> None:
    server = connected(**{"server.wait_for_model": "true"})
    async with server as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        service.known = NoSuggestion("r", NoSuggestionReason.MIDDLE_OF_WORD)
        await client.response(client.complete(0, 4))
        service.known = None
        service.gate.clear()
        superseded = client.complete(0, 4)
        cancelled = client.complete(0, 4)
        await client.response(superseded)
        client.notify("$/cancelRequest", {"id": cancelled})
        await client.response(cancelled)
        shown = values(server.host.metrics)
    counted = {name: n for name, n in shown.items() if n and name.startswith("fimble_requests_t")}
    assert counted == {
        'fimble_requests_total{door="lsp",outcome="suggestion",reason="",source="engine"}': 1,
        'fimble_requests_total{door="lsp",outcome="none",reason="middle_of_word",source=""}': 1,
        'fimble_requests_total{door="lsp",outcome="cancelled",reason="",source=""}': 2,
    }
    assert shown['fimble_models{state="ready"}'] == 1


def test_open_connections_are_shown_until_they_end_however_they_end() -> None:
    metrics = Metrics()
    with metrics.connection("lsp"), metrics.connection("lsp"):
        assert values(metrics)['fimble_connections{role="lsp"}'] == 2
    with pytest.raises(ConnectionError), metrics.connection("lsp"):
        raise ConnectionError
    assert values(metrics)['fimble_connections{role="lsp"}'] == 0


def test_models_are_read_when_somebody_asks() -> None:
    metrics, models = Metrics(), [Model()]
    metrics.observe_models(lambda: models)
    assert values(metrics)['fimble_models{state="ready"}'] == 1
    models[:] = [
        Model("small", "ready", 2, 1.5, CacheStats(70, 900, DriftStats(4, 3, 0.5))),
        Model("small", "ready", 1, 0.5),  # the same weights with other settings
        Model("large", "loading"),
    ]
    shown = values(metrics)
    assert shown['fimble_models{state="ready"}'] == 2
    assert shown['fimble_models{state="loading"}'] == 1
    assert shown['fimble_queue_length{model="small"}'] == 3
    assert shown['fimble_engine_busy_seconds_total{model="small"}'] == 2
    assert shown['fimble_queue_length{model="large"}'] == 0
    assert shown['fimble_computed_tokens_total{model="small"}'] == 70
    assert shown['fimble_healed_tokens_total{model="small"}'] == 900
    assert shown['fimble_drift_probes_total{model="small"}'] == 4
    assert shown['fimble_drift_same_top_total{model="small"}'] == 3
    assert shown['fimble_drift_nats_total{model="small"}'] == 0.5


async def test_the_tasks_of_the_loop_are_shown() -> None:
    metrics = Metrics()
    metrics.observe_loop(asyncio.get_running_loop())
    before = values(metrics)["fimble_tasks"]
    task = asyncio.create_task(asyncio.Event().wait())
    assert values(metrics)["fimble_tasks"] == before + 1
    task.cancel()


def test_long_turns_and_the_process_are_shown() -> None:
    metrics = Metrics()
    metrics.count_long_turn()
    shown = values(metrics)
    assert shown["fimble_long_turns_total"] == 1
    assert shown["process_resident_memory_bytes"] > 1e6
    assert shown["process_cpu_seconds_total"] > 0
    assert shown["process_threads"] >= 1
    if os.name == "posix":
        assert shown["process_open_fds"] >= 3


def test_two_processes_worth_of_metrics_do_not_share_anything() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.count(Cancelled("r"), Door.LSP)
    name = 'fimble_requests_total{door="lsp",outcome="cancelled",reason="",source=""}'
    assert (values(metrics)[name], values(other)[name]) == (1, 0)


def test_names_follow_the_conventions_of_prometheus() -> None:
    metrics = Metrics()
    metrics.observe_models(lambda: [Model()])
    for family in text_string_to_metric_families(metrics.render().decode()):
        assert re.fullmatch(r"(fimble|process)_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|mb|kb)\b", family.name)
