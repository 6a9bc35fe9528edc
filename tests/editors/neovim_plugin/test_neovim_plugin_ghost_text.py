"""Ghost text of the folder nvim/: shown while it fits, accepted in parts, never stale."""

from __future__ import annotations

from typing import Any

import pytest

Plugin = Any
TAB = "\t"


def test_tab_accepts_what_stands_on_the_screen_and_the_server_is_told(plugin: Plugin) -> None:
    plugin.type_area()
    assert plugin.neovim.row(1) == plugin.AREA
    assert plugin.neovim.lines == ["return wid"]
    shown = plugin.wait_for("textDocument/didShowCompletion")["item"]
    assert shown["insertText"] == plugin.AREA
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(plugin.AREA)
    accepted = plugin.wait_for("workspace/executeCommand")
    assert accepted == {"command": "fimble.accepted", "arguments": shown["command"]["arguments"]}
    assert plugin.ghost == ""


def test_keys_that_follow_tab_at_once_come_behind_what_it_accepts(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("<Tab> + 1")
    plugin.wait_for_lines(f"{plugin.AREA} + 1")


def test_undo_takes_back_the_acceptance_and_leaves_what_was_typed(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("<Tab><Esc>u")
    plugin.wait_for_lines("return wid")


@pytest.mark.parametrize("key", ["<Tab>", "<C-l>"], ids=["our key", "a function of the user's"])
def test_what_is_typed_after_an_acceptance_is_undone_without_it(plugin: Plugin, key: str) -> None:
    plugin.neovim.lua("vim.keymap.set('i', '<C-l>', function() require('fimble').accept() end)")
    plugin.type_area()
    plugin.neovim.keys(f"{key} + 1<Esc>")
    for lines in (f"{plugin.AREA} + 1", plugin.AREA, "return wid"):
        plugin.wait_for_lines(lines)
        plugin.neovim.keys("u")


def test_a_mapping_may_accept_and_leave_insert_mode(plugin: Plugin) -> None:
    plugin.neovim.lua(
        """
        vim.keymap.set('i', '<C-l>', function()
          require('fimble').accept()
          vim.cmd.stopinsert()
        end)
        """
    )
    plugin.type_area()
    plugin.neovim.keys("<C-l>")
    mode = "return vim.api.nvim_get_mode().mode"
    plugin.until(lambda: plugin.neovim.lua(mode) == "n", "insert mode is left")
    assert plugin.neovim.lines == [plugin.AREA]


def test_text_behind_the_cursor_stays_in_sight(plugin: Plugin) -> None:
    plugin.open("print()\n")
    plugin.neovim.keys("<Esc>cc)<Esc>ireturn wid")
    plugin.wait_for_ghost("th * height")
    assert plugin.neovim.row(1) == f"{plugin.AREA})"
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(f"{plugin.AREA})")


def test_line_ends_of_dos_are_neither_seen_nor_doubled(plugin: Plugin) -> None:
    plugin.open("\r\n# end\r\n")
    plugin.type("for gr", plugin.LOOP)
    first, *others = plugin.LOOP.split("\n")
    plugin.neovim.keys("<M-End><M-End>")
    plugin.wait_for_lines(first, others[0], "# end")
    plugin.wait_until_accepted_to(f"{first}\r\n{others[0]}")
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(first, *others, "# end")
    assert plugin.neovim.lua("return vim.bo.fileformat") == "dos"


def test_words_are_accepted_one_by_one_and_the_server_learns_how_far(plugin: Plugin) -> None:
    plugin.type_area()
    for line, rest in (("return width", " * height"), ("return width *", " height")):
        plugin.neovim.keys("<M-Right>")
        plugin.wait_for_lines(line)
        assert plugin.ghost == rest
        plugin.wait_until_accepted_to(line)
    assert not plugin.received("workspace/executeCommand")
    plugin.neovim.keys("<M-Right>")  # the last one: now it is taken to its end
    plugin.wait_for_lines(plugin.AREA)
    plugin.wait_for("workspace/executeCommand")


def test_lines_are_accepted_one_by_one_over_their_ends(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("i    for gr")
    first, *others = plugin.LOOP.split("\n")
    plugin.wait_for_ghost(plugin.LOOP.removeprefix("for gr"))
    plugin.neovim.keys("<M-End>")
    plugin.wait_for_lines(f"    {first}")
    plugin.neovim.keys("<M-End>")
    plugin.wait_for_lines(f"    {first}", others[0])
    assert plugin.ghost == f"\n{others[1]}"
    assert plugin.neovim.row(3) == others[1]
    plugin.wait_until_accepted_to(f"    {first}\n{others[0]}")
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(f"    {first}", *others)
    plugin.wait_for("workspace/executeCommand")


def test_accepted_length_counts_units_of_utf_16(plugin: Plugin) -> None:
    plugin.open()
    plugin.type("for gr", plugin.LOOP)
    plugin.neovim.keys("<M-Right>")
    plugin.wait_for_lines("for größe")
    plugin.wait_until_accepted_to("for größe")  # nine units, eleven bytes


def test_candidates_are_shown_in_turn_and_the_one_shown_is_accepted(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("<M-n>")
    plugin.wait_for_ghost("th + height (2/2)")
    plugin.neovim.keys("<M-n>")
    plugin.wait_for_ghost("th * height (1/2)")
    plugin.neovim.keys("<M-p>")
    plugin.wait_for_ghost("th + height (2/2)")
    plugin.neovim.keys("<M-Right><Tab>")
    plugin.wait_for_lines("return width + height")


def test_a_candidate_that_no_longer_continues_the_line_is_passed_over(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("th *")
    plugin.wait_for_ghost(" height")
    assert not plugin.neovim.lua("return require('fimble').next()")
    assert plugin.ghost == " height"
    plugin.neovim.keys("<Tab>")
    plugin.wait_for_lines(plugin.AREA)


def test_dismissed_ghost_text_stays_away_until_the_next_key(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("<C-e>")
    plugin.wait_for_ghost("")
    assert not plugin.neovim.lua("return require('fimble').is_visible()")
    plugin.neovim.keys("t")
    plugin.wait_for_ghost("h * height")


def test_typing_as_suggested_keeps_the_rest_and_another_key_takes_it_away(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("t")
    assert plugin.ghost == "h * height"
    plugin.neovim.keys("x")
    assert plugin.ghost == ""
    assert plugin.neovim.row(1) == "return widtx"


def test_leaving_insert_mode_leaves_no_ghost_text(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("<Esc>")
    plugin.wait_for_ghost("")


def test_a_request_says_how_the_file_is_indented_and_who_asked(plugin: Plugin) -> None:
    plugin.open()
    plugin.neovim.keys("<Esc>:setlocal expandtab shiftwidth=3<CR>ireturn wid")
    plugin.wait_for_ghost("th * height")
    asked = plugin.wait_for("textDocument/inlineCompletion")
    assert asked["formattingOptions"] == {"tabSize": 3, "insertSpaces": True}
    assert asked["context"]["triggerKind"] == 2
    plugin.neovim.keys("<M-Bslash>")
    plugin.until(
        lambda: [
            asked
            for asked in plugin.received("textDocument/inlineCompletion")
            if asked["context"]["triggerKind"] == 1
        ],
        "the user's own request arrives",
    )


def test_fifty_quick_edits_leave_no_stale_ghost_text(late: Plugin) -> None:
    late.open()
    late.neovim.keys("i")
    edits = [*"return wid", "<C-u>", *"for gr", "<C-u>", *"retur", "<BS>", "<C-u>"]
    for n in range(50):
        late.neovim.keys(edits[n % len(edits)])
        check_that_ghost_text_fits(late)
        if n % 3 == 2:  # so that there are answers on their way while the next keys come
            late.until(lambda: has_just_asked(late), "there is a request")
    late.neovim.keys("<C-u>return width +")
    late.wait_for_ghost(" height")
    assert late.neovim.row(1) == "return width + height"
    is_idle = "return next(client.requests) == nil"
    late.until(lambda: late.lua_client(is_idle), "no request is under way")
    assert late.ghost == " height"


def check_that_ghost_text_fits(plugin: Plugin) -> None:
    line, ghost = plugin.line_and_ghost
    assert ghost == "" or line + ghost in plugin.OFFERS


def has_just_asked(plugin: Plugin) -> bool:
    check_that_ghost_text_fits(plugin)
    column = plugin.neovim.nvim.current.window.cursor[1]
    asked = plugin.received("textDocument/inlineCompletion")
    return bool(asked) and asked[-1]["position"]["character"] == column


def test_an_older_request_is_taken_back_when_another_is_made(late: Plugin) -> None:
    late.open()
    late.neovim.keys("ireturn w")
    late.wait_for("textDocument/inlineCompletion")
    late.neovim.keys("i")
    late.wait_for("$/cancelRequest")
    late.wait_for_ghost("dth * height")


def test_tab_pressed_before_a_late_answer_inserts_a_tab(late: Plugin) -> None:
    late.open()
    late.neovim.keys("<Esc>:setlocal noexpandtab softtabstop=0<CR>ireturn w")
    late.wait_for("textDocument/inlineCompletion")
    late.neovim.keys("<Tab>")
    late.wait_for_lines(f"return w{TAB}")


def test_ghost_text_comes_when_the_model_is_ready_without_another_key(plugin: Plugin) -> None:
    plugin.type_area()
    plugin.neovim.keys("<C-e>")  # as if the answer had been that the model is still loading
    plugin.wait_for_ghost("")
    plugin.tell(state="ready", message="ready", fraction=None)
    plugin.wait_for_ghost("th * height")


def test_a_request_that_the_server_gave_up_is_made_again(plugin: Plugin) -> None:
    plugin.open()
    plugin.lua_client("client:notify('testing/refuse', {})")
    plugin.neovim.keys("ireturn wid")
    plugin.wait_for_ghost("th * height")
    assert len(plugin.received("textDocument/inlineCompletion")) == 2
