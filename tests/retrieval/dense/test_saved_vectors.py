"""Saved vectors: what comes back, and what a crash, a full disk or damage leaves."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from retrieval.dense import storage
from retrieval.dense.embedder import Vectors
from retrieval.dense.errors import (
    VectorsCorruptError,
    VectorsMismatchError,
    VectorsNotSavedError,
)
from retrieval.dense.vectors import VectorIndex

DIMENSION = 8
KINDS = pytest.mark.parametrize("is_trained", [False, True], ids=["flat", "trained"])


def vectors(count: int = 200, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def saved(folder: Path, *, is_trained: bool, seed: int = 0) -> VectorIndex:
    index = VectorIndex("test", DIMENSION, folder)
    index.add(range(200), vectors(seed=seed))
    if is_trained:
        index.train()
    index.save()
    return index


def opened(folder: Path) -> VectorIndex:
    return VectorIndex.open(folder, "test", DIMENSION)


def check_same(index: VectorIndex, other: VectorIndex) -> None:
    assert len(index) == len(other)
    for query in vectors(10, seed=9):
        assert index.search(query, 20) == other.search(query, 20)


@KINDS
def test_an_index_comes_back_as_it_was(tmp_path: Path, is_trained: bool) -> None:
    index = saved(tmp_path / "made" / "anew", is_trained=is_trained)
    assert index.num_unsaved == 0
    check_same(opened(tmp_path / "made" / "anew"), index)


def test_nothing_saved_is_an_empty_index_that_can_be_saved(tmp_path: Path) -> None:
    index = opened(tmp_path / "none")
    assert len(index) == 0
    index.save()
    assert len(opened(tmp_path / "none")) == 0


def test_an_index_without_a_folder_cannot_be_saved() -> None:
    with pytest.raises(ValueError, match="folder"):
        VectorIndex("test", DIMENSION).save()


@KINDS
def test_what_was_opened_may_be_changed_and_saved_again(tmp_path: Path, is_trained: bool) -> None:
    saved(tmp_path, is_trained=is_trained)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    index = opened(tmp_path)
    index.remove(range(50))
    index.add([150, 2**64 - 2], vectors(2, seed=3))
    assert index.num_unsaved == 52
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    index.save()
    again = opened(tmp_path)
    check_same(again, index)
    assert len(again) == 151
    assert again.search(vectors(2, seed=3)[1], 1)[0].key == 2**64 - 2
    again.train()
    again.save()
    assert len(opened(tmp_path)) == 151


@KINDS
def test_who_opened_before_a_save_keeps_what_was_opened(tmp_path: Path, is_trained: bool) -> None:
    first = saved(tmp_path, is_trained=is_trained)
    reader = opened(tmp_path)
    saved(tmp_path, is_trained=is_trained, seed=1)
    check_same(reader, first)
    reader.remove([0])
    first.remove([0])
    check_same(reader, first)


def test_a_save_leaves_no_files_of_those_before(tmp_path: Path) -> None:
    saved(tmp_path, is_trained=False)
    (tmp_path / "flat-abandoned.bin").write_bytes(b"of a process that was killed")
    saved(tmp_path, is_trained=True)
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == [
        "inverted",
        "manifest.json",
    ]


def test_vectors_are_for_their_user_only(tmp_path: Path) -> None:
    saved(tmp_path / "vectors", is_trained=True)
    assert (tmp_path / "vectors").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "vectors").iterdir()} == {0o600}


@pytest.mark.parametrize(("embedder", "dimension"), [("other", DIMENSION), ("test", 16)])
def test_vectors_of_another_embedder_are_refused(
    tmp_path: Path, embedder: str, dimension: int
) -> None:
    saved(tmp_path, is_trained=False)
    with pytest.raises(VectorsMismatchError, match="test"):
        VectorIndex.open(tmp_path, embedder, dimension)


def test_vectors_of_another_version_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, is_trained=False)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    with pytest.raises(VectorsMismatchError, match="99"):
        opened(tmp_path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@KINDS
@pytest.mark.parametrize("damage", [truncated, flipped, os.unlink])
def test_damaged_files_are_noticed(
    tmp_path: Path, is_trained: bool, damage: Callable[[Path], None]
) -> None:
    saved(tmp_path, is_trained=is_trained)
    for path in tmp_path.glob("*.bin"):
        content = path.read_bytes()
        damage(path)
        with pytest.raises(VectorsCorruptError, match="delete"):
            opened(tmp_path)
        path.write_bytes(content)
    assert len(opened(tmp_path)) == 200


@pytest.mark.parametrize(
    "change", [{"files": {}}, {"files": []}, {"files": {"flat": 3}}, {"files": {"flat": [1, 2]}}]
)
def test_a_damaged_manifest_is_noticed(tmp_path: Path, change: dict[str, object]) -> None:
    saved(tmp_path, is_trained=False)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(VectorsCorruptError, match="delete"):
        opened(tmp_path)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_none_is_noticed(tmp_path: Path, text: bytes) -> None:
    saved(tmp_path, is_trained=False)
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(VectorsCorruptError, match="delete"):
        opened(tmp_path)


@KINDS
@pytest.mark.parametrize("step", ["os.open", "os.fsync", "os.replace"])
def test_what_was_saved_before_outlives_a_save_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, is_trained: bool
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    old = saved(tmp_path, is_trained=is_trained)
    index = opened(tmp_path)
    index.add(range(300), vectors(300, seed=1))
    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        with pytest.raises(VectorsNotSavedError, match="No space left"):
            index.save()
    assert index.num_unsaved == 300
    check_same(opened(tmp_path), old)
    index.save()
    check_same(opened(tmp_path), index)


@KINDS
def test_what_was_saved_before_outlives_a_file_that_may_not_grow(
    tmp_path: Path, is_trained: bool
) -> None:
    old = saved(tmp_path, is_trained=is_trained)
    num_files = len(list(tmp_path.iterdir()))
    index = opened(tmp_path)
    index.add(range(20_000), vectors(20_000, seed=1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(VectorsNotSavedError, match="cannot save"):
            index.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(tmp_path.iterdir())) == num_files
    check_same(opened(tmp_path), old)


SAVES_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from retrieval.dense.vectors import VectorIndex

index = VectorIndex("test", 8, Path(sys.argv[1]))
for number in range(10_000):
    keys = range(3000 * number, 3000 * number + 3000)
    index.add(keys, np.random.default_rng(number).normal(size=(3000, 8)).astype(np.float32))
    index.retain(keys)
    if number == 7:
        index.train()
    index.save()
    print(number, flush=True)
"""


@pytest.mark.parametrize("num_saves", [1, 2, 7, 9, 12, 20])
def test_a_process_killed_while_it_saves_leaves_one_of_its_states(
    tmp_path: Path, num_saves: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SAVES_FOR_EVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        for _ in range(num_saves):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    index = opened(tmp_path)
    number = index.search(vectors(1)[0], 1)[0].key // 3000
    assert number >= num_saves - 1
    assert len(index) == 3000
    assert all(key in index for key in range(3000 * number, 3000 * number + 3000))


def test_a_reader_whose_files_a_save_deleted_reads_the_new_ones(tmp_path: Path) -> None:
    identity = {"of": "this test"}

    def save(content: bytes) -> None:
        storage.save(tmp_path, identity, {"content": lambda file: file.write(content)})

    def build(files: Mapping[str, Path]) -> bytes:
        if files["content"].read_bytes() == b"old":
            save(b"new")
        return files["content"].read_bytes()

    save(b"old")
    assert storage.load(tmp_path, identity, build) == b"new"
