"""Indexes that several clients share: opened once, closed in order, and what is told of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from retrieval.open_text import OpenText
from retrieval.workspace import store_folder
from retrieval.workspaces import IndexOptions, IndexSummary, Workspaces

LIMIT_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    latest = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < latest, "what is waited for does not happen"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    (path / "a.py").write_text("def on_disk():\n    return 1\n")
    return path


@pytest.fixture
def workspaces(tmp_path: Path) -> Iterator[Workspaces]:
    made = Workspaces(IndexOptions(tmp_path / "indexes", num_workers=1))
    yield made
    made.close()


def text_in(folder: Path, text: str, version: int = 1, path: str = "a.py") -> OpenText:
    return OpenText(str(folder), path, "me", "python", version, text)


def is_fresh(workspaces: Workspaces) -> bool:
    return [each.state for each in workspaces.status()] == ["up to date"]


def test_a_folder_has_one_index_whatever_links_lead_to_it(
    workspaces: Workspaces, folder: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    workspaces.enter(str(link))
    index = workspaces.wait_for(str(folder), LIMIT_S)
    assert index is not None
    assert workspaces.wait_for(str(link), LIMIT_S) is index
    workspaces.note(text_in(link, "def unsaved(): ...\n"))
    assert index.text("a.py") == "def unsaved(): ...\n"
    workspaces.leave(str(folder))
    assert [each.num_clients for each in workspaces.status()] == [0]


def test_what_was_noted_before_an_index_opened_is_in_it_in_its_newest_version(
    workspaces: Workspaces, folder: Path
) -> None:
    # Notes arrive while the index opens: whichever way they meet it, the last one counts.
    workspaces.enter(str(folder))
    for version in range(1, 200):
        workspaces.note(text_in(folder, f"version = {version}\n", version))
    index = workspaces.wait_for(str(folder), LIMIT_S)
    assert index is not None
    assert index.text("a.py") == "version = 199\n"


def test_an_index_that_was_not_used_is_closed_and_opens_anew_to_be_written(
    workspaces: Workspaces, folder: Path
) -> None:
    closers = [threading.Thread(target=workspaces.close_unused, args=(0.0,)) for _ in range(20)]
    for closer in closers:  # somebody asks for it all the while
        assert workspaces.wait_for(str(folder), LIMIT_S) is not None
        closer.start()
        workspaces.find(str(folder))
    for closer in closers:
        closer.join()
    workspaces.wait_for(str(folder), LIMIT_S)
    until(lambda: is_fresh(workspaces))


def test_an_index_that_another_process_kept_is_taken_over_when_that_is_gone(
    workspaces: Workspaces, folder: Path, tmp_path: Path
) -> None:
    store = store_folder(tmp_path / "indexes", folder)
    store.mkdir(parents=True)
    with filelock.FileLock(store / "writer.lock"):
        workspaces.enter(str(folder))
        index = workspaces.wait_for(str(folder), LIMIT_S)
        workspaces.note(text_in(folder, "unsaved = 1\n"))
        workspaces.take_over()
        assert workspaces.find(str(folder)) is index
        assert [each.state for each in workspaces.status()] == ["read only"]
    workspaces.take_over()
    until(lambda: is_fresh(workspaces))
    assert [each.num_files for each in workspaces.status()] == [1]
    taken_over = workspaces.wait_for(str(folder), LIMIT_S)
    assert taken_over is not None
    assert taken_over.text("a.py") == "unsaved = 1\n"
    workspaces.take_over()
    assert workspaces.find(str(folder)) is taken_over


def test_an_index_in_use_stays_open(workspaces: Workspaces, folder: Path) -> None:
    workspaces.enter(str(folder))
    index = workspaces.wait_for(str(folder), LIMIT_S)
    workspaces.close_unused(0.0)
    assert workspaces.find(str(folder)) is index
    workspaces.leave(str(folder))
    workspaces.close_unused(LIMIT_S)
    assert workspaces.find(str(folder)) is index


def test_the_status_counts_files_and_clients(workspaces: Workspaces, folder: Path) -> None:
    assert workspaces.status() == []
    for _ in range(2):
        workspaces.enter(str(folder))
    until(lambda: is_fresh(workspaces))
    assert workspaces.status() == [IndexSummary(str(folder), "up to date", 2, num_files=1)]


def test_an_index_that_cannot_be_opened_is_told_and_not_tried_again(
    workspaces: Workspaces, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "indexes").write_text("a file where the folder of indexes should be")
    workspaces.enter(str(folder))
    assert workspaces.wait_for(str(folder), LIMIT_S) is None
    assert workspaces.wait_for(str(folder), LIMIT_S) is None
    (status,) = workspaces.status()
    assert (status.state, status.num_clients) == ("failed", 1)
    assert str(tmp_path / "indexes") in status.detail
    assert caplog.text.count("cannot be used") == 1


@pytest.mark.parametrize("name", ["", "project"])
def test_without_options_there_is_nothing_to_wait_for(folder: Path, name: str) -> None:
    none = Workspaces()
    place = str(folder) if name else ""
    assert none.wait_for(place, LIMIT_S) is None
    assert none.status() == []


def test_a_folder_that_is_too_wide_has_no_index(tmp_path: Path, folder: Path) -> None:
    options = IndexOptions(tmp_path / "indexes", too_wide=frozenset({str(folder)}))
    workspaces = Workspaces(options)
    workspaces.enter(str(folder))
    workspaces.note(text_in(folder, "text = 1\n"))
    assert workspaces.find(str(folder)) is None
    assert workspaces.status() == []
    workspaces.close()
    assert not (tmp_path / "indexes").exists()


def test_an_ignored_file_stays_out_of_the_index_when_it_is_open(
    workspaces: Workspaces, folder: Path
) -> None:
    (folder / ".fimbleignore").write_text("private/\n*.env\n")
    workspaces.enter(str(folder))
    until(lambda: is_fresh(workspaces))
    index = workspaces.find(str(folder))
    assert index is not None
    for path in ("private/b.py", "local.env", "c.py"):
        workspaces.note(text_in(folder, "hidden_name = 1\n", path=path))
    assert [hit.path for hit in index.search({"hidden_name": 1.0}, 5)] == ["c.py"]
