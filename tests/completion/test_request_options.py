"""What a request may ask for, seen at what the pipeline then does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.context import ContextRoom, NoContext
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionOutcome,
    CompletionRequest,
    ContextChunk,
    DocumentSnapshot,
    Exactness,
    FinishReason,
    Suggestion,
    TriggerKind,
)
from kvedit.policy import PatchMode
from models.loader import LoadedModel

ONCE = dict.fromkeys(TriggerKind, 0)  # no second try, so that passes can be counted
CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=256),
    engine=EngineConfig(
        prefetch_after_acceptance=False, max_new_tokens=40, max_num_retries=ONCE, prefill_chunk=64
    ),
)
TEXT = "def f(a, b):\n    total = a\n    \n    return total\n"
OFFSET = TEXT.index("    \n") + 4


class OneChunk(NoContext):
    """Knows one thing about the repository, and who asked for it."""

    def __init__(self) -> None:
        self.requests: list[CompletionRequest] = []

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        self.requests.append(request)
        return [ContextChunk("b.py", 1, 2, "limit = 10\nstep = 2\n", 1.0, "test")]


@pytest.fixture
def context() -> OneChunk:
    return OneChunk()


@pytest.fixture
def service(tiny_model: LoadedModel, context: OneChunk) -> Iterator[CompletionService]:
    made = CompletionService(tiny_model, CONFIG, context)
    yield made
    made.close()


def complete(service: CompletionService, **options: object) -> CompletionOutcome:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", TEXT)
    chosen = {"trigger": TriggerKind.INVOKED, **options}
    request = CompletionRequest("1", document, OFFSET, **chosen)  # type: ignore[arg-type]
    return service.complete(request, CancellationToken())


@pytest.mark.parametrize("max_new_tokens", [2, 5, 9])
def test_a_suggestion_has_no_more_tokens_than_asked_for(
    service: CompletionService, max_new_tokens: int
) -> None:
    outcome = complete(service, max_new_tokens=max_new_tokens)
    if isinstance(outcome, Suggestion):  # two tokens may be half a word, which is not shown
        assert outcome.finish_reason is FinishReason.LENGTH
    # The prompt's own pass yields the first token, and nothing runs behind the last one.
    stats = outcome.trace.speculation
    assert stats.num_forward_passes + stats.num_accepted_tokens == max_new_tokens - 1


def test_the_configured_limit_holds_whatever_is_asked_for(service: CompletionService) -> None:
    outcome = complete(service, max_new_tokens=4000)
    stats = outcome.trace.speculation
    assert stats.num_forward_passes + stats.num_accepted_tokens < CONFIG.engine.max_new_tokens


def test_a_stop_string_ends_the_text_before_it(service: CompletionService) -> None:
    whole = complete(service, max_new_tokens=9)
    assert isinstance(whole, Suggestion)
    stop = whole.text[3:5]
    cut = complete(service, max_new_tokens=9, stop=(stop,))
    assert isinstance(cut, Suggestion)
    assert cut.finish_reason is FinishReason.STOP
    assert cut.text.rstrip() == whole.text[: whole.text.index(stop)].rstrip()


def test_code_of_other_files_is_looked_for_only_where_that_is_wanted(
    service: CompletionService, context: OneChunk
) -> None:
    alone = complete(service, max_new_tokens=2, use_retrieval=False)
    assert context.requests == []
    assert alone.trace.context == ()
    among_others = complete(service, max_new_tokens=2)
    assert len(context.requests) == 1
    assert [chunk.path for chunk in among_others.trace.context] == ["b.py"]
    assert among_others.trace.prompt.num_tokens > alone.trace.prompt.num_tokens


def test_without_speculation_and_patching_the_text_is_the_same(
    service: CompletionService, tiny_model: LoadedModel
) -> None:
    usual = complete(service, max_new_tokens=6)
    assert isinstance(usual, Suggestion)
    other = CompletionService(tiny_model, replace(CONFIG), OneChunk())
    plain = complete(other, max_new_tokens=6, use_speculation=False, patching=PatchMode.EXACT)
    other.close()
    assert isinstance(plain, Suggestion)
    assert plain.text == usual.text
    assert plain.trace.exactness is Exactness.EXACT
    assert plain.trace.speculation.num_draft_tokens == 0
