"""The composition root."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lsp_server import app
from lsp_server.building import new_host
from lsp_server.host import service_key
from lsp_server.settings import EngineSettings, IndexSettings, ModelSettings, Settings
from models.loader import default_cache_dir
from retrieval.workspaces import IndexOptions, Workspaces


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


class Weights:
    """Stands for a network: something that a weak reference may lead to."""

    def token_vectors(self) -> str:
        return "vectors"


@pytest.mark.parametrize("is_wanted", [True, False])
def test_token_vectors_are_offered_where_an_index_wants_them_and_keep_no_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_wanted: bool
) -> None:
    offered: list[Any] = []
    models = [
        SimpleNamespace(
            fingerprint="model", decoder=Weights(), tokenizer=SimpleNamespace(encode=list)
        )
    ]
    workspaces = Workspaces(IndexOptions(tmp_path, embeds_tokens=is_wanted))
    monkeypatch.setattr(workspaces, "use_embedder", offered.append)
    monkeypatch.setattr(app, "load_model", lambda *_args, **_options: models[0])
    monkeypatch.setattr(app, "CompletionService", lambda *_: None)
    app.build_service(Settings(), workspaces=workspaces)
    assert len(offered) == is_wanted
    for source in offered:
        assert (source.name, source.encode("ab"), source.load()) == ("model", ["a", "b"], "vectors")
        models.clear()
        gc.collect()
        assert source.load() is None


@pytest.mark.parametrize(
    ("settings", "wants_token_vectors", "names"),
    [
        (IndexSettings(), False, []),
        (IndexSettings(dense="static"), True, []),
        (IndexSettings(dense="coder"), False, ["coder"]),
        (IndexSettings(dense="coder", dense_layers=3), False, ["coder:3"]),
        (IndexSettings(dense="coder", enabled=False), False, []),
        (IndexSettings(dense="static", enabled=False), False, []),
    ],
)
def test_the_settings_say_by_what_meaning_is_found(
    monkeypatch: pytest.MonkeyPatch,
    settings: IndexSettings,
    wants_token_vectors: bool,
    names: list[str],
) -> None:
    used: list[str] = []
    monkeypatch.setattr(Workspaces, "use_embedder", lambda _, embedder: used.append(embedder.name))
    host = new_host(settings)
    assert (host.workspaces.wants_token_vectors, used) == (wants_token_vectors, names)
    host.close()
