"""Generations that survive typing: who types what is being written does not start it anew.

A request is cancelled by the next key. If that key continues the text that the model is writing, its
work goes on for whoever asks next: the finished suggestion is remembered, and answers as any
remembered suggestion does for someone typing it out.
"""

from __future__ import annotations

import threading
from threading import Lock

from completion.types import CancellationToken, CompletionRequest, DocumentSnapshot

_POLL_S = 0.02


class SurvivingToken(CancellationToken):
    """Follows a client's token until ``keeps`` is set; from then on only its own counts."""

    __slots__ = ("_client", "keeps")

    def __init__(self, client: CancellationToken) -> None:
        super().__init__()
        self._client = client
        self.keeps = False

    @property
    def is_cancelled(self) -> bool:
        """Whether someone who still matters asked the work to end."""
        return super().is_cancelled or (self._client.is_cancelled and not self.keeps)

    def check(self) -> None:
        """Raise ``WorkCancelled`` if the work is to end."""
        super().check()
        if not self.keeps:
            self._client.check()


class RunningGeneration:
    """One request's work on the engine; any thread."""

    def __init__(self, request: CompletionRequest, client: CancellationToken) -> None:
        self.request = request
        self.token = SurvivingToken(client)
        self._text = ""  # what the model has written
        self._typed = ""  # what the person has typed since
        self._ended = threading.Event()

    def wrote(self, text: str) -> None:
        """Note the text so far; ends the work if that is not what was typed meanwhile."""
        self._text = text
        if not self._is_wanted:
            self.token.cancel()

    def edited(self, document: DocumentSnapshot) -> bool:
        """Keep the work alive if it writes what was typed; returns whether it does."""
        typed = _typed_since(self.request, document)
        self._typed = self._typed if typed is None else typed
        self.token.keeps = typed is not None and not self.request.verbatim and self._is_wanted
        return self.token.keeps

    def end(self) -> None:
        """Note that the work has ended and its outcome has been remembered, if there is one."""
        self._ended.set()

    def wait(self, cancel: CancellationToken) -> None:
        """Wait for the end, or until ``cancel`` is set."""
        while not cancel.is_cancelled and not self._ended.wait(_POLL_S):
            pass

    @property
    def has_ended(self) -> bool:
        """Whether the engine is done with it."""
        return self._ended.is_set()

    @property
    def _is_wanted(self) -> bool:
        return self._text.startswith(self._typed) or self._typed.startswith(self._text)


class RunningGenerations:
    """The newest generation of each document; any thread."""

    def __init__(self) -> None:
        self._running: dict[str, RunningGeneration] = {}
        self._lock = Lock()

    def start(self, request: CompletionRequest, client: CancellationToken) -> RunningGeneration:
        """Note that ``request`` is being worked on; an older survivor of its document ends."""
        started = RunningGeneration(request, client)
        key = request.document.key
        with self._lock:
            gone = [known for known, found in self._running.items() if found.has_ended]
            for known in gone:
                del self._running[known]
            older, self._running[key] = self._running.get(key), started
        if older is not None and older.token.keeps:
            older.token.cancel()
        return started

    def edited(self, document: DocumentSnapshot) -> bool:
        """Keep the document's generation alive if it is still wanted; returns whether it is."""
        running = self._of(document.key)
        return running is not None and running.edited(document)

    def wait_for(self, request: CompletionRequest, cancel: CancellationToken) -> bool:
        """Wait for a survivor that ``request`` continues; returns whether there was one.

        Ends early when ``cancel`` is set.
        """
        running = self._of(request.document.key)
        if running is None or not running.token.keeps or not _continues(running.request, request):
            return False
        running.wait(cancel)
        return True

    def _of(self, key: str) -> RunningGeneration | None:
        with self._lock:
            running = self._running.get(key)
        return None if running is None or running.has_ended else running


def _typed_since(request: CompletionRequest, document: DocumentSnapshot) -> str | None:
    """Return what was inserted at the request's cursor, if that is all that changed."""
    old, new, offset = request.document.text, document.text, request.offset
    num_typed = len(new) - len(old)
    is_typing = num_typed > 0 and new[:offset] == old[:offset]
    if not is_typing or new[offset + num_typed :] != old[offset:]:
        return None
    return new[offset : offset + num_typed]


def _continues(old: CompletionRequest, new: CompletionRequest) -> bool:
    """Whether the answer to ``old`` may hold the answer to ``new``."""
    typed = _typed_since(old, new.document)
    return typed is not None and new.offset == old.offset + len(typed)
