"""The setting of a draft model: who may choose it, and that it is loaded beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsp_server import app
from lsp_server.host import service_key
from lsp_server.options import from_mapping
from lsp_server.settings import EngineSettings, ModelSettings, Settings, all_specs

KEY = "engine.draft_model"


def built(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> tuple[list[Any], list[Any]]:
    """Return the names that were loaded and what the service was made of."""
    loaded: list[Any] = []
    made: list[Any] = []

    def load(name: str, **options: object) -> str:
        loaded.append((name, options["device"], options["allow_network"]))
        return f"model {name}"

    monkeypatch.setattr(app, "load_model", load)
    monkeypatch.setattr(app, "CompletionService", lambda *parts: made.extend(parts))
    app.build_service(settings)
    return loaded, made


def test_without_the_setting_one_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, made = built(monkeypatch, Settings())
    assert [name for name, *_ in loaded] == [Settings().model.name]
    assert made[3] is None


def test_the_draft_model_is_loaded_like_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelSettings(name="large", device="cpu", offline=True)  # type: ignore[arg-type]
    settings = Settings(model=model, engine=EngineSettings(draft_model="small"))
    loaded, made = built(monkeypatch, settings)
    assert loaded == [("large", "cpu", False), ("small", "cpu", False)]
    assert (made[0], made[3]) == ("model large", "model small")


@pytest.mark.parametrize(
    "engine", [EngineSettings(draft_model="qwen2.5-coder-0.5b"), EngineSettings(early_exit=0.9)]
)
def test_whatever_else_writes_the_text_makes_another_service(engine: EngineSettings) -> None:
    chosen = Settings(engine=engine)
    assert service_key(chosen) != service_key(Settings())


@pytest.mark.parametrize(
    ("value", "needs_trust"),
    [("", False), ("qwen2.5-coder-0.5b", False), ("./weights", True), ("somebody/model", True)],
)
def test_a_project_chooses_among_registered_models_only(value: str, needs_trust: bool) -> None:
    assert all_specs()[KEY].rule.needs_trust(value) is needs_trust


@pytest.mark.parametrize(
    ("written", "is_path"),
    [("qwen2.5-coder-0.5b", False), ("somebody/model", False), ("./weights", True), ("", False)],
)
def test_only_a_path_starts_from_the_folder_of_its_file(
    tmp_path: Path, written: str, is_path: bool
) -> None:
    options = from_mapping({"engine": {"draft_model": written}}, "file").anchored(tmp_path)
    expected = str(tmp_path / written) if is_path else written
    assert options.values == {KEY: expected}
