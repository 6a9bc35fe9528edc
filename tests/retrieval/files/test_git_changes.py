"""What git says of a workspace, also where the repository is hostile."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.files.git_changes import changed_files, global_excludes

Write = Callable[[dict[str, str | bytes]], None]


@pytest.fixture
def repository(folder: Path, write: Write, git: Callable[..., str]) -> Path:
    git("init", "-q")
    write({"a.py": "1", "gone.py": "1", "sub/b.py": "1", "sub/same.py": "1", ".gitignore": "*.log"})
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return folder


def test_changed_staged_and_untracked_files_are_listed(
    repository: Path, write: Write, git: Callable[..., str], environment: dict[str, str]
) -> None:
    write({"a.py": "2", "new/ü \n'.py": "", "x.log": "", "sub/staged.py": ""})
    (repository / "gone.py").unlink()
    git("add", "sub/staged.py")
    git("mv", "sub/b.py", "sub/moved.py")
    expected = ("a.py", "new/ü \n'.py", "sub/moved.py", "sub/staged.py")
    assert changed_files(repository, environment) == expected


def test_paths_are_relative_to_the_workspace_inside_the_repository(
    repository: Path, write: Write, environment: dict[str, str]
) -> None:
    write({"a.py": "2", "sub/b.py": "2"})
    assert changed_files(repository / "sub", environment) == ("b.py",)


def test_conflicting_files_are_listed(
    repository: Path, write: Write, git: Callable[..., str], environment: dict[str, str]
) -> None:
    git("checkout", "-q", "-b", "other")
    write({"a.py": "other"})
    git("commit", "-q", "-a", "-m", "other")
    git("checkout", "-q", "-")
    write({"a.py": "mine"})
    git("commit", "-q", "-a", "-m", "mine")
    git("merge", "other")
    assert changed_files(repository, environment) == ("a.py",)


def test_everything_is_new_before_the_first_commit(
    folder: Path, write: Write, git: Callable[..., str], environment: dict[str, str]
) -> None:
    git("init", "-q")
    write({"a.py": ""})
    assert changed_files(folder, environment) == ("a.py",)


def test_nothing_is_known_outside_of_repositories_and_without_git(
    repository: Path, write: Write, environment: dict[str, str], tmp_path: Path
) -> None:
    write({"a.py": "2"})
    assert changed_files(repository, environment) == ("a.py",)
    (repository / ".git").rename(tmp_path / "taken")
    assert changed_files(repository, environment) == ()


def test_nothing_is_known_without_git(
    repository: Path, write: Write, environment: dict[str, str], tmp_path: Path
) -> None:
    write({"a.py": "2"})
    assert changed_files(repository, environment | {"PATH": str(tmp_path)}) == ()
    assert changed_files(repository, environment, timeout_s=0.0) == ()


def test_a_damaged_repository_is_none(
    folder: Path, write: Write, environment: dict[str, str]
) -> None:
    write({".git/config": "[core\n", "a.py": ""})
    assert changed_files(folder, environment) == ()


@pytest.fixture
def trap(tmp_path: Path) -> tuple[str, Path]:
    """A command that repositories name, and the file that it leaves behind if it runs."""
    trace = tmp_path / "it-ran"
    script = tmp_path / "trap"
    script.write_text(f"#!/bin/sh\necho x > {shlex.quote(str(trace))}\ncat\n")
    script.chmod(0o755)
    return str(script), trace


@pytest.mark.parametrize("setting", ["core.fsmonitor", "filter.x.clean", "filter.x.process"])
def test_programs_that_a_repository_names_are_not_run(
    repository: Path,
    write: Write,
    git: Callable[..., str],
    environment: dict[str, str],
    trap: tuple[str, Path],
    setting: str,
) -> None:
    command, trace = trap
    write({".gitattributes": "*.py filter=x\n", "a.py": "3"})
    os.utime(repository / "sub" / "same.py", ns=(1, 1))
    git("config", setting, command)
    assert "a.py" in changed_files(repository, environment)
    assert not trace.exists()
    git("status", "--porcelain")
    assert trace.exists()  # the trap works where nobody takes care


def test_a_filter_that_cannot_be_switched_off_ends_the_question(
    repository: Path,
    write: Write,
    environment: dict[str, str],
    git: Callable[..., str],
    trap: tuple[str, Path],
) -> None:
    command, trace = trap
    write({".gitattributes": "*.py filter=a=b\n", "a.py": "3"})
    git("config", "filter.a=b.clean", command)
    assert changed_files(repository, environment) == ()
    assert not trace.exists()


def test_hooks_and_index_are_left_alone(
    repository: Path, write: Write, environment: dict[str, str], trap: tuple[str, Path]
) -> None:
    command, trace = trap
    write({".git/hooks/post-index-change": f"#!/bin/sh\n{command}\n", "a.py": "2"})
    (repository / ".git" / "hooks" / "post-index-change").chmod(0o755)
    os.utime(repository / "sub" / "same.py", ns=(1, 1))
    index = (repository / ".git" / "index").read_bytes()
    assert changed_files(repository, environment) == ("a.py",)
    assert (repository / ".git" / "index").read_bytes() == index
    assert not trace.exists()


def test_the_surrounding_git_variables_do_not_count(
    repository: Path, write: Write, environment: dict[str, str], tmp_path: Path
) -> None:
    write({"a.py": "2"})
    misled = environment | {"GIT_DIR": str(tmp_path), "GIT_WORK_TREE": str(tmp_path)}
    assert changed_files(repository, misled) == ("a.py",)


def test_global_excludes_are_where_git_looks(
    git: Callable[..., str], environment: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert global_excludes(environment) == home / ".config" / "git" / "ignore"
    xdg = environment | {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert global_excludes(xdg) == tmp_path / "xdg" / "git" / "ignore"
    git("config", "--global", "core.excludesFile", "~/my ignores", at=home)
    assert global_excludes(environment) == home / "my ignores"
    assert global_excludes({"PATH": environment["PATH"]}) is None
