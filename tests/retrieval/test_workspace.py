"""The index of a folder: it has what is on disk, and follows what happens there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import retrieval.workspace
from retrieval.files.rules import FileRules
from retrieval.files.watch import FolderChanges
from retrieval.keeper import Refreshed
from retrieval.sparse.corpus import Hit
from retrieval.workspace import IndexState, WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Paths = Callable[[WorkspaceIndex, str], list[str]]
Eventually = Callable[[Callable[[], object]], None]

FILES = {
    "a.py": "def alpha(): return 1\n",
    "src/b.py": "def beta(): return 2\n",
    "src/deep/c.py": "def gamma(): return 3\n",
    "notes.md": "# Delta\n\nAbout delta.\n",
}
WORDS = "alpha beta gamma delta epsilon"


def rewritten(folder: Path) -> None:
    (folder / "a.py").write_text("def epsilon(): return 'longer than before'\n")


def added(folder: Path) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "d.py").write_text("def epsilon(): return 4\n")


def deleted(folder: Path) -> None:
    (folder / "src" / "b.py").unlink()


def renamed(folder: Path) -> None:
    (folder / "a.py").rename(folder / "src" / "z.py")


def folder_renamed(folder: Path) -> None:
    (folder / "src").rename(folder / "lib")


def saved_by_renaming(folder: Path) -> None:
    (folder / "a.py~").write_text("def epsilon(): return 'renamed over the old one'\n")
    (folder / "a.py~").replace(folder / "a.py")


def ignored(folder: Path) -> None:
    (folder / ".fimbleignore").write_text("src/\n")


CHANGES = {
    change.__name__: change
    for change in (
        rewritten,
        added,
        deleted,
        renamed,
        folder_renamed,
        saved_by_renaming,
        ignored,
    )
}


class SilentWatcher:
    """A watcher that sees nothing."""

    problem = "changes cannot be watched"

    def __init__(
        self, rules: Callable[[], FileRules], report: Callable[[FolderChanges], None]
    ) -> None:
        pass

    def start(self) -> None:
        pass

    def wait_until_watching(self, timeout_s: float) -> bool:
        return True

    def stop(self) -> None:
        pass


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.workspace, "FolderWatcher", SilentWatcher)


def chunks(found: list[Hit]) -> set[tuple[str, int, int, int]]:
    return {(hit.path, hit.start_line, hit.end_line, hit.key) for hit in found}


def test_a_folder_is_indexed_and_searched(
    open_index: OpenIndex, write: Write, refresh: Refresh, hits: Callable[..., list[Hit]]
) -> None:
    write(FILES)
    index = open_index()
    assert hits(index, WORDS) == []
    found = refresh(index)
    assert (found.num_found, found.num_changed, found.num_gone) == (4, 4, 0)
    (hit,) = hits(index, "beta")
    assert (hit.path, hit.start_line, hit.end_line) == ("src/b.py", 0, 1)
    assert index.lines("src/b.py", 0, 1) == FILES["src/b.py"]
    status = index.status()
    assert (status.state, status.num_files, status.detail) == (IndexState.FRESH, 4, "")
    assert status.num_bytes > 0


def test_lines_behind_the_end_are_left_out(
    open_index: OpenIndex, write: Write, refresh: Refresh
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    assert index.lines("notes.md", 2, 99) == "About delta.\n"
    assert index.lines("no.py", 0, 9) is None


def test_an_index_is_found_again_and_only_what_changed_is_read(
    open_index: OpenIndex, write: Write, refresh: Refresh, paths: Paths, folder: Path
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    index.close()
    rewritten(folder)
    index = open_index()
    assert paths(index, "alpha beta") == ["a.py", "src/b.py"]
    assert refresh(index).num_changed == 1
    assert refresh(index).num_changed == 0
    assert paths(index, "alpha beta epsilon") == ["a.py", "src/b.py"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_refresh_brings_the_index_in_line_with_the_folder(
    change: str,
    open_index: OpenIndex,
    write: Write,
    refresh: Refresh,
    hits: Callable[..., list[Hit]],
    folder: Path,
    tmp_path: Path,
) -> None:
    write(FILES)
    index, fresh = open_index(), open_index(store=tmp_path / "others")
    refresh(index)
    before = chunks(hits(index, WORDS))
    CHANGES[change](folder)
    refresh(index)
    refresh(fresh)
    after = chunks(hits(index, WORDS))
    assert after == chunks(hits(fresh, WORDS))
    assert after != before


@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_in_the_folder_is_followed(
    change: str,
    start_index: OpenIndex,
    open_index: OpenIndex,
    refresh: Refresh,
    hits: Callable[..., list[Hit]],
    eventually: Eventually,
    folder: Path,
    tmp_path: Path,
) -> None:
    index, fresh = start_index(FILES), open_index(store=tmp_path / "others")
    before = chunks(hits(index, WORDS))
    CHANGES[change](folder)
    refresh(fresh)
    wanted = chunks(hits(fresh, WORDS))
    assert wanted != before
    eventually(lambda: chunks(hits(index, WORDS)) == wanted)


def test_another_branch_is_followed(
    start_index: OpenIndex,
    git: Callable[..., str],
    write: Write,
    paths: Paths,
    eventually: Eventually,
) -> None:
    write(FILES)
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("switch", "-q", "-c", "other")
    write({"a.py": "def epsilon(): return 5\n"})
    git("rm", "-q", "src/b.py")
    git("commit", "-q", "-a", "-m", "two")
    index = start_index({})
    assert paths(index, WORDS) == ["a.py", "notes.md", "src/deep/c.py"]
    git("switch", "-q", "main")
    eventually(lambda: paths(index, "alpha beta epsilon") == ["a.py", "src/b.py"])
    assert paths(index, "epsilon") == []


def test_files_that_differ_from_the_last_commit_are_known(
    start_index: OpenIndex,
    git: Callable[..., str],
    write: Write,
    eventually: Eventually,
    folder: Path,
) -> None:
    write(FILES)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    deleted(folder)
    write({"a.py": "def alpha(): return 'changed'\n", "new.py": "1\n", "pile.bin": b"\0"})
    index = start_index({})
    eventually(lambda: index.changed_files() == {"a.py", "new.py"})


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("change", ["rewritten", "deleted"])
def test_a_file_that_is_told_to_have_changed_is_looked_at(
    change: str,
    start_index: OpenIndex,
    paths: Paths,
    eventually: Eventually,
    folder: Path,
) -> None:
    index = start_index(FILES)
    CHANGES[change](folder)
    for path in FILES:
        index.touch(path)
    gone = {"rewritten": "alpha", "deleted": "beta"}[change]
    eventually(lambda: paths(index, gone) == [])
    kept = {path for path in FILES if (folder / path).exists()}
    assert set(paths(index, WORDS)) == kept


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize(
    "path", ["no.py", "../outside.py", "/etc/passwd", "", "src", "a.py/b", "nul\0.py", "é/ü.py"]
)
def test_to_be_told_of_what_does_not_belong_here_changes_nothing(
    path: str, start_index: OpenIndex, paths: Paths, eventually: Eventually, folder: Path
) -> None:
    index = start_index(FILES)
    (folder.parent / "outside.py").write_text("def alpha(): return 'outside'\n")
    (folder / "a.py").write_text("def epsilon(): return 'taken in last'\n")
    index.touch(path)
    index.touch("a.py")
    eventually(lambda: paths(index, "epsilon"))
    assert paths(index, WORDS) == sorted(FILES)
    assert index.status().state is not IndexState.FAILED


@pytest.mark.usefixtures("unwatched")
def test_a_changed_file_is_not_quoted_and_then_indexed_anew(
    start_index: OpenIndex, hits: Callable[..., list[Hit]], eventually: Eventually, folder: Path
) -> None:
    index = start_index(FILES)
    (folder / "src" / "b.py").write_text("import os\n\n\ndef beta(): return 'moved'\n")
    (hit,) = hits(index, "beta")
    assert index.lines(hit.path, hit.start_line, hit.end_line) is None
    eventually(lambda: index.lines("src/b.py", 3, 4) == "def beta(): return 'moved'\n")
    assert [(hit.start_line, hit.end_line) for hit in hits(index, "beta")][-1][1] == 4


@pytest.mark.usefixtures("unwatched")
def test_a_deleted_file_is_not_quoted_and_then_forgotten(
    start_index: OpenIndex, hits: Callable[..., list[Hit]], eventually: Eventually, folder: Path
) -> None:
    index = start_index(FILES)
    deleted(folder)
    (hit,) = hits(index, "beta")
    assert index.lines(hit.path, hit.start_line, hit.end_line) is None
    eventually(lambda: hits(index, "beta") == [])


@pytest.mark.usefixtures("unwatched")
def test_why_changes_are_not_seen_is_told(start_index: OpenIndex) -> None:
    status = start_index(FILES).status()
    assert (status.state, status.detail) == (IndexState.FRESH, SilentWatcher.problem)


def test_hidden_lines_are_not_found(open_index: OpenIndex, write: Write, refresh: Refresh) -> None:
    long = "".join(f"def alpha_{number}(x):\n    return alpha + x\n\n\n" for number in range(60))
    write({"long.py": long, "other.py": "alpha = 1\n"})
    index = open_index()
    refresh(index)
    hidden = {"long.py": [(40, 80)]}
    found = index.search({"alpha": 1.0}, 100, hidden)
    assert {hit.path for hit in found} == {"long.py", "other.py"}
    assert all(hit.end_line <= 40 or hit.start_line >= 80 for hit in found if hit.path == "long.py")
    assert {hit.path for hit in index.search({"alpha": 1.0}, 100, {"long.py": [(0, 999)]})} == {
        "other.py"
    }


TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def test_secrets_are_redacted_wherever_text_leaves(
    open_index: OpenIndex,
    write: Write,
    refresh: Refresh,
    texts: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    write({"client.py": f'def connect(): pass\n\n\nclass Client:\n    token = "{TOKEN}"\n'})
    index = open_index()
    refresh(index)
    (quoted,) = (text for text in texts(index, "client") if "class Client" in text)
    assert 'token = "<redacted>"' in quoted
    assert TOKEN not in (index.text("client.py") or "")
    assert index.search({TOKEN.lower(): 1.0}, 9) == []
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.npy"))
    assert written
    assert TOKEN.encode() not in written


def test_a_folder_is_named_by_its_path(tmp_path: Path) -> None:
    one, two = (
        retrieval.workspace.store_folder(tmp_path, Path(path)) for path in ("/a/app", "/b/app")
    )
    assert one.parent == two.parent == tmp_path
    assert one != two
    assert one.name.startswith("app-")
    assert one == retrieval.workspace.store_folder(tmp_path, Path("/a/app"))
