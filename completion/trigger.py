"""The one owner of two questions: is this a moment to ask, and how long to wait before asking.

Nothing here sleeps or starts anything; callers act on the answers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from completion.cursor import is_only_closing, right_of_cursor
from completion.types import CompletionRequest, NoSuggestionReason, TriggerKind


@dataclass(frozen=True, slots=True)
class TriggerConfig:
    """When automatic requests are refused.

    ``disabled_languages`` holds language ids as editors send them; they are refused even when
    asked explicitly only if ``disable_invoked`` says so. ``max_num_right_chars`` is how much code
    may stand right of the cursor before an automatic request is refused.
    """

    disabled_languages: frozenset[str] = frozenset()
    disable_invoked: bool = False
    max_num_right_chars: int = 0


def should_ask(
    request: CompletionRequest, config: TriggerConfig | None = None
) -> NoSuggestionReason | None:
    """Return why ``request`` should not be made, or ``None`` if it should.

    An explicit request always passes. An automatic one needs a document with something in it, a
    cursor that is not inside a word, and nothing but closers and separators on its right; closers
    do not count, because editors put them there themselves.
    """
    config = config or TriggerConfig()
    invoked = request.trigger is TriggerKind.INVOKED
    if request.document.language_id in config.disabled_languages and (
        not invoked or config.disable_invoked
    ):
        return NoSuggestionReason.DISABLED
    if invoked:
        return None
    if not request.document.text.strip():
        return NoSuggestionReason.EMPTY_DOCUMENT
    return _refusal_by_surroundings(request, config)


def _refusal_by_surroundings(
    request: CompletionRequest, config: TriggerConfig
) -> NoSuggestionReason | None:
    if request.selected_item is not None:
        return None  # the selected item, not the text right of the cursor, leads the way
    text, offset = request.document.text, request.offset
    if 0 < offset < len(text) and _is_word(text[offset - 1]) and _is_word(text[offset]):
        return NoSuggestionReason.MIDDLE_OF_WORD
    right = right_of_cursor(request)
    if not is_only_closing(right) and len(right.strip()) > config.max_num_right_chars:
        return NoSuggestionReason.TEXT_RIGHT_OF_CURSOR
    return None


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


@dataclass(frozen=True, slots=True)
class DebounceConfig:
    """Bounds of the wait before an automatic request, in milliseconds.

    ``window`` keystroke gaps and latencies are averaged. A gap above ``max_gap_ms`` is a pause to
    think and says nothing about the pace of typing.
    """

    min_ms: float = 10.0
    max_ms: float = 300.0
    initial_gap_ms: float = 120.0
    max_gap_ms: float = 1000.0
    window: int = 10
    gap_factor: float = 1.25


@dataclass(slots=True)
class AdaptiveDebounce:
    """Waits about as long as this person takes for a keystroke, less what the model takes anyway.

    A request is wasted if another key follows before its answer; the time from key to answer is
    the wait plus the latency, so a slow model needs less wait for the same waste. Wasted work is
    cancelled within a layer and its prefill kept, which makes waiting too short the cheaper error.

    ``clock`` returns seconds that only ever grow.
    """

    config: DebounceConfig = field(default_factory=DebounceConfig)
    clock: Callable[[], float] = time.monotonic
    _gaps_ms: deque[float] = field(init=False)
    _latencies_ms: deque[float] = field(init=False)
    _last_key_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._gaps_ms = deque(maxlen=self.config.window)
        self._latencies_ms = deque(maxlen=self.config.window)

    def record_keystroke(self) -> None:
        """Note that a key was pressed now."""
        now_s = self.clock()
        if self._last_key_s is not None:
            gap_ms = (now_s - self._last_key_s) * 1000
            if gap_ms <= self.config.max_gap_ms:
                self._gaps_ms.append(gap_ms)
        self._last_key_s = now_s

    def record_latency(self, latency_ms: float) -> None:
        """Note how long the model took for an answer, in milliseconds."""
        self._latencies_ms.append(latency_ms)

    @property
    def gap_ms(self) -> float | None:
        """The time between keys lately, in milliseconds; None if nothing was typed yet."""
        return _mean(self._gaps_ms, 0.0) if self._gaps_ms else None

    def tune(self, gap_factor: float, initial_gap_ms: float) -> None:
        """Wait for so many typing gaps from now on, and begin with this gap where none is known."""
        config = self.config
        if (config.gap_factor, config.initial_gap_ms) != (gap_factor, initial_gap_ms):
            self.config = replace(config, gap_factor=gap_factor, initial_gap_ms=initial_gap_ms)

    def delay_ms(self, trigger: TriggerKind) -> float:
        """Return how long to wait before asking, in milliseconds; 0 if asked explicitly."""
        if trigger is TriggerKind.INVOKED:
            return 0.0
        config = self.config
        gap_ms = _mean(self._gaps_ms, config.initial_gap_ms)
        wanted_ms = gap_ms * config.gap_factor - _mean(self._latencies_ms, 0.0)
        return min(max(wanted_ms, config.min_ms), config.max_ms)


def _mean(values: deque[float], default: float) -> float:
    return sum(values) / len(values) if values else default
