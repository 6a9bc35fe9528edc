"""What is told of each token: where a prompt's came from, and who foresaw those of the output."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.evidence import TARGET, Evidence, OutputToken, PromptSpan, WrittenTokens
from completion.prompt import Segment
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionRequest,
    CompletionTrace,
    DocumentSnapshot,
    Suggestion,
    TriggerKind,
)
from kvedit.fates import TokenFates, TokenState
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


def ask(service: CompletionService, text: str = TEXT, **options: object) -> Suggestion:
    document = DocumentSnapshot("file:///w/a.py", 1, "python", text, "a.py", workspace="/w")
    chosen = {"trigger": TriggerKind.INVOKED, "verbatim": True, **options}
    offset = text.index("    \n") + 4
    request = CompletionRequest("1", document, offset, **chosen)  # type: ignore[arg-type]
    outcome = service.complete(request, CancellationToken())
    assert isinstance(outcome, Suggestion)
    return outcome


def spans_of(outcome: Suggestion) -> list[PromptSpan]:
    assert outcome.trace.evidence is not None
    spans = outcome.trace.evidence.spans()
    assert spans is not None
    return spans


def output_of(outcome: Suggestion) -> list[OutputToken]:
    assert outcome.trace.evidence is not None
    return outcome.trace.evidence.output(all_tokens=False)


def num_tokens_by_state(trace: CompletionTrace) -> dict[TokenState, int]:
    """Return what the counts of a request say about the states of its prompt's tokens."""
    stats = trace.prompt
    counts = {
        TokenState.EXACT: stats.num_cached_tokens,
        TokenState.PATCHED: stats.num_patched_tokens,
        TokenState.NEW: stats.num_new_tokens - stats.num_healed_tokens,
        TokenState.HEALED: stats.num_healed_tokens,
    }
    return {state: count for state, count in counts.items() if count}


EDITS = {
    "nothing before": None,
    "the same again": TEXT,
    "a line more at the top": "import os\n" + TEXT,
    "a name changed far above": TEXT.replace("total = a", "amount = a", 1),
    "something behind the cursor": TEXT + "x = 1\n",
}


@pytest.mark.parametrize("before", EDITS.values(), ids=EDITS.keys())
def test_spans_agree_with_the_counts_and_spell_the_prompt(
    service: CompletionService, before: str | None
) -> None:
    if before is not None:
        ask(service, before)
    outcome = ask(service)
    spans = spans_of(outcome)
    found: Counter[TokenState] = Counter()
    for span in spans:
        found[span.state] += span.num_tokens
    assert dict(found) == num_tokens_by_state(outcome.trace)
    by_segment: dict[str, str] = {}
    for span in spans:
        by_segment[span.segment] = by_segment.get(span.segment, "") + span.text
    assert by_segment["prefix"].startswith("<|fim_prefix|>")
    assert by_segment["middle"].startswith("<|fim_middle|>")
    shown = by_segment["prefix"].removeprefix("<|fim_prefix|>")
    shown += by_segment["middle"].removeprefix("<|fim_middle|>")
    assert TEXT[:OFFSET].startswith(shown)
    assert by_segment["suffix"] == "<|fim_suffix|>" + TEXT[OFFSET:]


def test_an_edit_leaves_tokens_of_every_state(service: CompletionService) -> None:
    ask(service, TEXT.replace("total = a", "amount = a", 1))
    assert {span.state for span in spans_of(ask(service))} == set(TokenState)


def test_tokens_are_told_with_whoever_drafted_them(service: CompletionService) -> None:
    plain = ask(service, use_speculation=False)
    assert {token.origin for token in output_of(plain)} == {TARGET}
    again = ask(service)
    assert "".join(token.text for token in output_of(again)).startswith(again.text)
    by_source = dict(again.trace.speculation.by_source)
    assert sum(by_source.values()) == again.trace.speculation.num_accepted_tokens > 0
    drafted = Counter(token.origin for token in output_of(again) if token.origin != TARGET)
    assert drafted
    assert all(drafted[name] <= by_source[name] for name in drafted)
    logprobs = sum(token.logprob for token in output_of(again))
    assert logprobs == pytest.approx(again.candidates[0].logprob)


def test_the_stages_add_up_to_the_whole_time(service: CompletionService) -> None:
    timings = ask(service).trace.timings_ms
    stages = timings.retrieval + timings.prompt + timings.patch + timings.prefill + timings.decode
    assert timings.waiting + stages + timings.post == pytest.approx(timings.total)
    assert timings.waiting > 0


def test_answers_from_memory_have_no_tokens_to_tell(service: CompletionService) -> None:
    wishes: dict[str, object] = {"verbatim": False, "max_new_tokens": 8}
    assert ask(service, **wishes).trace.evidence is not None
    assert ask(service, **wishes).trace.evidence is None


def fates(ages: list[int], places: list[int], *known: range) -> TokenFates:
    return TokenFates(np.array(ages, dtype=np.int32), places, known)


CASES = {
    "all are new": (fates([], [0, 1, 2]), "NNN"),
    "kept, the last computed anyway": (fates([0, 0], [2], range(3)), "EEN"),
    "patched behind an edit": (fates([0, 1, 1], [1, 4]), "ENPPN"),
    "computed again": (fates([0], [1, 2, 3], range(2, 4)), "ENHN"),
}


@pytest.mark.parametrize(("case", "expected"), CASES.values(), ids=CASES.keys())
def test_each_token_has_one_state(case: TokenFates, expected: str) -> None:
    states = "".join(state.name[0] for state in case.states())
    assert states == expected
    assert case.num_healed == expected.count("H")


def test_a_character_whose_bytes_came_from_two_places_is_spelled_once(
    tiny_model: LoadedModel,
) -> None:
    tokenizer = tiny_model.tokenizer
    ids = tokenizer.encode("a \U0001f9ff b")
    assert len(ids) > 5, "the vocabulary has no token for this character"
    cut = len(ids) // 2
    fates = TokenFates(np.zeros(cut, np.int32), list(range(cut, len(ids))))
    segment = Segment("prefix", tuple(ids))
    spans = Evidence(weakref.ref(tokenizer), (segment,), fates).spans()
    assert spans is not None
    assert "".join(span.text for span in spans) == "a \U0001f9ff b"
    assert [span.num_tokens for span in spans] == [cut, len(ids) - cut]
    assert "\ufffd" in tokenizer.spelling(ids[cut]).decode(errors="replace")


def test_the_prompt_of_a_model_that_was_dropped_is_not_spelled() -> None:
    class Vocabulary:
        def spelling(self, _token_id: int) -> bytes:
            return b"x"

    vocabulary = Vocabulary()
    written = WrittenTokens("ab", [1, 2], [-0.5, -0.25], 1)
    evidence = Evidence(
        weakref.ref(vocabulary),  # type: ignore[arg-type]
        (Segment("prefix", (1, 2)),),
        fates([0], [1]),
        written,
    )
    assert [span.text for span in evidence.spans() or ()] == ["x", "x"]
    del vocabulary
    gc.collect()
    assert evidence.spans() is None
    assert [token.text for token in evidence.output(all_tokens=True)] == ["a", "b"]
    assert [token.text for token in evidence.output(all_tokens=False)] == ["a"]
    other = replace(written, shown="cd")
    assert evidence.of(other).output(all_tokens=False)[0].text == "c"
