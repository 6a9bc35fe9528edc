"""What the folder nvim/ tells the server, what it is told, and what becomes of it when the server ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

Plugin = Any


def test_the_status_line_says_what_the_server_does(plugin: Plugin) -> None:
    plugin.open()
    plugin.wait_for_status("fimble")
    plugin.tell(state="downloading", message="fetching", fraction=0.42)
    plugin.wait_for_status("fimble downloading 42%")
    plugin.tell(state="loading", message="reading", fraction=None)
    plugin.wait_for_status("fimble loading")
    plugin.tell(state="error", message="no room on the disk", fraction=None)
    plugin.wait_for_status("fimble error")
    assert plugin.neovim.lua("return require('fimble').status().message") == "no room on the disk"
    plugin.tell(state="ready", message="ready", fraction=None)
    plugin.wait_for_status("fimble")


@pytest.mark.usefixtures("switched_on_again")
@pytest.mark.parametrize("scope", ["", " buffer", " python"])
def test_the_status_line_says_that_it_is_switched_off(plugin: Plugin, scope: str) -> None:
    plugin.open()
    plugin.neovim.keys(f"<Esc>:Fimble disable{scope}<CR>")
    plugin.wait_for_status("fimble off")
    plugin.neovim.keys(f":Fimble enable{scope}<CR>")
    plugin.wait_for_status("fimble")


@pytest.mark.usefixtures("switched_on_again")
def test_nothing_is_told_while_it_is_switched_off(plugin: Plugin) -> None:
    plugin.open("alpha\nbeta\n")
    plugin.neovim.keys("<Esc>:Fimble disable<CR>ggyy:Fimble enable<CR>jyy")
    assert plugin.wait_for("fimble/didCopy") == {"text": "beta"}
    assert plugin.received("fimble/didCopy") == [{"text": "beta"}]


def test_the_status_line_says_when_it_thinks(late: Plugin) -> None:
    late.open()
    late.neovim.keys("ireturn wi")
    late.wait_for("textDocument/inlineCompletion")
    late.wait_for_status("fimble …")
    late.wait_for_ghost("dth * height")
    late.wait_for_status("fimble")


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ("setfiletype oil", "type oil"),
        ("setlocal buftype=nofile | setfiletype python", "nofile"),
        ("call setline(1, repeat('x', 1100000)) | setfiletype python", "larger than"),
    ],
    ids=["filetype", "no file", "large"],
)
def test_some_buffers_are_never_sent(plugin: Plugin, commands: str, reason: str) -> None:
    plugin.open()
    plugin.neovim.keys("<Esc>")
    plugin.neovim.lua(f"vim.cmd('enew!'); vim.cmd({json.dumps(commands)})")
    lines = plugin.neovim.lua("return require('fimble.commands').status_lines()")
    plugin.neovim.lua("vim.cmd('bwipeout!')")
    assert any("not attached" in line and reason in line for line in lines), lines


def test_what_is_yanked_and_where_the_cursor_rests_is_told(plugin: Plugin) -> None:
    plugin.open("alpha\nbeta\n")
    plugin.neovim.keys("<Esc>jyy")
    assert plugin.wait_for("fimble/didCopy") == {"text": "beta"}
    assert plugin.wait_for("fimble/didMoveCursor")["position"]["line"] == 1


def test_a_server_that_ended_is_started_again(plugin: Plugin) -> None:
    plugin.open()
    plugin.lua_client("client:notify('testing/end', {})")
    plugin.until(lambda: plugin.received("initialize"), "another server is asked")
    plugin.until(plugin.neovim.is_attached, "it is attached")
    plugin.neovim.keys("ireturn wid")
    plugin.wait_for_ghost("th * height")


def test_ghost_text_is_back_without_a_key_after_the_server_ended(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.lua_client("client:notify('testing/end', {})")
    plugin.until(lambda: plugin.received("initialize"), "another server is asked")
    plugin.wait_for_ghost("th * height")
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(plugin.AREA)


def test_a_server_that_hangs_is_restarted(plugin: Plugin) -> None:
    plugin.open()
    plugin.lua_client("client:notify('testing/hang', {})")
    plugin.neovim.keys("<Esc>:Fimble restart<CR>")
    plugin.until(lambda: plugin.received("initialize"), "another server is asked")
    plugin.until(plugin.neovim.is_attached, "it is attached")
    plugin.type_area_again()


def test_a_server_that_the_user_stopped_stays_stopped_until_a_restart(plugin: Plugin) -> None:
    plugin.open()
    plugin.lua_client("client:stop()")
    message = "return require('fimble').status().message"
    plugin.until(lambda: plugin.neovim.lua(message) == "no server is running", "it has ended")
    plugin.neovim.keys("<Esc>:Fimble restart<CR>")
    plugin.until(plugin.neovim.is_attached, "another is attached")
    assert len(plugin.received("initialize")) == 1
    plugin.type_area_again()
