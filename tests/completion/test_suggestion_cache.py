"""What is remembered, for whom, and for how long. ``‸`` marks the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.suggestion_cache import CacheLimits, SuggestionCache, after_acceptance
from completion.types import (
    Candidate,
    CompletionRequest,
    CompletionTimings,
    CompletionTrace,
    DocumentSnapshot,
    FinishReason,
    Suggestion,
    SuggestionSource,
    TriggerKind,
    apply_edits,
)
from kvedit.policy import PatchMode

Ask = Callable[..., CompletionRequest]


def suggest(
    request: CompletionRequest,
    text: str,
    *,
    num_replaced: int = 0,
    finish_reason: FinishReason = FinishReason.STOP,
) -> Suggestion:
    return Suggestion(
        request_id=request.request_id,
        text=text,
        replace_start=request.offset,
        replace_end=request.offset + num_replaced,
        candidates=(Candidate(text, -1.0), Candidate("other", -2.0)),
        confidence=0.5,
        finish_reason=finish_reason,
        source=SuggestionSource.ENGINE,
        trace=CompletionTrace(model="m", timings_ms=CompletionTimings(total=100.0)),
    )


@pytest.fixture
def cache() -> SuggestionCache:
    return SuggestionCache()


def test_the_same_question_gets_the_same_answer(ask: Ask, cache: SuggestionCache) -> None:
    request = ask("x = ‸\ny")
    cache.store(request, suggest(request, "foo()"))
    found = cache.lookup(replace(request, request_id="2", num_candidates=1))
    assert found is not None
    assert (found.text, found.request_id, found.source) == ("foo()", "2", SuggestionSource.CACHE)
    assert found.trace.model == "m"
    assert found.trace.timings_ms.total == 0.0


def test_a_prefetched_answer_says_so(ask: Ask, cache: SuggestionCache) -> None:
    request = ask("x = ‸")
    cache.store(request, suggest(request, "1"), SuggestionSource.PREFETCH)
    found = cache.lookup(request)
    assert found is not None
    assert found.source is SuggestionSource.PREFETCH


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("x = f‸\ny", "oo()"),
        ("x = foo(‸\ny", ")"),
        ("x = foo(‸)\ny", ")"),
    ],
)
def test_typing_as_suggested_is_answered_with_the_rest(
    ask: Ask, cache: SuggestionCache, marked: str, text: str
) -> None:
    stored = ask("x = ‸\ny")
    cache.store(stored, suggest(stored, "foo()"))
    request = ask(marked)
    found = cache.lookup(request)
    assert found is not None
    assert (found.text, found.source) == (text, SuggestionSource.TYPING_AS_SUGGESTED)
    assert [candidate.text for candidate in found.candidates] == [text]
    edited = (
        request.document.text[: found.replace_start]
        + found.text
        + request.document.text[found.replace_end :]
    )
    assert edited == "x = foo()\ny"


@pytest.mark.parametrize(
    "marked",
    [
        "x = g‸\ny",
        "x = foo()‸\ny",
        "x =‸\ny",
        "x = f‸\nyy",
        "x = f‸\nz",
        "x = f‸ \ny",
        "z = f‸\ny",
        "x = ‸\nz",
        "x = f‸)\ny",
    ],
)
def test_another_text_before_or_behind_is_a_miss(
    ask: Ask, cache: SuggestionCache, marked: str
) -> None:
    stored = ask("x = ‸\ny")
    cache.store(stored, suggest(stored, "foo()"))
    assert cache.lookup(ask(marked)) is None


def test_going_back_within_what_was_typed_of_it_finds_it_again(
    ask: Ask, cache: SuggestionCache
) -> None:
    stored = ask("x = ‸")
    cache.store(stored, suggest(stored, "foo()"))
    texts = []
    for marked in ("x = fo‸", "x = foo‸", "x = f‸", "x = ‸"):
        found = cache.lookup(ask(marked))
        assert found is not None
        texts.append(found.text)
    assert texts == ["o()", "()", "oo()", "foo()"]


def test_a_replaced_range_moves_with_the_cursor(ask: Ask, cache: SuggestionCache) -> None:
    stored = ask("print(‸)")
    cache.store(stored, suggest(stored, "abc)", num_replaced=1))
    found = cache.lookup(ask("print(a‸)"))
    assert found is not None
    assert (found.text, found.replace_start, found.replace_end) == ("bc)", 7, 8)


@pytest.mark.parametrize(
    "change",
    [{"language_id": "rust"}, {"uri": "file:///b"}],
)
def test_another_document_or_language_is_a_miss(
    ask: Ask, cache: SuggestionCache, change: dict[str, str]
) -> None:
    request = ask("x = ‸")
    cache.store(request, suggest(request, "1"))
    document = request.document
    other = DocumentSnapshot(
        change.get("uri", document.uri), 1, change.get("language_id", "python"), document.text
    )
    assert cache.lookup(replace(request, document=other)) is None


@pytest.mark.parametrize(
    "options", [{"max_new_tokens": 9}, {"temperature": 0.5}, {"patching": PatchMode.EXACT}, {"num_candidates": 3}]
)  # fmt: skip
def test_other_options_are_another_question(
    ask: Ask, cache: SuggestionCache, options: dict[str, int]
) -> None:
    request = ask("x = ‸")
    cache.store(request, suggest(request, "1"))
    assert cache.lookup(replace(request, **options)) is None


def test_what_a_deadline_cut_serves_typing_but_never_stands_in_for_the_full_answer(
    ask: Ask, cache: SuggestionCache
) -> None:
    request = ask("x = ‸")
    cut = suggest(request, "foo(", finish_reason=FinishReason.DEADLINE)
    cache.store(request, cut)
    assert cache.lookup(request) is None
    typed = cache.lookup(ask("x = f‸"))
    assert typed is not None
    assert typed.text == "oo("
    cache.store(request, suggest(request, "foo(bar)"))
    cache.store(request, cut)
    whole = cache.lookup(request)
    assert whole is not None
    assert whole.text == "foo(bar)"


def test_a_random_answer_is_not_repeated_unless_it_is_seeded(
    ask: Ask, cache: SuggestionCache
) -> None:
    request = replace(ask("x = ‸"), temperature=0.8)
    cache.store(request, suggest(request, "1"))
    assert cache.lookup(request) is None
    seeded = replace(request, seed=1)
    cache.store(seeded, suggest(seeded, "1"))
    assert cache.lookup(seeded) is not None


def test_an_explicit_answer_serves_automatic_requests_but_not_the_other_way_round(
    ask: Ask, cache: SuggestionCache
) -> None:
    automatic, explicit = ask("x = ‸"), ask("x = ‸", invoked=True)
    cache.store(automatic, suggest(automatic, "1"))
    assert cache.lookup(explicit) is None
    cache.store(explicit, suggest(explicit, "12"))
    found = cache.lookup(automatic)
    assert found is not None
    assert found.text == "12"


def test_the_least_recently_used_goes_first(ask: Ask) -> None:
    cache = SuggestionCache(CacheLimits(max_num_entries=2))
    first, second, third = ask("a‸"), ask("bb‸"), ask("ccc‸")
    cache.store(first, suggest(first, "1"))
    cache.store(second, suggest(second, "2"))
    assert cache.lookup(first) is not None
    cache.store(third, suggest(third, "3"))
    assert cache.lookup(second) is None
    assert cache.lookup(first) is not None
    assert len(cache) == 2


def test_characters_are_bounded_too(ask: Ask) -> None:
    cache = SuggestionCache(CacheLimits(max_num_chars=100))
    for number in range(20):
        request = ask("x" * number + "‸" + "y" * 20)
        cache.store(request, suggest(request, "1"))
        assert cache.num_chars <= 100
    assert len(cache) == 2


def test_clearing_forgets_one_document_or_all(ask: Ask, cache: SuggestionCache) -> None:
    one = ask("x = ‸")
    other = replace(one, document=replace(one.document, uri="file:///b"))
    for request in (one, other):
        cache.store(request, suggest(request, "1"))
    cache.clear(one.document.key)
    assert cache.lookup(one) is None
    assert cache.lookup(other) is not None
    cache.clear()
    assert (len(cache), cache.num_chars) == (0, 0)


def test_the_request_after_acceptance_stands_behind_the_inserted_text(ask: Ask) -> None:
    request = ask("print(‸)\n", invoked=True)
    following = after_acceptance(request, suggest(request, "x)", num_replaced=1))
    assert following.document.text == "print(x)\n"
    assert following.prefix == "print(x)"
    assert following.trigger is TriggerKind.AUTOMATIC
    assert following.request_id != request.request_id
    document = following.document
    assert document.base_version == request.document.version
    assert apply_edits(request.document.text, document.edits) == document.text


def test_what_was_prefetched_is_found_after_acceptance(ask: Ask, cache: SuggestionCache) -> None:
    request = ask("x = ‸\n")
    following = after_acceptance(request, suggest(request, "1"))
    cache.store(following, suggest(following, "\ny = 2"), SuggestionSource.PREFETCH)
    found = cache.lookup(ask("x = 1‸\n"))
    assert found is not None
    assert (found.text, found.source) == ("\ny = 2", SuggestionSource.PREFETCH)


TEXTS = st.text(st.sampled_from("ab()\n"), max_size=5)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS.filter(str.strip)), max_size=8), TEXTS, TEXTS)
def test_an_answer_always_leads_to_a_document_some_stored_answer_led_to(
    stored: list[tuple[str, str, str]], prefix: str, suffix: str
) -> None:
    cache = SuggestionCache(CacheLimits(max_num_entries=5))
    results = set()
    for before, behind, text in stored:
        request = CompletionRequest(
            "1", DocumentSnapshot("u", 1, "python", before + behind), len(before)
        )
        cache.store(request, suggest(request, text))
        results.add(before + text + behind)
    question = CompletionRequest(
        "2", DocumentSnapshot("u", 1, "python", prefix + suffix), len(prefix)
    )
    found = cache.lookup(question)
    if found is not None:
        text = question.document.text
        assert text[: found.replace_start] + found.text + text[found.replace_end :] in results
