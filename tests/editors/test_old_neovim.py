"""Neovim 0.11, which has a completion list but no ghost text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AREA = "def fläche(breite, höhe):\n    \n\n\nprint(fläche(breite=2, höhe=3))\n"


def test_the_completion_list_offers_the_rest_of_the_line(
    start_neovim: Callable[..., Any], until: Callable[..., Any]
) -> None:
    neovim = start_neovim("lsp", "--standalone", "--wait-for-model", name="old-neovim")
    neovim.open("shapes.py", AREA)
    neovim.append_to_line(2, "return breite * hö")
    neovim.keys("<C-x><C-o>")  # Neovim has bound it to the server
    until(lambda: neovim.lines[1] == "    return breite * höhe", "the only item is taken")
