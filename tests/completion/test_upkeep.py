"""Caches between requests: patched ahead, healed at rest, compared with what was answered."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.scheduler import Priority
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    Exactness,
    Suggestion,
    SuggestionSource,
    TextEdit,
    TriggerKind,
    apply_edits,
)
from kvedit import surroundings
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.surroundings import Surroundings
from models.decoder import Decoder
from models.loader import LoadedModel

CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=1024),
    engine=EngineConfig(
        prefill_chunk=32,
        prefetch_after_acceptance=False,
        max_new_tokens=24,
        heal_after_s=3600,
        patch=PatchPolicy(window=4, max_num_window=8),
    ),
)
FUNCTION = "def f(a, b):\n    total = a\n    \n    return total\n\n\n"
TEXT = FUNCTION * 6
OFFSET = 4 * len(FUNCTION) + FUNCTION.index("    \n") + 4
ABOVE = TextEdit(8, 8, "first, ")


@pytest.fixture
def make_service(tiny_model: LoadedModel) -> Iterator[Callable[..., CompletionService]]:
    made: list[CompletionService] = []

    def make(**engine: object) -> CompletionService:
        chosen = replace(CONFIG.engine, **engine)  # type: ignore[arg-type]
        made.append(CompletionService(tiny_model, replace(CONFIG, engine=chosen)))
        return made[-1]

    yield make
    for service in made:
        service.close()


def ask(document: DocumentSnapshot, offset: int, **options: object) -> CompletionRequest:
    chosen = {"trigger": TriggerKind.INVOKED, "max_new_tokens": 6, **options}
    return CompletionRequest("id", document, offset, **chosen)  # type: ignore[arg-type]


def opened() -> DocumentSnapshot:
    return DocumentSnapshot("file:///w/a.py", 1, "python", TEXT)


def after(document: DocumentSnapshot, *edits: TextEdit) -> DocumentSnapshot:
    return replace(
        document,
        version=document.version + 1,
        base_version=document.version,
        edits=edits,
        text=apply_edits(document.text, edits),
    )


def complete(service: CompletionService, request: CompletionRequest) -> CompletionOutcome:
    service._cache.clear()  # a remembered answer would answer for the engine
    return service.complete(request, CancellationToken())


def wait_until_idle(service: CompletionService) -> None:
    """Return once everything queued so far has run; what is delayed counts when it is due."""
    done = threading.Event()
    service._engine.submit(Priority.BATCH, "idle", lambda _: done.set(), CancellationToken())
    assert done.wait(20)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def is_exact(service: CompletionService, document: DocumentSnapshot) -> bool:
    with service._caches.sessions.borrow(document.key) as session:
        return session is not None and session.table.num_exact() >= session.num_prompt_tokens > 0


def test_an_edit_above_the_cursor_costs_a_few_tokens(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(), opened()
    whole = complete(service, ask(document, OFFSET)).trace.prompt
    changed = after(document, ABOVE)
    outcome = complete(service, ask(changed, OFFSET + len(ABOVE.inserted)))
    stats = outcome.trace.prompt
    assert stats.num_new_tokens < whole.num_tokens / 4
    assert stats.num_patched_tokens > whole.num_tokens / 2
    assert stats.num_cached_tokens + stats.num_patched_tokens + stats.num_new_tokens == (
        stats.num_tokens
    )
    assert (outcome.trace.exactness, outcome.trace.age) == (Exactness.PATCHED, 1)


def test_an_edit_is_patched_before_anybody_asks(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(), opened()
    complete(service, ask(document, OFFSET))
    changed = after(document, ABOVE)
    request = ask(changed, OFFSET + len(ABOVE.inserted))
    service._cache.clear()
    service.prepare(request)
    held = lambda: _holds(service, changed)  # noqa: E731
    wait_for(held)
    wait_until_idle(service)
    stats = complete(service, request).trace.prompt
    # The last token, and what the first answer left behind it.
    assert stats.num_new_tokens == 1
    assert stats.num_patched_tokens > 0


def _holds(service: CompletionService, document: DocumentSnapshot) -> bool:
    with service._caches.sessions.borrow(document.key) as session:
        return session is not None and session.windows._version == document.version


def test_many_quick_edits_are_patched_once(
    make_service: Callable[..., CompletionService], monkeypatch: pytest.MonkeyPatch
) -> None:
    num_passes = 0
    forward = Decoder.forward

    def counted(decoder: Decoder, *arguments: object, **options: object) -> object:
        nonlocal num_passes
        num_passes += 1
        return forward(decoder, *arguments, **options)  # type: ignore[arg-type]

    service, document = make_service(), opened()
    complete(service, ask(document, OFFSET))
    monkeypatch.setattr(Decoder, "forward", counted)
    for _ in range(20):
        document = after(document, ABOVE)
        service.prepare(ask(document, OFFSET + len(ABOVE.inserted) * (document.version - 1)))
    wait_for(lambda: _holds(service, document))
    wait_until_idle(service)
    assert num_passes < 20


def test_a_cache_is_healed_at_rest_and_compared_with_what_was_answered(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(heal_after_s=0.01), opened()
    complete(service, ask(document, OFFSET))
    changed = after(document, ABOVE)
    request = ask(changed, OFFSET + len(ABOVE.inserted))
    assert complete(service, request).trace.exactness is Exactness.PATCHED
    wait_for(lambda: service.cache_stats.drift.num_probes == 1)
    assert is_exact(service, changed)
    assert complete(service, request).trace.exactness is Exactness.EXACT


def test_a_healed_answer_is_the_exact_one(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(heal_after_s=0.01), opened()
    complete(service, ask(document, OFFSET))
    changed = after(document, ABOVE)
    request = ask(changed, OFFSET + len(ABOVE.inserted))
    complete(service, request)
    wait_for(lambda: is_exact(service, changed))
    fresh = make_service()
    assert shown(complete(service, request)) == shown(complete(fresh, request))


def shown(outcome: CompletionOutcome) -> object:
    return outcome.text if isinstance(outcome, Suggestion) else outcome


@pytest.mark.parametrize("mode", [PatchMode.WINDOW, PatchMode.EXACT])
def test_lower_rungs_do_not_heal(
    make_service: Callable[..., CompletionService], mode: PatchMode
) -> None:
    service, document = make_service(heal_after_s=0.001), opened()
    complete(service, ask(document, OFFSET, patching=mode))
    complete(service, ask(after(document, ABOVE), OFFSET + len(ABOVE.inserted), patching=mode))
    assert not service._engine._delayed


def test_exact_requests_are_exact_whatever_was_patched_before(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(), opened()
    complete(service, ask(document, OFFSET))
    changed = after(document, ABOVE)
    request = ask(changed, OFFSET + len(ABOVE.inserted))
    complete(service, request)
    exact = complete(service, replace(request, patching=PatchMode.EXACT))
    assert exact.trace.exactness is Exactness.EXACT
    assert shown(exact) == shown(complete(make_service(), request))


def test_a_request_ends_healing_within_a_layer(
    make_service: Callable[..., CompletionService], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, document = make_service(heal_after_s=0.01), opened()
    complete(service, ask(document, OFFSET))
    changed = after(document, ABOVE)
    request = ask(changed, OFFSET + len(ABOVE.inserted))
    healing, may_go_on, layers = threading.Event(), threading.Event(), []
    plain = service._caches.patcher.heal

    def held(table: object, num_tokens: int, checkpoint: Callable[[], None]) -> bool:
        def count() -> None:
            healing.set()
            assert may_go_on.wait(20)
            checkpoint()
            layers.append("heal")

        return plain(table, num_tokens, count)  # type: ignore[arg-type]

    monkeypatch.setattr(service._caches.patcher, "heal", held)
    complete(service, request)
    assert healing.wait(20)
    answers: list[CompletionOutcome] = []
    again = replace(request, max_new_tokens=5)
    person = threading.Thread(target=lambda: answers.append(complete(service, again)))
    person.start()
    wait_for(lambda: service.num_waiting > 0)
    may_go_on.set()
    person.join(20)
    assert isinstance(answers[0], Suggestion) or not isinstance(answers[0], Cancelled)
    assert layers == []


class Typist:
    """Types on while the model writes."""

    def __init__(self, service: CompletionService, request: CompletionRequest) -> None:
        self.service, self.request = service, request
        self.typed = ""
        self.token = CancellationToken()

    def type(self, text: str) -> CompletionRequest:
        """Insert ``text`` at the cursor, as an editor tells it: edit, then cancel, then ask."""
        self.typed += text
        old = self.request.document
        cursor = self.request.offset + len(self.typed)
        document = after(old, TextEdit(self.request.offset, self.request.offset, self.typed))
        asked = replace(self.request, document=document, offset=cursor, request_id=self.typed)
        self.service.prepare(asked)
        self.token.cancel()
        return asked


def test_who_types_what_is_being_written_does_not_start_it_anew(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(), opened()
    request = ask(document, OFFSET, max_new_tokens=20)
    whole = complete(service, request)
    assert isinstance(whole, Suggestion)
    service._cache.clear()
    typist, asked, answers = Typist(service, request), [], []
    waiting = threading.Thread(
        target=lambda: answers.append(service.complete(asked[0], CancellationToken()))
    )

    def on_text(text: str) -> None:
        if not asked and len(text) >= 3:
            asked.append(typist.type(whole.text[:2]))
            waiting.start()

    service.complete(request, typist.token, on_text)
    waiting.join(20)
    (answer,) = answers
    assert isinstance(answer, Suggestion)
    assert answer.source is SuggestionSource.TYPING_AS_SUGGESTED
    assert whole.text[:2] + answer.text == whole.text


def test_who_types_something_else_ends_it(
    make_service: Callable[..., CompletionService],
) -> None:
    service, document = make_service(), opened()
    request = ask(document, OFFSET, max_new_tokens=20)
    complete(service, request)
    service._cache.clear()
    typist = Typist(service, request)

    def on_text(text: str) -> None:
        if not typist.typed:
            typist.type("\u00e9" if text[0] != "\u00e9" else "x")

    assert isinstance(service.complete(request, typist.token, on_text), Cancelled)


def test_a_generation_without_an_edit_ends_when_it_is_taken_back(
    make_service: Callable[..., CompletionService],
) -> None:
    service, token = make_service(), CancellationToken()
    request = ask(opened(), OFFSET, max_new_tokens=20)
    outcome = service.complete(request, token, lambda _: token.cancel())
    assert isinstance(outcome, Cancelled)


def test_surroundings_of_two_documents_are_computed_in_turn(
    make_service: Callable[..., CompletionService], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[Surroundings] = []
    store_next = Surroundings.store_next

    def noted(self: Surroundings, *arguments: Any) -> bool:
        turns.append(self)
        return store_next(self, *arguments)

    monkeypatch.setattr(surroundings, "PIECE_TOKENS", 64)
    monkeypatch.setattr(Surroundings, "store_next", noted)
    service = make_service(heal_after_s=0.01, around_tokens=4096)
    letters = random.Random(3)
    for name in ("one", "two"):
        lines = ["".join(letters.choices("abcdefgh", k=20)) + " = 1\n" for _ in range(200)]
        document = DocumentSnapshot(f"file:///w/{name}.py", 1, "python", "".join(lines))
        complete(service, ask(document, len("".join(lines[:80]))))
    wait_for(lambda: len(set(turns)) == 2)
    wait_until_idle(service)
    first, second = dict.fromkeys(turns)
    assert turns.count(first) > 5
    assert turns.index(second) < len(turns) - turns[::-1].index(first) - 1


def test_a_jump_out_of_the_prompt_finds_what_was_computed_at_rest(
    make_service: Callable[..., CompletionService],
) -> None:
    letters = random.Random(3)
    lines = ["".join(letters.choices("abcdefgh", k=20)) + " = 1\n" for _ in range(200)]
    text = "".join(lines)
    document = DocumentSnapshot("file:///w/long.py", 1, "python", text)
    here, there = len("".join(lines[:80])), len("".join(lines[:110]))
    computed = {}
    for around_tokens in (0, 4096):
        service = make_service(heal_after_s=0.01, around_tokens=around_tokens)
        complete(service, ask(document, here))
        stats = service.cache_stats
        if around_tokens:
            wait_for(lambda service=service: service.cache_stats.num_healed > 1000)
            wait_until_idle(service)
        assert service.cache_stats.num_computed == stats.num_computed
        computed[around_tokens] = complete(service, ask(document, there)).trace.prompt
    assert computed[0].num_new_tokens > 300
    assert computed[4096].num_new_tokens < 100
    assert computed[4096].num_tokens == computed[0].num_tokens
