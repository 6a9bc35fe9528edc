"""Text as the model writes it: only stop strings and limits end it, and every token is reported."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    Suggestion,
    TriggerKind,
)
from completion.verbatim import VerbatimMonitor
from models.loader import LoadedModel

TEXT = "def f(a, b):\n    total = "


@pytest.fixture
def service(tiny_model: LoadedModel) -> Iterator[CompletionService]:
    config = CompletionConfig(
        prompt=PromptConfig(max_num_tokens=256), engine=EngineConfig(max_new_tokens=24)
    )
    made = CompletionService(tiny_model, config)
    yield made
    made.close()


def ask(service: CompletionService, **wishes: object) -> Suggestion:
    document = DocumentSnapshot("http:1", 1, "python", TEXT, owner="http")
    fields = {"trigger": TriggerKind.INVOKED, "verbatim": True, **wishes}
    request = CompletionRequest("1", document, len(TEXT), **fields)  # type: ignore[arg-type]
    outcome = service.complete(request, CancellationToken())
    assert isinstance(outcome, Suggestion), outcome
    return outcome


def test_a_limit_cuts_where_it_falls_and_nothing_is_filtered(service: CompletionService) -> None:
    outcome = ask(service, max_new_tokens=9, num_top_logprobs=0)
    assert outcome.finish_reason is FinishReason.LENGTH
    assert outcome.candidates[0].num_tokens == 9
    assert "".join(token.text for token in outcome.candidates[0].tokens) == outcome.text


def test_every_token_comes_with_its_probability_and_the_likeliest(
    service: CompletionService,
) -> None:
    (candidate,) = ask(service, max_new_tokens=6, num_top_logprobs=3).candidates
    assert len(candidate.tokens) == candidate.num_tokens == 6
    for token in candidate.tokens[1:]:  # the first may be bound by the text it has to repeat
        assert len(token.top) == 3
        assert token.logprob == pytest.approx(token.top[0][1], abs=1e-3)
        assert [value for _, value in token.top] == sorted(
            (value for _, value in token.top), reverse=True
        )
    assert math.isclose(candidate.logprob, sum(token.logprob for token in candidate.tokens))


def test_a_stop_string_ends_the_text_before_it(service: CompletionService) -> None:
    whole = ask(service, max_new_tokens=20).text
    stop = whole[len(whole) // 2 :][:2]
    outcome = ask(service, max_new_tokens=20, stop=(stop,))
    assert outcome.text == whole[: whole.index(stop)]
    assert outcome.finish_reason is FinishReason.STOP


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_as_many_candidates_as_were_asked_for(
    service: CompletionService, temperature: float
) -> None:
    outcome = ask(
        service, num_candidates=3, temperature=temperature, max_new_tokens=4, num_top_logprobs=2
    )
    assert len(outcome.candidates) == 3
    for candidate in outcome.candidates:
        assert all(len(token.top) == 2 for token in candidate.tokens)


def test_samples_that_are_equal_all_count(service: CompletionService) -> None:
    nearly_greedy = {"temperature": 1e-6, "seed": 1}
    outcome = ask(service, num_candidates=3, max_new_tokens=3, **nearly_greedy)
    assert len({candidate.text for candidate in outcome.candidates}) == 1
    assert len(outcome.candidates) == 3


def test_the_same_question_is_asked_of_the_model_again(service: CompletionService) -> None:
    sampled = {"temperature": 1.5, "max_new_tokens": 12}
    assert len({ask(service, **sampled).text for _ in range(4)}) > 1


def test_two_clients_documents_of_one_name_do_not_mix(service: CompletionService) -> None:
    def cached(owner: str) -> int:
        document = DocumentSnapshot("file:///a.py", 1, "python", TEXT * 3, owner=owner)
        request = CompletionRequest("1", document, 5, TriggerKind.INVOKED, max_new_tokens=1)
        return service.complete(request, CancellationToken()).trace.prompt.num_cached_tokens

    assert cached("editor") == 0
    assert cached("cli") == 0


stops = st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3).map(tuple)


@given(st.lists(st.text("ab\nc", max_size=3), max_size=12), stops)
def test_what_was_streamed_is_never_taken_back(pieces: list[str], stops: tuple[str, ...]) -> None:
    monitor, shown = VerbatimMonitor(stops), ""
    for piece in pieces:
        has_ended = monitor.push(piece)
        assert monitor.text.startswith(shown)
        shown = monitor.text
        if has_ended:
            break
    monitor.finish()
    whole = "".join(pieces)
    ends = [whole.index(stop) for stop in stops if stop in whole]
    assert monitor.text.startswith(shown)
    assert whole.startswith(monitor.text)
    assert not any(stop in monitor.text for stop in stops)
    if not ends:
        assert monitor.text == whole
    else:
        assert len(monitor.text) >= min(ends)
