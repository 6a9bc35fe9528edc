"""``Feedback``: the one place that is told what became of suggestions, whichever door they left by."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from lsp_server.learning.adaptation import Adaptation
from lsp_server.learning.log import ObservationLog
from lsp_server.learning.observation import Acceptance, Offer, Reaction, observe
from lsp_server.learning.stats import Summary, summarize
from lsp_server.learning.store import ObservationStore

logger = logging.getLogger(__name__)

MAX_NUM_REMEMBERED = 4096  # more than anybody gets in the ten minutes that are followed
_MAX_LENGTH = 10_000_000  # of a suggestion, whatever a client says was taken of it

Subscriber = Callable[[str, dict[str, object]], None]


class Timer(Protocol):
    """Something that will happen."""

    def cancel(self) -> None:
        """Let it not happen."""
        ...


CallLater = Callable[[float, Callable[[], None]], Timer]


def _call_later(delay_s: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(delay_s, callback)


@dataclass(slots=True)
class _Shown:
    """One suggestion as a person meets it, under all the ids it was answered with.

    ``num_chars`` are the lengths it had under its ids, ``num_taken`` what was taken under them.
    """

    offer: Offer
    at: float
    reaction: Reaction = field(default_factory=Reaction)
    num_chars: dict[str, int] = field(default_factory=dict)
    num_taken: dict[str, int] = field(default_factory=dict)
    is_written: bool = False


class Feedback:
    """What became of the newest suggestions, passed on to whoever subscribes and to the store.

    May be used from any thread; subscribers are called in the thread of the event. Ids that are not
    known (any more) are fine: clients may speak of anything.
    """

    def __init__(
        self,
        store: ObservationStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
        call_later: CallLater = _call_later,
    ) -> None:
        """Write to ``store``; without one nothing outlives this object.

        Args:
            store: Belongs to this object from now on.
            clock: Unix time.
            call_later: How something is done seconds later on the event loop.
        """
        self.call_later = call_later
        self._clock = clock
        self._path = None if store is None else store.path
        self._log = None if store is None else ObservationLog(store, clock)
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._subscribers: list[Subscriber] = []
        self._lock = threading.RLock()

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback(id, fields)`` at every event; returns what ends that.

        ``fields`` are all that is known then: ``shown``, ``accepted`` (None, "part" or "all"),
        ``accepted_length``, ``typed``, ``dismissed``, and ``kept`` by seconds, as text.
        """
        self._subscribers.append(callback)

        def stop() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return stop

    def fields_of(self, request_id: str) -> dict[str, object] | None:
        """Return what is known of a suggestion, as subscribers are told; None if nothing is."""
        with self._lock:
            known = self._find(request_id)
            return None if known is None else known[1].reaction.as_fields()

    def offered(self, offer: Offer, continues: str | None = None) -> None:
        """Take in a suggestion that a client got.

        Args:
            offer: The suggestion.
            continues: The id of an earlier one of which this is what is left: to people both are
                one suggestion, and are counted once.
        """
        with self._lock:
            former = self._shown.get(continues) if continues is not None else None
            shown = former or _Shown(offer, self._clock())
            shown.num_chars[offer.request_id] = offer.num_chars
            self._shown[offer.request_id] = shown
            self._shown.move_to_end(offer.request_id)
            while len(self._shown) > MAX_NUM_REMEMBERED:
                self._shown.popitem(last=False)
            if former is None and offer.is_visible:
                self._write(shown)

    def shown(self, request_id: str) -> None:
        """Note that a person saw the suggestion."""

        def change(shown: _Shown, _known_id: str) -> None:
            shown.reaction.shown = True

        self._change(request_id, change)

    def accepted(self, request_id: str, num_chars: int | None = None) -> None:
        """Note that the suggestion was taken; of several texts, one of ``num_chars`` characters."""

        def change(shown: _Shown, known_id: str) -> None:
            length = shown.num_chars[known_id] if num_chars is None else num_chars
            self._take(shown, known_id, length, Acceptance.ALL)

        self._change(request_id, change)

    def partly_accepted(self, request_id: str, num_chars: int) -> None:
        """Note that the first ``num_chars`` characters were taken, all those taken before included."""

        def change(shown: _Shown, known_id: str) -> None:
            self._take(shown, known_id, num_chars, Acceptance.PART)

        self._change(request_id, change)

    def dismissed(self, request_id: str) -> None:
        """Note that a person sent the suggestion away."""

        def change(shown: _Shown, _known_id: str) -> None:
            shown.reaction.dismissed = True

        self._change(request_id, change)

    def typed(self, request_id: str) -> None:
        """Note that its first line was typed out; it turns out to be taken if that is told."""

        def change(shown: _Shown, _known_id: str) -> None:
            shown.reaction.typed = shown.reaction.accepted is Acceptance.NONE

        self._change(request_id, change)

    def kept(self, request_id: str, after_s: int, ratio: float) -> None:
        """Note which part of what was inserted is left ``after_s`` seconds later."""

        def change(shown: _Shown, _known_id: str) -> None:
            shown.reaction.kept[after_s] = min(max(ratio, 0.0), 1.0)

        self._change(request_id, change)

    def adaptation(self, model: str) -> Adaptation:
        """Return what was learnt about ``model`` so far; never waits."""
        return Adaptation() if self._log is None else self._log.adaptation(model)

    def summary(self, min_confidence: float) -> Summary:
        """Return what the store holds, counted; reads the disk.

        ``min_confidence`` is the setting whose adapted value is told.
        """
        self.flush()
        if self._path is None:
            return summarize([], self._clock(), min_confidence)
        store = ObservationStore(self._path)
        try:
            return summarize(store.read(), self._clock(), min_confidence)
        finally:
            store.close()

    def flush(self) -> None:
        """Wait until everything so far is on disk."""
        if self._log is not None:
            self._log.flush()

    def close(self) -> None:
        """Write what is left; idempotent."""
        if self._log is not None:
            self._log.close()

    def _take(self, shown: _Shown, request_id: str, length: int, how: Acceptance) -> None:
        reaction = shown.reaction
        length = max(0, min(length, _MAX_LENGTH))
        shown.num_taken[request_id] = max(length, shown.num_taken.get(request_id, 0))
        reaction.accepted = max(reaction.accepted, how)
        reaction.accepted_length = sum(shown.num_taken.values())
        reaction.shown = True
        reaction.typed = False

    def _change(self, request_id: str, change: Callable[[_Shown, str], None]) -> None:
        with self._lock:
            known = self._find(request_id)
            if known is None:
                return
            known_id, shown = known
            change(shown, known_id)
            fields = shown.reaction.as_fields()
            self._write(shown)
        for callback in list(self._subscribers):
            callback(known_id, fields)

    def _find(self, request_id: str) -> tuple[str, _Shown] | None:
        """Return a suggestion with the id it is known by.

        That of an HTTP response stands for the first of its choices.
        """
        bare = request_id.removeprefix("cmpl-")
        for known_id in (bare, f"{bare}.0"):
            shown = self._shown.get(known_id)
            if shown is not None:
                return known_id, shown
        return None

    def _write(self, shown: _Shown) -> None:
        observation = observe(shown.offer, shown.reaction, shown.at)
        if self._log is None or observation is None:
            return
        if shown.is_written:
            self._log.update(observation)
        else:
            self._log.insert(observation)
            shown.is_written = True
