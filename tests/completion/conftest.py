"""Requests written as marked text."""

from __future__ import annotations

from typing import Protocol

import pytest

from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind


class Ask(Protocol):
    """Turns text with one ``‸`` where the cursor is into a request."""

    def __call__(
        self,
        marked: str,
        language_id: str = "python",
        *,
        invoked: bool = False,
        stop: tuple[str, ...] = (),
    ) -> CompletionRequest: ...


@pytest.fixture
def ask() -> Ask:
    def build(
        marked: str,
        language_id: str = "python",
        *,
        invoked: bool = False,
        stop: tuple[str, ...] = (),
    ) -> CompletionRequest:
        prefix, suffix = marked.split("‸")
        return CompletionRequest(
            request_id="1",
            document=DocumentSnapshot("file:///a", 1, language_id, prefix + suffix),
            offset=len(prefix),
            trigger=TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC,
            stop=stop,
        )

    return build
