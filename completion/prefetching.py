"""What will be asked once a suggestion is accepted is answered beforehand, when nothing else is to do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

from completion.errors import ServiceClosedError
from completion.suggestion_cache import SuggestionCache, after_acceptance
from completion.types import (
    CancellationToken,
    CompletionOutcome,
    CompletionRequest,
    Suggestion,
    SuggestionSource,
)

Lookup = Callable[[CompletionRequest], object | None]
Submit = Callable[[CompletionRequest, CancellationToken], Future[CompletionOutcome]]


class Prefetching:
    """The newest prefetch of each document; any thread."""

    def __init__(self, lookup: Lookup, submit: Submit, cache: SuggestionCache) -> None:
        """Put into ``cache`` what ``submit`` answers and ``lookup`` does not know yet."""
        self._lookup, self._submit, self._cache = lookup, submit, cache
        self._tokens: dict[str, CancellationToken] = {}
        self._lock = Lock()

    def begin(self, request: CompletionRequest, suggestion: Suggestion) -> None:
        """Prepare what will be asked once ``suggestion``, the answer to ``request``, is accepted."""
        ahead = after_acceptance(request, suggestion)
        if self._lookup(ahead) is not None:
            return
        token = CancellationToken()
        with self._lock:
            self._tokens[request.document.key] = token

        def remember(done: Future[CompletionOutcome]) -> None:
            if done.exception() is None and isinstance(outcome := done.result(), Suggestion):
                self._cache.store(ahead, outcome, SuggestionSource.PREFETCH)

        try:
            self._submit(ahead, token).add_done_callback(remember)
        except ServiceClosedError:
            return

    def cancel(self, key: str) -> None:
        """End the prefetch of the document ``key``, if there is one."""
        with self._lock:
            token = self._tokens.pop(key, None)
        if token is not None:
            token.cancel()
