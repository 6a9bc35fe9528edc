"""Neovim's own inline completion in front of a server with the real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

AREA = "def area(width, height):\n    \n\n\nprint(area(width=2, height=3))\n"
# One that the model has to read for a while, so that the next key comes before its answer.
LONG = "".join(
    f"def scale_{n}(width, height):\n    return {n} * width, {n} * height\n\n\n" for n in range(40)
)
FLAECHE = 'def fläche(breite, höhe):\n    einheit = "📐"\n    \n\n\nprint("📐📐", fläche(breite=2, höhe=3))\n'


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "server.log"


@pytest.fixture(scope="module")
def neovim(start_neovim: Callable[..., Any], log: Path) -> Any:
    logged = ("--log-level", "info", "--log-file", str(log))
    return start_neovim("lsp", "--standalone", "--wait-for-model", *logged)


def test_ghost_text_stands_on_the_screen_until_it_is_accepted_into_the_buffer(
    neovim: Any, until: Callable[..., Any]
) -> None:
    neovim.open("shapes.py", AREA)
    neovim.append_to_line(2, "return wid")
    until(lambda: neovim.ghost_text, "there is ghost text")
    assert neovim.row(2) == "    return width * height"
    assert neovim.lines[1] == "    return wid"
    neovim.keys("<Tab>")
    until(lambda: neovim.lines[1] == "    return width * height", "the text is accepted")
    (accepted,) = until(lambda: neovim.requests("workspace/executeCommand"), "the server is told")
    until(lambda: accepted_without_error(neovim), "the server has taken note")
    assert accepted["method"] == "workspace/executeCommand"


def accepted_without_error(neovim: Any) -> bool:
    return all(
        record["answered"] and "error" not in record
        for record in neovim.requests("workspace/executeCommand")
    )


def test_keys_faster_than_the_model_leave_the_ghost_text_of_the_last_one(
    neovim: Any, until: Callable[..., Any]
) -> None:
    neovim.open("long.py", LONG + AREA)
    line = LONG.count("\n") + 2
    num_before = len(neovim.asked())
    neovim.append_to_line(line, "")
    for key in "return wid":
        neovim.keys(key)
        until(neovim.has_asked_here, "Neovim asks")
    until(lambda: neovim.is_at_rest() and neovim.ghost_text, "the last request is answered")
    asked = neovim.asked()[num_before:]
    # Neovim cancels nothing by itself: these the server gave up because a newer one came.
    assert [record for record in asked if "result" not in record and "error" not in record]
    assert not [record["error"] for record in asked if "error" in record]
    assert neovim.cursor_line == "    return wid"
    assert neovim.ghost_text == "th * height"


def test_ghost_text_vanishes_where_there_is_nothing_to_suggest(
    neovim: Any, until: Callable[..., Any]
) -> None:
    neovim.open("gone.py", AREA)
    neovim.append_to_line(2, "return wid")
    until(lambda: neovim.ghost_text, "there is ghost text")
    neovim.keys("<Left>")  # into the word, where nothing is suggested
    until(lambda: not neovim.ghost_text, "the ghost text is gone")
    assert neovim.row(2) == "    return wid"
    assert neovim.asked()[-1]["result"] == {"items": []}


def test_text_beyond_ascii_is_completed_where_it_stands(
    neovim: Any, until: Callable[..., Any]
) -> None:
    neovim.open("flaeche.py", FLAECHE)
    neovim.append_to_line(3, 'return "📐", breite * hö')
    until(lambda: neovim.ghost_text, "there is ghost text")
    assert neovim.encoding == "utf-8"
    shown = neovim.row(3)
    assert shown.startswith('    return "📐", breite * höhe')
    neovim.keys("<Tab>")
    until(lambda: neovim.lines[2] == shown, "the text is accepted as it was shown")


def test_server_and_neovim_hold_the_same_text_after_every_kind_of_edit(
    neovim: Any, until: Callable[..., Any], log: Path
) -> None:
    neovim.open("edits.py", FLAECHE)
    for keys in (
        "<Esc>gg2f(d%",  # behind a letter of two bytes
        "u",
        "<Esc>Gf📐xi🧭ü<Esc>p",
        ":%s/📐/𝒳é/g<CR>",
        "ggJ",
        "ggyyGp",
        "ggVjd",
        "uu<C-r>",
        "GO\tπ = 3\u2028.14<Esc>",
        ":2,3move 0<CR>",
    ):
        neovim.keys(f"<Esc>{keys}")
    neovim.keys("<Esc>:write<CR>")
    until(lambda: not neovim.nvim.current.buffer.options["modified"], "the file is saved")
    neovim.append_to_line(1, " # new")
    until(neovim.is_at_rest, "the server has seen the save")
    assert neovim.lines != FLAECHE.splitlines()
    assert "differed from the text that was saved" not in log.read_text()
