"""The index on disk: killed at every step, cut, locked, full, and read by others meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrieval.chunk import Chunk
from retrieval.sparse.corpus import LiveSegment
from retrieval.sparse.errors import (
    IndexDamagedError,
    IndexLockedError,
    IndexSchemaError,
    IndexWriteError,
)
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.merge import merge
from retrieval.sparse.segment import Segment
from retrieval.sparse.store import IndexStore
from retrieval.stamp import Stamp


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[IndexStore]:
    store = IndexStore.for_writing(tmp_path / "index")
    yield store
    store.close()


def new_segment(store: IndexStore, number: int, *names: str) -> Segment:
    files = [
        IndexedFile(name, Stamp(number, 0, 0), [Chunk(0, 1, (), f"aa round{number}")])
        for name in names
    ]
    return Segment.build(files).write(store.new_segment_folder())


def commit_round(store: IndexStore, index: SparseIndex, number: int) -> None:
    """Give two files, in two segments, the stamp ``number`` at once; merge every third time."""
    for name in ("a.py", "b.py"):
        index.add(new_segment(store, number, name))
    store.commit(index.segments)
    if number % 3 == 0:
        inputs = index.segments
        folders = [live.segment.folder for live in inputs if live.segment.folder]
        target = store.new_segment_folder()
        index.replace(inputs, merge(folders, [live.dead for live in inputs], target))
        store.commit(index.segments)


def committed_round(folder: Path) -> int:
    """Return the round that the index is in, whole; 0 if it is empty."""
    index = SparseIndex(IndexStore.for_reading(folder).load())
    numbers = {path: stamp.mtime_ns for path, stamp in index.stamps().items()}
    if not numbers:
        return 0
    number = numbers["a.py"]
    assert numbers == {"a.py": number, "b.py": number}
    hits = index.search({f"round{number}": 1.0}, 9)
    assert [hit.path for hit in hits] == ["a.py", "b.py"]
    return number


def segment_names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "segments").iterdir()}


def test_what_was_committed_is_loaded_again(writer: IndexStore, tmp_path: Path) -> None:
    index = SparseIndex(writer.load())
    for number in range(1, 5):
        commit_round(writer, index, number)
        assert committed_round(tmp_path / "index") == number
    wanted = {live.segment.folder.name for live in index.segments if live.segment.folder}
    assert segment_names(tmp_path / "index") == wanted


def test_a_new_folder_holds_an_empty_index(tmp_path: Path) -> None:
    assert IndexStore.for_reading(tmp_path / "nowhere").load() == ()


def test_there_is_one_writer_and_any_number_of_readers(writer: IndexStore, tmp_path: Path) -> None:
    commit_round(writer, SparseIndex(writer.load()), 1)
    with pytest.raises(IndexLockedError, match="another process"):
        IndexStore.for_writing(tmp_path / "index")
    reader = IndexStore.for_reading(tmp_path / "index")
    assert len(reader.load()) == 2
    with pytest.raises(IndexLockedError, match="for reading"):
        reader.commit(())


def test_a_closed_writer_makes_room_for_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        IndexStore.for_writing(tmp_path / "index").close()


def test_a_reader_keeps_what_a_writer_removed(writer: IndexStore, tmp_path: Path) -> None:
    index = SparseIndex(writer.load())
    commit_round(writer, index, 1)
    reader = SparseIndex(IndexStore.for_reading(tmp_path / "index").load())
    writer.clear()
    assert segment_names(tmp_path / "index") == set()
    assert len(reader.search({"aa": 1.0}, 9)) == 2


def test_a_reader_that_a_commit_overtakes_reads_the_newer_state(
    writer: IndexStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = SparseIndex(writer.load())
    commit_round(writer, index, 2)
    open_segment = Segment.open

    def overtaken(folder: Path) -> Segment:
        monkeypatch.setattr(Segment, "open", open_segment)
        commit_round(writer, index, 3)
        return open_segment(folder)

    monkeypatch.setattr(Segment, "open", overtaken)
    assert committed_round(tmp_path / "index") == 3


def test_a_segment_from_elsewhere_is_not_committed(writer: IndexStore, tmp_path: Path) -> None:
    for segment in (Segment.build([]), Segment.build([]).write(tmp_path / "elsewhere")):
        with pytest.raises(ValueError, match="cannot be committed"):
            writer.commit([LiveSegment(segment)])


# Killed before each call that changes the disk in turn: in writing, in merging, in cleaning up.
CHANGES_OF_THE_DISK = ("fsync", "replace", "rename", "mkdir", "rmdir", "unlink")


def run_until_killed(folder: Path, num_calls: int) -> None:
    """Commit rounds in this process until the call ``num_calls`` of an operation on the disk."""
    remaining = num_calls

    def killing(function: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            nonlocal remaining
            remaining -= 1
            if remaining < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return counted

    for name in CHANGES_OF_THE_DISK:
        setattr(os, name, killing(getattr(os, name)))
    store = IndexStore.for_writing(folder)
    index = SparseIndex(store.load())
    for number in range(committed_round(folder) + 1, 1000):
        commit_round(store, index, number)


def test_a_writer_killed_at_any_step_leaves_the_state_of_its_last_commit(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    former = 0
    for num_calls in range(0, 260, 9):
        child = multiprocessing.get_context("fork").Process(
            target=run_until_killed, args=(folder, num_calls)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        reached = committed_round(folder)
        assert reached >= former
        former = reached
    assert former > 3
    store = IndexStore.for_writing(folder)
    named = {live.segment.folder.name for live in store.load() if live.segment.folder}
    assert segment_names(folder) == named
    store.close()


WRITER_SCRIPT = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("writer", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["writer"] = module
spec.loader.exec_module(module)
store = module.IndexStore.for_writing(Path(sys.argv[2]))
index = module.SparseIndex(store.load())
for number in range(1, 10_000):
    module.commit_round(store, index, number)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("num_rounds", [1, 3])
def test_a_commit_that_was_answered_survives_a_kill(num_rounds: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER_SCRIPT, __file__, str(tmp_path / "index")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for number in range(1, num_rounds + 1):
            assert int(child.stdout.readline()) == number
        child.kill()
        rest = child.stdout.read().split()
    last_answered = int(rest[-1]) if rest else num_rounds
    assert committed_round(tmp_path / "index") in (last_answered, last_answered + 1)


def full_disk(index: SparseIndex, store: IndexStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        commit_round(store, index, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def refused(name: str) -> Callable[[SparseIndex, IndexStore], None]:
    def fail(index: SparseIndex, store: IndexStore) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, name, refuse)
            commit_round(store, index, 3)

    return fail


@pytest.mark.parametrize(
    "fail",
    [full_disk, *map(refused, ("fsync", "mkdir", "rename", "replace"))],
    ids=["no room", "fsync", "mkdir", "rename", "replace"],
)
def test_a_refused_write_leaves_the_former_state(
    fail: Callable[[SparseIndex, IndexStore], None], writer: IndexStore, tmp_path: Path
) -> None:
    index = SparseIndex(writer.load())
    commit_round(writer, index, 2)
    with pytest.raises(IndexWriteError, match="try again"):
        fail(index, writer)
    assert committed_round(tmp_path / "index") == 2
    again = SparseIndex(writer.load())
    commit_round(writer, again, 3)
    assert committed_round(tmp_path / "index") == 3


def test_a_folder_that_cannot_be_made_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexWriteError, match="cannot be written"):
        IndexStore.for_writing(tmp_path / "file" / "index")


def empty_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"")


def cut_the_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-3])


def misunderstand_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def change_the_dead(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["segments"][0]["dead"] = [0]
    path.write_text(json.dumps(content))


def lose_a_segment(folder: Path) -> None:
    shutil.rmtree(next((folder / "segments").iterdir()))


def exchange_segments(folder: Path) -> None:
    first, second = sorted((folder / "segments").iterdir())
    first.rename(folder / "first")
    second.rename(first)
    (folder / "first").rename(second)


def cut_an_array(folder: Path) -> None:
    path = next((folder / "segments").iterdir()) / "postings.chunks.npy"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        empty_the_manifest,
        cut_the_manifest,
        misunderstand_the_manifest,
        change_the_dead,
        lose_a_segment,
        exchange_segments,
        cut_an_array,
    ],
)
def test_damage_is_reported_and_cleared(
    damage: Callable[[Path], None], writer: IndexStore, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    index = SparseIndex(writer.load())
    # Two segments of different sizes: equal ones could be exchanged without harm.
    index.add(new_segment(writer, 1, "a.py"))
    index.add(new_segment(writer, 1, "b.py", "c.py"))
    writer.commit(index.segments)
    damage(folder)
    with pytest.raises(IndexDamagedError, match="build the index anew"):
        writer.load()
    writer.clear()
    assert writer.load() == ()
    assert segment_names(folder) == set()


def test_a_manifest_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    (folder / "manifest.json").mkdir(parents=True)
    with pytest.raises(IndexDamagedError):
        IndexStore.for_reading(folder).load()


def test_a_newer_manifest_is_told_from_damage(writer: IndexStore, tmp_path: Path) -> None:
    writer.commit(())
    path = tmp_path / "index" / "manifest.json"
    path.write_text(json.dumps({"schema": 99, "whatever": 1}))
    with pytest.raises(IndexSchemaError, match="layout 99"):
        writer.load()
