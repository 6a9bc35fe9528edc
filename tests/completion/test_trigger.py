"""When to ask, and how long to wait. ``‸`` marks the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.trigger import AdaptiveDebounce, DebounceConfig, TriggerConfig, should_ask
from completion.types import CompletionRequest, NoSuggestionReason, SelectedItem, TriggerKind

Ask = Callable[..., CompletionRequest]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("x = ‸", None),
        ("pri‸nt", NoSuggestionReason.MIDDLE_OF_WORD),
        ("_‸a", NoSuggestionReason.MIDDLE_OF_WORD),
        ("日‸本", NoSuggestionReason.MIDDLE_OF_WORD),
        ("print‸(x)", NoSuggestionReason.TEXT_RIGHT_OF_CURSOR),
        ("x = ‸ + 1", NoSuggestionReason.TEXT_RIGHT_OF_CURSOR),
        ("f(‸)", None),
        ("f([‸]);  ", None),
        ("f('‸')", None),
        ("x = 1‸\ny = 2", None),
        ("‸x = 1", NoSuggestionReason.TEXT_RIGHT_OF_CURSOR),
        ("‸", NoSuggestionReason.EMPTY_DOCUMENT),
        (" \n‸\n", NoSuggestionReason.EMPTY_DOCUMENT),
    ],
)
def test_an_automatic_request_needs_a_place_to_complete(
    ask: Ask, marked: str, expected: NoSuggestionReason | None
) -> None:
    assert should_ask(ask(marked)) == expected
    assert should_ask(ask(marked, invoked=True)) is None


def test_a_selected_item_leads_on_even_inside_a_word(ask: Ask) -> None:
    request = ask("os.pa‸th")
    assert should_ask(replace(request, selected_item=SelectedItem(3, 5, "path"))) is None


def test_a_disabled_language_is_refused_and_explicit_requests_only_on_demand(ask: Ask) -> None:
    config = TriggerConfig(disabled_languages=frozenset({"python"}))
    assert should_ask(ask("x = ‸"), config) is NoSuggestionReason.DISABLED
    assert should_ask(ask("x = ‸", "go"), config) is None
    assert should_ask(ask("x = ‸", invoked=True), config) is None
    strict = replace(config, disable_invoked=True)
    assert should_ask(ask("x = ‸", invoked=True), strict) is NoSuggestionReason.DISABLED


def test_a_little_code_on_the_right_can_be_allowed(ask: Ask) -> None:
    config = TriggerConfig(max_num_right_chars=3)
    assert should_ask(ask("x = ‸ + 1"), config) is None
    assert should_ask(ask("x = ‸ + 12"), config) is NoSuggestionReason.TEXT_RIGHT_OF_CURSOR


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def typed(gaps_ms: list[float], config: DebounceConfig | None = None) -> AdaptiveDebounce:
    clock = Clock()
    debounce = AdaptiveDebounce(config or DebounceConfig(), clock)
    debounce.record_keystroke()
    for gap_ms in gaps_ms:
        clock.now_s += gap_ms / 1000
        debounce.record_keystroke()
    return debounce


def test_the_wait_follows_the_pace_of_typing() -> None:
    slow, fast = typed([200.0] * 5), typed([60.0] * 5)
    assert slow.delay_ms(TriggerKind.AUTOMATIC) == pytest.approx(250.0)
    assert fast.delay_ms(TriggerKind.AUTOMATIC) == pytest.approx(75.0)


def test_only_the_latest_keystrokes_count() -> None:
    debounce = typed([900.0] * 20 + [80.0] * 10)
    assert debounce.delay_ms(TriggerKind.AUTOMATIC) == pytest.approx(100.0)


def test_a_pause_to_think_says_nothing_about_the_pace() -> None:
    debounce = typed([80.0, 60_000.0, 80.0])
    assert debounce.delay_ms(TriggerKind.AUTOMATIC) == pytest.approx(100.0)


def test_the_latency_of_the_model_shortens_the_wait() -> None:
    debounce = typed([100.0] * 3)
    debounce.record_latency(40.0)
    debounce.record_latency(60.0)
    assert debounce.delay_ms(TriggerKind.AUTOMATIC) == pytest.approx(75.0)


def test_an_explicit_request_never_waits() -> None:
    assert typed([500.0] * 5).delay_ms(TriggerKind.INVOKED) == 0.0


def test_before_anything_is_known_a_usual_pace_is_assumed() -> None:
    config = DebounceConfig(initial_gap_ms=100.0, gap_factor=1.0)
    assert typed([], config).delay_ms(TriggerKind.AUTOMATIC) == pytest.approx(100.0)


@given(
    st.lists(st.floats(0, 1e6), max_size=20),
    st.lists(st.floats(0, 1e6), max_size=20),
)
def test_the_wait_stays_within_its_bounds(gaps_ms: list[float], latencies_ms: list[float]) -> None:
    debounce = typed(gaps_ms)
    for latency_ms in latencies_ms:
        debounce.record_latency(latency_ms)
    assert 10.0 <= debounce.delay_ms(TriggerKind.AUTOMATIC) <= 300.0
