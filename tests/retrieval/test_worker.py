from __future__ import annotations

import signal
from pathlib import Path

import pytest

from retrieval import worker
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.segment import Segment
from retrieval.worker import Job, PrepareTask

PLAIN = worker.prepare


def job_of(folder: Path) -> Job:
    return Job(str(folder), str(folder / "store"), 1 << 20, 1000, "", in_background=False)


def endless(folder: Path, path: str, max_file_bytes: int) -> IndexedFile | None:
    while path == "bad.py":
        pass
    return PLAIN(folder, path, max_file_bytes)


def broken(folder: Path, path: str, max_file_bytes: int) -> IndexedFile | None:
    if path == "bad.py":
        raise RecursionError("too deep")
    return PLAIN(folder, path, max_file_bytes)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of processor time")
@pytest.mark.parametrize("prepare", [endless, broken])
def test_a_file_that_cannot_be_prepared_does_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: object
) -> None:
    for name in ("a.py", "bad.py", "b.py"):
        (tmp_path / name).write_text(f"def of_{name[0]}():\n    return 1\n")
    monkeypatch.setattr(worker, "prepare", prepare)
    monkeypatch.setattr(worker, "MAX_FILE_CPU_S", 0.05)
    made = worker.make(
        job_of(tmp_path), PrepareTask(["a.py", "bad.py", "b.py"], str(tmp_path / "segment"))
    )
    files = Segment.open(tmp_path / "segment").files
    assert made.num_files == 3
    assert [len(files.chunks(row)) for row in range(3)] == [1, 0, 1]
    # Its stamp is known, so that it is not tried again before it changes.
    status = (tmp_path / "bad.py").stat()
    assert Segment.open(tmp_path / "segment").stamp(1).mtime_ns == status.st_mtime_ns
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
