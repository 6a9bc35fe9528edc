"""vscode-languageclient 9.0.1, on which most extensions were built, as it runs inside VS Code.

It counts trigger kinds from 0 and sends ranges as arrays. The library is the real one; only VS
Code around it is ours (`vscode/vscode.js`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXT = "def area(width, height):\n    \n\n\nprint(area(width=2, height=3))\n"


@pytest.fixture(scope="module")
def seen(
    editor_command: Callable[[str], list[str]],
    server_words: Callable[..., dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What the client got; `vscode/client.js` says what it did."""
    home = tmp_path_factory.mktemp("v")
    script = Path(__file__).with_name("vscode") / "client.js"
    server = server_words("lsp", "--standalone", "--wait-for-model", home=home)
    finished = subprocess.run(
        [*editor_command("node"), str(script)],
        input=json.dumps({**server, "path": str(home / "shapes.py"), "text": TEXT}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def test_the_client_is_of_the_generation_that_counts_from_zero(seen: dict[str, Any]) -> None:
    assert seen["automatic"]["sent"]["triggerKind"] == 1
    assert isinstance(seen["selected"]["sent"]["selectedCompletionInfo"]["range"], list)


def test_an_automatic_request_is_known_as_one_before_any_other_was_seen(
    seen: dict[str, Any],
) -> None:
    assert seen["automaticInWord"]["why"]["reason"] == "middle_of_word"
    assert seen["automaticInWord"]["given"] == {"items": []}, "null would leave old ghost text"


def test_an_explicit_request_is_answered_where_an_automatic_one_is_not(
    seen: dict[str, Any],
) -> None:
    assert seen["invokedInWord"]["why"]["reason"] != "middle_of_word"
    assert seen["invokedInWord"]["why"]["outcome"] == "suggestion"


def test_ghost_text_completes_the_line(seen: dict[str, Any]) -> None:
    (item,) = seen["automatic"]["given"]["items"]
    assert item["insertText"] == item["filterText"] == "    return width * height"
    assert item["range"] == [{"line": 1, "character": 0}, {"line": 1, "character": 14}]


def test_ghost_text_extends_the_selected_item_in_its_own_range(seen: dict[str, Any]) -> None:
    (item,) = seen["selected"]["given"]["items"]
    assert item["insertText"].startswith("width")
    assert item["range"] == seen["selected"]["sent"]["selectedCompletionInfo"]["range"]


def test_a_cancelled_request_gives_nothing_and_the_next_one_is_answered(
    seen: dict[str, Any],
) -> None:
    assert seen["cancelled"]["given"] is None
    assert seen["afterCancelling"]["given"]["items"]


def test_acceptance_is_taken_note_of_and_nothing_was_complained_about(
    seen: dict[str, Any],
) -> None:
    assert seen["accepted"] is None
    assert seen["shown"] == []
