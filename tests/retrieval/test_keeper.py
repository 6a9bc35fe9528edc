"""Refreshing an index: counts, limits, progress, and what remains of work that is cut off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from retrieval.files.rules import FileRules
from retrieval.keeper import MAX_NUM_FEW_FILES, IndexKeeper, IndexProgress
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.store import IndexStore
from retrieval.workspaces import IndexOptions

Write = Callable[[Mapping[str, str | bytes]], None]
NUM_MANY = 3 * MAX_NUM_FEW_FILES


class Desk:
    """An index in memory and on disk, and who keeps it."""

    def __init__(self, folder: Path, indexes: Path, environment: Mapping[str, str]) -> None:
        self.folder, self._indexes, self._environment = folder, indexes, environment
        self.open()

    def open(self, max_num_files: int = 1_000) -> None:
        self.store = IndexStore.for_writing(self._indexes)
        self.index = SparseIndex(self.store.load())
        options = IndexOptions(
            self._indexes,
            max_num_files=max_num_files,
            num_workers=1,
            environment=self._environment,
        )
        self.keeper = IndexKeeper(self.folder, options, self.index, self.store)

    def reopen(self, max_num_files: int = 1_000) -> None:
        self.store.close()
        self.open(max_num_files)

    def paths(self) -> set[str]:
        return set(self.index.stamps())

    def committed(self) -> set[str]:
        return set(SparseIndex(IndexStore.for_reading(self.store.folder).load()).stamps())


@pytest.fixture
def desk(folder: Path, tmp_path: Path, environment: dict[str, str]) -> Iterator[Desk]:
    made = Desk(folder, tmp_path / "index", environment)
    yield made
    made.store.close()


class StoppedError(Exception):
    pass


def go_on() -> None:
    pass


def many(num_files: int = NUM_MANY) -> dict[str, str]:
    return {f"m{at:03}.py": f"def name_{at}():\n    return {at}\n" for at in range(num_files)}


@pytest.mark.parametrize("num_files", [0, 1, MAX_NUM_FEW_FILES, MAX_NUM_FEW_FILES + 1])
def test_few_files_and_many_are_indexed_alike(num_files: int, desk: Desk, write: Write) -> None:
    write({**many(num_files), "secret.pem": "1\n"})
    found = desk.keeper.refresh(go_on)
    assert (found.num_found, found.num_changed, found.num_gone) == (num_files, num_files, 0)
    assert found.num_lines == 2 * num_files
    assert found.excluded == {"secret file": 1}
    assert desk.paths() == desk.committed() == set(many(num_files))


def test_progress_ends_with_everything(desk: Desk, write: Write) -> None:
    write(many())
    told: list[IndexProgress] = []
    desk.keeper.refresh(go_on, told.append, in_background=False)
    assert told[0] == IndexProgress(0, NUM_MANY, 0)
    assert told[-1] == IndexProgress(NUM_MANY, NUM_MANY, 2 * NUM_MANY)
    assert [each.num_files for each in told] == sorted(each.num_files for each in told)


def test_files_beyond_the_limit_are_left_out_and_told_of(
    desk: Desk, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write(many())
    desk.reopen(max_num_files=5)
    with caplog.at_level(logging.WARNING, "retrieval.keeper"):
        found = desk.keeper.refresh(go_on)
    assert (found.num_found, found.num_changed) == (NUM_MANY, 5)
    (record,) = caplog.records
    assert f"{NUM_MANY} files, of which 5 are indexed" in record.message
    assert ".fimbleignore" in record.message
    kept = desk.paths()
    assert len(kept) == 5
    (desk.folder / "m070.py").write_text("# changed, and still beyond the limit\n")
    (desk.folder / "m000.py").write_text("# changed, and within it\n")
    desk.keeper.refresh_files(["m070.py", "m000.py"], go_on)
    assert desk.paths() == kept
    assert desk.index.stamps()["m000.py"].size_bytes == len("# changed, and within it\n")
    assert desk.keeper.refresh(go_on).num_changed == 0


def test_an_index_shrinks_to_a_lower_limit(desk: Desk, write: Write) -> None:
    write(many(10))
    desk.keeper.refresh(go_on)
    desk.reopen(max_num_files=4)
    desk.keeper.refresh(go_on)
    assert len(desk.paths()) == 4
    assert desk.paths() == desk.committed()


def test_many_changed_files_are_not_prepared_in_this_process(
    desk: Desk, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(many())
    monkeypatch.setattr("retrieval.keeper.prepare", lambda *_: pytest.fail("it was"))
    desk.keeper.refresh_files(many(), go_on)
    assert desk.paths() == desk.committed() == set(many())


def test_large_files_are_not_prepared_in_this_process(
    desk: Desk, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"large.py": "def function(): return 1\n" * 30_000})
    monkeypatch.setattr("retrieval.keeper.prepare", lambda *_: pytest.fail("it was"))
    desk.keeper.refresh(go_on)
    assert desk.paths() == {"large.py"}


def test_a_file_that_vanishes_while_it_is_looked_at_is_gone(
    desk: Desk, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(many(3))
    desk.keeper.refresh(go_on)
    (desk.folder / "m001.py").unlink()
    monkeypatch.setattr(FileRules, "is_indexed", lambda rules, path: True)
    desk.keeper.refresh_files(["m001.py", "never.py", "m002.py"], go_on)
    assert desk.paths() == desk.committed() == {"m000.py", "m002.py"}


def test_a_file_saved_again_and_again_leaves_few_segments(desk: Desk, write: Write) -> None:
    write(many(8))
    desk.keeper.refresh(go_on)
    for number in range(8):
        (desk.folder / "m003.py").write_text(f"def again(): return {'x' * number!r}\n")
        desk.keeper.refresh_files(["m003.py"], go_on)
        assert len(desk.index.segments) <= 4
        (hit,) = desk.index.search({"again": 1.0}, 9)
        assert hit.path == "m003.py"
    assert desk.paths() == desk.committed() == set(many(8))


@pytest.mark.parametrize("num_calls", [1, 2])
def test_what_is_stopped_leaves_an_index_that_can_be_gone_on_with(
    num_calls: int, desk: Desk, write: Write
) -> None:
    write({f"old{at}.py": f"old = {at}\n" for at in range(3)})
    desk.keeper.refresh(go_on)
    write(many())
    (desk.folder / "old1.py").unlink()
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) >= num_calls:
            raise StoppedError

    with pytest.raises(StoppedError):
        desk.keeper.refresh(check)
    wanted = {"old0.py", "old2.py", *many()}
    assert desk.committed() in ({"old0.py", "old1.py", "old2.py"}, wanted)
    desk.keeper.refresh(go_on)
    assert desk.paths() == desk.committed() == wanted
    desk.reopen()
    assert desk.paths() == wanted
    assert desk.keeper.refresh(go_on).num_changed == 0
