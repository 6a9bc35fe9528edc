"""The command line in this process, with a service that needs no model."""

from __future__ import annotations

import json
import re
import signal
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from completion.types import (
    Candidate,
    CompletionRequest,
    CompletionTrace,
    ContextChunk,
    NoSuggestion,
    NoSuggestionReason,
    TriggerKind,
)
from kvedit.policy import PatchMode
from lsp_server.cli import main


@pytest.fixture
def built(service: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of every service that the command built; the model is never loaded."""
    settings: list[Any] = []

    def build_service(given: Any, *_: Any) -> Any:
        settings.append(given)
        return service

    import sys

    monkeypatch.setitem(sys.modules, "lsp_server.app", SimpleNamespace(build_service=build_service))
    return settings


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a b.py"
    path.write_bytes("def f(a, b):\r\n    return \r\nz = 'é漢😀'".encode())
    return path


FIELDS = {
    "schema": int,
    "id": str,
    "outcome": str,
    "reason": str | None,
    "finish_reason": str | None,
    "text": str,
    "exactness": str,
    "age": int,
    "confidence": float,
    "candidates": list,
    "model": str,
    "prompt": dict,
    "context": list,
    "timings_ms": dict,
    "speculation": dict,
}
PROMPT = {
    "num_tokens",
    "num_cached_tokens",
    "num_patched_tokens",
    "num_new_tokens",
    "num_healed_tokens",
}
TIMINGS = {"total", "waiting", "retrieval", "prompt", "patch", "prefill", "decode", "post"}
SPECULATION = {"num_forward_passes", "num_draft_tokens", "num_accepted_tokens", "by_source"}


def check_object(text: str) -> dict[str, Any]:
    """Return the object after checking that every field is there with its type."""
    (line,) = text.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert set(found) == set(FIELDS)
    for name, kind in FIELDS.items():
        assert isinstance(found[name], kind), (name, found[name])
    assert found["schema"] == 1
    assert found["exactness"] in ("exact", "patched")
    assert set(found["prompt"]) == PROMPT
    assert set(found["timings_ms"]) == TIMINGS
    assert set(found["speculation"]) == SPECULATION
    return found


@pytest.mark.usefixtures("built")
def test_the_suggestion_and_nothing_else_goes_to_standard_output(
    source: Path, service: Any, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    service.text = "a + b\n    # é😀"
    assert main(["complete", "--standalone", f"{source}:2:12"]) == 0
    assert capsysbinary.readouterr() == ("a + b\n    # é😀".encode(), b"")
    (request,) = service.requests
    assert request.prefix == "def f(a, b):\r\n    return "
    assert (request.document.language_id, request.trigger) == ("python", TriggerKind.INVOKED)
    assert service.is_closed


@pytest.mark.usefixtures("built")
def test_the_column_counts_characters_not_bytes(source: Path, service: Any) -> None:
    assert main(["complete", "--standalone", f"{source}:3:9"]) == 0
    assert service.requests[0].prefix.endswith("z = 'é漢😀")


@pytest.mark.usefixtures("built")
def test_a_path_may_hold_colons(tmp_path: Path, service: Any) -> None:
    path = tmp_path / "c:1:2.py"
    path.write_text("x")
    assert main(["complete", "--standalone", f"{path}:1:2"]) == 0
    assert service.requests[0].document.path == str(path)


@pytest.mark.usefixtures("built")
def test_the_object_of_a_suggestion_has_every_field(
    source: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: CompletionRequest) -> Any:
        chunk = ContextChunk("b.py", 1, 9, "text", 0.5, "bm25")
        trace = CompletionTrace(model="fake", context=(chunk,))
        candidates = (Candidate("a + b", -0.25), Candidate("a - b", -1.5))
        return replace(service.suggestion(request), candidates=candidates, trace=trace)

    service.outcome = answer
    assert main(["complete", "--standalone", f"{source}:2:12", "--json", "--candidates", "2"]) == 0
    found = check_object(capsys.readouterr().out)
    assert (found["outcome"], found["text"], found["reason"]) == ("suggestion", "a + b", None)
    assert found["finish_reason"] == "stop"
    assert found["model"] == "fake"
    assert found["candidates"] == [
        {"text": "a + b", "logprob": -0.25},
        {"text": "a - b", "logprob": -1.5},
    ]
    assert found["context"] == [
        {
            "path": "b.py",
            "start_line": 1,
            "end_line": 9,
            "score": 0.5,
            "source": "bm25",
            "reason": "",
        }
    ]
    assert found["id"] == service.requests[0].request_id


@pytest.mark.usefixtures("built")
def test_no_suggestion_is_exit_3_with_the_reason_on_standard_error(
    source: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.outcome = lambda request: NoSuggestion(
        request.request_id, NoSuggestionReason.REPEATS_SUFFIX, "suffix filter"
    )
    assert main(["complete", "--standalone", f"{source}:2:12"]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert "already follows the cursor (suffix filter)" in output.err
    assert main(["complete", "--standalone", f"{source}:2:12", "--json"]) == 3
    found = check_object(capsys.readouterr().out)
    assert (found["outcome"], found["reason"], found["text"]) == ("none", "repeats_suffix", "")
    assert (found["candidates"], found["finish_reason"]) == ([], None)


@pytest.mark.usefixtures("built")
def test_ctrl_c_cancels_the_engine_and_says_so(
    source: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.gate.clear()

    def interrupt() -> None:
        while not service.requests:
            pass
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    assert main(["complete", "--standalone", f"{source}:2:12", "--json"]) == 130
    assert check_object(capsys.readouterr().out)["outcome"] == "cancelled"
    assert service.cancelled_ids
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("built")
def test_what_replaces_text_is_printed_as_an_insertion(
    tmp_path: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.py"
    path.write_text("f()\n")
    service.outcome = lambda request: replace(
        service.suggestion(request, "(x, y)"),
        replace_start=request.offset - 1,
        replace_end=request.offset + 1,
    )
    assert main(["complete", "--standalone", f"{path}:1:3"]) == 0
    assert capsys.readouterr().out == "x, y"


def test_every_flag_reaches_the_request_or_the_service(
    source: Path, service: Any, built: list[Any]
) -> None:
    arguments = [
        *("--candidates", "3", "--max-tokens", "17", "--temperature", "0.5", "--seed", "7"),
        *("--deadline-ms", "800", "--trigger", "automatic", "--no-retrieval", "--no-speculation"),
        *("--exact", "--standalone", "--model", "smollm2-135m", "--device", "cpu"),
        *("--precision", "float32", "--offline", "--log-level", "error"),
    ]
    assert main(["complete", "--standalone", f"{source}:2:12", *arguments]) == 0
    (request,) = service.requests
    assert (request.num_candidates, request.max_new_tokens) == (3, 17)
    assert (request.temperature, request.seed, request.deadline_ms) == (0.5, 7, 800.0)
    assert request.trigger is TriggerKind.AUTOMATIC
    assert (request.use_retrieval, request.use_speculation) == (False, False)
    assert request.patching is PatchMode.EXACT
    (settings,) = built
    assert (settings.model.name, settings.model.device) == ("smollm2-135m", "cpu")
    assert (settings.model.precision, settings.model.offline) == ("float32", True)


def test_a_script_that_asks_waits_longer_than_an_editor(
    source: Path, service: Any, built: list[Any]
) -> None:
    assert main(["complete", "--standalone", f"{source}:2:12"]) == 0
    assert service.requests[0].deadline_ms > 10 * built[0].completion.deadline_ms


def test_the_environment_sets_what_no_flag_does(
    source: Path, built: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIMBLE_MODEL_DEVICE", "cuda")
    monkeypatch.setenv("FIMBLE_MODEL_PRECISION", "bf16")
    assert main(["complete", "--standalone", f"{source}:2:12", "--device", "cpu"]) == 0
    assert (built[0].model.device, built[0].model.precision) == ("cpu", "bf16")


@pytest.mark.usefixtures("built")
def test_an_unknown_variable_is_told_and_stops_nothing(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIMBLE_MODEL_NAMME", "x")
    assert main(["complete", "--standalone", f"{source}:2:12"]) == 0
    assert "did you mean FIMBLE_MODEL_NAME?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "place", "arguments", "told"),
    [
        (b"x", ":1", [], "is not PATH:LINE:COL"),
        (b"x", ":one:1", [], "is not PATH:LINE:COL"),
        (b"x", ":1:-1", [], "is not PATH:LINE:COL"),
        (b"x", ":1:\u0661".encode().decode(), [], "is not PATH:LINE:COL"),
        (b"x", ":0:1", [], "line 0 is outside the file, which has 1 line;"),
        (b"a\nb", ":3:1", [], "line 3 is outside the file, which has 2 lines;"),
        (b"ab\r\nc", ":1:4", [], "column 4 is outside line 1, whose columns go from 1 to 3"),
        (b"ab", ":1:0", [], "column 0 is outside line 1, whose columns go from 1 to 3"),
        (b"", ":1:2", [], "column 2 is outside line 1, whose columns go from 1 to 1"),
        (b"abc\xe9x", ":1:1", [], "not UTF-8: byte 0xe9 at offset 3; convert a copy"),
        (b"x", ":1:1", ["--model", "qwen2.5-coder"], "did you mean qwen2.5-coder-"),
        (b"x", ":1:1", ["--candidates", "0"], "a whole number from 1 to 16"),
        (b"x", ":1:1", ["--max-tokens", "many"], "a whole number from 1 to 4096"),
        (b"x", ":1:1", ["--device", "tpu"], "allowed: auto, cpu, cuda, mps"),
        (b"x", ":1:1", ["--seed", "x"], "invalid int value"),
    ],
)
def test_bad_input_is_exit_2_and_names_the_remedy(
    tmp_path: Path,
    built: list[Any],
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    place: str,
    arguments: list[str],
    told: str,
) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(content)
    assert main(["complete", "--standalone", f"{path}{place}", *arguments]) == 2
    output = capsys.readouterr()
    assert told in output.err
    assert output.out == ""
    assert built == [], "bad input must be found before the model is loaded"


def test_a_missing_file_and_a_directory_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["complete", "--standalone", f"{tmp_path}/none.py:1:1"]) == 2
    assert "no such file; check the path" in capsys.readouterr().err
    assert main(["complete", "--standalone", f"{tmp_path}:1:1"]) == 2
    assert "is a directory" in capsys.readouterr().err


@pytest.mark.usefixtures("built")
def test_a_byte_order_mark_is_no_character(tmp_path: Path, service: Any) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfx = ")
    assert main(["complete", "--standalone", f"{path}:1:5"]) == 0
    assert service.requests[0].prefix == "x = "


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("text", "place"),
    [("", "1:1"), ("x = 1\n" * 50_000, "50001:1"), ("x" * 200_000, "1:200001"), ("\n", "2:1")],
    ids=["empty", "50,000 lines", "200 kB on a line", "after the last line end"],
)
def test_unusual_files_reach_the_service_whole(
    tmp_path: Path, service: Any, text: str, place: str
) -> None:
    path = tmp_path / "a.py"
    path.write_text(text)
    assert main(["complete", "--standalone", f"{path}:{place}"]) == 0
    assert service.requests[0].prefix == text


@pytest.mark.usefixtures("built")
def test_a_mistake_of_ours_is_exit_1_with_a_traceback_in_the_log(
    source: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.error = ZeroDivisionError("inside the engine")
    assert main(["complete", "--standalone", f"{source}:2:12"]) == 1
    error = capsys.readouterr().err
    assert "fimble: inside the engine" in error
    assert "Traceback" in error


def test_cancelled_before_the_model_is_there_is_still_an_outcome(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    import sys

    fake_app = SimpleNamespace(build_service=interrupted)
    monkeypatch.setitem(sys.modules, "lsp_server.app", fake_app)
    assert main(["complete", "--standalone", f"{source}:2:12", "--json"]) == 130
    assert check_object(capsys.readouterr().out)["outcome"] == "cancelled"


@pytest.mark.parametrize("command", ["complete", "lsp", "doctor"])
def test_every_flag_stands_on_the_page(
    repository: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--help"]) == 0
    flags = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out)) - {"--help"}
    page = (repository / "docs" / "cli.md").read_text()
    section = page.partition(f"## fimble {command}\n")[2].partition("\n## ")[0]
    settings = (repository / "docs" / "settings.md").read_text().partition("## Flags")[2]
    rows = [row for row in settings.splitlines() if command in row.partition("` | ")[2]]
    missing = {flag for flag in flags if flag not in section and flag not in "".join(rows)}
    assert not missing


@pytest.mark.parametrize("name", ["complete", "models", "lsp", "doctor"])
def test_help_names_every_command(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["--help"]) == 0
    assert name in capsys.readouterr().out
