"""Training an exit head for a small random network, from files to a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from completion.training import exit_training, hidden_states
from completion.training.exit_quality import judge_shards
from completion.training.exit_training import (
    ExitExamples,
    ExitPlan,
    fit,
    frequent_token_ids,
    train_exit,
)
from completion.training.fim_windows import FimWindows
from completion.training.hidden_states import HiddenStates
from models.exit_head import EXIT, ExitHead, ExitWeights, output_rows
from models.loader import LoadedModel
from models.progress import Progress, ignore_progress
from models.trained import read_trained, trained_path

PLAN = ExitPlan(
    layer=1,
    num_tokens=120,
    inner_size=32,
    num_shards=2,
    num_counted_files=1,
    num_epochs=6,
    batch_size=64,
)
TEXT = "def add(first, second):\n    return first + second\n\n\n" * 40


@pytest.fixture
def source_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "source.py"
    path.write_text(TEXT)
    monkeypatch.setattr(exit_training, "training_files", lambda seed: [path])
    monkeypatch.setattr(exit_training, "WINDOW", 96)
    monkeypatch.setattr(hidden_states, "NUM_WINDOWS", 4)
    return path


def test_the_loss_falls(tiny_model: LoadedModel, source_file: Path, tmp_path: Path) -> None:
    windows = FimWindows(tiny_model.tokenizer, [source_file], 96, 0)
    states = HiddenStates(tiny_model, windows, tmp_path / "states", (1,))
    shards = states.collect("states", 2, ignore_progress, with_likeliest=True)
    token_ids = frequent_token_ids(tiny_model.tokenizer, [source_file], 120)
    rows = output_rows(tiny_model.decoder, token_ids)
    losses: list[float] = []
    fit(ExitExamples(shards, 1, rows), rows, PLAN, ignore_progress, 0, losses.append)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_a_trained_head_agrees_with_its_network_more_often_than_by_chance(
    tiny_model: LoadedModel, source_file: Path, tmp_path: Path
) -> None:
    path = train_exit(tiny_model, tmp_path, ignore_progress, 0, PLAN)
    assert path == trained_path(tmp_path, tiny_model.fingerprint, EXIT)
    trained = read_trained(path, EXIT, tiny_model.fingerprint)
    head = ExitHead(tiny_model.decoder, ExitWeights.from_file(trained))
    windows = FimWindows(tiny_model.tokenizer, [source_file], 96, 1)
    states = HiddenStates(tiny_model, windows, tmp_path / "others", (1,))
    shards = states.collect("states", 1, ignore_progress, with_likeliest=True)
    quality = judge_shards(head, shards)
    assert quality.first_two >= quality.first > 0.1
    assert quality.covered >= quality.first_two


def test_training_goes_on_from_the_shards_on_disk(
    tiny_model: LoadedModel, source_file: Path, tmp_path: Path
) -> None:
    def interrupted(progress: Progress) -> None:
        if progress.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_exit(tiny_model, tmp_path, interrupted, 0, PLAN)
    (first,) = tmp_path.rglob("0*.safetensors")
    written = first.stat().st_mtime_ns
    train_exit(tiny_model, tmp_path, ignore_progress, 0, PLAN)
    assert first.stat().st_mtime_ns == written


def test_the_same_seed_gives_the_same_weights(
    tiny_model: LoadedModel, source_file: Path, tmp_path: Path
) -> None:
    paths = [
        train_exit(tiny_model, tmp_path / name, ignore_progress, 3, PLAN) for name in ("a", "b")
    ]
    one, other = (read_trained(path, EXIT, tiny_model.fingerprint).tensors for path in paths)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_windows_are_reproducible_and_mostly_fill_in_the_middle(
    tiny_model: LoadedModel, source_file: Path
) -> None:
    tokenizer = tiny_model.tokenizer
    windows = FimWindows(tokenizer, [source_file], 96, 0)
    assert [windows[at] for at in range(20)] == [windows[at] for at in range(20)]
    middle = tokenizer.special_id("<|fim_middle|>")
    num_fim = sum(middle in windows[at] for at in range(50))
    assert 30 <= num_fim < 50
    assert max(len(windows[at]) for at in range(50)) <= 96


def test_the_most_frequent_tokens_come_first_and_no_control_token_at_all(
    tiny_model: LoadedModel, source_file: Path
) -> None:
    tokenizer = tiny_model.tokenizer
    token_ids = frequent_token_ids(tokenizer, [source_file], 10_000).tolist()
    counts = torch.bincount(torch.tensor(tokenizer.encode(TEXT)), minlength=tokenizer.vocab_size)
    found = counts[token_ids]
    assert torch.equal(found, found.sort(descending=True).values)
    assert all(tokenizer.token_bytes(token_id) for token_id in token_ids)
