"""The processes that scan, prepare and merge: what they answer, and that none is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.sparse.errors import IndexDamagedError, IndexWriteError
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.segment import Segment
from retrieval.sparse.store import IndexStore
from retrieval.worker import Job, MergeTask, PrepareTask
from retrieval.worker_pool import WorkerFailedError, WorkerPool, batched

Write = Callable[[Mapping[str, str | bytes]], None]
Eventually = Callable[[Callable[[], object]], None]
FILES = {f"{name}.py": f"def {name}(): return 1\n" for name in ("alpha", "beta", "gamma", "delta")}


# Its worker is ready, and without work, when it answers.
PARENT = """
import json, sys
from retrieval.worker import Job
from retrieval.worker_pool import WorkerPool
with WorkerPool(Job(**json.loads(sys.argv[1])), 1) as pool:
    pool.scan(lambda: None)
    print("ready", flush=True)
    sys.stdin.read()
"""


class StoppedError(Exception):
    pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IndexStore]:
    store = IndexStore.for_writing(tmp_path / "index")
    yield store
    store.close()


@pytest.fixture
def job(folder: Path, store: IndexStore) -> Job:
    return Job(str(folder), str(store.folder), 100_000, 1_000, "", in_background=False)


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "retrieval.worker" in child.cmdline()]


def go_on() -> None:
    pass


@given(
    sizes=st.lists(st.integers(0, 30)), max_bytes=st.integers(1, 40), max_files=st.integers(1, 5)
)
def test_batches_keep_both_limits_and_the_order(
    sizes: list[int], max_bytes: int, max_files: int
) -> None:
    files = [(str(at), size) for at, size in enumerate(sizes)]
    batches = batched(files, max_bytes, max_files)
    assert [path for batch in batches for path in batch] == [path for path, _ in files]
    for batch in batches:
        assert 1 <= len(batch) <= max_files
        assert len(batch) == 1 or sum(sizes[int(path)] for path in batch) <= max_bytes


def test_a_scan_finds_what_is_not_as_it_was_indexed(job: Job, write: Write) -> None:
    write({**FILES, "big.py": "x = 1\n" * 50_000, "ok/é ü\n.py": "1\n"})
    with WorkerPool(job, 1) as pool:
        found = pool.scan(go_on)
    assert {path for path, _ in found.changed} == {*FILES, "ok/é ü\n.py"}
    assert dict(found.changed)["alpha.py"] == len(FILES["alpha.py"])
    assert (found.gone, found.num_found, found.excluded) == ([], 5, {"too large": 1})


def test_more_tasks_than_processes_are_all_done(job: Job, write: Write, store: IndexStore) -> None:
    write(FILES)
    targets = {path: str(store.new_segment_folder()) for path in FILES}
    with WorkerPool(job, 2) as pool:
        tasks = [PrepareTask([path, "vanished.py"], targets[path]) for path in FILES]
        made = list(pool.make(tasks, go_on))
        assert len(workers()) == 2
        folders = list(targets.values())
        merged = str(store.new_segment_folder())
        (done,) = pool.make([MergeTask(folders, [[], [], [], [0]], merged)], go_on)
    assert {(each.target, each.num_files, each.num_lines) for each in made} == {
        (target, 1, 1) for target in folders
    }
    segment = Segment.open(Path(done.target))
    assert len(segment.files) == 3
    assert workers() == []


def test_no_process_starts_before_there_is_work(job: Job) -> None:
    with WorkerPool(job, 2) as pool:
        assert list(pool.make([], go_on)) == []
        assert workers() == []


def test_a_process_that_was_killed_is_told_of(job: Job, write: Write) -> None:
    write(FILES)
    with WorkerPool(job, 1) as pool:
        pool.scan(go_on)
        (worker,) = workers()
        worker.kill()
        with pytest.raises(WorkerFailedError, match="ended with code -9"):
            pool.scan(go_on)
    assert workers() == []


@pytest.mark.parametrize("num_calls", [1, 2])
def test_work_that_is_stopped_leaves_no_process(
    num_calls: int, job: Job, write: Write, store: IndexStore
) -> None:
    write(FILES)
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == num_calls:
            raise StoppedError

    def work() -> None:
        with WorkerPool(job, 2) as pool:
            tasks = [PrepareTask([path], str(store.new_segment_folder())) for path in FILES]
            list(pool.make(tasks, check))

    with pytest.raises(StoppedError):
        work()
    assert workers() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody ends who stands still")
def test_a_process_that_stands_still_ends_when_its_parent_is_killed(
    job: Job, write: Write, eventually: Eventually
) -> None:
    write(FILES)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, json.dumps(asdict(job))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        (worker,) = psutil.Process(parent.pid).children()
        worker.suspend()
        eventually(lambda: worker.status() == psutil.STATUS_STOPPED)
        parent.kill()
        parent.wait()
        try:
            eventually(lambda: has_ended(worker))
        finally:
            if not has_ended(worker):
                worker.kill()


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_write_that_fails_is_told_as_one(job: Job, write: Write, tmp_path: Path) -> None:
    write(FILES)
    (tmp_path / "file").write_text("")
    with WorkerPool(job, 1) as pool:
        with pytest.raises(IndexWriteError, match="free some space"):
            list(pool.make([PrepareTask(["alpha.py"], str(tmp_path / "file" / "segment"))], go_on))
        assert pool.scan(go_on).num_found == len(FILES)  # the process goes on


def test_an_index_that_cannot_be_read_is_told_as_damaged(
    job: Job, write: Write, store: IndexStore
) -> None:
    write(FILES)
    (store.folder / "manifest.json").write_text("{")
    with WorkerPool(job, 1) as pool, pytest.raises(IndexDamagedError, match="build the index anew"):
        pool.scan(go_on)


def test_no_code_of_the_workspace_runs(
    job: Job, write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = f"open({str(folder / 'ran')!r}, 'w')\n"
    names = ("json.py", "sitecustomize.py", "usercustomize.py", "retrieval/__init__.py")
    write(dict.fromkeys(names, trap))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PYTHONSTARTUP", str(folder / "json.py"))
    with WorkerPool(job, 1) as pool:
        assert pool.scan(go_on).num_found == len(names)
    assert not (folder / "ran").exists()


def test_what_was_made_can_be_committed(job: Job, write: Write, store: IndexStore) -> None:
    write(FILES)
    index = SparseIndex(store.load())
    with WorkerPool(job, 1) as pool:
        task = PrepareTask(list(FILES), str(store.new_segment_folder()))
        for made in pool.make([task], go_on):
            index.add(Segment.open(Path(made.target)))
        store.commit(index.segments)
        assert pool.scan(go_on).changed == []


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs processes that can stand still")
def test_work_in_the_background_gives_way_and_is_done_all_the_same(
    job: Job, write: Write, store: IndexStore
) -> None:
    write({f"m{at}.py": "def f():\n    return 1\n" for at in range(3)})
    asked: list[bool] = []

    def is_idle() -> bool:
        asked.append(len(asked) > 20)
        return asked[-1]

    with WorkerPool(replace(job, in_background=True), 1, is_idle) as pool:
        assert pool.scan(lambda: None).num_found == 3
        tasks = [PrepareTask([f"m{at}.py"], str(store.new_segment_folder())) for at in range(3)]
        assert [made.num_files for made in pool.make(tasks, lambda: None)] == [1, 1, 1]
    assert False in asked
