"""What a document has seen lately that may come again: suggestions, and text that was deleted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from completion.differences import edit_between
from completion.speculation.drafter import DraftMaterial
from completion.types import CompletionRequest
from models.tokenizer import Tokenizer

_NUM_OUTPUTS = 6
_NUM_DELETED = 4
_NUM_ANCHOR_CHARS = 24  # in front of the cursor: what places an earlier output beside it
_NUM_LEFT_CHARS = 400  # kept in front of an output, for a cursor that moved back
_DELETED_CHARS = range(3, 4000)


class DraftHistory:
    """One document's. Engine thread only."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._outputs: deque[tuple[str, int]] = deque(maxlen=_NUM_OUTPUTS)  # newest first
        self._deleted: deque[str] = deque(maxlen=_NUM_DELETED)
        self._encoded: dict[str, list[int]] = {}  # those of the last request: most come again

    def note_text(self, text: str) -> None:
        """Take in the document as it is now; what has gone since the last time is remembered."""
        if self._text is not None and self._text != text:
            edit = edit_between(self._text, text)
            if edit.end - edit.start in _DELETED_CHARS:
                self._deleted.appendleft(self._text[edit.start : edit.end])
        self._text = text

    def note_output(self, request: CompletionRequest, text: str) -> None:
        """Remember what the model wrote at the cursor of ``request``."""
        if text:
            left = request.prefix[-_NUM_LEFT_CHARS:]
            self._outputs.appendleft((left + text, len(left)))

    def material(
        self, request: CompletionRequest, healed: str, forced: str, tokenizer: Tokenizer
    ) -> DraftMaterial:
        """Return what can be drafted for ``request``.

        ``healed`` is the end of its prefix that the output begins with, ``forced`` what follows.
        """
        begin = healed + forced
        texts = [*self._deleted, *(text[start:] for text, start in self._outputs)]
        known = self._encoded
        self._encoded = {text: known.get(text) or tokenizer.encode(text) for text in texts}
        continued = [rest for rest in map(self._rest_of(request), self._outputs) if rest]
        return DraftMaterial(
            forced=tokenizer.encode(begin) if begin else (),
            suggested=[
                tokenizer.encode(healed + rest)
                for rest in dict.fromkeys(continued)
                if rest.startswith(forced)
            ],
            copied=[self._encoded[text] for text in texts],
            workspace=request.document.workspace,
        )

    @staticmethod
    def _rest_of(request: CompletionRequest) -> Callable[[tuple[str, int]], str]:
        """Return what finds the rest of an output behind the cursor, "" if it is not there.

        What was typed since is recognised by the text in front of the cursor, so edits elsewhere
        do no harm.
        """
        anchor = request.prefix[-_NUM_ANCHOR_CHARS:]

        def rest(output: tuple[str, int]) -> str:
            text, start = output
            at = text.rfind(anchor)
            end = at + len(anchor)
            return text[end:] if at >= 0 and end >= start - len(anchor) else ""

        return rest
