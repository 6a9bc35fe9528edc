"""Where context from other files comes from; a retrieval index will implement this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from completion.types import CompletionRequest, ContextChunk


class ContextProvider(Protocol):
    """A source of repository context. Called on the engine thread; must answer in milliseconds."""

    def chunks(self, request: CompletionRequest, max_num_tokens: int) -> Sequence[ContextChunk]:
        """Return chunks of other files, most stable first, for about ``max_num_tokens``."""
        ...


class NoContext:
    """No repository context: the current file alone."""

    def chunks(self, request: CompletionRequest, max_num_tokens: int) -> Sequence[ContextChunk]:
        """Return nothing."""
        del request, max_num_tokens
        return ()
