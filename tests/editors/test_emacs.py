"""Emacs with Eglot, which asks for positions in code points and has a list but no ghost text."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Characters of one, two and four bytes; of one and two units of UTF-16.
TEXT = 'def fläche(breite, höhe):\n    """📐🧭"""\n    \n\n\nprint("𝒳", fläche(breite=2, höhe=3))\n'
LINE, TYPED = 3, 'return "📐𝒳é", breite * hö'


@pytest.fixture(scope="module")
def seen(
    editor_command: Callable[[str], list[str]],
    server_words: Callable[..., dict[str, Any]],
    clean_environment: Callable[[Path], list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What became of the buffer; `eglot.el` says what was done."""
    home = tmp_path_factory.mktemp("e")
    path = home / "flaeche.py"
    path.write_text(TEXT, encoding="utf-8")
    server = server_words("lsp", "--standalone", "--wait-for-model", home=home)
    task = json.dumps({**server, "path": str(path), "line": LINE, "typed": TYPED})
    script = Path(__file__).with_name("eglot.el")
    words = [*clean_environment(home), f"EDITOR_TEST_TASK={task}", *editor_command("emacs")]
    finished = subprocess.run(
        [*words, "--quick", "--batch", "--load", str(script)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def test_positions_are_in_code_points_as_eglot_asks_first(seen: dict[str, Any]) -> None:
    assert seen["positionEncoding"] == "utf-32"


def test_the_list_continues_the_word_behind_astral_characters(seen: dict[str, Any]) -> None:
    assert [item for item in seen["items"] if item.startswith("höhe")], seen


def test_the_taken_item_lands_where_it_belongs(seen: dict[str, Any]) -> None:
    lines = seen["text"].splitlines()
    assert lines[LINE - 1].startswith('    return "📐𝒳é", breite * höhe')
    assert [*lines[: LINE - 1], *lines[-1:]] == [
        *TEXT.splitlines()[: LINE - 1],
        TEXT.splitlines()[-1],
    ]
