"""What should not be there, through the doors: a clear error, nothing lost, the server alive."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.loader import default_cache_dir
from models.registry import DEFAULT_MODEL, registered_models

pytestmark = pytest.mark.e2e

RunFimble = Callable[..., Any]
INVALID_PARAMS = -32602
INITIALIZE = {"processId": None, "capabilities": {}}
SOURCE = "def add(a, b):\n    return \n\n\nprint(add(1, 2))\n"
# The limit on file size that stands in for a full disk; Python hands it on to what it becomes.
SMALL_DISK = (
    sys.executable,
    "-c",
    "import os, resource, sys;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
    "os.execv(sys.executable, [sys.executable, '-I', '-m', 'lsp_server', *sys.argv[1:]])",
)


def check_error(done: Any, code: int, *told: str) -> None:
    """The exit code and one message for people, and nothing for programs to mistake for a result."""
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (code, b""), message
    assert "Traceback" not in message
    assert message.count("fimble: ") == 1, message
    for words in told:
        assert words in message


def link_files(source: Path, target: Path) -> None:
    """Show the files of ``source`` in ``target`` too; deleting or replacing them there is safe."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file():
            (target / path.name).symlink_to(path)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A cache folder with the default model as it was fetched, not converted."""
    folder = Path("downloads") / DEFAULT_MODEL
    link_files(default_cache_dir() / folder, tmp_path / "cache" / folder)
    return tmp_path / "cache"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A cache folder with the default model converted, one of its files cut short."""
    cache = tmp_path / "cache"
    digest = registered_models()[DEFAULT_MODEL].file.sha256[:16]
    for folder in (default_cache_dir() / "checkpoints").glob(f"{digest}-int8-v*"):
        if folder.is_dir():
            link_files(folder, cache / "checkpoints" / folder.name)
    for path in cache.rglob("layer-001.safetensors"):
        whole = path.read_bytes()
        path.unlink()
        path.write_bytes(whole[: len(whole) // 2])
    assert list(cache.rglob("layer-001.safetensors")), "fetch the default model first"
    return cache


def sizes(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("content", "arguments", "told"),
    [
        (b"caf\xe9 = 1\n", ["a.py:1:1"], "not UTF-8: byte 0xe9 at offset 3; convert a copy"),
        (b"x = 1\n", ["a.py:3:1"], "line 3 is outside the file"),
        (b"x = 1\n", ["a.py:1:7"], "column 7 is outside line 1"),
        (b"x = 1\n", ["a.py:1:1", "--model", "qwen2.5"], "'qwen2.5'"),
    ],
)
def test_bad_input_is_exit_2_and_the_file_stays_as_it_is(
    run_fimble: RunFimble, tmp_path: Path, content: bytes, arguments: list[str], told: str
) -> None:
    (tmp_path / "a.py").write_bytes(content)
    check_error(run_fimble("complete", *arguments), 2, told)
    assert (tmp_path / "a.py").read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b"", b"no weights at all" * 99, b"GGUF\x03\x00\x00\x00" + b"\xff" * 400],
    ids=["empty", "something else", "a garbled header"],
)
def test_a_corrupt_weight_file_is_exit_1_and_converts_nothing(
    run_fimble: RunFimble, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    (tmp_path / "broken.gguf").write_bytes(content)
    env = {"FIMBLE_MODEL_CACHE_DIR": str(tmp_path / "cache")}
    done = run_fimble("complete", "a.py:2:12", "--model", "./broken.gguf", env=env)
    check_error(done, 1, "broken.gguf", "fetch")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    assert (tmp_path / "broken.gguf").read_bytes() == content


def test_a_server_with_a_corrupt_weight_file_says_so_and_goes_on(
    start_server: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" * 99)
    env = {"FIMBLE_MODEL_CACHE_DIR": str(tmp_path / "cache")}
    with start_server("--standalone", "--model", "./broken.gguf", env=env) as client:
        check_no_model(client, "broken.gguf")
    assert client.exit_code == 0


def test_an_unknown_model_ends_the_server_before_a_client_waits_for_it(
    run_fimble: RunFimble,
) -> None:
    done = run_fimble("lsp", "--standalone", "--model", "no-such-model")
    check_error(done, 2, "'no-such-model'", DEFAULT_MODEL)


def test_an_unknown_model_of_the_clients_is_told_and_the_server_goes_on(
    start_server: Callable[..., Any],
) -> None:
    with start_server("--standalone") as client:
        options = {"model": {"name": "no-such-model"}}
        check_no_model(client, "'no-such-model'", initializationOptions=options)
    assert client.exit_code == 0


def check_no_model(client: Any, told: str, **params: Any) -> None:
    """The user reads why there are no suggestions; requests are answered all the same."""
    client.ask("initialize", INITIALIZE | params)
    client.notify("initialized", {})
    shown = client.await_notification("window/showMessage")["params"]
    assert shown["type"] == 1
    assert told in shown["message"]
    open_document(client, "file:///w/a.py", "x = ")
    assert ask_at(client, "file:///w/a.py", 0, 4)["result"] == {"items": []}


def open_document(client: Any, uri: str, text: str) -> None:
    document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
    client.notify("textDocument/didOpen", {"textDocument": document})


def ask_at(client: Any, uri: str, line: int, character: int) -> Any:
    return client.ask(
        "textDocument/inlineCompletion",
        {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": 1},
        },
    )


@pytest.mark.weights
def test_a_server_serves_unusual_documents_and_places(start_server: Callable[..., Any]) -> None:
    unusual = {
        "empty": ("", 0, 0),
        "50,000 lines": ("value = 1\n" * 50_000, 25_000, 8),
        "200 kB on a line": ("x = '" + "y" * 200_000, 0, 200_005),
        "below the last line": ("x = 1\n", 99, 0),
        "right of the line's end": ("x = \n", 0, (1 << 31) - 1),
    }
    env = {
        "FIMBLE_PROMPT_MAX_NUM_TOKENS": "256",
        "FIMBLE_COMPLETION_MAX_NEW_TOKENS": "8",
        "FIMBLE_COMPLETION_DEADLINE_MS": "100000",
    }
    flags = ("--standalone", "--wait-for-model", "--offline")
    with start_server(*flags, env=env) as client:
        client.ask("initialize", INITIALIZE)
        client.notify("initialized", {})
        for name, (text, line, character) in unusual.items():
            uri = f"file:///w/{name.replace(' ', '-')}.py"
            open_document(client, uri, text)
            answer = ask_at(client, uri, line, character)
            assert isinstance(answer.get("result", {}).get("items"), list), (name, answer)
        before_the_start = ask_at(client, uri, -1, -1)
        assert before_the_start["error"]["code"] == INVALID_PARAMS
        open_document(client, "file:///w/add.py", SOURCE)
        (item,) = ask_at(client, "file:///w/add.py", 1, 11)["result"]["items"]
        assert item["insertText"] == "    return a + b"
    assert client.exit_code == 0


@pytest.mark.weights
@pytest.mark.skipif(sys.platform == "win32", reason="the limit is a POSIX one")
def test_a_full_disk_while_converting_is_exit_1_and_keeps_what_was_fetched(
    run_fimble: RunFimble, download: Path
) -> None:
    before = sizes(download)
    arguments = ("models", "pull", DEFAULT_MODEL, "--cache-dir", str(download))
    done = run_fimble(*arguments, command=SMALL_DISK)
    assert (done.returncode, done.stdout) == (1, b""), done.stderr
    assert b"fimble: no room left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert {path: size for path, size in sizes(download).items() if ".lock" not in path} == before
    assert run_fimble("models", "path", "--cache-dir", str(download)).returncode == 1


@pytest.mark.weights
def test_a_damaged_checkpoint_is_made_again_from_what_was_fetched(
    run_fimble: RunFimble, tmp_path: Path, download: Path, damaged: Path
) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    kept = sizes(default_cache_dir() / "checkpoints")
    done = run_fimble(
        *("complete", "a.py:2:12", "--offline"), env={"FIMBLE_MODEL_CACHE_DIR": str(damaged)}
    )
    assert (done.stdout, done.returncode) == (b"a + b", 0), done.stderr
    verified = run_fimble("models", "verify", "--cache-dir", str(download))
    assert verified.returncode == 0, verified.stderr
    assert sizes(default_cache_dir() / "checkpoints") == kept, "links are replaced, not followed"


@pytest.mark.weights
def test_a_damaged_checkpoint_that_cannot_be_made_again_names_the_command_that_helps(
    run_fimble: RunFimble, tmp_path: Path, damaged: Path
) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    env = {"FIMBLE_MODEL_CACHE_DIR": str(damaged)}
    before = sizes(damaged)
    done = run_fimble("complete", "a.py:2:12", "--offline", env=env)
    check_error(done, 1, f"fimble models pull {DEFAULT_MODEL}")
    assert {path: size for path, size in sizes(damaged).items() if ".lock" not in path} == before
