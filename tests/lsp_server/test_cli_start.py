"""What the command line decides before any model: commands, flags, the daemon."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_server.cli import COMMANDS, main


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_text("def f(a, b):\n    return \n")
    return path


def test_without_a_daemon_the_way_without_one_is_named(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "blocked").write_text("a file where the daemon's folder should be")
    monkeypatch.setenv("FIMBLE_SERVER_RUNTIME_DIR", str(tmp_path / "blocked"))
    assert main(["complete", f"{source}:2:12"]) == 1
    output = capsys.readouterr()
    assert "`fimble complete --standalone` does without a daemon" in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--log-level", "loud"], "allowed: debug"),
        (["--model", "qwen2.5-coder"], "did you mean"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_a_bad_flag_of_the_proxy_is_refused_before_an_editor_waits(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["lsp", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_the_commands_own_help_says_what_the_list_of_commands_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = argparse.ArgumentParser(prog="fimble")
    subcommands = parser.add_subparsers()
    for name in COMMANDS:
        importlib.import_module(f"lsp_server.commands.{name}").register(subcommands)
    shown = {action.dest: action.help for action in subcommands._get_subactions()}
    assert shown == COMMANDS


def test_the_proxy_starts_without_what_only_the_daemon_needs() -> None:
    heavy = "{'torch', 'numpy', 'pygls', 'lsprotocol', 'asyncio', 'argparse', 'importlib.metadata'}"
    script = (
        f"import sys, lsp_server.cli, lsp_server.proxy.serve; print({heavy} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
