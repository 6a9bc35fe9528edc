"""Which settings count for a client of the daemon, which works in another folder than its client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.cli import main
from lsp_server.daemon import launch
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.hello import Hello, Role
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.framing import frame
from lsp_server.settings import Settings

StartDaemon = Callable[..., Any]
Complete = Callable[..., Settings]


@pytest.fixture
def complete(
    start_daemon: StartDaemon, paths: RuntimePaths, hello: Callable[..., Hello], service: Any
) -> Complete:
    """Return ``complete(path, **hello)``: the settings of the service that answers for ``path``."""
    chosen: list[Settings] = []

    def build(settings: Settings) -> Any:
        chosen.append(settings)
        return service

    start_daemon(build)

    def ask(path: Path, **fields: Any) -> Settings:
        document = {"uri": path.as_uri(), "path": str(path), "language_id": "python", "text": "x"}
        connection = launch.find(paths, hello(**fields))
        assert connection is not None
        with ControlClient(connection) as client:
            client.request("complete", {"document": document, "offset": 1})
        return chosen[-1]

    return ask


def test_the_projects_file_of_a_document_counts_and_the_callers_variables_outrank_it(
    complete: Complete, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    written = "prompt.context_share = 0.0625\nprompt.suffix_share = 0.125\nhttp.port = 1\n"
    (project / ".fimble.toml").write_text(written)
    outside = complete(tmp_path / "b.py")
    environment = {"FIMBLE_PROMPT_SUFFIX_SHARE": "0.375"}
    inside = complete(project / "src" / "a.py", environment=environment)
    assert outside == Settings()
    assert (inside.prompt.context_share, inside.prompt.suffix_share) == (0.0625, 0.375)
    assert inside.http == Settings().http


def test_the_users_file_is_the_one_that_the_caller_names(
    complete: Complete, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text("[prompt]\nmax_num_tokens = 512\n")
    environment = {"FIMBLE_CONFIG": "mine.toml"}
    settings = complete(tmp_path / "a.py", directory=str(tmp_path), environment=environment)
    assert settings.prompt.max_num_tokens == 512


def test_a_relative_path_is_the_callers(complete: Complete, tmp_path: Path) -> None:
    environment = {"FIMBLE_MODEL_CACHE_DIR": "weights"}
    settings = complete(tmp_path / "a.py", directory=str(tmp_path), environment=environment)
    assert settings.model.cache_dir == str(tmp_path / "weights")


def test_a_relative_path_on_the_command_line_is_of_the_folder_one_works_in(
    start_daemon: StartDaemon,
    paths: RuntimePaths,
    service: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "a.py").write_text("x = ")
    chosen: list[Settings] = []

    def build(settings: Settings) -> Any:
        chosen.append(settings)
        return service

    start_daemon(build)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIMBLE_SERVER_RUNTIME_DIR", str(paths.folder))
    monkeypatch.setenv("FIMBLE_MODEL_CACHE_DIR", "cache")
    assert main(["complete", "a.py:1:5", "--model", "./weights"]) == 0
    assert chosen[-1].model.name == str(tmp_path / "weights")
    assert chosen[-1].model.cache_dir == str(tmp_path / "cache")


def test_an_editor_brings_its_users_file_and_a_hostile_project_nothing_that_needs_trust(
    start_daemon: StartDaemon,
    paths: RuntimePaths,
    hello: Callable[..., Hello],
    service: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.toml").write_text("prompt.max_num_tokens = 512\n")
    evil = 'name = "../evil"\ncache_dir = "."\n[server]\nlog_file = "stolen"\n'
    (tmp_path / ".fimble.toml").write_text(f"prompt.suffix_share = 0.125\n[model]\n{evil}")
    started = threading.Event()
    chosen: list[Settings] = []

    def build(settings: Settings) -> Any:
        chosen.append(settings)
        started.set()
        return service

    start_daemon(build)
    environment = {"FIMBLE_CONFIG": "mine.toml"}
    said = hello(role=Role.LSP, directory=str(tmp_path), environment=environment)
    connection = launch.find(paths, said)
    assert connection is not None
    with connection:
        folders = [{"uri": tmp_path.as_uri(), "name": "w"}]
        params: dict[str, Any] = {
            "processId": None,
            "capabilities": {},
            "workspaceFolders": folders,
        }
        for message in (
            {"id": 1, "method": "initialize", "params": params},
            {"method": "initialized", "params": {}},
        ):
            connection.sendall(frame(json.dumps({"jsonrpc": "2.0", **message}).encode()))
        assert started.wait(20)
    assert (chosen[0].prompt.max_num_tokens, chosen[0].prompt.suffix_share) == (512, 0.125)
    assert chosen[0].model == Settings().model
    assert chosen[0].server == Settings().server
