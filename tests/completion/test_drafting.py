"""Drafts through the service: the same answers in fewer passes, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionRequest,
    DocumentSnapshot,
    SpeculationStats,
    Suggestion,
    TriggerKind,
)
from models.loader import LoadedModel

CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=512),
    engine=EngineConfig(prefetch_after_acceptance=False, max_new_tokens=40, heal_after_s=3600),
)
TEXT = "def f(a, b):\n    total = a\n    \n    return total\n\n\n" * 3
OFFSET = TEXT.index("    \n") + 4


@pytest.fixture
def service(tiny_model: LoadedModel) -> Iterator[CompletionService]:
    made = CompletionService(tiny_model, CONFIG)
    yield made
    made.close()


def ask(
    service: CompletionService, text: str = TEXT, offset: int = OFFSET, **options: object
) -> Suggestion:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", text, "a.py", workspace="/w")
    chosen = {"trigger": TriggerKind.INVOKED, "verbatim": True, **options}
    request = CompletionRequest("1", document, offset, **chosen)  # type: ignore[arg-type]
    outcome = service.complete(request, CancellationToken())
    assert isinstance(outcome, Suggestion)
    return outcome


def stats_of(outcome: Suggestion) -> SpeculationStats:
    return outcome.trace.speculation


def test_what_was_written_before_is_confirmed_by_a_pass_or_two(service: CompletionService) -> None:
    plain = ask(service, use_speculation=False)
    assert stats_of(plain) == SpeculationStats(stats_of(plain).num_forward_passes)
    again = ask(service)
    assert again.text == plain.text
    assert stats_of(again).num_forward_passes < stats_of(plain).num_forward_passes / 3
    assert stats_of(again).num_accepted_tokens > stats_of(plain).num_forward_passes / 2


def test_the_rest_of_a_text_is_confirmed_while_its_beginning_is_typed(
    service: CompletionService,
) -> None:
    whole = ask(service, use_speculation=False)
    typed = whole.text[: len(whole.text) // 2]
    text = TEXT[:OFFSET] + typed + TEXT[OFFSET:]
    plain = ask(service, text, OFFSET + len(typed), use_speculation=False, max_new_tokens=8)
    drafted = ask(service, text, OFFSET + len(typed), max_new_tokens=8)
    assert drafted.text == plain.text
    assert stats_of(drafted).num_forward_passes < stats_of(plain).num_forward_passes


@pytest.mark.parametrize("options", [{}, {"num_candidates": 3}, {"temperature": 0.8, "seed": 5}])
def test_answers_are_those_without_drafts(
    tiny_model: LoadedModel, options: dict[str, object]
) -> None:
    answers = []
    for use_speculation in (False, True):
        service = CompletionService(tiny_model, CONFIG)
        for verbatim in (True, False, True):
            outcome = ask(service, verbatim=verbatim, use_speculation=use_speculation, **options)
            answers.append([candidate.text for candidate in outcome.candidates])
        service.close()
    assert answers[:3] == answers[3:]


def test_alternatives_cost_much_less_than_several_texts(service: CompletionService) -> None:
    one = ask(service, use_speculation=False)
    four = ask(service, num_candidates=4, verbatim=False)
    assert len(four.candidates) == 4
    assert len({candidate.text.strip() for candidate in four.candidates}) == 4
    assert stats_of(four).num_forward_passes < 4 * stats_of(one).num_forward_passes


def test_sources_that_are_switched_off_draft_nothing(tiny_model: LoadedModel) -> None:
    engine = replace(CONFIG.engine, draft_sources=frozenset())
    service = CompletionService(tiny_model, replace(CONFIG, engine=engine))
    assert stats_of(ask(service)).num_draft_tokens == 0
    service.close()


def test_what_was_learnt_is_kept_over_runs(tiny_model: LoadedModel, tmp_path: Path) -> None:
    sources = frozenset({"ngrams"})
    engine = replace(CONFIG.engine, draft_folder=tmp_path, draft_sources=sources)
    for _ in range(2):
        service = CompletionService(tiny_model, replace(CONFIG, engine=engine))
        ask(service)
        service.close()
    (file,) = tmp_path.iterdir()
    assert TEXT.splitlines()[0].encode() not in file.read_bytes()
