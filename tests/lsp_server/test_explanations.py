"""What is remembered of requests that have ended, and for how long."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from completion.types import (
    Cancelled,
    Candidate,
    CompletionOutcome,
    CompletionRequest,
    CompletionTimings,
    CompletionTrace,
    ContextChunk,
    DocumentSnapshot,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    PromptStats,
    SpeculationStats,
    Suggestion,
    SuggestionSource,
)
from lsp_server.explanation import Explanation, explain, question_of
from lsp_server.explanations import Explanations
from lsp_server.metrics import Door

TEXT = "import os\nvalue = \n"
OFFSET = TEXT.index("= ") + 2
TRACE = CompletionTrace(
    model="m",
    age=2,
    prompt=PromptStats(20, 10, 4, 6, 2),
    timings_ms=CompletionTimings(100, 10, 1, 2, 3, 40, 40, 4),
    speculation=SpeculationStats(3, 9, 5, (("copied", 5),)),
    context=(ContextChunk("b.py", 3, 4, "SECRET", 0.5, "sparse", "it resembles"),),
)


def request_for(request_id: str = "1", uri: str = "file:///w/a.py", owner: str = "") -> Any:
    document = DocumentSnapshot(uri, 1, "python", TEXT, "a.py", owner=owner)
    return CompletionRequest(request_id, document, OFFSET)


def suggestion(request: CompletionRequest, text: str = "os.name") -> Suggestion:
    return Suggestion(
        request_id=request.request_id,
        text=text,
        replace_start=request.offset,
        replace_end=request.offset,
        candidates=(Candidate(text, -0.5), Candidate("1", -2.0)),
        confidence=0.75,
        finish_reason=FinishReason.STOP,
        source=SuggestionSource.ENGINE,
        trace=TRACE,
    )


def ended(
    request_id: str = "1",
    outcome: CompletionOutcome | None = None,
    *,
    uri: str = "file:///w/a.py",
    owner: str = "",
    text: str = "os.name",
    elapsed_ms: float = 130.0,
) -> Explanation:
    request = request_for(request_id, uri, owner)
    question = question_of(request, Door.LSP, "Neovim")
    return explain(question, request, outcome or suggestion(request, text), elapsed_ms)


def test_everything_that_is_agreed_upon_is_told() -> None:
    explanations = Explanations(lambda _: {"shown": True, "accepted": "all", "kept": {"30": 0.5}})
    explanation = ended()
    told = explanations.as_json(explanation)
    assert json.loads(json.dumps(told)) == {
        "id": "1",
        "time": pytest.approx(time.time(), abs=60),
        "door": "lsp",
        "client": "Neovim",
        "uri": "file:///w/a.py",
        "path": "a.py",
        "language_id": "python",
        "line": 2,
        "column": 9,
        "outcome": "suggestion",
        "reason": None,
        "sentence": "a suggestion was offered, which the model wrote for this request",
        "text": "os.name",
        "confidence": 0.75,
        "finish_reason": "stop",
        "source": "engine",
        "kept_from": None,
        "candidates": ["os.name", "1"],
        "model": "m",
        "exactness": "patched",
        "age": 2,
        "timings_ms": {
            "total": 130,
            "waiting": 40,
            "retrieval": 1,
            "prompt": 2,
            "patch": 3,
            "prefill": 40,
            "decode": 40,
            "post": 4,
        },
        "prompt": {
            "num_tokens": 20,
            "num_cached": 10,
            "num_patched": 4,
            "num_new": 4,
            "num_healed": 2,
            "spans": None,
        },
        "output": None,
        "speculation": {
            "num_forward_passes": 3,
            "num_draft_tokens": 9,
            "num_accepted_tokens": 5,
            "by_source": {"copied": 5},
        },
        "context": [
            {
                "path": "b.py",
                "start_line": 3,
                "end_line": 4,
                "text": "SECRET",
                "score": 0.5,
                "source": "sparse",
                "reason": "it resembles",
            }
        ],
        "feedback": {"shown": True, "accepted": "all", "accepted_length": 0, "kept": {"30": 0.5}},
    }
    summary = explanations.summary(explanation)
    assert "spans" not in summary["prompt"]
    assert "output" not in summary
    assert "text" not in summary["context"][0]
    without = {"prompt", "output", "context"}
    assert {key: summary[key] for key in summary.keys() - without} == {
        key: told[key] for key in told.keys() - without
    }


def test_a_request_that_reached_no_engine_has_a_total_and_no_stages() -> None:
    refused = NoSuggestion("1", NoSuggestionReason.REPEATS_SUFFIX, "duplicates")
    told = ended("1", refused, elapsed_ms=2.5).as_json()
    assert (told["outcome"], told["reason"], told["text"]) == ("nothing", "repeats_suffix", None)
    assert "(duplicates)" in told["sentence"]
    assert told["confidence"] is None
    timings = told["timings_ms"]
    assert timings.pop("total") == 2.5
    assert set(timings.values()) == {None}


def test_the_place_in_a_cell_is_that_of_the_cell_not_of_the_notebook() -> None:
    request = request_for()
    question = question_of(request, Door.LSP, "x", uri="cell:2", start=TEXT.index("value"))
    assert (question.uri, question.line, question.column) == ("cell:2", 1, 9)
    middle = question_of(request, Door.LSP, "x", uri="cell:2", start=TEXT.index("= "))
    assert (middle.line, middle.column) == (1, 3)


def test_only_the_newest_are_remembered() -> None:
    explanations = Explanations(max_num=3)
    for number in range(5):
        explanations.record(ended(str(number)))
    assert [each.request_id for each in explanations.newest(50)] == ["4", "3", "2"]
    assert [each.request_id for each in explanations.newest(2)] == ["4", "3"]
    assert explanations.newest(0) == []
    assert explanations.find("1") is None
    assert explanations.find("2") is not None


def test_long_texts_leave_room_for_fewer() -> None:
    explanations = Explanations(max_num_bytes=100_000)
    for number in range(10):
        explanations.record(ended(str(number), text="x" * 20_000))
    assert len(explanations.newest(50)) == 4
    explanations.record(ended("huge", text="x" * 200_000))
    assert [each.request_id for each in explanations.newest(50)] == ["huge"]
    for number in range(10):
        explanations.record(ended(str(number)))
    assert len(explanations.newest(50)) == 10


@pytest.mark.parametrize("uri", ["file:///" + "x" * 40_000, "file:///" + "\U0001f600" * 10_000])
def test_long_addresses_leave_room_for_fewer_too(uri: str) -> None:
    explanations = Explanations(max_num_bytes=100_000)
    for number in range(10):
        explanations.record(ended(str(number), uri=uri))
    assert len(explanations.newest(50)) == 2


def test_an_id_that_comes_again_takes_the_place_of_the_older() -> None:
    explanations = Explanations()
    for number in range(5):
        explanations.record(ended("1", text=f"text {number}"))
    assert [each.text for each in explanations.newest(50)] == ["text 4"]


def test_the_latest_is_the_newest_that_was_answered() -> None:
    explanations = Explanations()
    assert explanations.find("latest") is None
    explanations.record(ended("1", Cancelled("1")))
    assert explanations.find("latest") is explanations.find("1")
    explanations.record(ended("2"))
    explanations.record(ended("3", Cancelled("3")))
    latest = explanations.find("latest")
    assert latest is explanations.find("2")
    assert "taken back" in ended("3", Cancelled("3")).summary()["sentence"]


def test_the_id_of_a_response_stands_for_its_first_choice() -> None:
    explanations = Explanations()
    for number in range(2):
        explanations.record(ended(f"abc.{number}"))
    for name in ("abc", "cmpl-abc", "abc.0", "cmpl-abc.0"):
        assert explanations.find(name) is explanations.find("abc.0") is not None


def test_documents_of_one_name_are_told_apart_by_their_owners() -> None:
    explanations = Explanations()
    for owner, uri in (("a", "file:///1"), ("b", "file:///1"), ("a", "file:///2")):
        explanations.record(ended(owner + uri, owner=owner, uri=uri))
    found = explanations.latest_in("a", "file:///1")
    assert found is explanations.find("afile:///1")
    assert explanations.latest_in("c", "file:///1") is None
    assert explanations.latest_of("b") is explanations.find("bfile:///1")


def test_the_document_itself_is_not_kept() -> None:
    """Two hundred versions of a long file would be a lot of memory."""
    request = request_for()
    num_before = sys.getrefcount(request.document)
    kept = explain(question_of(request, Door.LSP, "x"), request, suggestion(request), 1.0)
    assert kept.text == "os.name"
    num_after = sys.getrefcount(request.document)  # not in the assert, which would hold one too
    assert num_after == num_before


def test_listeners_hear_of_every_request_until_they_leave_and_of_feedback() -> None:
    feedback: dict[str, Any] = {}
    explanations = Explanations(feedback.get)
    heard: list[Any] = []
    unsubscribe = explanations.subscribe(lambda each: heard.append(explanations.summary(each)))
    explanations.record(ended("1"))
    feedback["1"] = {"shown": True, "accepted": "part", "accepted_length": 3}
    explanations.note_feedback("1")
    explanations.note_feedback("unknown")
    unsubscribe()
    unsubscribe()
    explanations.record(ended("2"))
    assert [(each["id"], each["feedback"]["accepted"]) for each in heard] == [
        ("1", None),
        ("1", "part"),
    ]


async def test_a_request_that_is_taken_back_is_remembered_as_such() -> None:
    explanations, request = Explanations(), request_for()
    question = question_of(request, Door.CONTROL, "cli")

    async def never() -> CompletionOutcome:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(explanations.follow(never(), question, request))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (found,) = explanations.newest(5)
    assert (found.request_id, found.summary()["outcome"]) == ("1", "cancelled")


def test_threads_may_record_and_ask_at_once() -> None:
    explanations = Explanations(max_num=10)

    def work(name: int) -> None:
        for number in range(200):
            explanations.record(ended(f"{name}.{number}"))
            assert explanations.find("latest") is not None
            assert len(explanations.newest(50)) <= 10

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert len(explanations.newest(50)) == 10


def test_recording_costs_a_request_next_to_nothing() -> None:
    """A document of 50 kB and a full memory took 17 microseconds where this was written."""
    explanations = Explanations()
    text = "value = 1\n" * 5_000
    document = DocumentSnapshot("file:///w/a.py", 1, "python", text, "a.py")
    best = float("inf")
    for number in range(400):
        request = CompletionRequest(str(number), document, len(text))
        outcome = suggestion(request)
        started = time.perf_counter()
        question = question_of(request, Door.LSP, "x")
        explanations.record(explain(question, request, outcome, 1.0))
        best = min(best, time.perf_counter() - started)
    assert best < 3e-4
