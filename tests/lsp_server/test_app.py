"""The composition root."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lsp_server import app
from lsp_server.host import service_key
from lsp_server.settings import EngineSettings, ModelSettings, Settings
from models.loader import default_cache_dir


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    former = torch.get_num_threads()
    yield
    torch.set_num_threads(former)


def num_threads_of_a_service(monkeypatch: pytest.MonkeyPatch, num_threads: int) -> int:
    """Build a service as the host does, in a new thread, and return what its engine would use."""
    found: list[int] = []

    def service(*_: Any) -> SimpleNamespace:
        return SimpleNamespace(engine=threading.Thread(target=compute))

    def compute() -> None:
        found.append(torch.get_num_threads())

    def build() -> None:
        built: Any = app.build_service(Settings(model=ModelSettings(num_threads=num_threads)))
        built.engine.start()
        built.engine.join()

    monkeypatch.setattr(app, "load_model", lambda *_args, **_options: None)
    monkeypatch.setattr(app, "CompletionService", service)
    loader = threading.Thread(target=build)
    loader.start()
    loader.join()
    return found[0]


def test_a_chosen_number_of_threads_counts_for_one_model_and_not_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    default = torch.get_num_threads()
    assert num_threads_of_a_service(monkeypatch, default + 1) == default + 1
    assert num_threads_of_a_service(monkeypatch, 0) == default


def test_caches_go_to_the_disk_only_where_that_is_switched_on() -> None:
    assert app._config(Settings()).engine.snapshot_folder is None
    chosen = Settings(engine=EngineSettings(snapshots=True, snapshot_mb=7))
    engine = app._config(chosen).engine
    assert engine.snapshot_folder == default_cache_dir() / "sessions"
    assert engine.snapshot_mb == 7
    assert service_key(chosen) != service_key(Settings())
