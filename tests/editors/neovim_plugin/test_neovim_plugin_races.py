"""The folder nvim/ when something else happens between a key and its ghost text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

Plugin = Any
TAB = "\t"
NEOVIM_ASKS_AFTER_MS = 200


@pytest.fixture
def drawn_by_us(plugin: Plugin) -> Iterator[None]:
    plugin.type_area()
    plugin.neovim.lua("require('fimble').setup({ ghost_text = 'own' })")
    yield
    plugin.neovim.lua("require('fimble').setup()")


def test_the_model_may_be_ready_before_anything_was_asked(plugin: Plugin) -> None:
    plugin.open()
    assert plugin.errors is not None
    plugin.neovim.keys("ireturn wid")
    plugin.tell(state="ready", message="ready", fraction=None)
    plugin.wait_for_ghost("th * height")
    assert plugin.errors == ""


def test_ghost_text_that_was_dismissed_right_after_a_key_does_not_come_back(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("t")
    plugin.wait_for_ghost("h * height")
    plugin.neovim.keys("<C-e>")
    plugin.wait_ms(2 * NEOVIM_ASKS_AFTER_MS)
    assert plugin.ghost == ""


def test_a_request_is_taken_back_with_the_next_key_and_not_with_the_next_request(
    late: Plugin,
) -> None:
    late.open()
    late.neovim.keys("ireturn w")
    late.wait_for("textDocument/inlineCompletion")
    late.neovim.keys("i")
    methods = late.until(lambda: methods_with(late, "$/cancelRequest"), "it is taken back")
    assert methods.count("textDocument/inlineCompletion") == 1
    late.wait_for_ghost("dth * height")


def methods_with(plugin: Plugin, method: str) -> list[str]:
    """All that the server got, once this is among it."""
    methods = [message.get("method", "") for message in plugin.messages]
    return methods if method in methods else []


def test_an_answer_for_a_file_that_is_gone_is_nobodys(late: Plugin) -> None:
    late.open()
    assert late.errors is not None
    late.neovim.keys("ireturn wid")
    late.wait_for("textDocument/inlineCompletion")
    gone = late.neovim.lua("return vim.api.nvim_get_current_buf()")
    late.neovim.keys("<C-o>:bwipeout!<CR>")
    late.until(lambda: not late.neovim.nvim.funcs.bufexists(gone), "the file is gone")
    late.wait_ms(500)  # later than the answer
    assert late.errors == ""
    assert late.neovim.nvim.funcs.getcompletion(f"fimble.ghost.{gone}", "augroup") == []


def test_ghost_text_of_a_file_that_is_gone_leaves_no_error(plugin: Plugin) -> None:
    plugin.type_area()
    assert plugin.errors is not None
    plugin.neovim.keys("<Esc>:bwipeout!<CR>:Fimble toggle<CR>:Fimble toggle<CR>")
    plugin.type_area()
    assert plugin.errors == ""


def test_what_neovim_draws_no_more_is_not_accepted(plugin: Plugin) -> None:
    if not plugin.neovim.lua("return vim.lsp.inline_completion ~= nil"):
        pytest.skip("this Neovim draws none")
    plugin.open()
    plugin.neovim.keys("<Esc>:setlocal noexpandtab softtabstop=0<CR>")
    plugin.type("return wid", plugin.AREA)
    plugin.neovim.lua("vim.lsp.inline_completion.enable(false, { bufnr = 0 })")
    assert plugin.ghost == ""
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(f"return wid{TAB}")


@pytest.mark.usefixtures("drawn_by_us")
def test_an_open_file_can_change_who_draws_its_ghost_text(plugin: Plugin) -> None:
    plugin.type_area_again()
    spaces = plugin.neovim.lua(
        """
        local found = {}
        for _, name in ipairs({ 'nvim.lsp.inline_completion', 'fimble' }) do
          local space = vim.api.nvim_create_namespace(name)
          table.insert(found, #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, {}))
        end
        return found
        """
    )
    assert spaces == [0, 1]
    plugin.neovim.lua("require('fimble').setup()")
    plugin.type_area_again()
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(plugin.AREA)


def test_a_file_in_a_floating_window_has_ghost_text(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.lua(
        """
        local options = { relative = 'editor', row = 5, col = 5, width = 40, height = 3 }
        vim.api.nvim_open_win(0, true, options)
        """
    )
    plugin.neovim.keys("ireturn wid")
    plugin.wait_for_ghost("th * height")
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(plugin.AREA)
    plugin.neovim.keys("<Esc>:close<CR>")
