from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lsp_server.cli import main
from lsp_server.progress_bar import ProgressPrinter
from models.progress import Progress
from models.registry import DEFAULT_MODEL, registered_models

Capture = pytest.CaptureFixture[str]


def check_run(arguments: list[str], cache_dir: Path, code: int, capsys: Capture) -> tuple[str, str]:
    """Run ``fimble models`` with ``cache_dir`` and return both streams."""
    assert main(["models", *arguments, "--cache-dir", str(cache_dir)]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_list_shows_every_registered_model_and_one_recommendation(
    tmp_path: Path, capsys: Capture
) -> None:
    out, _ = check_run(["list"], tmp_path, 0, capsys)
    for name, model in registered_models().items():
        (line,) = [line for line in out.splitlines() if line.startswith(name)]
        assert model.licence in line
    assert out.count(" *") == 1
    assert str(tmp_path) in out


def test_list_as_json_is_one_object(tmp_path: Path, capsys: Capture) -> None:
    out, _ = check_run(["list", "--json"], tmp_path, 0, capsys)
    listing = json.loads(out)
    assert listing["schema"] == 1
    assert {model["name"] for model in listing["models"]} == set(registered_models())
    assert all(model["installed"] == [] for model in listing["models"])
    assert listing["recommendation"]["name"] in registered_models()


@pytest.mark.parametrize("action", ["verify", "path", "rm"])
def test_what_is_not_there_is_said_with_the_remedy(
    tmp_path: Path, capsys: Capture, action: str
) -> None:
    out, err = check_run([action], tmp_path, 1, capsys)
    assert out == ""
    assert f"fimble models pull {DEFAULT_MODEL}" in err


@pytest.mark.parametrize("action", ["pull", "verify", "path", "rm"])
def test_an_unknown_model_is_bad_input(tmp_path: Path, capsys: Capture, action: str) -> None:
    _, err = check_run([action, "nosuch"], tmp_path, 2, capsys)
    assert "'nosuch'" in err
    assert DEFAULT_MODEL in err


def test_a_plain_stream_gets_few_lines_and_the_end() -> None:
    stream = io.StringIO()
    with ProgressPrinter(stream) as printer:
        for done in range(101):
            printer.show(Progress("fetching", done, 100))
        printer.show(Progress("fetching", 100, 100))
        printer.show(Progress("checking", 1, None))
    assert stream.getvalue().splitlines() == ["fetching: 0 %", "fetching: 100 %", "checking"]


def test_a_terminal_gets_a_bar_per_stage() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with ProgressPrinter(stream) as printer:
        printer.show(Progress("fetching", 50, 100))
        printer.show(Progress("fetching", 100, 100))
        printer.show(Progress("preparing", 2, 2, "layers"))
    shown = stream.getvalue()
    assert "100%" in shown
    assert shown.index("fetching") < shown.index("preparing")
    assert "layers" in shown
