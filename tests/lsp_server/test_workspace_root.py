"""Which folder a file belongs to where no editor says it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from completion.types import DocumentSnapshot
from lsp_server.workspace_root import in_workspace, workspace_root


def make(folder: Path, *paths: str) -> None:
    """Make files, and folders where a path ends with a slash."""
    for path in paths:
        target = folder / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()


@pytest.mark.parametrize(
    ("made", "start", "root"),
    [
        (("r/.git/", "r/src/a/"), "r/src/a", "r"),
        (("r/.git/",), "r", "r"),
        (("r/.git",), "r/gone/deeper", "r"),  # a worktree's is a file; what is asked may not exist
        (("r/.git/", "r/sub/.git", "r/sub/src/"), "r/sub/src", "r/sub"),  # a submodule
        (("r/.hg/", "r/src/"), "r/src", "r"),
        (("r/.jj/", "r/src/"), "r/src", "r"),
        (("r/.git/", "r/pkg/pyproject.toml", "r/pkg/src/"), "r/pkg/src", "r"),
        (("p/package.json", "p/lib/package.json", "p/lib/src/"), "p/lib/src", "p/lib"),
        (("p/.fimble.toml", "p/src/"), "p/src", "p"),
        (("p/Cargo.toml", "p/src/"), "p/src", "p"),
        (("p/go.mod", "p/src/"), "p/src", "p"),
        (("p/pom.xml", "p/src/"), "p/src", "p"),
        (("loose/a.py",), "loose", None),
    ],
)
def test_the_root_is_that_of_the_repository_or_else_of_the_project(
    tmp_path: Path, made: tuple[str, ...], start: str, root: str | None
) -> None:
    make(tmp_path, *made)
    assert workspace_root(tmp_path / start) == (None if root is None else tmp_path / root)


def test_the_home_folder_is_no_root_and_hides_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    make(tmp_path, ".git/", "notes/", "work/r/.git/")
    assert workspace_root(tmp_path) is None
    assert workspace_root(tmp_path / "notes") is None
    assert workspace_root(tmp_path / "work" / "r") == tmp_path / "work" / "r"


def test_a_user_without_a_home_has_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: str) -> str:
        return "~"  # as os.path.expanduser answers then

    monkeypatch.setattr(os.path, "expanduser", no_home)
    make(tmp_path, "r/.git/")
    assert workspace_root(tmp_path / "r") == tmp_path / "r"


def test_the_current_folder_is_a_place_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "r/.git/", "r/src/")
    monkeypatch.chdir(tmp_path / "r" / "src")
    assert workspace_root(Path()) == tmp_path / "r"


def document(path: str | None, workspace: str = "") -> DocumentSnapshot:
    return DocumentSnapshot("file:///x", 1, "python", "", path, workspace=workspace)


def test_a_document_is_named_by_the_root_that_it_lies_in(tmp_path: Path) -> None:
    make(tmp_path, "r/.git/", "r/src/a.py", "loose/b.py")
    named = in_workspace(document(str(tmp_path / "r" / "src" / "a.py")))
    assert (named.path, named.workspace) == ("src/a.py", str(tmp_path / "r"))


@pytest.mark.parametrize("path", [None, "loose/b.py"])
def test_a_document_outside_of_every_project_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    make(tmp_path, "loose/b.py")
    monkeypatch.chdir(tmp_path)
    assert in_workspace(document(path)) == document(path)


def test_a_document_that_has_a_name_already_keeps_it(tmp_path: Path) -> None:
    make(tmp_path, "r/.git/", "r/src/a.py")
    known = document("a.py", str(tmp_path / "r" / "src"))
    assert in_workspace(known) is known
