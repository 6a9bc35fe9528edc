"""Text as the model writes it, for clients of a raw completion interface: no rules, no filters."""

from __future__ import annotations

from completion.generation import Generation
from completion.outcome import candidate_of
from completion.stopping import StopReason
from completion.types import (
    CompletionRequest,
    CompletionTrace,
    Suggestion,
    SuggestionSource,
)


class VerbatimMonitor:
    """Ends a text before the first of some stop strings and lets everything else pass.

    ``text`` never shows the beginning of what may become a stop string, so that it can be streamed.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._text = ""
        self._end: int | None = None
        self._is_finished = False

    @property
    def reason(self) -> StopReason | None:
        """``STOP_STRING`` once one was found."""
        return None if self._end is None else StopReason.STOP_STRING

    @property
    def text(self) -> str:
        """What is certain to be kept so far."""
        if self._end is not None:
            return self._text[: self._end]
        return self._text if self._is_finished else self._text[: self._num_certain()]

    @property
    def complete_lines(self) -> str:
        """Everything: a limit cuts where it falls."""
        return self._text if self._end is None else self.text

    def push(self, delta: str) -> StopReason | None:
        """Take the next piece; return ``STOP_STRING`` if it completed one."""
        if self._end is None:
            reach = max((len(stop) for stop in self._stops), default=1) - 1
            searched_from = max(0, len(self._text) - reach)
            self._text += delta
            found = (self._text.find(stop, searched_from) for stop in self._stops)
            self._end = min((start for start in found if start >= 0), default=None)
        return self.reason

    def finish(self) -> StopReason | None:
        """Release what was held back: the model has ended, no stop string will be completed."""
        self._is_finished = True
        return self.reason

    def _num_certain(self) -> int:
        """Return how many characters cannot belong to a stop string any more."""
        longest = max(map(len, self._stops), default=0)
        for start in range(max(0, len(self._text) - longest), len(self._text)):
            if any(stop.startswith(self._text[start:]) for stop in self._stops):
                return start
        return len(self._text)


def conclude_verbatim(
    request: CompletionRequest, generation: Generation, trace: CompletionTrace
) -> Suggestion:
    """Return all candidates as they are, empty ones too: the client asked for the model's text."""
    first = generation.candidates[0]
    return Suggestion(
        request_id=request.request_id,
        text=first.text,
        replace_start=request.offset,
        replace_end=request.offset,
        candidates=tuple(candidate_of(found, found.text) for found in generation.candidates),
        confidence=first.confidence,
        finish_reason=first.finish_reason,
        source=SuggestionSource.ENGINE,
        trace=trace,
    )
