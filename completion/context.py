"""Where context from other files comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from completion.types import CompletionRequest, ContextChunk


@dataclass(frozen=True, slots=True)
class ContextRoom:
    """What a prompt has room for.

    ``count_tokens`` tells what a chunk costs there. ``visible`` is the stretch of the document, in
    offsets, that the prompt shows anyway.
    """

    max_num_tokens: int
    count_tokens: Callable[[ContextChunk], int]
    visible: tuple[int, int]

    def fitting(self, chunks: Sequence[ContextChunk]) -> tuple[ContextChunk, ...]:
        """Return the last of ``chunks`` that there is room for together."""
        kept, left = 0, self.max_num_tokens
        for chunk in reversed(chunks):
            left -= self.count_tokens(chunk)
            if left < 0:
                break
            kept += 1
        return tuple(chunks[len(chunks) - kept :])

    def beside(self, chunks: Sequence[ContextChunk]) -> ContextRoom:
        """Return the room that ``chunks`` leave."""
        taken = sum(map(self.count_tokens, chunks))
        return replace(self, max_num_tokens=max(0, self.max_num_tokens - taken))


class ContextProvider(Protocol):
    """A source of repository context. Called on the engine thread; answers in milliseconds."""

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        """Return lines to show beside the document, in the order they are to stand.

        What is returned for successive requests of a document differs as little as it can: every
        difference costs the cache some tokens.
        """
        ...

    def note_draft(self, request: CompletionRequest, text: str) -> None:
        """Take in what the model wrote for ``request``: it says what the next lines are about."""
        ...

    def forget(self, key: str) -> None:
        """Drop what is kept for the document ``key``."""
        ...


class NoContext:
    """No repository context: the current file alone."""

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        """Return nothing."""
        del request, room
        return ()

    def note_draft(self, request: CompletionRequest, text: str) -> None:
        """Do nothing."""

    def forget(self, key: str) -> None:
        """Do nothing."""
