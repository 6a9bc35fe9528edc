"""The folder nvim/ in front of the daemon and the real model, which may be killed under it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

AREA = "def area(width, height):\n    \n\n\nprint(area(width=2, height=3))\n"
LINE = "    return width * height"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for the user's: one user, one daemon for both versions of Neovim."""
    return tmp_path_factory.mktemp("m")


@pytest.fixture(scope="module")
def daemon(home: Path, server_words: Callable[..., dict[str, Any]]) -> Iterator[Callable[..., Any]]:
    """Run ``fimble daemon`` of this user; the daemon ends with the tests."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = server_words("daemon", *words, home=home)["command"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    yield run
    assert run("stop").returncode == 0


@pytest.fixture(params=["neovim", "old-neovim"])
def neovim(
    request: pytest.FixtureRequest,
    start_neovim: Callable[..., Any],
    home: Path,
    daemon: Callable[..., Any],
) -> Any:
    assert daemon is not None  # which is stopped after the editors
    words = ("lsp", "--wait-for-model")
    return start_neovim(*words, home=home, name=request.param, init="neovim_plugin/plugin.lua")


def test_ghost_text_of_the_model_is_accepted_explained_and_back_after_a_crash(
    neovim: Any, until: Callable[..., Any], daemon: Callable[..., Any]
) -> None:
    neovim.open("shapes.py", AREA)
    neovim.append_to_line(2, "return wid")
    until(lambda: neovim.row(2) == LINE, "there is ghost text")
    assert neovim.lines[1] == "    return wid"
    neovim.keys("<M-Right>")
    until(lambda: neovim.lines[1] == "    return width", "a word is accepted")
    neovim.keys("<Tab>")
    until(lambda: neovim.lines[1] == LINE, "the rest is accepted")

    neovim.keys("<Esc>:Fimble why<CR>")
    until(lambda: "qwen2.5-coder-0.5b" in "\n".join(neovim.lines), "the window says why")
    assert "tokens" in "\n".join(neovim.lines)
    neovim.keys("q")

    neovim.keys("<Esc>:%s/height/depth/g<CR>")  # what only the editor knows
    killed = json.loads(daemon("status", "--json").stdout)["pid"]
    os.kill(killed, signal.SIGKILL)
    neovim.keys("<Esc>2GC    return wid")  # and no other key, which would ask anew
    until(lambda: neovim.row(2) == "    return width * depth", "there is ghost text again")
    neovim.keys("<Tab>")
    until(lambda: neovim.lines[1] == "    return width * depth", "it is accepted")
    assert not neovim.notes
