"""The requests that have ended lately, for those who ask why. In memory only.

Each door tells every outcome here, those of requests that were taken back or refused among them. A
request pays for a few references and a few microseconds.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from completion.types import Cancelled, CompletionOutcome, CompletionRequest
from lsp_server.explanation import Explanation, Json, Question, explain
from lsp_server.origins import origin_of

MAX_NUM_EXPLANATIONS = 200
MAX_NUM_BYTES = 16_000_000
LATEST = "latest"

Listener = Callable[[Explanation], None]
FeedbackOf = Callable[[str], Mapping[str, Any] | None]


class Explanations:
    """The newest explanations of one process; may be told and asked from any thread."""

    def __init__(
        self,
        feedback_of: FeedbackOf = lambda _request_id: None,
        *,
        max_num: int = MAX_NUM_EXPLANATIONS,
        max_num_bytes: int = MAX_NUM_BYTES,
    ) -> None:
        """Keep up to ``max_num``, and of those the newest that fit into ``max_num_bytes``.

        ``feedback_of`` says by id what became of a suggestion, None if nothing is known.
        """
        self._feedback_of = feedback_of
        self._max_num, self._max_num_bytes = max_num, max_num_bytes
        self._by_id: OrderedDict[str, Explanation] = OrderedDict()
        self._num_bytes = 0
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    async def follow(
        self,
        work: Awaitable[CompletionOutcome],
        question: Question,
        request: CompletionRequest,
    ) -> CompletionOutcome:
        """Await ``work`` and take in how it ended, also if its client took the request back."""
        started = time.perf_counter()
        try:
            outcome = await work
        except asyncio.CancelledError:
            taken_back = Cancelled(request.request_id)
            self.record(explain(question, request, taken_back, _ms_since(started)))
            raise
        self.record(explain(question, request, outcome, _ms_since(started)))
        return outcome

    def record(self, explanation: Explanation) -> None:
        """Take in a request that has ended, in place of an older one of the same id."""
        with self._lock:
            origin = origin_of(explanation, reversed(self._by_id.values()))
            if origin is not None:
                explanation = replace(explanation, kept_from=origin)
            self._drop(explanation.request_id)
            self._by_id[explanation.request_id] = explanation
            self._num_bytes += explanation.num_bytes
            while len(self._by_id) > 1 and self._is_too_much():
                self._drop(next(iter(self._by_id)))
        self._tell(explanation)

    def find(self, request_id: str) -> Explanation | None:
        """Return the explanation of an id, None if there is none any more.

        ``latest`` is the newest that was answered. The id of a response of several choices stands
        for the first of them.
        """
        if request_id == LATEST:
            return self._newest(lambda _explanation: True)
        known = request_id.removeprefix("cmpl-")
        with self._lock:
            return self._by_id.get(known) or self._by_id.get(f"{known}.0")

    def latest_in(self, owner: str, uri: str) -> Explanation | None:
        """Return the newest of ``owner``'s document ``uri`` that was answered.

        If all were taken back, the newest of those; None if nobody asked.
        """
        return self._newest(lambda each: each.question.owner == owner and each.question.uri == uri)

    def latest_of(self, owner: str) -> Explanation | None:
        """Return the same of all documents of ``owner``."""
        return self._newest(lambda each: each.question.owner == owner)

    def newest(self, limit: int) -> list[Explanation]:
        """Return up to ``limit``, the newest first."""
        with self._lock:
            found = list(self._by_id.values())
        return found[: -limit - 1 : -1] if limit > 0 else []

    def as_json(self, explanation: Explanation) -> dict[str, Json]:
        """Return all that is known of a request by now."""
        return explanation.as_json(self._feedback_of(explanation.request_id))

    def summary(self, explanation: Explanation) -> dict[str, Json]:
        """Return the same without tokens and without the texts of other files."""
        return explanation.summary(self._feedback_of(explanation.request_id))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each explanation from now on; returns what ends that.

        It is called in the thread of whoever records, so it must only hand the explanation on.
        """
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def note_feedback(self, request_id: str) -> None:
        """Tell the listeners once more of a request, of which there is new feedback."""
        with self._lock:
            explanation = self._by_id.get(request_id)
        if explanation is not None:
            self._tell(explanation)

    def _newest(self, fits: Callable[[Explanation], bool]) -> Explanation | None:
        """Return the newest that was answered among those that fit, else the newest of them."""
        with self._lock:
            found = [each for each in reversed(self._by_id.values()) if fits(each)]
        return next((each for each in found if each.was_answered), found[0] if found else None)

    def _is_too_much(self) -> bool:
        return len(self._by_id) > self._max_num or self._num_bytes > self._max_num_bytes

    def _drop(self, request_id: str) -> None:
        dropped = self._by_id.pop(request_id, None)
        if dropped is not None:
            self._num_bytes -= dropped.num_bytes

    def _tell(self, explanation: Explanation) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(explanation)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
