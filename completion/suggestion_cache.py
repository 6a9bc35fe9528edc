"""Remembered suggestions, found again by what stands before *and* behind the cursor.

A suggestion is served again to the same question, to someone who types it out (or goes back within
what they typed of it), and after acceptance if it was prefetched. A change anywhere else in the
document, before or behind, makes it a miss.

What a deadline cut, and what was sampled without a seed, is served only to someone typing it out:
asking the same question again must be able to bring a fuller or another answer. What was asked
explicitly answers automatic requests too, but not the other way round, because an explicit request
is promised more.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from completion.brackets import CLOSERS, PAIRS
from completion.types import (
    Candidate,
    CompletionRequest,
    CompletionTimings,
    CompletionTrace,
    FinishReason,
    PromptStats,
    SpeculationStats,
    Suggestion,
    SuggestionSource,
    TextEdit,
    TriggerKind,
    apply_edits,
)

_QUOTES = "\"'`"
_MAX_NUM_AUTO_CLOSED = 3


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Bounds of the cache; ``max_num_chars`` counts documents and suggestions held by entries."""

    max_num_entries: int = 256
    max_num_chars: int = 16_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    request: CompletionRequest
    suggestion: Suggestion
    source: SuggestionSource
    num_chars: int

    @property
    def answers_repeats(self) -> bool:
        request = self.request
        is_random = request.temperature > 0 and request.seed is None
        return self.suggestion.finish_reason is not FinishReason.DEADLINE and not is_random


_Key = tuple[object, ...]
_EntryKey = tuple[_Key, int, str]


class SuggestionCache:
    """Least recently used entries go first. Every method may be called from any thread."""

    def __init__(self, limits: CacheLimits | None = None) -> None:
        self._limits = limits or CacheLimits()
        self._lock = threading.Lock()
        self._entries: OrderedDict[_EntryKey, _Entry] = OrderedDict()
        self._buckets: dict[_Key, set[_EntryKey]] = {}
        self._num_chars = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_chars(self) -> int:
        """How many characters of documents and suggestions the entries hold on to."""
        return self._num_chars

    def store(
        self,
        request: CompletionRequest,
        suggestion: Suggestion,
        source: SuggestionSource = SuggestionSource.CACHE,
    ) -> None:
        """Remember the outcome of ``request``; a cut outcome never replaces a complete one.

        ``source`` is what later answers report when they repeat it whole: ``CACHE`` or
        ``PREFETCH``.
        """
        key = _bucket_key(request, len(request.suffix))
        num_chars = len(request.document.text) + len(suggestion.text)
        entry = _Entry(request, suggestion, source, num_chars)
        entry_key = (key, request.offset, request.trigger.value)
        with self._lock:
            if not entry.answers_repeats and self._has_complete(entry_key, request):
                return
            self._drop(entry_key)
            self._entries[entry_key] = entry
            self._buckets.setdefault(key, set()).add(entry_key)
            self._num_chars += num_chars
            self._evict()

    def lookup(self, request: CompletionRequest) -> Suggestion | None:
        """Return what is known for ``request``, fitted to it, or ``None``; touches no model.

        Of several matches the one needing the least typing wins.
        """
        with self._lock:
            for num_closed in range(_num_auto_closed(request) + 1):
                key = _bucket_key(request, len(request.suffix) - num_closed)
                for entry_key in self._candidates(key, request):
                    found = _fit(self._entries[entry_key], request, num_closed)
                    if found is not None:
                        self._entries.move_to_end(entry_key)
                        return found
        return None

    def clear(self, key: str | None = None) -> None:
        """Forget everything about the document ``key``, or about all of them."""
        with self._lock:
            for entry_key, entry in list(self._entries.items()):
                if key is None or entry.request.document.key == key:
                    self._drop(entry_key)

    def _has_complete(self, entry_key: _EntryKey, request: CompletionRequest) -> bool:
        old = self._entries.get(entry_key)
        if old is None or old.request.document.text != request.document.text:
            return False
        return old.answers_repeats

    def _candidates(self, key: _Key, request: CompletionRequest) -> Iterator[_EntryKey]:
        keys = (key for key in self._buckets.get(key, ()) if key[1] <= request.offset)
        # Equal offsets: the explicit answer first, it is the more generous one.
        return iter(sorted(keys, key=lambda key: (-key[1], key[2] != TriggerKind.INVOKED.value)))

    def _evict(self) -> None:
        limits = self._limits
        while self._entries and (
            len(self._entries) > limits.max_num_entries or self._num_chars > limits.max_num_chars
        ):
            self._drop(next(iter(self._entries)))

    def _drop(self, entry_key: _EntryKey) -> None:
        entry = self._entries.pop(entry_key, None)
        if entry is None:
            return
        self._num_chars -= entry.num_chars
        bucket = self._buckets[entry_key[0]]
        bucket.discard(entry_key)
        if not bucket:
            del self._buckets[entry_key[0]]


def after_acceptance(request: CompletionRequest, suggestion: Suggestion) -> CompletionRequest:
    """Return the automatic request that will follow once ``suggestion`` has been accepted.

    Its document is the one the edit will leave, one version on, with the cursor behind the
    inserted text.
    """
    edit = TextEdit(suggestion.replace_start, suggestion.replace_end, suggestion.text)
    document = replace(
        request.document,
        version=request.document.version + 1,
        text=apply_edits(request.document.text, (edit,)),
        edits=(edit,),
        base_version=request.document.version,
    )
    return replace(
        request,
        request_id=f"{request.request_id}+accepted",
        document=document,
        offset=edit.start + len(edit.inserted),
        trigger=TriggerKind.AUTOMATIC,
        selected_item=None,
    )


def _bucket_key(request: CompletionRequest, num_suffix_chars: int) -> _Key:
    """Return what must be equal for an entry to be looked at; the text itself is compared later."""
    document = request.document
    return (
        document.key,
        document.language_id,
        num_suffix_chars,
        request.selected_item,
        request.max_new_tokens,
        request.temperature,
        request.top_p,
        request.top_k,
        request.seed,
        request.stop,
        request.use_retrieval,
        request.patching,
    )


def _num_auto_closed(request: CompletionRequest) -> int:
    """Return how many brackets or quotes right of the cursor an editor may just have added."""
    head = request.suffix[:_MAX_NUM_AUTO_CLOSED]
    return len(head) - len(head.lstrip(CLOSERS + _QUOTES))


def _fit(entry: _Entry, request: CompletionRequest, num_closed: int) -> Suggestion | None:
    """Return the entry's suggestion as an answer to ``request``, or ``None`` if it is none.

    ``num_closed`` characters right of the cursor are taken for brackets that the editor added
    while the suggestion was typed.
    """
    stored = entry.request
    if stored.trigger is TriggerKind.AUTOMATIC and request.trigger is TriggerKind.INVOKED:
        return None
    if stored.num_candidates < request.num_candidates:
        return None
    typed = _typed_since(stored, request, num_closed)
    if typed is None or not _is_usable(entry, request, typed, num_closed):
        return None
    num_beyond = entry.suggestion.replace_end - stored.offset
    source = SuggestionSource.TYPING_AS_SUGGESTED if typed else entry.source
    return replace(
        entry.suggestion,
        request_id=request.request_id,
        text=entry.suggestion.text[len(typed) :],
        replace_start=entry.suggestion.replace_start if not typed else request.offset,
        replace_end=request.offset + num_closed + num_beyond,
        candidates=_continuing(entry.suggestion.candidates, typed)[: request.num_candidates],
        source=source,
        trace=_trace_of_lookup(entry.suggestion.trace),
    )


def _typed_since(
    stored: CompletionRequest, request: CompletionRequest, num_closed: int
) -> str | None:
    """Return what was inserted at the stored cursor to get to this request, if that is all."""
    old, new = stored.document.text, request.document.text
    if len(new) - request.offset - num_closed != len(old) - stored.offset:
        return None
    if not new.startswith(old[: stored.offset]):
        return None
    if new[request.offset + num_closed :] != old[stored.offset :]:
        return None
    return new[stored.offset : request.offset]


def _is_usable(entry: _Entry, request: CompletionRequest, typed: str, num_closed: int) -> bool:
    suggestion = entry.suggestion
    if not typed:
        return num_closed == 0 and entry.answers_repeats
    remaining = suggestion.text[len(typed) :]
    if not suggestion.text.startswith(typed) or not remaining.strip():
        return False
    if suggestion.replace_start != entry.request.offset:
        return False
    added = request.suffix[:num_closed]
    return _brings_along(remaining, typed, added)


def _brings_along(remaining: str, typed: str, added: str) -> bool:
    """Whether the rest of the suggestion contains the closers an editor added to ``typed``."""
    position = 0
    for closer in added:
        opener = next((one for one, other in PAIRS.items() if other == closer), closer)
        position = remaining.find(closer, position) + 1
        if opener not in typed or position == 0:
            return False
    return True


def _continuing(candidates: tuple[Candidate, ...], typed: str) -> tuple[Candidate, ...]:
    return tuple(
        replace(candidate, text=candidate.text[len(typed) :])
        for candidate in candidates
        if candidate.text.startswith(typed)
    )


def _trace_of_lookup(trace: CompletionTrace) -> CompletionTrace:
    """Return the trace without the work, which was not done for this answer."""
    return replace(
        trace,
        timings_ms=CompletionTimings(),
        prompt=PromptStats(),
        speculation=SpeculationStats(),
    )
