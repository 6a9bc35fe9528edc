"""Waiting until this person has stopped typing, before the engine is asked.

How long is decided by ``completion.trigger``; here is only the clock of this connection.
"""

from __future__ import annotations

import asyncio
import time

from completion.trigger import AdaptiveDebounce, DebounceConfig
from completion.types import CompletionOutcome, Suggestion, TriggerKind
from lsp_server.learning.adaptation import Adaptation


class Pace:
    """The rhythm of one client; lives on the event loop."""

    def __init__(self) -> None:
        self._debounce = AdaptiveDebounce()
        self._last_key_s = 0.0

    def record_keystroke(self) -> None:
        """Note that a document changed now."""
        self._last_key_s = time.monotonic()
        self._debounce.record_keystroke()

    def record(self, outcome: CompletionOutcome) -> None:
        """Note how long the engine took, if it worked to the end."""
        if isinstance(outcome, Suggestion):
            self._debounce.record_latency(outcome.trace.timings_ms.total)

    @property
    def gap_ms(self) -> float | None:
        """The time between keys lately, in milliseconds; None if nothing was typed yet."""
        return self._debounce.gap_ms

    def adapt(self, adaptation: Adaptation) -> None:
        """Wait as suits what was learnt about this person; of nothing, as without learning."""
        default = DebounceConfig()
        gap_ms = default.initial_gap_ms if adaptation.gap_ms is None else adaptation.gap_ms
        factor = default.gap_factor if adaptation.acceptance is None else adaptation.gap_factor
        self._debounce.tune(factor, gap_ms)

    async def settle(self, trigger: TriggerKind) -> None:
        """Wait out what is left of the delay; the time the client itself has waited counts."""
        waited_ms = (time.monotonic() - self._last_key_s) * 1000
        remaining_ms = self._debounce.delay_ms(trigger) - waited_ms
        if remaining_ms > 0:
            await asyncio.sleep(remaining_ms / 1000)
