"""Keys of the folder nvim/, which do what they did before where there is nothing to accept."""

from __future__ import annotations

from typing import Any

import pytest

Plugin = Any
TAB = "\t"


def test_tab_without_ghost_text_does_what_it_did_before(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("ix<Tab>y")
    plugin.wait_for_lines(
        f"x{TAB}y" if not plugin.neovim.lua("return vim.bo.expandtab") else "x   y"
    )


@pytest.mark.parametrize(
    "mapping",
    [
        "vim.keymap.set('i', '<Tab>', 'former')",
        "vim.keymap.set('i', '<Tab>', function() return 'for' .. 'mer' end, { expr = true })",
        "vim.keymap.set('i', '<Tab>', function() vim.api.nvim_feedkeys('former', 'n', true) end)",
        'vim.cmd(\'inoremap <expr> <Tab> "for" .. "mer"\')',
    ],
    ids=["plain", "expression", "function", "vimscript"],
)
def test_tab_falls_back_to_the_mapping_that_was_there(plugin: Plugin, mapping: str) -> None:
    plugin.open()
    # As if the user's configuration had run before the plugin.
    plugin.neovim.lua("vim.keymap.del('i', '<Tab>')")
    plugin.neovim.lua(f"{mapping}; require('fimble.keys').apply()")
    try:
        plugin.neovim.keys("ix<Tab>")
        plugin.wait_for_lines("xformer")
        plugin.neovim.keys("<Esc>ccreturn wid")
        plugin.wait_for_ghost("th * height")
        plugin.neovim.keys("<Tab>")
        plugin.wait_for_lines(plugin.AREA)
    finally:
        plugin.neovim.keys("<Esc>")
        plugin.neovim.lua("vim.keymap.del('i', '<Tab>'); require('fimble.keys').apply()")


def test_a_key_that_has_another_meaning_already_keeps_it(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.lua("require('fimble').setup({ keys = { dismiss = '<C-]>' } })")
    try:
        plugin.neovim.keys("i<C-]>")
        plugin.until(lambda: plugin.neovim.lua("return Pressed") == ["<C-]>"], "it is called")
    finally:
        plugin.neovim.lua("require('fimble').setup()")
