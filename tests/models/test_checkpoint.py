from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.checkpoint import (
    checkpoint_folder,
    convert,
    encoded_tensors,
    list_checkpoints,
    open_checkpoint,
)
from models.errors import CorruptWeightsError
from models.files import exclusive
from models.progress import Progress, ignore_progress
from models.quantize import Precision
from models.sources.directory import DirectorySource

MakePath = Callable[..., Path]


@pytest.fixture
def source(tiny_directory: MakePath) -> DirectorySource:
    return DirectorySource(tiny_directory("qwen2"))


@pytest.fixture
def folder(tmp_path: Path, source: DirectorySource) -> Path:
    return checkpoint_folder(tmp_path / "cache", source.fingerprint, Precision.INT8)


@pytest.mark.parametrize("precision", list(Precision))
def test_what_is_written_is_what_is_read(
    source: DirectorySource, tmp_path: Path, precision: Precision
) -> None:
    stored = convert(source, tmp_path / "c", precision, ignore_progress)
    expected: dict[str, Tensor] = {}
    for _, tensors in encoded_tensors(source, source.config(), precision):
        expected |= tensors
    weights = stored.weights()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert stored.config() == source.config()
    assert (stored.name, stored.precision) == (source.name, precision)


def test_one_file_per_layer_and_nothing_unfinished_is_left(
    source: DirectorySource, folder: Path, seen_progress: list[Progress]
) -> None:
    abandoned = folder.parent / f".{folder.name}.crashed"
    abandoned.mkdir(parents=True)
    convert(source, folder, Precision.INT8, seen_progress.append)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    names = {path.name for path in folder.iterdir()}
    layers = {"layer-000.safetensors", "layer-001.safetensors"}
    assert names == layers | {
        "shared.safetensors",
        "config.json",
        "tokenizer.json",
        "manifest.json",
    }
    assert seen_progress[-1].done == seen_progress[-1].total == 2


def cut(folder: Path) -> None:
    path = folder / "layer-001.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def lose(folder: Path) -> None:
    (folder / "shared.safetensors").unlink()


def garble_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def age(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format_version": 0}))


def empty_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


@pytest.mark.parametrize("damage", [cut, lose, garble_manifest, age, empty_manifest])
def test_a_broken_or_outdated_checkpoint_counts_as_absent(
    source: DirectorySource, folder: Path, damage: Callable[[Path], None]
) -> None:
    convert(source, folder, Precision.INT8, ignore_progress)
    cache_dir = folder.parent.parent
    assert [stored.folder for stored in list_checkpoints(cache_dir)] == [folder]
    damage(folder)
    assert open_checkpoint(folder) is None
    assert list_checkpoints(cache_dir) == []
    assert open_checkpoint(folder.parent / "never-made") is None
    convert(source, folder, Precision.INT8, ignore_progress).verify(ignore_progress)


def test_verify_finds_one_flipped_bit_that_the_size_hides(
    source: DirectorySource, folder: Path
) -> None:
    stored = convert(source, folder, Precision.INT8, ignore_progress)
    stored.verify(ignore_progress)
    path = folder / "layer-000.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    reopened = open_checkpoint(folder)
    assert reopened is not None
    with pytest.raises(CorruptWeightsError, match=r"layer-000.*models pull"):
        reopened.verify(ignore_progress)


def test_a_conversion_that_fails_leaves_the_old_checkpoint_and_no_rest(
    source: DirectorySource, folder: Path, tiny_directory: MakePath
) -> None:
    before = convert(source, folder, Precision.INT8, ignore_progress)
    lacking = DirectorySource(tiny_directory("llama"))
    qwen2 = dict(json.loads((lacking._folder / "config.json").read_text()), model_type="qwen2")
    (lacking._folder / "config.json").write_text(json.dumps(qwen2))
    with pytest.raises(CorruptWeightsError, match="bias"):
        convert(lacking, folder, Precision.INT8, ignore_progress)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    before.verify(ignore_progress)


FULL_DISK = """
import resource, sys
from pathlib import Path
from models.checkpoint import convert
from models.errors import DiskFullError
from models.progress import ignore_progress
from models.quantize import Precision
from models.sources.directory import DirectorySource

limit = int(sys.argv[3])
source = DirectorySource(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    convert(source, Path(sys.argv[2]), Precision.FLOAT32, ignore_progress)
except DiskFullError as error:
    sys.stdout.write(f"full: {error}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is a POSIX one")
@pytest.mark.parametrize("limit_bytes", [100, 20_000, 60_000])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(
    tiny_directory: MakePath, tmp_path: Path, limit_bytes: int
) -> None:
    made, cache = tiny_directory("qwen2"), tmp_path / "cache"
    arguments = [str(made), str(cache / "checkpoint"), str(limit_bytes)]
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("full: no room left"), ended.stderr
    assert list(cache.iterdir()) == []
    assert DirectorySource(made).is_complete()


def _hold(path: Path, taken: Path, release: Path) -> None:
    import time

    with exclusive(path, ignore_progress):
        taken.touch()
        while not release.exists():
            time.sleep(0.01)


def test_a_second_process_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    lock, taken, release = tmp_path / "lock", tmp_path / "taken", tmp_path / "release"
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(lock, taken, release))
    other.start()
    while not taken.exists():
        other.join(0.01)
        assert other.is_alive()
    stages: list[str] = []

    def on_progress(progress: Progress) -> None:
        stages.append(progress.stage)
        release.touch()

    with exclusive(lock, on_progress):
        assert len(stages) == 1
        assert "waiting" in stages[0]
    other.join()
