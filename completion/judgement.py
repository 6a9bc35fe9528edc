"""Whether a candidate fits the code around it, judged by the syntax tree.

A model that saw the suffix too late, or not at all, writes a line that parses by itself and breaks
what stands below it. That shows without running anything: the text is put in place and the
neighbourhood is parsed.
"""

from __future__ import annotations

from completion.decoding import GeneratedText
from completion.postprocess.pipeline import RejectedText, postprocess
from completion.strategy import Strategy
from completion.types import (
    CompletionRequest,
    FinishReason,
    NoSuggestionReason,
    TriggerKind,
)
from retrieval.syntax import SyntaxTree

REJECTED = 1_000  # faults of a text that cannot be shown at all
_NUM_CHARS_BELOW = 2_000


class SyntaxJudge:
    """Counts what a candidate would break."""

    def __init__(
        self, request: CompletionRequest, strategy: Strategy, tree: SyntaxTree | None
    ) -> None:
        """Judge candidates for ``request``; without a tree every text that can be shown is fine."""
        self._request, self._strategy, self._tree = request, strategy, tree

    def num_faults(self, generated: GeneratedText) -> int:
        """Return how many faults stand around ``generated`` once it is in place; 0 is fine."""
        request = self._request
        if generated.finish_reason is not FinishReason.STOP:
            return 0  # cut by a limit, so that what it lacks says nothing about it
        result = postprocess(generated.text, request, self._strategy)
        if isinstance(result, RejectedText):
            return self._num_rejection_faults(result)
        if self._says_nothing(result.text):
            return 1
        if self._tree is None or self._tree.text != request.document.text:
            return 0
        edited = self._tree.edited([(result.replace_start, result.replace_end, result.text)])
        end = result.replace_start + len(result.text)
        return edited.num_faults(
            self._first_offset(), min(end + _NUM_CHARS_BELOW, len(edited.text))
        )

    def _says_nothing(self, text: str) -> bool:
        """Whether somebody who asked for code at a blank place would get comments alone."""
        cursor = self._strategy.cursor
        if self._request.trigger is TriggerKind.AUTOMATIC or cursor.left.strip():
            return False
        if cursor.language is None or cursor.brackets.inside:
            return False
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return all(line.startswith(cursor.language.line_comment) for line in lines)

    def _num_rejection_faults(self, result: RejectedText) -> int:
        # That nothing belongs here is a good answer to somebody who did not ask.
        wants_nothing = result.reason is NoSuggestionReason.EMPTY_OUTPUT
        is_automatic = self._request.trigger is TriggerKind.AUTOMATIC
        return 0 if wants_nothing and is_automatic else REJECTED

    def _first_offset(self) -> int:
        """Return the start of the filled line above the cursor's, which may be a block's header."""
        prefix = self._request.prefix
        above = prefix[: prefix.rfind("\n") + 1].rstrip()
        return above.rfind("\n") + 1
