"""The indexes of a process: opened when they are first used, told what editors show, closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import retrieval.workspace
from retrieval.open_text import OpenText
from retrieval.sparse.errors import IndexWriteError
from retrieval.workspace import IndexState, WorkspaceIndex
from retrieval.workspaces import IndexOptions, Workspaces

Write = Callable[[Mapping[str, str | bytes]], None]
Paths = Callable[[WorkspaceIndex, str], list[str]]
Eventually = Callable[[Callable[[], object]], None]
Shown = Callable[..., OpenText]
LIMIT_S = 60.0
FILES = {"a.py": "def alpha(): return 1\n"}


@pytest.fixture
def options(tmp_path: Path, environment: dict[str, str]) -> IndexOptions:
    return IndexOptions(tmp_path / "indexes", num_workers=1, environment=environment)


@pytest.fixture
def workspaces(options: IndexOptions, write: Write) -> Iterator[Workspaces]:
    write(FILES)
    opened = Workspaces(options)
    yield opened
    opened.close()


@pytest.fixture
def at(folder: Path) -> str:
    return str(folder)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let no index open before this is set."""
    opening, make = threading.Event(), retrieval.workspace.WorkspaceIndex

    def late(folder: Path, chosen: IndexOptions) -> WorkspaceIndex:
        opening.wait(LIMIT_S)
        return make(folder, chosen)

    monkeypatch.setattr(retrieval.workspace, "WorkspaceIndex", late)
    yield opening
    opening.set()


def opened(workspaces: Workspaces, folder: str) -> WorkspaceIndex:
    index = workspaces.wait_for(folder, LIMIT_S)
    assert index is not None
    return index


def test_an_index_opens_when_it_is_first_asked_for(
    workspaces: Workspaces, at: str, paths: Paths, eventually: Eventually, gate: threading.Event
) -> None:
    assert workspaces.find(at) is None
    assert workspaces.find(at) is None
    gate.set()
    index = opened(workspaces, at)
    assert workspaces.find(at) is index
    eventually(lambda: paths(index, "alpha") == ["a.py"])


def test_without_options_there_are_no_indexes(at: str, shown: Shown) -> None:
    workspaces = Workspaces()
    assert not workspaces.is_on
    workspaces.enter(at)
    workspaces.note(replace(shown("a.py", "typed\n"), workspace=at))
    workspaces.touch(at, "a.py")
    workspaces.drop(at, "a.py", "editor")
    workspaces.leave(at)
    workspaces.close_unused(0.0)
    assert workspaces.wait_for(at, 0.0) is None


def test_a_document_outside_of_every_folder_has_no_index(workspaces: Workspaces) -> None:
    assert workspaces.wait_for("", LIMIT_S) is None


def test_what_editors_showed_before_an_index_was_open_is_in_it(
    workspaces: Workspaces, at: str, shown: Shown, paths: Paths, gate: threading.Event
) -> None:
    workspaces.enter(at)
    workspaces.note(replace(shown("a.py", "def typed(): pass\n"), workspace=at))
    workspaces.note(replace(shown("b.py", "def closed(): pass\n"), workspace=at))
    workspaces.note(replace(shown("a.py", "def newest(): pass\n", 2, base_version=1), workspace=at))
    workspaces.drop(at, "b.py", "editor")
    gate.set()
    index = opened(workspaces, at)
    assert paths(index, "typed closed newest") == ["a.py"]
    assert index.text("a.py") == "def newest(): pass\n"


def test_news_reach_an_open_index(
    workspaces: Workspaces,
    at: str,
    shown: Shown,
    paths: Paths,
    eventually: Eventually,
    write: Write,
) -> None:
    index = opened(workspaces, at)
    eventually(lambda: paths(index, "alpha") == ["a.py"])
    workspaces.note(replace(shown("a.py", "def typed(): pass\n"), workspace=at))
    assert paths(index, "alpha typed") == ["a.py"]
    assert paths(index, "alpha") == []
    workspaces.drop(at, "a.py", "editor")
    assert paths(index, "alpha") == ["a.py"]
    write({"new.py": "def epsilon(): pass\n"})
    workspaces.touch(at, "new.py")
    eventually(lambda: paths(index, "epsilon") == ["new.py"])


def test_an_index_that_nobody_uses_is_closed_and_opens_again(
    workspaces: Workspaces, at: str, shown: Shown, paths: Paths, eventually: Eventually
) -> None:
    workspaces.enter(at)
    index = opened(workspaces, at)
    eventually(lambda: index.status().state is IndexState.FRESH)
    workspaces.note(replace(shown("a.py", "def typed(): pass\n"), workspace=at))
    workspaces.close_unused(0.0)
    assert workspaces.find(at) is index  # a client works in it
    workspaces.leave(at)
    workspaces.close_unused(3600.0)
    assert workspaces.find(at) is index  # it was used a moment ago
    workspaces.close_unused(0.0)
    another = opened(workspaces, at)
    assert another is not index
    assert another.is_writer
    assert paths(another, "alpha typed") == ["a.py"]  # what an editor shows was not forgotten
    assert another.text("a.py") == "def typed(): pass\n"


def test_an_index_that_cannot_be_opened_is_not_tried_again_and_told_of(
    workspaces: Workspaces,
    at: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries: list[Path] = []

    def refuse(folder: Path, chosen: IndexOptions) -> WorkspaceIndex:
        tries.append(folder)
        raise IndexWriteError("no room for it")

    monkeypatch.setattr(retrieval.workspace, "WorkspaceIndex", refuse)
    with caplog.at_level(logging.ERROR, "retrieval.workspaces"):
        assert workspaces.wait_for(at, LIMIT_S) is None
        assert workspaces.wait_for(at, LIMIT_S) is None
    assert (len(tries), len(caplog.records)) == (1, 1)
    (summary,) = workspaces.status()
    assert (summary.folder, summary.state) == (str(Path(at).resolve()), "failed")
    assert "no room for it" in summary.detail


def test_a_folder_has_one_index_whatever_links_lead_to_it(
    workspaces: Workspaces, folder: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert opened(workspaces, str(link)) is opened(workspaces, str(folder))


def test_an_index_that_is_still_opening_is_closed_with_the_others(
    workspaces: Workspaces, at: str, gate: threading.Event, options: IndexOptions, folder: Path
) -> None:
    assert workspaces.find(at) is None
    workspaces.close()
    gate.set()
    assert workspaces.wait_for(at, LIMIT_S) is None


def test_a_closed_index_can_be_written_by_others(
    workspaces: Workspaces, at: str, options: IndexOptions, folder: Path
) -> None:
    opened(workspaces, at)
    workspaces.close()
    assert not workspaces.is_on
    index = WorkspaceIndex(folder.resolve(), options)
    assert index.is_writer
    index.close()
