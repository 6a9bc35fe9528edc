"""``:Fimble`` and ``:checkhealth fimble``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

Plugin = Any


@pytest.mark.usefixtures("switched_on_again")
@pytest.mark.parametrize("off", ["toggle", "disable", "disable buffer", "disable python"])
def test_switched_off_it_asks_nothing_and_switched_on_it_goes_on(plugin: Plugin, off: str) -> None:
    plugin.type_area()
    plugin.neovim.keys(f"<C-o>:Fimble {off}<CR>")
    plugin.wait_for_ghost("")
    num_asked = len(plugin.received("textDocument/inlineCompletion"))
    plugin.neovim.keys("<Esc>ccreturn width")
    plugin.wait_for_lines("return width")
    plugin.neovim.keys(f"<C-o>:Fimble {off.replace('disable', 'enable')}<CR>")
    plugin.neovim.keys(" ")
    plugin.wait_for_ghost("* height")
    asked = plugin.received("textDocument/inlineCompletion")[num_asked:]
    assert {found["position"]["character"] for found in asked} <= {12, 13}


@pytest.mark.usefixtures("switched_on_again")
def test_enabling_a_file_while_all_are_off_says_that_it_stays_off(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("<Esc>:Fimble disable<CR>:Fimble toggle buffer<CR>")
    said = plugin.until(lambda: plugin.neovim.notes[-1:], "it is said")
    plugin.until(lambda: "but off for all" in plugin.neovim.notes[-1], f"not only {said}")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{ ghost_text = 'mine' }", "ghost_text has to be one of auto, builtin, own"),
        ("{ debounce_ms = false }", "debounce_ms has to be a number"),
        ("{ cmd = 3 }", "cmd has to be a string or a list"),
        ("{ keys = { acept = '<C-l>' } }", "there is no option keys.acept"),
        ("{ keys = false }", None),
    ],
)
def test_health_names_options_that_cannot_be_meant(
    plugin: Plugin, options: str, problem: str | None
) -> None:
    found = plugin.neovim.lua(
        f"local config = require('fimble.config'); config.set({options})"
        "local found = config.problems(); config.set(); return found"
    )
    assert found == ([problem] if problem else [])


def test_why_opens_a_window_that_q_closes(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("<Esc>:Fimble why<CR>")
    float_is_open = "return vim.api.nvim_win_get_config(0).relative ~= ''"
    plugin.until(lambda: plugin.neovim.lua(float_is_open), "the window is there")
    text = "\n".join(plugin.neovim.lines)
    for part in (
        "the cursor stands inside a word",
        "inside_word",
        "kept from r0",
        "41 ms",
        "100 tokens: 90 cached, 4 patched, 6 new",
        "lib.py:3-9  0.50  imported here",
        "accepted in part",
    ):
        assert part in text
    assert any("the cursor stands inside a word" in row for row in plugin.neovim.screen)
    assert "textDocument" in plugin.wait_for("fimble/why")
    plugin.neovim.keys("q")
    plugin.until(lambda: not plugin.neovim.lua(float_is_open), "the window is gone")


def test_why_of_a_request_that_is_forgotten_says_so(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("<Esc>:Fimble why unknown<CR>")
    assert plugin.wait_for("fimble/why")["id"] == "unknown"
    plugin.until(lambda: "nothing is known" in "".join(plugin.neovim.notes), "it is said")


def test_health_names_versions_the_model_the_client_and_plugins_that_clash(
    plugin: Plugin,
) -> None:
    plugin.open()
    plugin.neovim.lua("vim.g.loaded_copilot = 1")
    text = plugin.health()
    plugin.neovim.lua("vim.g.loaded_copilot = nil")
    for part in (
        f"Neovim {plugin.neovim.lua('return tostring(vim.version())')}",
        "its version: fimble 9.9.9",
        "the daemon runs: process 1",
        "model scripted: ready",
        "attached to",
        "copilot.vim is loaded",
    ):
        assert part in text


def test_health_finds_the_key_that_another_plugin_took(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.lua("vim.keymap.set('i', '<Tab>', 'x', { desc = 'of another plugin' })")
    text = plugin.health()
    plugin.neovim.lua("vim.keymap.del('i', '<Tab>'); require('fimble.keys').apply()")
    assert "<Tab>, meant to accept the suggestion, is taken by: of another plugin" in text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Fimble ", "dashboard disable enable install log restart status toggle why"),
        ("Fimble re", "restart"),
        ("Fimble toggle ", "buffer"),
        ("Fimble disable buf", "buffer"),
    ],
)
def test_arguments_of_the_command_are_completed(plugin: Plugin, line: str, expected: str) -> None:
    assert plugin.neovim.nvim.funcs.getcompletion(line, "cmdline") == expected.split()


def test_the_log_is_shown_in_a_window(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("<Esc>:Fimble log<CR>")
    plugin.until(lambda: "the daemon's last words" in plugin.neovim.lines, "the log is there")
    plugin.neovim.keys("q")


def test_the_dashboard_is_opened_by_its_address(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.lua("vim.ui.open = function(url) Opened = url end")
    plugin.neovim.keys("<Esc>:Fimble dashboard<CR>")
    opened = plugin.until(lambda: plugin.neovim.lua("return Opened or ''"), "it is opened")
    assert opened == "http://127.0.0.1:1/dashboard/#token=t"
    assert not any("token" in note for note in plugin.neovim.notes)


def test_install_makes_an_environment_in_which_the_server_is_found(
    plugin: Plugin, tmp_path: Path
) -> None:
    """With a stand-in for uv, as the real one would fetch PyTorch."""
    server = plugin.neovim.lua("return vim.g.fimble.cmd")
    python, uv = tmp_path / "python-of-the-environment", tmp_path / "uv"
    python.write_text(f"#!/bin/sh\nexec {shlex.join(server)}\n")
    python.chmod(0o755)
    uv.write_text(
        "#!/bin/sh\n"
        "for last; do :; done\n"
        'if [ "$1" = venv ]; then mkdir -p "$last/bin"; exit; fi\n'
        f'cp {python} "$4"; cp {python} "${{4%/*}}/fimble"\n'
    )
    uv.chmod(0o755)
    plugin.open()
    former = plugin.neovim.lua(
        """
        local former = { vim.env.PATH, vim.g.fimble }
        vim.env.PATH = ... .. ':/usr/bin:/bin'
        vim.g.fimble = { install = { source = '/src', flags = { '--offline' } } }
        require('fimble').setup()
        return former
        """,
        str(tmp_path),
    )
    try:
        plugin.neovim.keys("<Esc>:Fimble install<CR>")
        plugin.until(lambda: "Installed." in "\n".join(plugin.neovim.lines), "it is installed")
        text = "\n".join(plugin.neovim.lines)
        plugin.neovim.keys("q")
        assert "uv venv --seed" in text
        assert "--offline /src" in text
        plugin.wait_for("textDocument/didOpen")
        plugin.until(plugin.neovim.is_attached, "it is attached")
        _, source = plugin.neovim.lua("return { require('fimble.server').command() }")
        assert source == ":Fimble install"
    finally:
        plugin.neovim.lua(
            "vim.env.PATH, vim.g.fimble = unpack(...); require('fimble').setup()", former
        )


def test_restart_starts_another_server_that_knows_the_text(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("iunsaved<Esc>:Fimble restart<CR>")
    opened = plugin.wait_for("textDocument/didOpen")
    assert opened["textDocument"]["text"] == "unsaved\n"
    plugin.until(plugin.neovim.is_attached, "it is attached")
    plugin.type_area_again()


def test_the_tags_of_the_help_file_are_those_that_neovim_makes(
    plugin: Plugin, tmp_path: Path
) -> None:
    """They are in the repository, as nothing makes them for a folder on the runtimepath."""
    doc = Path(
        plugin.neovim.lua("return vim.api.nvim_get_runtime_file('doc/fimble.txt', false)[1]")
    )
    (tmp_path / doc.name).write_text(doc.read_text(encoding="utf-8"), encoding="utf-8")
    plugin.neovim.lua("vim.cmd.helptags(...)", str(tmp_path))
    assert doc.with_name("tags").read_text() == (tmp_path / "tags").read_text()
