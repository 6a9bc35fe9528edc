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
        plugin.type_area_again()
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


def test_the_mapping_of_a_single_file_does_not_cost_that_of_all_files(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.lua(
        """
        vim.keymap.del('i', '<Tab>')
        vim.keymap.set('i', '<Tab>', 'of all')
        vim.keymap.set('i', '<Tab>', 'of this file', { buffer = true })
        require('fimble.keys').apply()
        vim.keymap.del('i', '<Tab>', { buffer = true })
        """
    )
    try:
        plugin.neovim.keys("i<Tab>")
        plugin.wait_for_lines("of all")
    finally:
        plugin.neovim.keys("<Esc>")
        plugin.neovim.lua("vim.keymap.del('i', '<Tab>'); require('fimble.keys').apply()")


def test_all_keys_are_kept_however_often_options_are_set(plugin: Plugin) -> None:
    holders = """
    local holders, keys = {}, require('fimble.keys')
    for name in vim.spairs(keys.actions) do
      table.insert(holders, keys.holder(name))
    end
    return holders
    """
    for _ in range(3):
        plugin.neovim.lua("require('fimble').setup()")
    assert plugin.neovim.lua(holders) == []


def test_health_finds_the_key_that_one_file_maps_itself(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.lua("vim.keymap.set('i', '<Tab>', 'x', { buffer = true, desc = 'of the file' })")
    try:
        assert "<Tab>, meant to accept the suggestion, is taken by: of the file" in plugin.health()
    finally:
        plugin.neovim.lua("vim.keymap.del('i', '<Tab>', { buffer = true })")
