"""``fimble why``: what the daemon remembers, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from completion.types import (
    CompletionRequest,
    CompletionTimings,
    CompletionTrace,
    ContextChunk,
    NoSuggestion,
    NoSuggestionReason,
    PromptStats,
    SpeculationStats,
)
from lsp_server import cli
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.errors import BadInputError
from lsp_server.why_text import in_words

TEXT = "def add(a, b):\n    return \n"
DOCUMENT = {"uri": "file:///w/a.py", "path": "/w/a.py", "language_id": "python", "text": TEXT}
COMPLETE = {"document": DOCUMENT, "offset": TEXT.index("return ") + 7, "wishes": {}}

StartDaemon = Callable[..., Any]
OpenClient = Callable[..., ControlClient]


@pytest.fixture
def why(
    paths: RuntimePaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return ``why(*words)``: exit code and what was printed."""
    monkeypatch.setenv("FIMBLE_SERVER_RUNTIME_DIR", str(paths.folder))

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["why", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_without_a_daemon_there_is_nothing_to_explain(why: Any) -> None:
    code, out, err = why()
    assert (code, out) == (3, "")
    assert "no daemon is running" in err


def test_the_newest_request_is_explained_in_words(
    start_daemon: StartDaemon, connect: OpenClient, why: Any
) -> None:
    start_daemon()
    code, _, err = why()
    assert (code, "nobody has asked yet" in err) == (3, True)
    answer = connect().request("complete", COMPLETE)
    code, out, _ = why()
    assert code == 0
    for part in (answer["id"], "a suggestion was offered", "/w/a.py:2:12", "| a + b", "90%"):
        assert part in out


def test_an_id_is_explained_as_the_object_that_other_doors_show(
    start_daemon: StartDaemon, connect: OpenClient, service: Any, why: Any
) -> None:
    daemon = start_daemon()
    first = connect().request("complete", COMPLETE)
    service.outcome = lambda request: NoSuggestion(
        request.request_id, NoSuggestionReason.REPEATS_SUFFIX
    )
    connect().request("complete", COMPLETE)
    code, out, _ = why(first["id"], "--json")
    explanations = daemon.host.explanations
    assert code == 0
    assert json.loads(out) == explanations.as_json(explanations.find(first["id"]))
    assert json.loads(out)["door"] == "control"
    assert json.loads(why("--json")[1])["reason"] == "repeats_suffix"
    code, out, err = why("nobody")
    assert (code, out) == (3, "")
    assert "no request nobody is remembered" in err


def test_an_id_that_is_no_text_is_refused(start_daemon: StartDaemon, connect: OpenClient) -> None:
    start_daemon()
    with pytest.raises(BadInputError, match="id has to be text"):
        connect().request("why", {"id": 5})


def explained(**fields: Any) -> dict[str, Any]:
    from completion.types import DocumentSnapshot
    from lsp_server.explanation import explain, question_of
    from lsp_server.metrics import Door

    request = CompletionRequest("7", DocumentSnapshot("file:///a", 1, "python", "x = "), 4)
    trace = CompletionTrace(
        model="m",
        age=3,
        prompt=PromptStats(100, 60, 20, 20, 5),
        timings_ms=CompletionTimings(200, 20, 10, 10, 10, 50, 90, 10),
        speculation=SpeculationStats(4, 12, 6, (("copied", 4), ("ngrams", 2))),
        context=(ContextChunk("b.py", 3, 9, "text", 0.5, "sparse", "it defines Name"),),
    )
    outcome = NoSuggestion("7", NoSuggestionReason.UNLIKELY_WANTED, "", trace)
    told = explain(question_of(request, Door.LSP, "Neovim"), request, outcome, 200.0).as_json()
    return {**told, **fields}


def test_people_read_stages_prompt_drafts_and_context() -> None:
    shown = in_words(
        explained(
            output=[{"text": "f()\x1b[2J", "origin": "target", "logprob": -1.0}],
            feedback={"shown": True, "accepted": "part", "kept": {"30": 0.5}},
        )
    )
    lines = shown.splitlines()
    assert lines[0].startswith("no suggestion: the model was too unsure")
    (bar,) = (line.strip() for line in lines if line.startswith("  ["))
    widths = {letter: bar.count(letter) for letter in ".rbmPDf"}
    assert sum(widths.values()) == 48
    assert widths["D"] == pytest.approx(48 * 90 / 200, abs=1)
    for part in (
        "the model wrote:",
        "| f()\ufffd[2J",
        "100 tokens: 60 exact from the cache, 20 patched, 5 computed again, 15 new",
        "computed 3 edits ago",
        "6 of 12 accepted, 4 passes",
        "copied 4, ngrams 2",
        "b.py:3-9  0.50  it defines Name",
        "accepted in part, 50% kept after 30 s",
    ):
        assert part in shown


def test_nothing_that_a_client_names_steers_the_terminal() -> None:
    evil = "\x1b]0;title\x07\r\u202e"
    chunk = {"path": evil, "start_line": 1, "end_line": 2, "score": 1.0, "reason": evil}
    shown = in_words(explained(path=evil, client=evil, model=evil, context=[chunk]))
    assert shown.count("]0;title") == 5
    assert not any(char in shown for char in "\x1b\x07\r\u202e")


def test_an_object_with_less_in_it_is_shown_all_the_same() -> None:
    told = explained()
    for name in ("timings_ms", "prompt", "speculation", "context", "feedback", "output", "model"):
        told[name] = None
        assert in_words(told).startswith("no suggestion")
