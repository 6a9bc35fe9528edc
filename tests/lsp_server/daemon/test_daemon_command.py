"""``fimble daemon`` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_server.daemon import launch
from lsp_server.daemon.paths import RuntimePaths

pytestmark = pytest.mark.e2e


def fimble(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "lsp_server", "daemon", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_started_looked_at_and_ended(
    real_daemon: dict[str, str], paths: RuntimePaths
) -> None:
    stopped = fimble(real_daemon, "status")
    assert (stopped.returncode, stopped.stdout) == (3, "")
    assert "no daemon is running" in stopped.stderr
    assert "has started" in fimble(real_daemon, "start").stderr
    assert "runs already" in fimble(real_daemon, "start").stderr
    status = json.loads(fimble(real_daemon, "status", "--json").stdout)
    assert status["pid"] == json.loads(paths.state.read_text())["pid"]
    assert [client["role"] for client in status["clients"]] == ["control"]
    told = fimble(real_daemon, "status").stdout
    assert f"process {status['pid']}" in told
    assert "control: documents 0" in told
    assert "listening on" in fimble(real_daemon, "logs").stdout
    assert "has ended" in fimble(real_daemon, "stop").stderr
    assert not launch.is_running(paths)
    assert "was not running" in fimble(real_daemon, "stop").stderr


def test_its_log_is_followed_as_it_grows(real_daemon: dict[str, str]) -> None:
    log = Path(real_daemon["FIMBLE_SERVER_LOG_FILE"])
    log.write_text("the first line\n")
    command = [sys.executable, "-I", "-m", "lsp_server", "daemon", "logs", "-f"]
    with subprocess.Popen(command, env=real_daemon, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "the first line\n"
        with log.open("a") as growing:
            growing.write("the second line\n")
        assert reader.stdout.readline() == "the second line\n"
        log.rename(log.with_suffix(".log.1"))  # as rotation does
        log.write_text("the first of the next file\n")
        assert reader.stdout.readline() == "the first of the next file\n"
        reader.send_signal(signal.SIGINT)
        assert reader.wait(20) == 130


def test_a_signal_ends_it_in_order(real_daemon: dict[str, str], paths: RuntimePaths) -> None:
    fimble(real_daemon, "start")
    os.kill(json.loads(paths.state.read_text())["pid"], signal.SIGTERM)
    assert launch._ended(paths, 20)
    assert not paths.socket.exists()
    assert not paths.state.exists()
