"""``fimble index``: make, look at and remove the index of a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest

from lsp_server.cli import main
from retrieval.workspace import store_folder

Capture = pytest.CaptureFixture[str]
RunIndex = Callable[..., tuple[str, str]]
FIELDS = {
    "schema": int,
    "folder": str,
    "store": str,
    "state": str,
    "num_files": int,
    "num_chunks": int,
    "num_bytes": int,
    "num_open": int,
    "refreshed": dict,
    "detail": str,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "project"
    (path / "src").mkdir(parents=True)
    (path / ".git").mkdir()
    (path / "src" / "a.py").write_text("def one():\n    return 1\n")
    (path / "b.py").write_text("def two():\n    return 2\n")
    (path / ".env").write_text("TOKEN=1\n")
    monkeypatch.setenv("FIMBLE_INDEX_FOLDER", str(tmp_path / "indexes"))
    monkeypatch.setenv("FIMBLE_INDEX_NUM_WORKERS", "1")
    return path


@pytest.fixture
def run_index(capsys: Capture) -> RunIndex:
    """Return ``run(*arguments, code=0)``: run the command and return both streams."""

    def run(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
        assert main(["index", *map(str, arguments)]) == code, capsys.readouterr()
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


def read(text: str) -> dict[str, Any]:
    """Return the object after checking that every field is there with its type.

    Schema 1 may gain fields, it never loses one.
    """
    (line,) = text.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert FIELDS.items() <= {name: type(value) for name, value in found.items()}.items()
    assert found["schema"] == 1
    return found


def test_a_folder_is_indexed_and_indexed_again_only_where_it_changed(
    folder: Path, run_index: RunIndex
) -> None:
    out, told = run_index(folder)
    assert "2 files indexed (4 lines), 0 dropped" in told
    assert "files      2\n" in out
    assert "1 secret file\n" in out
    (folder / "b.py").unlink()
    (folder / "c.py").write_text("def three():\n    return 3\n")
    assert "1 files indexed (2 lines), 1 dropped" in run_index(folder)[1]


def test_the_object_has_every_field(folder: Path, run_index: RunIndex, tmp_path: Path) -> None:
    made = read(run_index(folder, "--json")[0])
    assert (made["folder"], made["state"], made["num_files"]) == (str(folder), "up to date", 2)
    assert made["store"] == str(store_folder(tmp_path / "indexes", folder))
    assert made["num_chunks"] > 0 < made["num_bytes"]
    assert made["refreshed"]["excluded"]["secret file"] == 1
    seen = read(run_index("status", folder, "--json")[0])
    assert {**seen, "state": "", "refreshed": {}} == {**made, "state": "", "refreshed": {}}


def test_without_a_path_the_project_around_here_is_meant(
    folder: Path, run_index: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "src")
    assert read(run_index("--json")[0])["folder"] == str(folder)
    assert read(run_index("status", "--json")[0])["num_files"] == 2


@pytest.mark.parametrize(
    ("path", "indexed"), [("src", "src"), ("src/a.py", "."), ("b.py", "."), (".", ".")]
)
def test_a_folder_is_taken_as_it_is_and_a_file_stands_for_its_project(
    folder: Path, run_index: RunIndex, path: str, indexed: str
) -> None:
    found = read(run_index(folder / path, "--json")[0])
    assert Path(found["folder"]) == (folder / indexed).resolve()


def test_a_link_to_a_folder_leads_to_its_one_index(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder)
    run_index(folder)
    assert read(run_index("status", tmp_path / "link", "--json")[0])["num_files"] == 2


def test_the_state_of_no_index_says_how_to_make_one(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    out, told = run_index("status", folder, code=3)
    assert f"{folder} has no index; run `fimble index {folder}`" in told
    assert "files      0\n" in out
    assert not (tmp_path / "indexes").exists()


def test_an_index_is_removed_with_all_that_it_had(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    run_index(folder)
    out, told = run_index("remove", folder, "--json")
    assert json.loads(out) == {"schema": 1, "folder": str(folder), "removed": True}
    assert "is removed" in told
    assert list((tmp_path / "indexes").iterdir()) == []
    out, told = run_index("remove", folder, "--json")
    assert (json.loads(out)["removed"], "has no index" in told) == (False, True)


def test_the_index_of_a_folder_that_is_gone_can_be_removed(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    run_index(folder)
    shutil.rmtree(folder)
    assert "is removed" in run_index("remove", folder)[1]
    assert list((tmp_path / "indexes").iterdir()) == []


def test_the_index_of_another_process_is_shown_but_neither_written_nor_removed(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    run_index(folder)
    (folder / "c.py").write_text("def three():\n    return 3\n")
    with filelock.FileLock(store_folder(tmp_path / "indexes", folder) / "writer.lock"):
        out, told = run_index(folder)
        assert "another fimble keeps this index up to date" in told
        assert "files      2\n" in out
        assert "`fimble daemon stop`" in run_index("remove", folder, code=1)[1]
        assert "files      2\n" in run_index("status", folder)[0]
    assert "files      3\n" in run_index(folder)[0]


@pytest.mark.parametrize("action", [(), ("status",)])
def test_a_folder_that_is_not_there_is_named(
    run_index: RunIndex, tmp_path: Path, action: tuple[str, ...]
) -> None:
    _, told = run_index(*action, tmp_path / "gone", code=2)
    assert told == f"fimble: {tmp_path / 'gone'}: no such folder; check the path\n"


def test_a_loose_file_has_no_index(run_index: RunIndex, tmp_path: Path) -> None:
    (tmp_path / "loose.py").write_text("x = 1\n")
    _, told = run_index(tmp_path / "loose.py", code=2)
    assert "is a file in no repository and no project; name a folder" in told


def test_two_folders_are_one_too_many(folder: Path, run_index: RunIndex) -> None:
    assert "one folder at a time" in run_index(folder, folder / "src", code=2)[1]


def test_an_index_that_cannot_be_made_is_told(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    (tmp_path / "indexes").write_text("a file where the folder of indexes should be")
    _, told = run_index(folder, code=1)
    assert str(tmp_path / "indexes") in told
    assert "Traceback" not in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_indexes_that_may_not_be_written_is_told(
    folder: Path, run_index: RunIndex, tmp_path: Path
) -> None:
    (tmp_path / "indexes").mkdir(mode=0o500)
    _, told = run_index(folder, code=1)
    assert str(tmp_path / "indexes") in told


@pytest.mark.parametrize("command", ["index", "search"])
def test_help_loads_neither_torch_nor_numpy(command: str) -> None:
    assert loaded([command, "--help"], {"torch", "numpy", "retrieval.workspace"}) == set()


def test_neither_indexing_nor_searching_loads_torch(folder: Path) -> None:
    heavy = {"torch", "transformers", "models.loader", "faiss"}
    assert loaded(["index", str(folder)], heavy) == set()
    assert loaded(["search", "two", "--in", str(folder)], heavy) == set()
    assert loaded(["search", f"{folder / 'b.py'}:2:5"], heavy) == set()


def loaded(arguments: list[str], modules: set[str]) -> set[str]:
    """Return which of ``modules`` a command has loaded when it ends."""
    script = (
        "import sys; from lsp_server.cli import main; main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-I", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "lsp_server.cli" in done.stderr.split()
    return modules & set(done.stderr.split())
