"""Several candidates at once: each is what it is alone, and the cache stays that of the prompt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionRequest,
    DocumentSnapshot,
    Suggestion,
    TriggerKind,
)
from models.loader import LoadedModel

MAX_NUM_TOKENS = 256
CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=MAX_NUM_TOKENS),
    engine=EngineConfig(prefetch_after_acceptance=False, max_new_tokens=32, heal_after_s=3600),
)
TEXT = "def f(a, b):\n    total = a\n    \n    return total\n\n\n"
OFFSET = TEXT.index("    \n") + 4


class Impatient(CancellationToken):
    """Cancels itself when it has been looked at so many times."""

    __slots__ = ("num_looks",)

    def __init__(self, num_looks: int) -> None:
        super().__init__()
        self.num_looks = num_looks

    def check(self) -> None:
        self.num_looks -= 1
        if self.num_looks <= 0:
            self.cancel()
        super().check()


@pytest.fixture
def service(tiny_model: LoadedModel) -> Iterator[CompletionService]:
    made = CompletionService(tiny_model, CONFIG)
    yield made
    made.close()


def request(text: str = TEXT, offset: int = OFFSET, **wishes: object) -> CompletionRequest:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", text, "a.py")
    fields = {"trigger": TriggerKind.INVOKED, "verbatim": True, "max_new_tokens": 24, **wishes}
    return CompletionRequest("1", document, offset, **fields)  # type: ignore[arg-type]


def texts_of(service: CompletionService, asked: CompletionRequest) -> list[str]:
    outcome = service.complete(asked, CancellationToken())
    assert isinstance(outcome, Suggestion), outcome
    return [candidate.text for candidate in outcome.candidates]


def num_used(service: CompletionService) -> int:
    return service.cache_stats.num_used_slots


def test_the_first_of_several_is_the_only_one_of_one(service: CompletionService) -> None:
    several = texts_of(service, request(num_candidates=5))
    assert texts_of(service, request())[0] == several[0]
    assert len(several) == 5


@pytest.mark.parametrize("use_speculation", [False, True])
def test_of_texts_that_are_drawn_each_is_that_of_its_own_seed(
    service: CompletionService, use_speculation: bool
) -> None:
    wishes = {"temperature": 1.0, "use_speculation": use_speculation}
    several = texts_of(service, request(num_candidates=4, seed=3, **wishes))
    alone = [texts_of(service, request(seed=3 + number, **wishes))[0] for number in range(4)]
    assert several == alone
    assert len(set(several)) > 1


def test_side_by_side_they_take_fewer_passes_than_one_after_the_other(
    service: CompletionService,
) -> None:
    def num_passes(number: int) -> int:
        asked = request(num_candidates=number, use_speculation=False)
        outcome = service.complete(asked, CancellationToken())
        assert isinstance(outcome, Suggestion)
        return outcome.trace.speculation.num_forward_passes

    one = num_passes(1)
    assert num_passes(4) <= one + 8 + 2  # the branches begin behind eight tokens of the first


def test_no_slots_are_left_to_them_afterwards(service: CompletionService) -> None:
    texts_of(service, request(num_candidates=1))
    before = num_used(service)
    texts_of(service, request(num_candidates=6))
    assert num_used(service) <= before + 1


def test_where_there_is_room_for_few_they_come_in_turns(service: CompletionService) -> None:
    text = "\n".join(f"value_{number} = {number}" for number in range(60)) + "\n"
    asked = request(text, len(text), num_candidates=16, max_new_tokens=32)
    assert len(texts_of(service, asked)) == 16
    assert texts_of(service, request(text, len(text), max_new_tokens=32))[0]


@pytest.mark.parametrize("num_looks", range(3, 60, 6))
def test_cancelled_at_any_point_they_leave_the_cache_of_the_prompt(
    tiny_model: LoadedModel, service: CompletionService, num_looks: int
) -> None:
    asked = request(num_candidates=4, use_speculation=False)
    outcome = service.complete(asked, Impatient(num_looks))
    assert isinstance(outcome, Cancelled), "give the last case fewer looks"
    fresh = CompletionService(tiny_model, CONFIG)
    try:
        assert texts_of(service, asked) == texts_of(fresh, asked)
        assert num_used(service) == num_used(fresh)
    finally:
        fresh.close()
