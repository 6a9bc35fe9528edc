"""Which files of a workspace are found, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.files.exclusion import Exclusion
from retrieval.files.rules import MAX_NUM_RECORD_BYTES, FileRules
from retrieval.files.walk import ExcludedFile, FoundFile, walk

Write = Callable[[dict[str, str | bytes]], None]


def found(folder: Path, **options: object) -> list[str]:
    rules = FileRules(folder, **options)  # type: ignore[arg-type]
    return [entry.path for entry in walk(rules) if isinstance(entry, FoundFile)]


def excluded(folder: Path) -> dict[str, Exclusion]:
    entries = walk(FileRules(folder))
    return {at.path: at.reason for at in entries if isinstance(at, ExcludedFile)}


def test_files_come_with_size_and_time_folder_by_folder_in_order(
    folder: Path, write: Write
) -> None:
    write({"b/z.py": "1", "b/a.py": "", "a/c/d.py": "22", "a.py": "333"})
    entries = list(walk(FileRules(folder)))
    status = (folder / "a.py").stat()
    assert entries[0] == FoundFile("a.py", 3, status.st_mtime_ns)
    assert [at.path for at in entries] == ["a.py", "a/c/d.py", "b/a.py", "b/z.py"]


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        (".env", "A=1", Exclusion.SECRET_FILE),
        (".env.local", "A=1", Exclusion.SECRET_FILE),
        ("config/server.PEM", "x", Exclusion.SECRET_FILE),
        ("id_rsa", "x", Exclusion.SECRET_FILE),
        ("credentials.json", "{}", Exclusion.SECRET_FILE),
        (".npmrc", "x", Exclusion.SECRET_FILE),
        ("secrets.yaml", "x", Exclusion.SECRET_FILE),
        ("logo.png", "x", Exclusion.BINARY),
        ("jquery.min.js", "x", Exclusion.GENERATED),
        ("package-lock.json", "{}", Exclusion.GENERATED),
        ("uv.lock", "x", Exclusion.GENERATED),
        ("big.py", "x" * 1_000_001, Exclusion.TOO_LARGE),
        ("big.json", "x" * (MAX_NUM_RECORD_BYTES + 1), Exclusion.TOO_LARGE),
    ],
)
def test_a_file_is_left_out_for_a_reason(
    folder: Path, write: Write, path: str, content: str, reason: Exclusion
) -> None:
    write({path: content})
    assert excluded(folder) == {path: reason}
    assert FileRules(folder).exclusion(path) is reason


@pytest.mark.parametrize(
    "path",
    [".env.example", "secrets.py", "src/credentials.ts", "a", "tokens.py", "keys.py", "lock.py"],
)
def test_names_that_only_sound_secret_are_indexed(folder: Path, write: Write, path: str) -> None:
    write({path: "x"})
    assert found(folder) == [path]
    assert FileRules(folder).is_indexed(path)


@pytest.mark.parametrize(
    "name", ["node_modules", ".venv", "__pycache__", ".git", ".hg", ".ssh", "site-packages"]
)
def test_folders_of_dependencies_history_and_keys_are_not_entered(
    folder: Path, write: Write, name: str
) -> None:
    write({f"src/{name}/a.py": "x"})
    assert excluded(folder) == {f"src/{name}/": Exclusion.IGNORED}
    assert not FileRules(folder).is_indexed(f"src/{name}/a.py")


@pytest.mark.parametrize("marker", ["pyvenv.cfg", "CACHEDIR.TAG"])
def test_a_folder_that_marks_itself_is_not_entered_unless_it_is_the_workspace(
    folder: Path, write: Write, marker: str
) -> None:
    write({f"env/{marker}": "", "env/lib/a.py": "x"})
    assert excluded(folder) == {"env/": Exclusion.IGNORED}
    assert not FileRules(folder).is_indexed("env/lib/a.py")
    assert "lib/a.py" in found(folder / "env")


def test_own_ignore_files_win_over_those_of_git(folder: Path, write: Write) -> None:
    write(
        {
            ".gitignore": "*.gen.py\nnotes.md\n",
            ".fimbleignore": "!a.gen.py\nb.py\n!node_modules/\n.git*\n.fimbleignore",
            "a.gen.py": "",
            "c.gen.py": "",
            "b.py": "",
            "node_modules/x.js": "",
            "sub/.gitignore": "!notes.md",
            "sub/notes.md": "",
            "notes.md": "",
        }
    )
    assert found(folder) == ["a.gen.py", "node_modules/x.js", "sub/notes.md"]


def test_nothing_includes_secrets_or_history_again(folder: Path, write: Write) -> None:
    write({".fimbleignore": "!.env\n!.git/\n", ".env": "A=1", ".git/config": ""})
    assert found(folder) == [".fimbleignore"]


def test_rules_of_the_repository_around_the_workspace_count(
    folder: Path, write: Write, git: Callable[..., str]
) -> None:
    git("init", "-q")
    write(
        {
            ".gitignore": "/packages/app/out\n*.log",
            ".git/info/exclude": "private/",
            "packages/app/out/a.py": "",
            "packages/app/a.log": "",
            "packages/app/private/b.py": "",
            "packages/app/main.py": "",
        }
    )
    assert found(folder / "packages" / "app") == ["main.py"]


def test_the_users_global_excludes_count_and_may_be_a_link(
    folder: Path, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "dotfiles").write_text("*.orig\n")
    (tmp_path / "ignore").symlink_to(tmp_path / "dotfiles")
    write({"a.py": "", "a.py.orig": ""})
    assert found(folder, global_excludes=tmp_path / "ignore") == ["a.py"]


def test_a_repository_inside_goes_by_its_own_rules(
    folder: Path, write: Write, git: Callable[..., str]
) -> None:
    write({".gitignore": "*.log\n", "inner/a.log": "", "inner/b.txt": "", "a.log": ""})
    git("init", "-q")
    git("init", "-q", at=folder / "inner")
    write({"inner/.git/info/exclude": "b.txt"})
    assert found(folder) == [".gitignore", "inner/a.log"]
    assert FileRules(folder).is_indexed("inner/a.log")


def test_a_linked_worktree_goes_by_the_excludes_of_its_repository(
    folder: Path, write: Write, git: Callable[..., str], tmp_path: Path
) -> None:
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("worktree", "add", "-q", str(tmp_path / "tree"))
    write({".git/info/exclude": "b.txt"})
    for name in ("a.txt", "b.txt"):
        (tmp_path / "tree" / name).write_text("x")
    assert found(tmp_path / "tree") == ["a.txt"]


def test_links_are_never_followed(folder: Path, write: Write, tmp_path: Path) -> None:
    write({"a/real.py": ""})
    (tmp_path / "outside.py").write_text("x")
    (folder / "loop").symlink_to(folder)
    (folder / "a" / "out.py").symlink_to(tmp_path / "outside.py")
    (folder / "a" / "gone.py").symlink_to(folder / "nothing")
    assert found(folder) == ["a/real.py"]
    assert excluded(folder) == dict.fromkeys(("a/gone.py", "a/out.py", "loop"), Exclusion.LINK)
    assert not FileRules(folder).is_indexed("loop/a/real.py")


def test_what_is_no_file_or_has_no_utf8_name_is_unreadable(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")
    try:
        (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.py"))).write_text("x")
    except OSError:
        pytest.skip("this file system only takes names in UTF-8")
    assert set(excluded(folder).values()) == {Exclusion.UNREADABLE}
    assert not found(folder)


def test_a_folder_that_cannot_be_read_is_counted_and_skipped(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"closed/a.py": "", "open/b.py": ""})
    scan = os.scandir

    def guarded(path: str) -> object:
        if path.endswith("/closed/"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert found(folder) == ["open/b.py"]
    assert excluded(folder) == {"closed/": Exclusion.UNREADABLE}


def test_a_workspace_that_is_gone_is_unreadable(folder: Path) -> None:
    folder.rmdir()
    assert list(walk(FileRules(folder))) == [ExcludedFile("./", Exclusion.UNREADABLE)]


@pytest.mark.parametrize("path", ["../a.py", "/a.py", "x//a.py", "./a.py", "gone.py", "a\0.py", ""])
def test_paths_that_lead_nowhere_are_not_indexed(folder: Path, write: Write, path: str) -> None:
    write({"a.py": "", "../a.py": "", "x/a.py": ""})
    assert not FileRules(folder).is_indexed(path)


def test_an_ignore_file_that_cannot_be_read_ignores_nothing(folder: Path, write: Write) -> None:
    write({"a.py": ""})
    os.mkfifo(folder / ".gitignore")
    assert found(folder) == ["a.py"]
