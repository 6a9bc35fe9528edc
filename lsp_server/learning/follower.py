"""Where the suggestions of one client are in its documents, and what becomes of them there.

A suggestion that was offered is watched at its place: typed out, it counts as typed; once the client
tells that it was taken, what it inserted is found there, and measured half a minute, two and ten
minutes later. Lives on the event loop, with the session whose documents it follows.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from completion.differences import edit_between
from completion.types import TextEdit
from lsp_server.learning.feedback import Feedback, Timer
from lsp_server.learning.observation import KEPT_AFTER_S
from lsp_server.learning.survival import Survivors, shortened

_MAX_NUM_OFFERS = 4  # of a document: the client may tell late, but not very
_MAX_NUM_INSERTIONS = 64  # of a document; beyond these the oldest is followed no further


@dataclass(slots=True)
class _Place:
    """A suggestion in its document.

    ``[start, end)`` is what stands in its place now; the last ``num_replaced`` characters of it stood
    there before. ``ids`` maps what it was answered as to how much of it was typed by then, and
    ``num_taken`` to how much was taken from there on. ``waiting`` was told to be taken before its
    text arrived.
    """

    texts: Sequence[str]
    start: int
    end: int
    num_replaced: int
    ids: dict[str, int]
    num_taken: dict[str, int] = field(default_factory=dict)
    waiting: tuple[str, int | None] | None = None
    is_typed: bool = False
    insertion: _Insertion | None = None

    @property
    def newest_id(self) -> str:
        return next(reversed(self.ids))

    def shift(self, edit: TextEdit) -> None:
        """Follow the document through ``edit``; what is typed at either end belongs to the place."""
        delta = len(edit.inserted) - (edit.end - edit.start)
        is_before = edit.end < self.start or (edit.end == self.start and edit.start < edit.end)
        if is_before:
            self.start += delta
            self.end += delta
        elif edit.start <= self.end:
            self.start = min(self.start, edit.start)
            self.end = max(self.end, edit.end) + delta

    def num_typed(self, text: str) -> int | None:
        """Return how much of the suggestion stands at its place, None if anything else does."""
        here = text[self.start : self.end]
        if here in self.texts:
            return len(here)
        typed = here[: max(0, len(here) - self.num_replaced)]
        return len(typed) if any(whole.startswith(typed) for whole in self.texts) else None


@dataclass(slots=True)
class _Insertion:
    """What was taken of a suggestion, and when it is measured next."""

    request_id: str
    survivors: Survivors
    timers: dict[int, Timer] = field(default_factory=dict)


@dataclass(slots=True)
class _Followed:
    """One document: what was offered in it lately, newest last, and what was taken."""

    places: deque[_Place] = field(default_factory=lambda: deque(maxlen=_MAX_NUM_OFFERS))
    insertions: list[_Insertion] = field(default_factory=list)


class Follower:
    """Follows the documents of one connection and tells ``feedback`` what it sees."""

    def __init__(self, feedback: Feedback, text_of: Callable[[str], str | None]) -> None:
        """Follow documents whose text is ``text_of(uri)``; None: nobody knows it."""
        self._feedback = feedback
        self._text_of = text_of
        self._documents: dict[str, _Followed] = {}

    def offered(
        self, uri: str, request_id: str, span: tuple[int, int], texts: Sequence[str]
    ) -> str | None:
        """Begin to watch a suggestion whose ``texts`` may replace ``span``.

        Returns:
            The id of an earlier one of which this is what is left, None if it is a new one.
        """
        document = self._documents.setdefault(uri, _Followed())
        former = self._continued(document, uri, span[0], texts)
        if former is not None:
            place, num_typed = former
            continued = place.newest_id
            place.ids[request_id] = num_typed
            return continued
        start, end = span
        document.places.append(_Place(texts, start, end, end - start, {request_id: 0}))
        return None

    def accepted(self, request_id: str) -> None:
        """Take in that the client has inserted the suggestion, or is about to."""
        self._take(request_id, None)

    def partly_accepted(self, request_id: str, num_chars: int) -> None:
        """Take in that the client has inserted the first ``num_chars``, or is about to."""
        self._take(request_id, max(0, num_chars))

    def partly_accepted_of_item(self, request_id: str, item_text: str, num_chars: int) -> None:
        """The same, where ``num_chars`` counts from the start of ``item_text``.

        Items repeat what stands before the suggestion on its line.
        """
        place = next((place for _, _, place in self._places() if request_id in place.ids), None)
        if place is None:
            self._feedback.partly_accepted(request_id, num_chars)
            return
        typed = place.ids[request_id]
        rests = [whole[typed:] for whole in place.texts if item_text.endswith(whole[typed:])]
        num_before = len(item_text) - max(map(len, rests), default=len(item_text))
        self.partly_accepted(request_id, num_chars - num_before)

    def changed(self, uri: str, before: str, after: str, edits: Sequence[TextEdit]) -> None:
        """Follow a document through ``edits``; without any, its text was replaced as a whole."""
        document = self._documents.get(uri)
        if document is None:
            return
        text = before
        for edit in edits or (edit_between(before, after),):
            removed = text[edit.start : edit.end]
            if len(edits) > 1:  # the next one is seen from here
                text = "".join((text[: edit.start], edit.inserted, text[edit.end :]))
            least, removed = shortened(edit, removed)
            for place in document.places:
                place.shift(least)
            for insertion in document.insertions:
                insertion.survivors.apply(least, removed)
        for place in document.places:
            self._look(uri, document, place, after)

    def closed(self, uri: str) -> None:
        """Measure what is in the document now, as of the next moment; later ones stay unknown."""
        document = self._documents.pop(uri, None)
        if document is None:
            return
        for insertion in document.insertions:
            pending = sorted(insertion.timers)
            self._stop(insertion)
            if pending and self._text_of(uri) is not None:
                ratio = insertion.survivors.ratio
                self._feedback.kept(insertion.request_id, pending[0], ratio)

    def close(self) -> None:
        """Follow nothing any more."""
        for uri in list(self._documents):
            self.closed(uri)

    def _continued(
        self, document: _Followed, uri: str, start: int, texts: Sequence[str]
    ) -> tuple[_Place, int] | None:
        """Return the place whose suggestion is offered again, and how much of it is there already."""
        text = self._text_of(uri)
        if text is None or not document.places or not texts:
            return None
        place = document.places[-1]
        num_typed = place.num_typed(text)
        if num_typed is None or start != place.start + num_typed:
            return None
        is_rest = any(whole[num_typed:] == texts[0] for whole in place.texts)
        return (place, num_typed) if is_rest else None

    def _places(self) -> Iterator[tuple[str, _Followed, _Place]]:
        for uri, document in self._documents.items():
            for place in document.places:
                yield uri, document, place

    def _take(self, request_id: str, num_chars: int | None) -> None:
        length: int | None = None
        for uri, document, place in self._places():
            if request_id in place.ids:
                place.waiting = (request_id, num_chars)
                text = self._text_of(uri)
                if text is not None:
                    self._find(uri, document, place, text)
                length = place.num_taken.get(request_id)
                break
        if num_chars is None:
            self._feedback.accepted(request_id, length)
        else:
            self._feedback.partly_accepted(request_id, num_chars)

    def _look(self, uri: str, document: _Followed, place: _Place, text: str) -> None:
        """See what a change has made of a suggestion."""
        if place.waiting is not None:
            self._find(uri, document, place, text)
            place.waiting = None  # a client sends the text before anything else that changes it
            return
        num_typed = place.num_typed(text)
        if num_typed and not place.is_typed:
            here = text[place.start : place.start + num_typed]
            if any(_first_line(whole) == _first_line(here) for whole in place.texts):
                place.is_typed = True
                self._feedback.typed(place.newest_id)

    def _find(self, uri: str, document: _Followed, place: _Place, text: str) -> None:
        """Begin to measure what was taken, if it stands where it should."""
        assert place.waiting is not None, "somebody told that it was taken"
        request_id, num_chars = place.waiting
        typed = place.ids[request_id]
        for whole in place.texts:
            end = len(whole) if num_chars is None else min(len(whole), typed + num_chars)
            if text.startswith(whole[:end], place.start) and place.start + end <= place.end:
                break
        else:
            return
        place.waiting = None
        first = typed + place.num_taken.get(request_id, 0)
        place.num_taken[request_id] = max(end - typed, 0)
        if first < end:
            added = (place.start + first, place.start + end)
            if place.insertion is None:
                place.insertion = self._measure(uri, document, request_id, Survivors(*added))
            else:
                place.insertion.survivors.add(*added)

    def _measure(
        self, uri: str, document: _Followed, request_id: str, survivors: Survivors
    ) -> _Insertion:
        """Look at what was inserted after each of the times that are told."""
        insertion = _Insertion(request_id, survivors)
        for after_s in KEPT_AFTER_S:
            look = functools.partial(self._measured, uri, document, insertion, after_s)
            insertion.timers[after_s] = self._feedback.call_later(after_s, look)
        document.insertions.append(insertion)
        if len(document.insertions) > _MAX_NUM_INSERTIONS:
            self._stop(document.insertions.pop(0))
        return insertion

    def _measured(self, uri: str, document: _Followed, insertion: _Insertion, after_s: int) -> None:
        insertion.timers.pop(after_s, None)
        if self._text_of(uri) is not None:
            self._feedback.kept(insertion.request_id, after_s, insertion.survivors.ratio)
        if not insertion.timers and insertion in document.insertions:
            document.insertions.remove(insertion)

    def _stop(self, insertion: _Insertion) -> None:
        for timer in insertion.timers.values():
            timer.cancel()
        insertion.timers.clear()


def _first_line(text: str) -> str:
    """Return the first line that is not blank, without the blanks around it."""
    return next((line.strip() for line in text.split("\n") if line.strip()), "")
