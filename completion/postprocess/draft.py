"""What the filters hand to one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from completion.cursor import CursorContext
from completion.strategy import Strategy
from completion.types import CompletionRequest, NoSuggestionReason


@dataclass(frozen=True, slots=True)
class Draft:
    r"""A suggestion on its way through the filters.

    ``text`` uses ``"\n"`` whatever the document does. ``num_replaced`` counts the characters right
    of the cursor, on its line, that the text takes the place of.
    """

    text: str
    request: CompletionRequest
    strategy: Strategy
    num_replaced: int = 0

    @property
    def cursor(self) -> CursorContext:
        """The surroundings of the cursor."""
        return self.strategy.cursor

    @property
    def right(self) -> str:
        """What will stand right of the inserted text on its line."""
        return self.cursor.right[self.num_replaced :]

    def with_text(self, text: str) -> Draft:
        """Return this draft with another text."""
        return replace(self, text=text)


Filter = Callable[[Draft], Draft | NoSuggestionReason]
