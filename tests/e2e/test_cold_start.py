"""What must answer at once, and what must not be imported on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

_REPORT_HEAVY_MODULES = """
import sys
from lsp_server.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "transformers", "tokenizers", "pygls"} & set(sys.modules)
sys.stderr.write("HEAVY " + " ".join(sorted(heavy)) + " CODE " + str(code) + chr(10))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["complete", "--help"], 0),
        ([], 2),
        (["complete", "nothing"], 2),
        (["complete", "no-such-file.py:1:1"], 2),
        (["complete", "here.py:99:1"], 2),
        (["complete", "here.py:1:1", "--model", "no-such-model"], 2),
        (["complete", "here.py:1:1", "--candidates", "many"], 2),
    ],
)
def test_help_version_and_bad_input_answer_without_loading_torch(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    (tmp_path / "here.py").write_text("x = 1\n")
    done = subprocess.run(
        [sys.executable, "-I", "-c", _REPORT_HEAVY_MODULES, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == f"HEAVY  CODE {code}", done.stderr


def test_both_ways_to_start_print_the_installed_version(
    run_fimble: Callable[..., Any], either_command: tuple[str, ...]
) -> None:
    done = run_fimble("--version", command=either_command)
    assert done.stdout.decode() == f"fimble {metadata.version('fimble')}\n"


@pytest.mark.parametrize("python_path", [False, True], ids=["in it", "with PYTHONPATH on it"])
def test_no_code_of_a_hostile_workspace_runs(
    start_server: Callable[..., Any],
    either_command: tuple[str, ...],
    hostile_workspace: Path,
    python_path: bool,
) -> None:
    if python_path and len(either_command) == 1:
        pytest.skip("a console script obeys PYTHONPATH; editors start the isolated module")
    env = {"FIMBLE_MODEL_CACHE_DIR": str(hostile_workspace / "empty-cache")}
    if python_path:
        env["PYTHONPATH"] = str(hostile_workspace)
    # Waiting for a model that is not there imports everything that loading one needs.
    arguments = ("--standalone", "--offline", "--wait-for-model")
    with start_server(*arguments, command=either_command, env=env) as client:
        initialized = client.ask("initialize", {"processId": None, "capabilities": {}})
        assert initialized["result"]["serverInfo"]["name"] == "fimble"
        client.notify("initialized", {})
        document = {"uri": "file:///w/a.py", "languageId": "python", "version": 1, "text": "x = "}
        client.notify("textDocument/didOpen", {"textDocument": document})
        answer = client.ask(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": "file:///w/a.py"},
                "position": {"line": 0, "character": 4},
                "context": {"triggerKind": 1},
            },
        )
        assert answer["result"] == {"items": []}
    assert client.exit_code == 0
    assert not (hostile_workspace / "imported").exists()


def test_the_hostile_workspace_would_be_imported_by_a_start_that_is_not_isolated(
    run_fimble: Callable[..., Any], hostile_workspace: Path
) -> None:
    run_fimble("--version", command=(sys.executable, "-m", "lsp_server"))
    assert (hostile_workspace / "imported").exists()


def test_a_server_that_was_sent_garbage_still_serves(start_server: Callable[..., Any]) -> None:
    with start_server("--standalone", "--offline") as client:
        client.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.send_raw(b"Content-Length: 9\r\n\r\n{not json")
        client.send_raw(b'Content-Type: x\r\n\r\n{"jsonrpc": "2.0", "id": 1}')
        client.send_raw(b"\x00\xff\xfe\r\n\r\n")
        initialized = client.ask("initialize", {"processId": None, "capabilities": {}})
        assert "inlineCompletionProvider" in initialized["result"]["capabilities"]
    assert client.exit_code == 0


def test_a_client_that_goes_away_takes_the_server_with_it(
    start_server: Callable[..., Any],
) -> None:
    with start_server("--standalone", "--offline") as client:
        client.ask("initialize", {"processId": None, "capabilities": {}})
        client.notify("initialized", {})
        client.hang_up()
    assert client.exit_code == 1


_NOISY_SERVER = """
import os, sys
from lsp_server.cli import main
from lsp_server import building

def build(settings, progress, workspaces):
    print("a stray line")
    os.write(1, b"another one, from a C library")
    raise OSError("no model in this test")

building.build = build
sys.exit(main(sys.argv[1:]))
"""


def test_whatever_is_printed_stays_out_of_the_message_stream(
    start_server: Callable[..., Any], tmp_path: Path
) -> None:
    command = (sys.executable, "-I", "-u", "-c", _NOISY_SERVER)
    with start_server("--standalone", "--log-level", "info", command=command) as client:
        client.ask("initialize", {"processId": None, "capabilities": {}})
        client.notify("initialized", {})
        told = client.await_notification("window/showMessage")
        assert "no model in this test" in told["params"]["message"]
    assert client.exit_code == 0
    log = (tmp_path / "server.log").read_text()
    assert "a stray line" in log
    assert "another one, from a C library" in log


def test_the_log_can_go_to_a_file(start_server: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "fimble.log"
    flags = ("--standalone", "--offline", "--log-level", "info", "--log-file", str(path))
    with start_server(*flags) as client:
        client.ask("initialize", {"processId": None, "capabilities": {}})
    assert "connected to an unnamed client" in path.read_text()
    assert (tmp_path / "server.log").read_text() == ""
