"""Workspaces on disk, indexes of them, and a git that knows nothing of the user's configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from retrieval.keeper import Refreshed
from retrieval.open_text import OpenText
from retrieval.sparse.corpus import Hit
from retrieval.workspace import IndexState, WorkspaceIndex
from retrieval.workspaces import IndexOptions

Write = Callable[[Mapping[str, str | bytes]], None]
LIMIT_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write files by their path below the workspace's folder."""

    def write_all(files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    return write_all


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)}


@pytest.fixture
def git(folder: Path, environment: dict[str, str]) -> Callable[..., str]:
    """Run git in the workspace's folder, or in the one given as ``at``."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    identity = {
        f"GIT_{who}_{what}": f"{who}@example.org" if what == "EMAIL" else who
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }

    def run(*arguments: str, at: Path = folder, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ("git", *arguments),
            cwd=at,
            env=environment | identity,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.decode("utf-8", "surrogateescape")

    return run


@pytest.fixture
def open_index(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> Iterator[Callable[..., WorkspaceIndex]]:
    """Open the index of the workspace's folder; those that are still open are closed at the end."""
    opened: list[WorkspaceIndex] = []

    def open_one(
        *,
        at: Path = folder,
        store: Path = tmp_path / "indexes",
        num_workers: int = 1,
        kept_fresh: bool = True,
    ) -> WorkspaceIndex:
        options = IndexOptions(
            store, num_workers=num_workers, kept_fresh=kept_fresh, environment=environment
        )
        opened.append(WorkspaceIndex(at, options))
        return opened[-1]

    yield open_one
    for index in opened:
        index.close()


@pytest.fixture(scope="session")
def refresh() -> Callable[[WorkspaceIndex], Refreshed]:
    """Bring an index up to date, and wait until it is."""
    return lambda index: index.refresh(lambda progress: None, lambda: None)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object]], None]:
    """Return when a condition holds that another thread brings about; fail if it never does."""

    def wait_for(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.01)

    return wait_for


@pytest.fixture
def start_index(
    write: Write,
    open_index: Callable[..., WorkspaceIndex],
    eventually: Callable[[Callable[[], object]], None],
) -> Callable[..., WorkspaceIndex]:
    """Write files and return an index that has taken them in and follows what happens to them."""

    def start_one(files: Mapping[str, str | bytes]) -> WorkspaceIndex:
        write(files)
        index = open_index()
        index.start()
        eventually(lambda: index.status().state is IndexState.FRESH)
        return index

    return start_one


@pytest.fixture(scope="session")
def hits() -> Callable[..., list[Hit]]:
    """Return what an index has about some words, everything by default."""

    def found(index: WorkspaceIndex, words: str, num_wanted: int = 1_000_000) -> list[Hit]:
        return index.search(dict.fromkeys(words.lower().split(), 1.0), num_wanted)

    return found


@pytest.fixture(scope="session")
def paths(hits: Callable[..., list[Hit]]) -> Callable[[WorkspaceIndex, str], list[str]]:
    """Return the files in which an index finds any of some words, sorted."""
    return lambda index, words: sorted({hit.path for hit in hits(index, words)})


@pytest.fixture(scope="session")
def texts(hits: Callable[..., list[Hit]]) -> Callable[[WorkspaceIndex, str], list[str]]:
    """Return the lines that an index finds about some words and can quote."""

    def quoted(index: WorkspaceIndex, words: str) -> list[str]:
        found = (index.lines(hit.path, hit.start_line, hit.end_line) for hit in hits(index, words))
        return [text for text in found if text is not None]

    return quoted


@pytest.fixture(scope="session")
def shown() -> Callable[..., OpenText]:
    """Return what an editor shows of a file."""

    def make(
        path: str,
        text: str,
        version: int = 1,
        *,
        owner: str = "editor",
        base_version: int | None = None,
        edits: tuple[tuple[int, int, str], ...] = (),
    ) -> OpenText:
        return OpenText("", path, owner, "", version, text, base_version, edits)

    return make
