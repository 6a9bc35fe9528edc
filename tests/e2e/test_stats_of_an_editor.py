"""From an editor's notification to the table: proxy, daemon, real model, file and command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

URI = "file:///w/add.py"
TEXT = "def add(first, second):\n    return "


@pytest.fixture
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that lead to a daemon and to files of this test."""
    from lsp_server.daemon import launch
    from lsp_server.daemon.paths import runtime_paths
    from lsp_server.version import current

    folder = tmp_path_factory.mktemp("run")
    yield {
        "FIMBLE_SERVER_RUNTIME_DIR": str(folder),
        "FIMBLE_SERVER_WAIT_FOR_MODEL": "true",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    launch.stop(runtime_paths(str(folder), os.environ), current())


def insert(editor: Any, version: int, column: int, text: str) -> None:
    here = {"line": 1, "character": column}
    document = {"uri": URI, "version": version}
    change = {"range": {"start": here, "end": here}, "text": text}
    params = {"textDocument": document, "contentChanges": [change]}
    editor.notify("textDocument/didChange", params)


def test_what_an_editor_tells_is_what_stats_shows(
    start_server: Callable[..., Any],
    run_fimble: Callable[..., Any],
    env: dict[str, str],
) -> None:
    with start_server(env=env) as editor:
        options = {"completion": {"deadline_ms": 120_000}}
        capabilities = {"processId": None, "rootUri": None, "capabilities": {}}
        editor.ask("initialize", {**capabilities, "initializationOptions": options})
        editor.notify("initialized", {})
        document = {"uri": URI, "languageId": "python", "version": 1, "text": TEXT}
        editor.notify("textDocument/didOpen", {"textDocument": document})
        asked = {
            "textDocument": {"uri": URI},
            "position": {"line": 1, "character": 11},
            "context": {"triggerKind": 1},
        }
        (item,) = editor.ask("textDocument/inlineCompletion", asked)["result"]["items"]
        suggested = item["insertText"].removeprefix("    return ")
        editor.notify("textDocument/didShowCompletion", {"item": item})
        insert(editor, 2, 11, suggested)
        editor.ask("workspace/executeCommand", item["command"])
        editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    shown = run_fimble("stats", "--json", env=env)
    (group,) = json.loads(shown.stdout)["groups"]
    assert (group["language"], group["model"]) == ("python", "qwen2.5-coder-0.5b")
    assert (group["shown"], group["accepted"], group["typed"]) == (1, 1, 0)
    assert group["kept"]["30"] == {
        "ratio": 1.0,
        "chars": len(suggested),
        "measured_chars": len(suggested),
    }
    state = Path(env["XDG_STATE_HOME"])
    assert not any(suggested.encode() in path.read_bytes() for path in files_in(state))
    assert run_fimble("stats", "--erase", "--yes", env=env).returncode == 0
    assert b"nothing was noted" in run_fimble("stats", env=env).stdout


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
