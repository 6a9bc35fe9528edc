"""Lines of the repository in the prompt, in processes as users start them, and repositories that are hostile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e]

Run = Callable[..., Any]
LIMIT_S = 120.0
STORE = """\
class PriceTable:
    def discounted_price(self, article: str, percent: float) -> float:
        return self.prices[article] * (1 - percent / 100)
"""
MAIN = """\
from store import PriceTable

table = PriceTable()
price = table.discounted_price(
"""


@pytest.fixture
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that lead to a daemon of this test, which is ended behind it, and to its indexes."""
    from lsp_server.daemon import launch
    from lsp_server.daemon.paths import runtime_paths
    from lsp_server.version import current

    run, indexes = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("indexes")
    yield {
        "FIMBLE_SERVER_RUNTIME_DIR": str(run),
        "FIMBLE_SERVER_WAIT_FOR_MODEL": "true",
        "FIMBLE_INDEX_FOLDER": str(indexes),
        "FIMBLE_INDEX_NUM_WORKERS": "1",
    }
    launch.stop(runtime_paths(str(run), os.environ), current())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The current folder of the processes, made a repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "store.py").write_text(STORE)
    (tmp_path / "main.py").write_text(MAIN)
    return tmp_path


def context(done: Any) -> list[dict[str, Any]]:
    assert done.returncode in (0, 3), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["context"]
    return found


def status(run_fimble: Run, env: dict[str, str]) -> dict[str, Any]:
    done = run_fimble("daemon", "status", "--json", env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.weights
@pytest.mark.usefixtures("repository")
def test_the_daemon_keeps_an_index_of_what_scripts_ask_about(
    run_fimble: Run, env: dict[str, str], tmp_path: Path
) -> None:
    ask = ("complete", "main.py:4:32", "--json", "--max-tokens", "4")
    context(run_fimble(*ask, env=env))  # begins to index
    latest = time.monotonic() + LIMIT_S
    while [index["state"] for index in status(run_fimble, env)["indexes"]] != ["up to date"]:
        assert time.monotonic() < latest, "the index does not get up to date"
    (index,) = status(run_fimble, env)["indexes"]
    assert (index["folder"], index["num_files"]) == (str(tmp_path), 2)
    chunks = context(run_fimble(*ask, env=env))
    assert {chunk["path"] for chunk in chunks} == {"store.py"}
    (similar,) = [chunk for chunk in chunks if chunk["source"] == "similar"]
    assert (similar["start_line"], similar["end_line"]) == (1, 3)
    assert {chunk["source"] for chunk in chunks} == {"similar", "definition"}
    assert context(run_fimble(*ask, "--no-retrieval", env=env)) == []
    assert context(run_fimble(*ask, env={**env, "FIMBLE_INDEX_ENABLED": "false"})) == []
    told = run_fimble("daemon", "status", env=env).stdout.decode()
    assert f"index   {tmp_path}: up to date, files 2" in told


@pytest.mark.weights
@pytest.mark.usefixtures("repository")
def test_a_process_of_its_own_uses_the_index_that_there_is(
    run_fimble: Run, env: dict[str, str]
) -> None:
    ask = ("complete", "main.py:4:32", "--json", "--max-tokens", "4", "--standalone")
    assert context(run_fimble(*ask, env=env)) == []
    assert run_fimble("index", env=env).returncode == 0
    assert {chunk["path"] for chunk in context(run_fimble(*ask, env=env))} == {"store.py"}


def test_nothing_of_a_hostile_repository_is_run(
    run_fimble: Run, hostile_workspace: Path, env: dict[str, str], either_command: tuple[str, ...]
) -> None:
    _arm(hostile_workspace)
    env = {**env, "PYTHONPATH": ""}
    done = run_fimble("index", ".", "--json", command=either_command, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["num_files"] > 10
    found = run_fimble("search", "models pathlib open", command=either_command, env=env)
    assert found.returncode == 0, found.stderr
    assert run_fimble("daemon", "start", command=either_command, env=env).returncode == 0
    assert run_fimble("index", "remove", ".", command=either_command, env=env).returncode == 0
    assert not (hostile_workspace / "imported").exists()
    assert not (hostile_workspace / "ran").exists()


def test_an_editor_in_a_hostile_repository_runs_nothing_of_it(
    start_server: Run, run_fimble: Run, hostile_workspace: Path, env: dict[str, str]
) -> None:
    _arm(hostile_workspace)
    folder = {"uri": hostile_workspace.as_uri(), "name": "hostile"}
    options = {"processId": None, "capabilities": {}, "workspaceFolders": [folder]}
    offline = {**env, "FIMBLE_MODEL_NAME": str(hostile_workspace / "no-model")}
    with start_server(env=offline) as editor:
        editor.ask("initialize", options)
        editor.notify("initialized", {})
        latest = time.monotonic() + LIMIT_S
        while [index["state"] for index in status(run_fimble, env)["indexes"]] != ["up to date"]:
            assert time.monotonic() < latest, "the index does not get up to date"
        assert status(run_fimble, env)["indexes"][0]["num_files"] > 10
    assert not (hostile_workspace / "imported").exists()
    assert not (hostile_workspace / "ran").exists()


def _arm(folder: Path) -> None:
    """Make ``folder`` a repository whose settings name programs that would leave the file ``ran``."""
    program = folder / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {folder / 'ran'}\ncat\n")
    program.chmod(0o755)
    git = folder / ".git"
    for name in ("objects", "refs", "hooks", "info"):
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n"
        f"\tfsmonitor = {program}\n\thooksPath = {folder}\n\tpager = {program}\n"
        f"\tsshCommand = {program}\n\texcludesFile = {program}\n"
        f'[filter "evil"]\n\tclean = {program}\n\tsmudge = {program}\n\tprocess = {program}\n'
        f"[alias]\n\tstatus = !{program}\n[diff]\n\texternal = {program}\n"
    )
    (folder / ".gitattributes").write_text("* filter=evil\n")
    (git / "hooks" / "post-index-change").symlink_to(program)
