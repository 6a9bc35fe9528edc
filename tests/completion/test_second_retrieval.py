"""What was written for a request says what the next lines are about: retrieval asks once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.context import ContextRoom, NoContext
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionRequest,
    ContextChunk,
    DocumentSnapshot,
    Suggestion,
    TriggerKind,
)
from models.loader import LoadedModel

CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=512),
    engine=EngineConfig(
        prefill_chunk=32, prefetch_after_acceptance=False, max_new_tokens=8, heal_after_s=0.01
    ),
)
TEXT = "def f(a, b):\n    total = a\n    \n    return total\n"
FIRST = ContextChunk("b.py", 1, 1, "limit = 10\n", 1.0, "similar")
SECOND = ContextChunk("c.py", 1, 1, "step = 2\n", 1.0, "similar")


class Drafted(NoContext):
    """Shows other lines once it knows what the model wrote."""

    def __init__(self) -> None:
        self.draft = ""
        self.num_asked = 0

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        self.num_asked += 1
        return [SECOND if self.draft else FIRST]

    def note_draft(self, request: CompletionRequest, text: str) -> None:
        self.draft = text


@pytest.fixture
def context() -> Drafted:
    return Drafted()


@pytest.fixture
def service(tiny_model: LoadedModel, context: Drafted) -> Iterator[CompletionService]:
    made = CompletionService(tiny_model, CONFIG, context)
    yield made
    made.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def shown(service: CompletionService, key: str) -> list[str]:
    session = service._caches.sessions._sessions[key]
    return [chunk.path for chunk in session.chunks]


def test_a_second_search_with_the_draft_is_in_the_cache_before_the_next_request(
    service: CompletionService, context: Drafted
) -> None:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", TEXT)
    offset = TEXT.index("    \n") + 4
    request = CompletionRequest("1", document, offset, TriggerKind.INVOKED)
    outcome = service.complete(request, CancellationToken())
    assert isinstance(outcome, Suggestion)
    assert [chunk.path for chunk in outcome.trace.context] == ["b.py"]
    assert context.draft == outcome.text
    wait_for(lambda: shown(service, document.key) == ["c.py"] and service._engine.is_idle)
    num_computed = service.cache_stats.num_computed
    service._cache.clear()  # a remembered answer would answer for the engine
    again = service.complete(replace(request, request_id="2"), CancellationToken())
    assert [chunk.path for chunk in again.trace.context] == ["c.py"]
    # Only the last tokens are left to be computed: the lines of c.py were put in at rest.
    assert service.cache_stats.num_computed - num_computed < 16


def test_a_request_that_wants_no_repository_is_not_searched_for_at_rest(
    service: CompletionService, context: Drafted
) -> None:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", TEXT)
    offset = TEXT.index("    \n") + 4
    request = CompletionRequest("1", document, offset, TriggerKind.INVOKED, use_retrieval=False)
    service.complete(request, CancellationToken())
    wait_for(lambda: service._engine.is_idle and not service._engine._delayed)
    assert context.num_asked == 0
