"""Editors behind one daemon: one model, and unsaved text that outlives the daemon."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

REQUEST_CANCELLED = -32800
URI = "file:///w/add.py"
INITIALIZE = {"processId": None, "rootUri": None, "capabilities": {}}
OPTIONS = {"completion": {"deadline_ms": 120_000}}


@pytest.fixture
def env(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Variables that lead to a daemon of this test, which is ended behind it."""
    from lsp_server.daemon import launch
    from lsp_server.daemon.paths import runtime_paths
    from lsp_server.version import current

    folder = tmp_path_factory.mktemp("run")
    yield {"FIMBLE_SERVER_RUNTIME_DIR": str(folder), "FIMBLE_SERVER_WAIT_FOR_MODEL": "true"}
    launch.stop(runtime_paths(str(folder), os.environ), current())


def begin(editor: Any, text: str) -> None:
    editor.ask("initialize", {**INITIALIZE, "initializationOptions": OPTIONS})
    editor.notify("initialized", {})
    item = {"uri": URI, "languageId": "python", "version": 1, "text": text}
    editor.notify("textDocument/didOpen", {"textDocument": item})


def type_at(editor: Any, version: int, line: int, column: int, text: str) -> None:
    here = {"line": line, "character": column}
    change = {"range": {"start": here, "end": here}, "text": text}
    document = {"uri": URI, "version": version}
    params = {"textDocument": document, "contentChanges": [change]}
    editor.notify("textDocument/didChange", params)


def ghost_text(editor: Any, line: int, column: int) -> str:
    position = {"line": line, "character": column}
    params = {
        "textDocument": {"uri": URI},
        "position": position,
        "context": {"triggerKind": 1},
    }
    answer = editor.ask("textDocument/inlineCompletion", params)
    if answer.get("error", {}).get("code") == REQUEST_CANCELLED:
        # The daemon died with the request in its hands: an editor asks again at the next key.
        answer = editor.ask("textDocument/inlineCompletion", params)
    items = answer["result"]["items"]
    return str(items[0]["insertText"]).partition("\n")[0] if items else ""


def status(run_fimble: Callable[..., Any], env: dict[str, str]) -> dict[str, Any]:
    done = run_fimble("daemon", "status", "--json", env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_unsaved_text_outlives_a_killed_daemon(
    start_server: Callable[..., Any], run_fimble: Callable[..., Any], env: dict[str, str]
) -> None:
    with start_server(env=env) as editor:
        begin(editor, "def add(a, b):\n    return \n")
        assert ghost_text(editor, 1, 11) == "    return a + b"
        # Never saved: only the editor and its proxy know that the names are others now.
        type_at(editor, 2, 0, 8, "first_")
        killed = status(run_fimble, env)["pid"]
        os.kill(killed, signal.SIGKILL)
        type_at(editor, 3, 0, 17, "second_")
        assert ghost_text(editor, 1, 11) == "    return first_a + second_b"
        assert status(run_fimble, env)["pid"] != killed


def test_two_editors_and_the_command_line_share_one_model(
    start_server: Callable[..., Any],
    run_fimble: Callable[..., Any],
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    (tmp_path / "add.py").write_text("def add(a, b):\n    return \n")
    with start_server(env=env) as one, start_server(env=env) as other:
        begin(one, "def add(a, b):\n    return \n")
        begin(other, "def sub(a, b):\n    return \n")
        assert ghost_text(one, 1, 11) == "    return a + b"
        assert ghost_text(other, 1, 11) == "    return a - b"
        done = run_fimble("complete", "add.py:2:12", env=env)
        assert (done.stdout, done.returncode) == (b"a + b", 0)
        found = status(run_fimble, env)
        (model,) = found["models"]
        assert model["num_clients"] == 2
        assert found["resident_bytes"] < 1.6e9, "a second copy of the weights"
