"""Changes of a folder as they happen. Every wait is for a report, with a limit far beyond its time."""

from __future__ import annotations

import functools
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import watchfiles._rust_notify

from retrieval.files import watch
from retrieval.files.rules import FileRules
from retrieval.files.watch import FolderChanges, FolderWatcher

Write = Callable[[dict[str, str | bytes]], None]
LIMIT_S = 60.0


class Reports:
    """What a watcher reported."""

    def __init__(self) -> None:
        self.queue: queue.Queue[FolderChanges] = queue.Queue()
        self.changed: set[str] = set()
        self.deleted: set[str] = set()

    def until(self, is_enough: Callable[[FolderChanges], bool]) -> FolderChanges:
        """Return all of them together, from the last time on, once they are enough."""
        changed: set[str] = set()
        deleted: set[str] = set()
        rescan = False
        while True:
            changes = self.queue.get(timeout=LIMIT_S)
            changed |= changes.changed
            deleted |= changes.deleted
            rescan = rescan or changes.rescan
            together = FolderChanges(frozenset(changed), frozenset(deleted), rescan)
            if is_enough(together):
                return together

    def until_changed(self, *paths: str) -> FolderChanges:
        return self.until(lambda changes: changes.changed >= set(paths))

    def until_deleted(self, *paths: str) -> FolderChanges:
        return self.until(lambda changes: changes.deleted >= set(paths))

    def until_rescan(self) -> FolderChanges:
        return self.until(lambda changes: changes.rescan)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def start(folder: Path, reports: Reports) -> Iterator[Callable[..., FolderWatcher]]:
    """Start a watcher and return when it sees everything."""
    started: list[FolderWatcher] = []

    def start_one(**options: float) -> FolderWatcher:
        rules = functools.partial(FileRules, folder)
        started.append(FolderWatcher(rules, reports.queue.put, **options))
        started[-1].start()
        assert started[-1].wait_until_watching(LIMIT_S)
        return started[-1]

    yield start_one
    for watcher in started:
        watcher.stop()


def test_new_changed_and_deleted_files_are_reported(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports
) -> None:
    write({"src/old.py": "1", "src/gone.py": "1"})
    start()
    write({"src/new.py": "1", "src/old.py": "2"})
    reports.until_changed("src/new.py", "src/old.py")
    (folder / "src" / "gone.py").unlink()
    reports.until_deleted("src/gone.py")


def test_a_file_that_is_saved_by_renaming_is_changed(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports
) -> None:
    write({"a.py": "old"})
    start()
    write({".a.py.swap": "new"})
    (folder / ".a.py.swap").replace(folder / "a.py")
    assert "a.py" not in reports.until_changed("a.py").deleted


def test_files_of_new_folders_are_reported_and_watched(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports
) -> None:
    start()
    write({f"new/deep/{name}.py": "1" for name in "abc"})
    reports.until_changed("new/deep/a.py", "new/deep/b.py", "new/deep/c.py")
    write({"new/deep/a.py": "2"})
    reports.until_changed("new/deep/a.py")


def test_a_renamed_folder_is_deleted_and_new_and_watched_under_its_new_name(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports
) -> None:
    write({"old/a.py": "1"})
    start()
    (folder / "old").rename(folder / "new")
    reports.until(lambda seen: "old" in seen.deleted and "new/a.py" in seen.changed)
    write({"new/a.py": "2"})
    reports.until_changed("new/a.py")


def test_ignored_files_are_not_reported(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports
) -> None:
    write({".gitignore": "*.log\nout/", "out/x.py": "", "node_modules/y.js": "", "z.py": ""})
    start()
    write({"out/x.py": "2", "node_modules/y.js": "2", "a.log": "2", ".env": "A=1"})
    write({"z.py": "2"})
    assert reports.until_changed("z.py") == FolderChanges(frozenset({"z.py"}))


def test_nothing_outside_is_watched_through_links(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    start()
    (tmp_path / "outside" / "x.py").write_text("1")
    write({"a.py": "1"})
    assert reports.until_changed("a.py").changed == {"a.py"}


@pytest.mark.parametrize("name", [".gitignore", "src/.fimbleignore"])
def test_new_rules_ask_for_a_rescan_and_count_from_then_on(
    folder: Path, write: Write, start: Callable[[], FolderWatcher], reports: Reports, name: str
) -> None:
    write({"src/a.log": "1", "src/b.py": "1"})
    start()
    write({name: "*.log"})
    reports.until_rescan()
    write({"src/a.log": "2", "src/b.py": "2"})
    assert reports.until_changed("src/b.py").changed == {"src/b.py"}


@pytest.mark.parametrize("below", [".", "packages/app"])
def test_another_branch_asks_for_a_rescan(
    folder: Path,
    write: Write,
    git: Callable[..., str],
    reports: Reports,
    start: Callable[[], FolderWatcher],
    below: str,
) -> None:
    write({"packages/app/a.py": "1"})
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    rules = functools.partial(FileRules, folder / below)
    watcher = FolderWatcher(rules, reports.queue.put)
    watcher.start()
    assert watcher.wait_until_watching(LIMIT_S)
    git("checkout", "-q", "-b", "other")
    reports.until_rescan()
    watcher.stop()


def test_very_many_changes_at_once_ask_for_a_rescan(
    write: Write,
    start: Callable[[], FolderWatcher],
    reports: Reports,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "_MAX_NUM_EVENTS", 0)
    start()
    write({"a.py": "1"})
    assert not reports.until_rescan().changed


def test_a_stopped_watcher_ends_and_reports_nothing(
    write: Write, start: Callable[[], FolderWatcher], reports: Reports
) -> None:
    watcher = start()
    watcher.stop()
    write({"a.py": "1"})
    assert not [at for at in threading.enumerate() if at.name == "fimble-watch" and at.is_alive()]
    assert reports.queue.empty()


@pytest.mark.parametrize(
    "error",
    [
        watchfiles._rust_notify.WatchfilesRustInternalError("OS file watch limit reached."),
        OSError(28, "No space left on device"),
    ],
)
def test_without_watches_it_says_so_once_and_asks_for_rescans(
    start: Callable[..., FolderWatcher],
    reports: Reports,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(watch, "RustNotify", refused)
    with caplog.at_level(logging.WARNING):
        watcher = start(rescan_interval_s=0.01)
        reports.until_rescan()
        reports.until_rescan()
    assert watcher.problem is not None
    assert "max_user_watches" in watcher.problem
    assert [record.getMessage() for record in caplog.records] == [watcher.problem]


def test_a_watch_that_fails_later_is_replaced_by_rescans(
    start: Callable[..., FolderWatcher], reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __init__(self, *_: object, **__: object) -> None:
            """Open nothing."""

        def watch(self, *_: object) -> None:
            raise watchfiles._rust_notify.WatchfilesRustInternalError("error in underlying watcher")

        def close(self) -> None:
            """Close nothing."""

    monkeypatch.setattr(watch, "RustNotify", Failing)
    watcher = start(rescan_interval_s=0.01)
    reports.until_rescan()
    assert watcher.problem is not None
