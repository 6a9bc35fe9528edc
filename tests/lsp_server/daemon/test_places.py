"""Where the daemon and its log are: the same for whoever looks, in any folder, with any file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from lsp_server.config_files import read_user_file
from lsp_server.daemon import launch
from lsp_server.daemon.hello import Hello
from lsp_server.daemon.paths import RuntimePaths, log_file, users_paths
from lsp_server.options import Options, from_environment, resolve
from lsp_server.user_file import daemon_path, user_file_path
from lsp_server.version import current

KEY = "server.runtime_dir"


@pytest.mark.parametrize(
    "content",
    [
        "[server]\nruntime_dir = 'run'\n",
        "[server]\nruntime_dir = '../run'\n",
        "[server]\nruntime_dir = '/run/me'\n",
        "[server]\nruntime_dir = ''\n",
        "server.runtime_dir = 'run'\n",
        "'server.runtime_dir' = 'run'\n",
        "'server.runtime_dir' = 'run'\n[server]\nruntime_dir = 'other'\n",
        "[fimble.server]\nruntime_dir = 'run'\n",
        "fimble = 1\n[server]\nruntime_dir = 'run'\n",
        "[server]\nruntime_dir = 5\n",
        "server = 5\n",
        "[server]\nlog_level = 'info'\n",
        "\ufeff[server]\nruntime_dir = 'run'\n",
        "[server\nruntime_dir = 'run'\n",
        "x = " + "[" * 5000,
        "",
    ],
)
def test_the_quick_look_finds_what_the_whole_reading_finds(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.toml").write_text(content)
    environment = {"FIMBLE_CONFIG": str(tmp_path / "config.toml")}
    settings = resolve(read_user_file(environment)).settings
    assert daemon_path(KEY, environment) == settings.server.runtime_dir


@pytest.mark.parametrize("content", [b"\xff", b"#" * 1_000_001])
def test_a_file_that_cannot_be_read_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    assert daemon_path(KEY, {"FIMBLE_CONFIG": str(tmp_path / "config.toml")}) == ""


def test_a_variable_outranks_the_file_and_a_home_is_written_out(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("server.runtime_dir = '~/run'\n")
    environment = {"FIMBLE_CONFIG": str(tmp_path / "config.toml")}
    assert daemon_path(KEY, environment) == str(Path.home() / "run")
    assert users_paths(environment).folder == Path.home() / "run"
    named = {**environment, "FIMBLE_SERVER_RUNTIME_DIR": "/run/named"}
    assert users_paths(named).folder == Path("/run/named")


def test_relative_variables_are_of_the_folder_one_works_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"FIMBLE_SERVER_RUNTIME_DIR": "run", "FIMBLE_SERVER_LOG_FILE": "log/d.log"}
    assert users_paths(environment).folder == tmp_path / "run"
    assert log_file(environment) == tmp_path / "log" / "d.log"
    anchored = from_environment(environment).anchored(tmp_path)
    settings = resolve(anchored, Options({})).settings.server
    assert settings.runtime_dir == str(tmp_path / "run")


@pytest.mark.parametrize("named", [None, "", " ", "/etc/xdg", "relative", "/a/../b/"])
@pytest.mark.parametrize("home", [None, "", "/home/me", "home"])
def test_the_users_folder_is_the_one_that_the_library_knows(
    monkeypatch: pytest.MonkeyPatch, named: str | None, home: str | None
) -> None:
    for name, value in (("XDG_CONFIG_HOME", named), ("HOME", home)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    folder = platformdirs.user_config_path("fimble", appauthor=False)
    assert user_file_path({}) == folder / "config.toml"


def test_looking_for_the_daemon_imports_nothing_heavy() -> None:
    heavy = ["tomllib", "argparse", "completion", "models"]
    heavy += ["platformdirs"] if sys.platform == "linux" else []
    code = (
        "import sys, os; from lsp_server.daemon.paths import users_paths; users_paths(os.environ);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    environment = {**os.environ, "XDG_CONFIG_HOME": "/nonexistent"}
    found = subprocess.run(
        [sys.executable, "-I", "-c", code], env=environment, capture_output=True, check=True
    )
    assert found.stdout.strip() == b"[]"


@pytest.mark.e2e
def test_a_daemon_started_with_relative_names_is_found_and_logs_where_it_is_looked_for(
    tmp_path_factory: pytest.TempPathFactory, hello: Callable[..., Hello]
) -> None:
    folder = tmp_path_factory.mktemp("d")  # short: a socket lies in it
    (folder / "own.toml").write_text(
        "[server]\nruntime_dir = 'run'\nlog_file = 'logs/own.log'\nlog_level = 'info'\n"
    )
    environment = {**os.environ, "FIMBLE_CONFIG": "own.toml"}
    paths = RuntimePaths(folder / "run")

    def fimble(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-I", "-m", "lsp_server", "daemon", *words]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=True, timeout=120
        )

    try:
        fimble("start")
        connection = launch.find(paths, hello())
        assert connection is not None
        connection.close()
        assert str(paths.socket).encode() in fimble("logs").stdout
        assert (folder / "logs" / "own.log").exists()
    finally:
        launch.stop(paths, current())
