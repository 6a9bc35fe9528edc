"""Answers out of the cache of suggestions: which request they were written for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from completion.types import (
    Candidate,
    CompletionRequest,
    CompletionTrace,
    DocumentSnapshot,
    FinishReason,
    Suggestion,
    SuggestionSource,
)
from lsp_server.explanation import Explanation, explain, question_of
from lsp_server.explanations import Explanations
from lsp_server.metrics import Door
from lsp_server.why_text import in_words

BEFORE = "import os\ndef f(a):\n    "
WHOLE = "if a:\n        return a"
URI = "file:///w/a.py"


def offered(
    request_id: str,
    text: str,
    source: SuggestionSource,
    *,
    before: str = BEFORE,
    uri: str = URI,
    owner: str = "one",
    others: tuple[str, ...] = (),
) -> Explanation:
    document = DocumentSnapshot(uri, 1, "python", before + "\n", "a.py", owner=owner)
    request = CompletionRequest(request_id, document, len(before))
    outcome = Suggestion(
        request_id=request_id,
        text=text,
        replace_start=len(before),
        replace_end=len(before),
        candidates=tuple(Candidate(each, -0.5) for each in (text, *others)),
        confidence=0.5,
        finish_reason=FinishReason.STOP,
        source=source,
        trace=CompletionTrace(),
    )
    return explain(question_of(request, Door.LSP, "Editor"), request, outcome, 1.0)


ENGINE, CACHE = SuggestionSource.ENGINE, SuggestionSource.CACHE
TYPING, PREFETCH = SuggestionSource.TYPING_AS_SUGGESTED, SuggestionSource.PREFETCH


def origin(*explanations: Explanation) -> str | None:
    """Return what the last of ``explanations`` was kept from, if they end one after the other."""
    kept = Explanations()
    for each in explanations:
        kept.record(each)
    found = kept.find(explanations[-1].request_id)
    assert found is not None
    told: str | None = kept.summary(found)["kept_from"]
    assert kept.as_json(found)["kept_from"] == told
    return told


WRITTEN = offered("written", WHOLE, ENGINE)


@pytest.mark.parametrize("typed", ["", "if", "if a:\n", "if a:\n        ret"])
def test_what_is_left_of_a_suggestion_leads_to_the_request_that_wrote_it(typed: str) -> None:
    source = TYPING if typed else CACHE
    rest = offered("rest", WHOLE[len(typed) :], source, before=BEFORE + typed)
    assert origin(WRITTEN, rest) == "written"


def test_a_chain_of_repeats_leads_to_its_beginning_and_not_to_another_repeat() -> None:
    again = offered("again", WHOLE, CACHE)
    typed = offered("typed", WHOLE[2:], TYPING, before=BEFORE + "if")
    assert origin(WRITTEN, again, typed) == "written"


def test_another_candidate_of_the_request_counts_and_so_does_what_was_prepared() -> None:
    several = offered("several", "pass", ENGINE, others=(WHOLE,))
    rest = offered("rest", WHOLE[3:], TYPING, before=BEFORE + "if ")
    assert origin(several, rest) == "several"
    assert origin(offered("ahead", WHOLE, PREFETCH), rest) == "ahead"


@pytest.mark.parametrize(
    "earlier",
    [
        offered("other", WHOLE, ENGINE, uri="file:///w/b.py"),
        offered("other", WHOLE, ENGINE, owner="two"),
        offered("other", WHOLE, ENGINE, before="\n" + BEFORE),
        offered("other", "return a", ENGINE),
        offered("other", WHOLE, CACHE),
    ],
    ids=["another document", "another client", "another place", "another text", "a repeat"],
)
def test_what_cannot_be_its_beginning_is_not_named(earlier: Explanation) -> None:
    assert origin(earlier, offered("rest", WHOLE, CACHE)) is None


def test_what_the_model_wrote_for_the_request_comes_from_no_other() -> None:
    assert (
        origin(WRITTEN, replace(WRITTEN, question=replace(WRITTEN.question, request_id="2")))
        is None
    )


def test_people_are_led_to_the_request_that_has_the_prompt() -> None:
    kept = Explanations()
    kept.record(WRITTEN)
    kept.record(offered("rest", WHOLE, CACHE))
    found = kept.find("rest")
    assert found is not None
    assert "kept from request written; its prompt and tokens: fimble why written" in in_words(
        kept.as_json(found)
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [(CACHE, "not remembered"), (TYPING, "not remembered"), (PREFETCH, "before anybody asked")],
)
def test_without_such_a_request_people_are_told_why_there_are_no_tokens(
    source: SuggestionSource, words: str
) -> None:
    assert words in in_words(offered("1", WHOLE, source).as_json())
    assert words not in in_words(offered("1", WHOLE, ENGINE).as_json())
