"""Two Neovims at once in front of one daemon, which may be killed under them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

AREA = "def area(width, height):\n    \n\n\nprint(area(2, 3))\n"
Fimble = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for the user's: one user, one daemon."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture(scope="module")
def fimble(home: Path, server_words: Callable[..., dict[str, Any]]) -> Iterator[Fimble]:
    """Run a command of this user; the daemon ends with the tests."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = server_words(*words, home=home)["command"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    yield run
    assert run("daemon", "stop").returncode == 0


@pytest.fixture(scope="module")
def neovims(fimble: Fimble, home: Path, start_neovim: Callable[..., Any]) -> list[Any]:
    return [start_neovim("lsp", "--wait-for-model", home=home) for _ in range(2)]


def status_of(fimble: Fimble) -> dict[str, Any]:
    finished = fimble("daemon", "status", "--json")
    assert finished.returncode == 0, finished.stderr
    status: dict[str, Any] = json.loads(finished.stdout)
    return status


def test_two_editors_share_one_model_and_not_their_texts(
    neovims: list[Any], until: Callable[..., Any], fimble: Fimble
) -> None:
    wide, deep = neovims
    for neovim in neovims:
        neovim.open("shapes.py", AREA)  # the same file in both
    deep.keys("<Esc>:%s/height/depth/g<CR>")  # not saved
    for neovim in neovims:
        neovim.append_to_line(2, "return wid")
    for neovim, name in ((wide, "height"), (deep, "depth")):
        until(lambda neovim=neovim: neovim.ghost_text, "there is ghost text")
        assert neovim.row(2) == f"    return width * {name}"
    status = status_of(fimble)
    (model,) = status["models"]
    assert model["state"] == "ready"
    assert model["num_clients"] == 2
    assert sum(client["role"] == "lsp" for client in status["clients"]) == 2


def test_editors_go_on_with_their_unsaved_text_after_the_daemon_was_killed(
    neovims: list[Any], until: Callable[..., Any], fimble: Fimble
) -> None:
    for neovim, name in zip(neovims, ("height", "depth"), strict=True):
        neovim.open(f"{name}.py", AREA)
        neovim.keys(f"<Esc>:%s/height/{name}_mm/g<CR>")  # what only the editor knows
        neovim.append_to_line(2, "return")
    killed = status_of(fimble)["pid"]
    os.kill(killed, signal.SIGKILL)
    # Both write this to the one log they share. A request sent before would be lost with the daemon.
    until(lambda: neovims[0].log.count("lost the daemon") == 2, "both proxies know of it")
    for neovim in neovims:
        neovim.keys(" wid")
    for neovim, name in zip(neovims, ("height", "depth"), strict=True):
        until(lambda neovim=neovim: neovim.ghost_text, "there is ghost text again")
        assert neovim.row(2) == f"    return width * {name}_mm"
        assert neovim.lines[:2] == [f"def area(width, {name}_mm):", "    return wid"]
        neovim.keys("<Tab>")
        accepted = f"    return width * {name}_mm"
        until(lambda neovim=neovim, line=accepted: neovim.lines[1] == line, "it is accepted")
        assert neovim.is_attached(), "the editor has lost its server"
    status = status_of(fimble)
    assert status["pid"] != killed
    assert sum(client["role"] == "lsp" for client in status["clients"]) == 2
