"""Indexes whose process is killed, that another process keeps, and that cannot be written."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import psutil
import pytest

from retrieval.keeper import IndexKeeper, Refreshed
from retrieval.open_text import OpenText
from retrieval.sparse.corpus import Hit
from retrieval.sparse.errors import IndexLockedError, IndexWriteError
from retrieval.sparse.store import IndexStore
from retrieval.workspace import IndexState, WorkspaceIndex
from retrieval.workspaces import IndexOptions

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Paths = Callable[[WorkspaceIndex, str], list[str]]
Hits = Callable[..., list[Hit]]
Eventually = Callable[[Callable[[], object]], None]
Shown = Callable[..., OpenText]

FILES = {
    "a.py": "def alpha(): return 1\n",
    "src/b.py": "def beta(): return 2\n",
    "src/c.py": "def gamma(): return 3\n",
}
NUM_FILES = 200
# Changes, adds and deletes files between refreshes, and says when each of those begins.
CHILD = """\
import random, sys
from pathlib import Path
from retrieval.workspace import WorkspaceIndex
from retrieval.workspaces import IndexOptions
folder, store, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
index = WorkspaceIndex(folder, IndexOptions(store, num_workers=2))
assert index.is_writer
while True:
    for _ in range(rng.choice((3, 40))):
        path = folder / f"f{rng.randrange(250)}.py"
        if rng.random() < 0.2:
            path.unlink(missing_ok=True)
        else:
            path.write_text(f"def word{rng.randrange(9)}(): return {rng.random()}\\n" * 5)
    print("refreshing", flush=True)
    index.refresh(lambda progress: None, lambda: None)
"""
WORDS = "alpha beta gamma " + " ".join(f"word{number}" for number in range(9))


@contextlib.contextmanager
def refreshing_process(folder: Path, store: Path, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-c", CHILD, str(folder), str(store), str(seed)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def state_of(index: WorkspaceIndex, hits: Hits) -> set[tuple[str, int, int, int]]:
    found = hits(index, WORDS)
    assert len({(hit.path, hit.start_line) for hit in found}) == len(found)
    return {(hit.path, hit.start_line, hit.end_line, hit.key) for hit in found}


def all_have_ended(processes: Iterable[psutil.Process]) -> bool:
    def has_ended(process: psutil.Process) -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return all(map(has_ended, processes))


def test_a_process_that_is_killed_leaves_a_whole_index_and_no_process(
    folder: Path,
    write: Write,
    tmp_path: Path,
    open_index: OpenIndex,
    refresh: Refresh,
    hits: Hits,
    eventually: Eventually,
) -> None:
    write({f"f{at}.py": f"def word{at % 9}(): return {at}\n" * 5 for at in range(NUM_FILES)})
    rng, num_workers = random.Random(1), 0
    for seed in range(6):
        with refreshing_process(folder, tmp_path / "indexes", seed) as process:
            assert process.stdout is not None
            for _ in range(rng.randint(1, 3)):
                assert process.stdout.readline() == b"refreshing\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.random() * 0.8)  # a moment anywhere in a refresh
            assert process.poll() is None
            workers = psutil.Process(process.pid).children(recursive=True)
            process.kill()
        num_workers += len(workers)
        eventually(partial(all_have_ended, workers))
        index = open_index()
        assert index.is_writer
        for hit in hits(index, WORDS):
            text = index.lines(hit.path, hit.start_line, hit.end_line)
            assert text is None or "def word" in text
        index.close()
    assert num_workers
    index, fresh = open_index(), open_index(store=tmp_path / "others")
    refresh(index)
    refresh(fresh)
    assert state_of(index, hits) == state_of(fresh, hits)
    index.close()
    segments = {path.name for path in (index.store_folder / "segments").iterdir()}
    named = IndexStore.for_reading(index.store_folder).load()
    assert segments == {live.segment.folder.name for live in named if live.segment.folder}


@pytest.mark.parametrize("step", ["new_folder", "commit"])
def test_a_full_disk_is_told_of_and_searches_go_on(
    step: str,
    start_index: OpenIndex,
    paths: Paths,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
    shown: Shown,
) -> None:
    index = start_index(FILES)
    num_tries: list[None] = []

    def refuse(*_: object) -> None:
        num_tries.append(None)
        raise OSError(28, "No space left on device")

    name = {"new_folder": "write_durably", "commit": "os.replace"}[step]
    module = {"new_folder": "arrays", "commit": "store"}[step]
    with monkeypatch.context() as patch:
        patch.setattr(f"retrieval.sparse.{module}.{name}", refuse)
        write({"a.py": "def epsilon(): return 'changed'\n"})
        eventually(lambda: index.status().state is IndexState.FAILED)
        assert "No space left on device" in index.status().detail
        assert "free some space" in index.status().detail
        assert set(paths(index, WORDS)) >= {"src/b.py", "src/c.py"}
        done = len(num_tries)
        index.note(shown("src/b.py", "import a\n"))
        eventually(lambda: not index.symbols.has_work)  # the thread went on, but did not try again
        assert len(num_tries) == done
        assert index.status().state is IndexState.FAILED
    write({"d.py": "def alpha(): return 'the next news'\n"})
    eventually(lambda: index.status().state is IndexState.FRESH)
    assert paths(index, "epsilon") == ["a.py"]
    assert paths(index, WORDS) == ["d.py", "src/c.py"]


def test_a_failure_is_not_forgotten_while_somebody_types(
    start_index: OpenIndex,
    shown: Shown,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
) -> None:
    index = start_index(FILES)

    def refuse(*_: object, **__: object) -> None:
        raise IndexWriteError("no room")

    monkeypatch.setattr(IndexKeeper, "refresh_files", refuse)
    monkeypatch.setattr(IndexKeeper, "refresh", refuse)
    write({"a.py": "def epsilon(): return 'changed'\n"})
    eventually(lambda: index.status().state is IndexState.FAILED)
    index.note(shown("src/b.py", "import a\n"))
    eventually(lambda: not index.symbols.has_work)
    assert (index.status().state, index.status().detail) == (IndexState.FAILED, "no room")


def test_a_bug_ends_neither_the_thread_nor_the_searches(
    start_index: OpenIndex,
    paths: Paths,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
) -> None:
    index = start_index(FILES)

    def stumble(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(IndexKeeper, "refresh_files", stumble)
        write({"a.py": "def epsilon(): return 'changed'\n"})
        eventually(lambda: index.status().state is IndexState.FAILED)
        assert index.status().detail == "ZeroDivisionError: a bug"
        assert paths(index, WORDS) == sorted(FILES)
    write({"d.py": "def alpha(): return 'the next news'\n"})
    eventually(lambda: index.status().state is IndexState.FRESH)
    assert paths(index, "alpha epsilon") == ["a.py", "d.py"]


def test_an_index_that_another_process_keeps_is_read(
    write: Write, open_index: OpenIndex, refresh: Refresh, paths: Paths
) -> None:
    write(FILES)
    keeper = open_index()
    refresh(keeper)
    reader = open_index()
    assert (keeper.is_writer, reader.is_writer) == (True, False)
    reader.start()
    assert paths(reader, WORDS) == sorted(FILES)
    assert reader.lines("a.py", 0, 1) == FILES["a.py"]
    assert reader.status().state is IndexState.READING
    with pytest.raises(IndexLockedError, match="another process"):
        refresh(reader)
    reader.close()
    assert not open_index().is_writer  # the reader's end unlocked nothing


def test_an_index_that_is_not_to_be_kept_fresh_writes_nothing(
    write: Write, open_index: OpenIndex, paths: Paths, tmp_path: Path
) -> None:
    write(FILES)
    index = open_index(kept_fresh=False)
    index.start()
    assert (index.is_writer, paths(index, WORDS)) == (False, [])
    index.touch("a.py")
    index.close()
    assert not (tmp_path / "indexes").exists()


def test_a_folder_that_changes_under_the_scan_is_right_in_the_end(
    folder: Path,
    write: Write,
    open_index: OpenIndex,
    refresh: Refresh,
    hits: Hits,
    tmp_path: Path,
) -> None:
    write({f"f{at}.py": f"def word{at % 9}(): return {at}\n" for at in range(60)})
    stopping = threading.Event()

    def rewrite() -> None:
        rng = random.Random(3)
        while not stopping.is_set():
            path = folder / f"f{rng.randrange(60)}.py"
            path.unlink(missing_ok=True)
            path.write_text(f"def word{rng.randrange(9)}(): return 1\n" * rng.randrange(1, 9))
            stopping.wait(0.001)

    index = open_index()
    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for _ in range(3):
            refresh(index)
            for hit in hits(index, WORDS):
                text = index.lines(hit.path, hit.start_line, hit.end_line)
                assert text is None or text.startswith("def word")
    finally:
        stopping.set()
        thread.join()
    refresh(index)
    fresh = open_index(store=tmp_path / "others")
    refresh(fresh)
    assert state_of(index, hits) == state_of(fresh, hits)


def running_workers() -> list[psutil.Process]:
    """Return the workers of this process, which has other children in a run of all tests."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            found += [child] if "retrieval.worker" in child.cmdline() else []
    return found


def test_closing_ends_the_work_and_loses_nothing_that_was_committed(
    folder: Path,
    write: Write,
    open_index: OpenIndex,
    refresh: Refresh,
    paths: Paths,
    eventually: Eventually,
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    index.close()
    source = "".join(f"def name_{at}(x):\n    return x + {at}\n\n\n" for at in range(3_000))
    write({f"large{at}.py": source for at in range(40)})
    index = open_index()
    index.start()
    eventually(running_workers)
    workers = running_workers()
    index.close()
    assert all_have_ended(workers)
    assert not [thread for thread in threading.enumerate() if thread.name == "index"]
    index = open_index()
    assert set(paths(index, WORDS)) == set(FILES)
    assert index.status().num_files < 43  # it was closed before it was done
    index.close()


def test_closing_twice_is_closing(folder: Path, tmp_path: Path, write: Write) -> None:
    write(FILES)
    index = WorkspaceIndex(folder, IndexOptions(tmp_path / "indexes"))
    index.start()
    index.close()
    index.close()
    assert not index.status().num_files
