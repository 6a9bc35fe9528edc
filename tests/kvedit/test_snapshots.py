"""Caches on disk: what comes back, and what is refused."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kvedit.patch import CachePatcher, PatchTarget
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from kvedit.snapshots import SnapshotStore, TableCopy, copy_of
from models.decoder import Decoder
from models.rope import rotate
from models.slot_pool import SlotPool
from models.slots import SlotTable

VOCABULARY = Vocabulary(lambda token_id: bytes([32 + token_id]), frozenset())
KEY = "file:///secret/place.py"
NUM_TOKENS = 90
CAPACITY = 200


def text(length: int = NUM_TOKENS, first: int = 0) -> list[int]:
    return [(first + 7 * at) % 61 for at in range(length)]


class Cache:
    """A table in a pool of its own, as a process has it that knows of no other."""

    def __init__(self, decoder: Decoder, dtype: torch.dtype = torch.float32) -> None:
        self.pool = SlotPool(decoder.config, 1 + 3 * CAPACITY, dtype=dtype)
        self.table = SlotTable(self.pool, CAPACITY)
        self.patcher = CachePatcher(decoder, self.pool, VOCABULARY, 16)

    def update(self, token_ids: list[int], mode: PatchMode = PatchMode.ROTATE) -> None:
        self.patcher.update(self.table, PatchTarget(token_ids), PatchPolicy(mode), lambda: None)

    def write_as_a_pass_would(self, token_ids: list[int]) -> None:
        """Random keys, rounded after their rotation, beside their rounded origins."""
        batch = self.table.stage(token_ids)
        shape = (len(token_ids), *self.pool.keys.shape[1::2])
        generator = torch.Generator().manual_seed(3)
        for layer_idx in range(len(self.pool.keys)):
            origin, value = torch.randn((2, *shape), generator=generator)
            key = rotate(origin, self.pool.rotary.table(batch.positions))
            for name, rows in {"keys": key, "origin_keys": origin, "values": value}.items():
                target = getattr(self.pool, name)[layer_idx]
                target.index_copy_(1, batch.slots, rows.transpose(0, 1).to(target.dtype))
        self.table.commit()

    def contents(self) -> tuple[Tensor, Tensor]:
        at = self.table.slots
        return self.pool.keys[:, :, at].clone(), self.pool.values[:, :, at].clone()

    def copied(self) -> TableCopy:
        found = copy_of(self.table, self.pool, NUM_TOKENS)
        assert found is not None
        return found

    def check_equals(self, other: Cache) -> None:
        self.table.check()
        assert self.table.token_ids == other.table.token_ids
        assert self.table.ages().tolist() == other.table.ages().tolist()
        for mine, theirs in zip(self.contents(), other.contents(), strict=True):
            assert torch.equal(mine, theirs)


class Disk:
    """A folder with its store, and processes that use it."""

    def __init__(self, decoder: Decoder, path: Path, log: pytest.LogCaptureFixture) -> None:
        self.decoder, self.path, self.log = decoder, path, log
        self.folder = path / "cache" / "sessions"
        self.store = self.store_of("model")

    def store_of(self, fingerprint: str, max_bytes: int = 10_000_000) -> SnapshotStore:
        return SnapshotStore(self.folder, fingerprint, max_bytes)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*"))

    def save(self, cache: Cache, num_tokens: int = NUM_TOKENS) -> None:
        self.store.save(KEY, cache.table, cache.pool, num_tokens)

    def saved(
        self, token_ids: list[int], store: SnapshotStore | None = None, key: str = KEY
    ) -> Cache:
        cache = Cache(self.decoder)
        cache.update(token_ids)
        (store or self.store).save(key, cache.table, cache.pool, NUM_TOKENS)
        return cache

    def loaded(self, store: SnapshotStore | None = None, key: str = KEY) -> Cache | None:
        cache = Cache(self.decoder)
        is_loaded = (store or self.store).load(key, cache.table, cache.pool)
        cache.table.check()
        assert is_loaded == bool(len(cache.table))
        return cache if is_loaded else None

    def check_holds(self, expected: Cache, key: str = KEY) -> None:
        loaded = self.loaded(key=key)
        assert loaded is not None
        loaded.check_equals(expected)

    def check_refuses(self, path: Path, store: SnapshotStore | None = None) -> None:
        self.log.clear()
        assert self.loaded(store) is None
        assert len(self.log.messages) == 1
        assert not path.exists()


@pytest.fixture
def disk(
    network: Callable[[str], Decoder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Disk:
    return Disk(network("default"), tmp_path, caplog)


def test_an_exact_cache_comes_back_bit_by_bit(disk: Disk) -> None:
    old, new = disk.saved(text()), disk.loaded()
    assert new is not None
    new.check_equals(old)
    assert new.table.is_exact()


def test_a_patched_cache_comes_back_as_patched_as_it_was(disk: Disk) -> None:
    old = Cache(disk.decoder)
    for num_edits in range(3):
        old.update([*text()[:40], *range(num_edits), *text()[40 : NUM_TOKENS - num_edits]])
    assert old.table.ages().max() == 2
    disk.save(old)
    disk.check_holds(old)


def test_a_loaded_cache_goes_on_like_the_one_that_was_saved(disk: Disk) -> None:
    old, new = disk.saved(text()), disk.loaded()
    assert new is not None
    changed = [*text()[:30], 1, 2, 3, *text()[30:]]
    for cache in (old, new):
        cache.update(changed, PatchMode.WINDOW)
        while cache.patcher.heal(cache.table, len(changed), lambda: None):
            cache.table.check()
    new.check_equals(old)
    assert new.table.is_exact()


def test_narrow_keys_are_rotated_from_their_origin(disk: Disk) -> None:
    old, new = Cache(disk.decoder, torch.bfloat16), Cache(disk.decoder, torch.bfloat16)
    old.write_as_a_pass_would(text())
    disk.save(old)
    assert disk.store.load(KEY, new.table, new.pool)
    (old_keys, old_values), (keys, values) = old.contents(), new.contents()
    assert torch.equal(old_values, values)
    # Three roundings to 8 bits lie between the two: of the origin's pair, and of either result.
    pairs = old_keys.float().reshape(-1, 2)
    differences = (keys.float().reshape(-1, 2) - pairs).abs()
    assert (differences <= pairs.norm(dim=-1, keepdim=True) * 2**-7).all()
    origins = [cache.pool.contents(cache.table.slots)[0] for cache in (old, new)]
    assert torch.equal(*origins)


@pytest.mark.parametrize("num_tokens", [0, 1, 40, NUM_TOKENS - 1, NUM_TOKENS, NUM_TOKENS + 1])
def test_the_first_tokens_alone_can_be_kept(disk: Disk, num_tokens: int) -> None:
    old = Cache(disk.decoder)
    old.update(text())
    disk.save(old, num_tokens)
    old.table.truncate(num_tokens)
    new = disk.loaded()
    (new or Cache(disk.decoder)).check_equals(old)


def test_a_table_with_less_room_takes_what_fits(disk: Disk) -> None:
    old, new = disk.saved(text()), Cache(disk.decoder)
    SlotTable(new.pool, 7)  # so that its slots are others, too
    new.table = SlotTable(new.pool, 33)
    assert disk.store.load(KEY, new.table, new.pool)
    old.table.truncate(33)
    new.check_equals(old)


def test_a_cache_that_is_loaded_inside_a_pass_of_another_can_be_changed_outside(disk: Disk) -> None:
    old, new = Cache(disk.decoder), Cache(disk.decoder)
    old.update(text())
    with torch.inference_mode():
        copied = old.copied()
    disk.store.write(KEY, copied)
    with torch.inference_mode():
        assert disk.store.load(KEY, new.table, new.pool)
    new.check_equals(old)
    new.update(text(first=1))
    new.table.check()


def test_keys_that_stand_where_they_do_not_belong_are_not_kept(disk: Disk) -> None:
    old = Cache(disk.decoder)
    old.update(text())
    old.update(text()[3:], PatchMode.STALE)
    disk.save(old)
    assert not disk.files


def test_each_document_has_a_file_of_its_own_that_tells_no_name(disk: Disk) -> None:
    first, second = disk.saved(text()), disk.saved(text(first=5), key="another")
    disk.check_holds(first)
    disk.check_holds(second, "another")
    assert disk.loaded(key="a third") is None
    assert len(disk.files) == 2
    for path in disk.files:
        assert "secret" not in path.name
        assert b"secret" not in path.read_bytes()


def test_folder_and_files_are_this_users_alone(disk: Disk) -> None:
    disk.folder.mkdir(parents=True)
    disk.folder.chmod(0o755)
    former = os.umask(0)
    try:
        disk.saved(text())
    finally:
        os.umask(former)
    assert stat.S_IMODE(disk.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in disk.files] == [0o600]


def test_a_file_that_is_cut_short_or_something_else_is_refused(disk: Disk) -> None:
    disk.saved(text())
    (path,) = disk.files
    whole = path.read_bytes()
    shorter = [whole[:length] for length in [*range(0, 1000, 37), len(whole) // 2, len(whole) - 1]]
    others = [whole + b"x", b"\0" * 64, b"\xff" * 64, b"\2\0\0\0\0\0\0\0[]", b"text"]
    for content in [*shorter, *others]:
        path.write_bytes(content)
        disk.check_refuses(path)


def test_a_file_with_one_changed_byte_is_refused_or_the_same(disk: Disk) -> None:
    old = disk.saved(text())
    (path,) = disk.files
    whole = path.read_bytes()
    for at in [*range(0, 900, 5), *range(900, len(whole), 9973)]:
        for flipped in (0x01, 0x20, 0x80):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flipped]) + whole[at + 1 :])
            new = disk.loaded()
            if new is not None:  # what only spells the header otherwise says the same
                new.check_equals(old)
            assert path.exists() == (new is not None)


def test_a_cache_of_another_model_is_refused(disk: Disk) -> None:
    disk.saved(text())
    (path,) = disk.files
    other = disk.store_of("other model")
    assert disk.loaded(other) is None
    disk.saved(text(), other)
    (foreign,) = set(disk.files) - {path}
    shutil.copy(path, foreign)  # under the name that the other model asks for
    disk.check_refuses(foreign, other)
    assert path.exists()


def test_a_cache_of_another_format_is_refused(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.saved(text())
    monkeypatch.setattr("kvedit.snapshots.FORMAT_VERSION", 2)
    disk.check_refuses(disk.files[0])


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({}, torch.bfloat16),
        ({}, torch.float64),
        ({"num_layers": 2}, torch.float32),
        ({"num_kv_heads": 1}, torch.float32),
        ({"head_dim": 16}, torch.float32),
    ],
)
def test_a_cache_of_another_shape_or_dtype_is_refused(
    disk: Disk, changes: dict[str, Any], dtype: torch.dtype
) -> None:
    disk.saved(text())
    pool = SlotPool(replace(disk.decoder.config, **changes), 1 + CAPACITY, dtype=dtype)
    table = SlotTable(pool, CAPACITY)
    assert not disk.store.load(KEY, table, pool)
    table.check()
    assert not len(table)
    assert not disk.files


def test_the_oldest_files_go_when_all_are_too_large(disk: Disk) -> None:
    keys = ["a", "b", "c", "d"]
    for at, key in enumerate(keys):
        before = set(disk.files)
        disk.saved(text(), key=key)
        (new,) = set(disk.files) - before
        os.utime(new, ns=(10**18 + at, 10**18 + at))
    room = 3 * disk.files[0].stat().st_size
    disk.saved(text(), disk.store_of("model", room))
    assert [key for key in keys if disk.loaded(key=key)] == ["c", "d"]
    assert disk.loaded() is not None
    disk.saved(text(), disk.store_of("model", 1000))  # too little for one
    assert not disk.files


@pytest.mark.parametrize("step", ["os.fdopen", "os.replace"])
def test_what_was_kept_before_outlives_a_write_that_fails(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    old = disk.saved(text())
    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        disk.saved(text(first=9))
    assert "No space left" in disk.log.text
    assert len(disk.files) == 1
    disk.check_holds(old)


def test_what_was_kept_before_outlives_a_process_that_dies_before_the_rename(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    old = disk.saved(text())
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", die)
        patch.setattr("os.unlink", lambda _: None)  # the dead clean nothing up
        with pytest.raises(Died):
            disk.saved(text(first=9))
    assert len(disk.files) == 2
    disk.check_holds(old)
    room = max(path.stat().st_size for path in disk.files)
    disk.saved(text(), disk.store_of("model", room))
    assert len(disk.files) == 1  # the draft went as the older one


def test_a_write_that_is_cancelled_leaves_what_was_kept_before(disk: Disk) -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    old, changed = disk.saved(text()), Cache(disk.decoder)
    changed.update(text(first=9))
    with pytest.raises(Cancelled):
        disk.store.write(KEY, changed.copied(), cancel)
    disk.check_holds(old)


def test_a_folder_that_cannot_be_used_is_logged_and_nothing_else(disk: Disk) -> None:
    (disk.path / "cache").write_text("a file where the folder should be")
    disk.saved(text())
    assert len(disk.log.messages) == 1
    assert disk.loaded() is None
