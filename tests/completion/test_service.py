"""The pipeline on a tiny network: its text is noise, its bookkeeping must be right."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.errors import PromptTooLongError
from completion.scheduler import Priority
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    SelectedItem,
    Suggestion,
    SuggestionSource,
    TextEdit,
    TriggerKind,
    apply_edits,
    document_key,
)
from kvedit.policy import PatchMode
from models.loader import LoadedModel

CONFIG = CompletionConfig(
    # Room for every text here: a window that moves makes another prompt, rightly answered otherwise.
    prompt=PromptConfig(max_num_tokens=1024),
    engine=EngineConfig(prefill_chunk=32, prefetch_after_acceptance=False, max_new_tokens=40),
)
TEXT = "def f(a, b):\n    total = a\n    \n    return total\n"
OFFSET = TEXT.index("    \n") + 4


@pytest.fixture
def service(tiny_model: LoadedModel) -> Iterator[CompletionService]:
    made = CompletionService(tiny_model, CONFIG)
    yield made
    made.close()


def request_for(text: str = TEXT, offset: int = OFFSET, **options: object) -> CompletionRequest:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", text)
    chosen = {"trigger": TriggerKind.INVOKED, **options}
    return CompletionRequest("id-1", document, offset, **chosen)  # type: ignore[arg-type]


def complete(service: CompletionService, request: CompletionRequest) -> CompletionOutcome:
    return service.complete(request, CancellationToken())


def fresh(tiny_model: LoadedModel, request: CompletionRequest) -> CompletionOutcome:
    service = CompletionService(tiny_model, CONFIG)
    try:
        return complete(service, request)
    finally:
        service.close()


def shown(outcome: CompletionOutcome) -> object:
    """Return what a user sees of an outcome."""
    if isinstance(outcome, Suggestion):
        return outcome.text, outcome.replace_start, outcome.replace_end
    return outcome.reason if isinstance(outcome, NoSuggestion) else "cancelled"


def test_the_tokens_of_a_prompt_add_up(service: CompletionService) -> None:
    stats = complete(service, request_for()).trace.prompt
    assert stats.num_tokens == stats.num_cached_tokens + stats.num_new_tokens > 20
    assert stats.num_cached_tokens == 0


def test_typing_on_reuses_all_but_the_line(service: CompletionService) -> None:
    complete(service, request_for())
    typed = TEXT[:OFFSET] + "zq" + TEXT[OFFSET:]
    outcome = complete(service, request_for(typed, OFFSET + 2))
    assert outcome.trace.prompt.num_new_tokens <= 6
    assert outcome.trace.prompt.num_cached_tokens >= 20


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_reused_cache_never_changes_the_answer(
    tiny_model: LoadedModel, service: CompletionService, data: st.DataObject
) -> None:
    document = DocumentSnapshot("file:///w/b.py", 1, "python", TEXT * 3)
    for version in range(2, 5):
        start = data.draw(st.integers(0, len(document.text)))
        end = data.draw(st.integers(start, min(len(document.text), start + 12)))
        edit = TextEdit(start, end, data.draw(st.text("ab (\n)é", max_size=8)))
        document = replace(
            document,
            version=version,
            base_version=version - 1,
            edits=(edit,),
            text=apply_edits(document.text, (edit,)),
        )
        offset = start + len(edit.inserted)
        request = CompletionRequest(
            "1", document, offset, TriggerKind.INVOKED, max_new_tokens=6, patching=PatchMode.EXACT
        )
        # Remembered suggestions would answer for the engine, and are not what is tested here.
        service._cache.clear()
        assert shown(complete(service, request)) == shown(fresh(tiny_model, request))


@pytest.mark.parametrize("num_steps", [1, 2, 3, 5, 9, 14, 20])
def test_cancelling_anywhere_leaves_a_valid_cache(
    tiny_model: LoadedModel, service: CompletionService, num_steps: int
) -> None:
    class CancelsItself(CancellationToken):
        def __init__(self) -> None:
            super().__init__()
            self.left = num_steps

        def check(self) -> None:
            self.left -= 1
            if self.left <= 0:
                self.cancel()
            super().check()

    request = request_for(TEXT * 4, len(TEXT) * 3 + OFFSET)
    assert isinstance(service.complete(request, CancelsItself()), Cancelled)
    assert shown(complete(service, request)) == shown(fresh(tiny_model, request))


def test_a_request_cancelled_beforehand_is_cancelled(service: CompletionService) -> None:
    token = CancellationToken()
    token.cancel()
    assert isinstance(service.complete(request_for(), token), Cancelled)


def test_candidates_differ_and_the_first_is_the_suggestion(service: CompletionService) -> None:
    outcome = complete(service, request_for(num_candidates=3, max_new_tokens=8))
    assert isinstance(outcome, Suggestion)
    texts = [candidate.text for candidate in outcome.candidates]
    assert len(set(texts)) == len(texts) == 3
    assert texts[0] == outcome.text
    assert all(candidate.logprob < 0 for candidate in outcome.candidates)


def test_sampling_repeats_with_its_seed(tiny_model: LoadedModel) -> None:
    def sample(seed: int) -> object:
        return shown(fresh(tiny_model, request_for(temperature=1.5, seed=seed, max_new_tokens=8)))

    assert sample(1) == sample(1)
    assert len({str(sample(seed)) for seed in range(4)}) > 1


def test_a_deadline_that_has_passed_still_shows_a_word(service: CompletionService) -> None:
    outcome = complete(service, request_for(deadline_ms=0.01))
    assert isinstance(outcome, Suggestion)
    assert outcome.finish_reason is FinishReason.DEADLINE
    patient = complete(service, request_for())
    assert outcome.trace.speculation.num_forward_passes < 10
    assert isinstance(patient, Suggestion)
    assert patient.text.startswith(outcome.text.rstrip())


def test_a_cold_file_is_answered_in_time_with_less_of_it_and_warmed_behind(
    tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("completion.service.MIN_PROMPT_TOKENS", 64)
    monkeypatch.setattr("completion.generation._ASSUMED_RATE", (1.0, 1.0))
    service = CompletionService(tiny_model, CONFIG)
    text = TEXT * 10
    request = request_for(text, len(text) // 2, deadline_ms=10_000.0, max_new_tokens=2)
    cold = complete(service, request).trace.prompt
    assert 0 < cold.num_tokens <= 64
    wait_until_idle(service)
    warm = complete(service, replace(request, deadline_ms=None, max_new_tokens=3)).trace.prompt
    service.close()
    assert warm.num_tokens > 128
    assert warm.num_new_tokens <= 2


def test_text_streams_and_ends_with_what_was_kept(service: CompletionService) -> None:
    pieces: list[str] = []
    outcome = service.complete(request_for(max_new_tokens=8), CancellationToken(), pieces.append)
    assert pieces
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(pieces))
    assert isinstance(outcome, Suggestion)


def test_the_same_question_is_answered_from_memory(service: CompletionService) -> None:
    first = complete(service, request_for(max_new_tokens=6))
    assert isinstance(first, Suggestion)
    again = service.lookup(request_for(max_new_tokens=6))
    assert isinstance(again, Suggestion)
    assert again.source is SuggestionSource.CACHE
    assert again.text == first.text


def test_a_selected_item_begins_the_suggestion(service: CompletionService) -> None:
    text = "def f(a):\n    return a.app\n"
    offset = text.index("app") + 3
    item = SelectedItem(offset - 3, offset, "append_all")
    outcome = complete(service, request_for(text, offset, selected_item=item))
    assert isinstance(outcome, Suggestion)
    assert outcome.text.startswith("end_all")


def test_a_selected_item_that_does_not_continue_the_text_is_refused(
    service: CompletionService,
) -> None:
    item = SelectedItem(OFFSET - 4, OFFSET, "other")
    outcome = complete(service, request_for(selected_item=item))
    assert shown(outcome) is NoSuggestionReason.SELECTED_ITEM_MISMATCH


def test_the_text_behind_an_accepted_suggestion_is_prefetched(tiny_model: LoadedModel) -> None:
    config = replace(CONFIG, engine=replace(CONFIG.engine, prefetch_after_acceptance=True))
    service = CompletionService(tiny_model, config)
    outcome = complete(service, request_for(max_new_tokens=6))
    assert isinstance(outcome, Suggestion)
    text = TEXT[: outcome.replace_start] + outcome.text + TEXT[outcome.replace_end :]
    follow_up = replace(
        request_for(text, outcome.replace_start + len(outcome.text), max_new_tokens=6),
        trigger=TriggerKind.AUTOMATIC,
    )
    wait_until_idle(service)
    known = service.lookup(follow_up)
    outcome = known if known is not None else complete(service, follow_up)
    service.close()
    if isinstance(known, Suggestion):
        assert known.source is SuggestionSource.PREFETCH
    assert shown(outcome) == shown(fresh(tiny_model, follow_up))


def test_an_error_in_one_request_is_an_outcome_and_the_next_one_works(
    service: CompletionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("completion.service.choose_strategy", lambda *_, **__: 1 / 0)
        outcome = complete(service, request_for())
    assert isinstance(outcome, NoSuggestion)
    assert outcome.reason is NoSuggestionReason.ENGINE_ERROR
    assert "ZeroDivisionError" in outcome.detail
    assert not isinstance(complete(service, request_for()), Cancelled)


def test_many_documents_share_the_pool(service: CompletionService) -> None:
    for number in range(12):
        request = request_for(max_new_tokens=3)
        document = replace(request.document, uri=f"file:///w/{number}.py")
        outcome = complete(service, replace(request, document=document))
        assert shown(outcome) is not NoSuggestionReason.ENGINE_ERROR


def test_a_closed_service_cancels_what_waits_and_what_comes(tiny_model: LoadedModel) -> None:
    service = CompletionService(tiny_model, CONFIG)
    outcomes: list[CompletionOutcome] = []
    asking = threading.Thread(target=lambda: outcomes.append(complete(service, request_for())))
    asking.start()
    service.close()
    asking.join(10)
    assert outcomes
    assert isinstance(complete(service, request_for(TEXT + "\n", 3)), Cancelled)


def test_a_forgotten_document_starts_afresh(service: CompletionService) -> None:
    complete(service, request_for(max_new_tokens=3))
    service.forget(document_key("", "file:///w/a.py"))
    assert service.lookup(request_for(max_new_tokens=3)) is None
    assert complete(service, request_for(max_new_tokens=3)).trace.prompt.num_cached_tokens == 0


def test_a_person_goes_before_a_script_that_is_being_answered(service: CompletionService) -> None:
    finished: list[str] = []

    def ask(name: str, request: CompletionRequest) -> None:
        service.complete(request, CancellationToken())
        finished.append(name)

    typing = replace(
        request_for(max_new_tokens=2),
        document=DocumentSnapshot("file:///w/b.py", 1, "python", TEXT),
    )
    person = threading.Thread(target=ask, args=("person", typing))
    script = replace(request_for(max_new_tokens=40), is_interactive=False, verbatim=True)

    def on_text(_: str) -> None:
        if person.ident is None:
            person.start()
            # The script has tokens left: between two layers it finds the other request.
            while not service.num_waiting:
                pass

    service.complete(script, CancellationToken(), on_text)
    finished.append("script")
    person.join(20)
    assert finished == ["person", "script"]


def test_people_on_many_documents_do_not_take_the_cache_of_a_script_at_work(
    tiny_model: LoadedModel,
) -> None:
    engine = replace(CONFIG.engine, cache_mb=1)
    service = CompletionService(tiny_model, replace(CONFIG, engine=engine))
    script = replace(request_for(max_new_tokens=30), is_interactive=False, verbatim=True)
    alone = service.complete(script, CancellationToken())
    others = iter(range(12))
    people: list[threading.Thread] = []

    def on_text(_: str) -> None:
        number = next(others, None)
        if number is None:
            return
        document = DocumentSnapshot(f"file:///w/{number}.py", 1, "python", f"x{number} = 1\ny = ")
        typing = CompletionRequest("p", document, len(document.text), TriggerKind.INVOKED)
        person = threading.Thread(target=lambda: complete(service, typing))
        people.append(person)
        person.start()
        while person.is_alive() and not service.num_waiting:
            pass

    service.forget(script.document.key)
    interrupted = service.complete(script, CancellationToken(), on_text)
    for person in people:
        person.join(20)
    service.close()
    assert len(people) == 12
    assert shown(interrupted) == shown(alone)


def wait_until_idle(service: CompletionService) -> None:
    """Return once everything queued so far has run, prefetches included."""
    done = threading.Event()
    service._engine.submit(Priority.BATCH, "idle", lambda _: done.set(), CancellationToken())
    assert done.wait(20)


def test_a_prompt_beyond_the_models_context_is_refused(tiny_model: LoadedModel) -> None:
    config = CompletionConfig(prompt=PromptConfig(max_num_tokens=100_000))
    with pytest.raises(PromptTooLongError, match=r"lower prompt\.max_num_tokens"):
        CompletionService(tiny_model, config)


def test_a_spent_token_limit_is_not_taken_for_a_fault(service: CompletionService) -> None:
    outcome = complete(service, request_for(max_new_tokens=1))
    assert outcome.trace.speculation.num_forward_passes == 0
    if isinstance(outcome, NoSuggestion):
        assert outcome.reason is NoSuggestionReason.TOKEN_LIMIT_BEFORE_FIRST_LINE
