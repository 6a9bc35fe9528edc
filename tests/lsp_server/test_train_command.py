"""``fimble train`` on a model that is not worth training."""

from __future__ import annotations

from pathlib import Path

import pytest

import completion.training.exit_training
import completion.training.stop_training
import models.loader
from lsp_server.cli import main


class _Model:
    fingerprint = "abc-int8-v1"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Make training a matter of writing a file; returns what was trained, and with which seed."""
    calls: list[tuple[str, int]] = []

    def trainer(part: str) -> object:
        def train(_model: object, folder: Path, _progress: object, seed: int) -> Path:
            calls.append((part, seed))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "shard").write_text("large")
            path = folder / f"abc-{part}.safetensors"
            path.write_text(part)
            return path

        return train

    monkeypatch.setattr(models.loader, "load_model", lambda *_, **__: _Model())
    monkeypatch.setattr(completion.training.exit_training, "train_exit", trainer("exit"))
    monkeypatch.setattr(completion.training.stop_training, "train_stop", trainer("stop"))
    return calls


def test_both_parts_are_trained_and_placed_and_nothing_else_is_left(
    trained: list[tuple[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--cache-dir", str(tmp_path), "--seed", "3"]) == 0
    assert trained == [("exit", 3), ("stop", 3)]
    names = ["abc-exit.safetensors", "abc-stop.safetensors"]
    assert sorted(path.name for path in (tmp_path / "trained").iterdir()) == names
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == names
    assert not (tmp_path / "training" / _Model.fingerprint).exists()


def test_one_part_may_be_trained_alone(trained: list[tuple[str, int]], tmp_path: Path) -> None:
    assert main(["train", "--only", "stop", "--cache-dir", str(tmp_path)]) == 0
    assert trained == [("stop", 0)]


@pytest.mark.parametrize(("variable", "is_allowed"), [("true", False), ("false", True)])
def test_who_is_offline_fetches_nothing_to_train(
    trained: list[tuple[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    is_allowed: bool,
) -> None:
    told: list[object] = []

    def load(*_: object, **options: object) -> _Model:
        told.append(options["allow_network"])
        return _Model()

    monkeypatch.setattr(models.loader, "load_model", load)
    monkeypatch.setenv("FIMBLE_MODEL_OFFLINE", variable)
    assert main(["train", "--only", "stop", "--cache-dir", str(tmp_path)]) == 0
    assert trained
    assert told == [is_allowed]


def test_an_unknown_model_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nosuch", "--cache-dir", str(tmp_path)]) == 2
    assert "'nosuch'" in capsys.readouterr().err
