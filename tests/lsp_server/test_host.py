"""Services shared by leases: who builds one, who ends it, and when."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lsp_server.host import Lease, LoadingState, ModelHost, ModelProgress
from lsp_server.settings import Settings
from models.progress import Progress, ProgressCallback

MakeHost = Callable[..., ModelHost]


@pytest.fixture
def make_host(make_service: Any) -> Iterator[MakeHost]:
    """Return ``make_host(build)``; without one, every build succeeds with a service of its own."""
    hosts: list[ModelHost] = []

    def make(build: Callable[[Settings, ProgressCallback], Any] | None = None) -> ModelHost:
        hosts.append(ModelHost(build or (lambda _settings, _progress: make_service())))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


def named(name: str) -> Settings:
    settings = Settings()
    return replace(settings, model=replace(settings.model, name=name))


def built(lease: Lease) -> Any:
    """Wait for the build of ``lease`` and return its service."""
    done = threading.Event()
    lease.add_done_callback(done.set)
    assert done.wait(10)
    return lease.ready


def test_equal_settings_share_a_service_and_others_do_not(make_host: MakeHost) -> None:
    host = make_host()
    first, same, other = host.lease(named("a")), host.lease(named("a")), host.lease(named("b"))
    assert built(first) is built(same)
    assert built(first) is not built(other)
    assert [(one.name, one.num_clients) for one in host.status()] == [("a", 2), ("b", 1)]


def test_a_service_without_clients_stays_until_its_time_is_over(make_host: MakeHost) -> None:
    host = make_host()
    lease = host.lease(Settings())
    service = built(lease)
    host.unload_unused(10, now=float("inf"))
    assert not service.is_closed, "a client holds it"
    lease.close()
    host.unload_unused(0, now=float("inf"))
    assert not service.is_closed, "0 means never"
    host.unload_unused(10)
    assert not service.is_closed, "ten seconds have not passed"
    assert built(host.lease(Settings())) is service, "it serves the next client"
    host.unload_unused(10, now=float("inf"))
    assert not service.is_closed


def test_what_was_unused_for_long_enough_is_closed_and_built_anew(make_host: MakeHost) -> None:
    host = make_host()
    lease = host.lease(Settings())
    service = built(lease)
    lease.close()
    host.unload_unused(10, now=float("inf"))
    assert service.is_closed
    assert host.status() == []
    assert built(host.lease(Settings())) is not service


def test_the_memory_of_a_dropped_service_is_given_back_at_once(make_host: MakeHost) -> None:
    host = make_host()
    lease = host.lease(Settings())
    service = built(lease)
    service.outcome = service.complete  # a cycle, as networks of modules have
    is_there = weakref.ref(service)
    del service
    lease.close()
    del lease
    gc.disable()
    try:
        host.unload_unused(10, now=float("inf"))
        assert is_there() is None
    finally:
        gc.enable()


def test_a_service_that_its_last_client_dropped_is_closed(make_host: MakeHost) -> None:
    host = make_host()
    first, second = host.lease(Settings()), host.lease(Settings())
    service = built(first)
    first.close(drop=True)
    assert host.status()[0].num_clients == 1
    assert not service.is_closed
    second.close(drop=True)
    assert host.status() == []


def test_a_failed_build_is_told_to_its_leases_and_tried_again(
    make_host: MakeHost, make_service: Any
) -> None:
    failures = [OSError("no space left")]

    def build(_settings: Settings, _progress: ProgressCallback) -> Any:
        if failures:
            raise failures.pop()
        return make_service()

    host = make_host(build)
    failed = host.lease(Settings())
    assert built(failed) is None
    assert str(failed.error) == "no space left"
    assert host.status()[0].state is LoadingState.FAILED
    assert host.status()[0].detail == "no space left"
    assert built(host.lease(Settings())) is not None


def test_every_lease_is_told_how_far_loading_is(make_host: MakeHost, make_service: Any) -> None:
    go_on = threading.Event()

    def build(_settings: Settings, progress: ProgressCallback) -> Any:
        assert go_on.wait(10)
        progress(Progress("fetching", 1, 4))
        progress(Progress("loading", 0, None))
        return make_service()

    lease = make_host(build).lease(Settings())
    told: list[ModelProgress] = []
    untold: list[ModelProgress] = []
    lease.on_progress(told.append)
    lease.on_progress(untold.append)()
    go_on.set()
    built(lease)
    assert told == [ModelProgress("fetching", 0.25), ModelProgress("loading", None)]
    assert [progress.text for progress in told] == ["fetching, 25%", "loading"]
    assert untold == []


def test_a_host_is_idle_while_no_model_works_and_none_is_loaded(make_host: MakeHost) -> None:
    may_load = threading.Event()
    services: list[Any] = []

    def build(_settings: Settings, _progress: ProgressCallback) -> Any:
        assert may_load.wait(10)
        return services[-1]

    host = make_host(build)
    assert host.is_idle
    for is_idle in (True, False):
        services.append(SimpleNamespace(is_idle=is_idle, close=lambda: None))
        may_load.clear()
        lease = host.lease(named(str(is_idle)))
        assert not host.is_idle
        may_load.set()
        built(lease)
        assert host.is_idle is is_idle
