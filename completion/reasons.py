"""The sentence for every reason for showing nothing."""

from __future__ import annotations

from completion.types import NoSuggestionReason

_EXPLANATIONS = {
    NoSuggestionReason.DISABLED: "completion is switched off for this language or document",
    NoSuggestionReason.LOADING: "the model is still loading",
    NoSuggestionReason.DOCUMENT_LOST: "a change of the document could not be read; save the file or open it anew",
    NoSuggestionReason.MIDDLE_OF_WORD: "the cursor stands inside a word; ask explicitly to complete here",
    NoSuggestionReason.TEXT_RIGHT_OF_CURSOR: "code stands right of the cursor; ask explicitly to complete here",
    NoSuggestionReason.SELECTED_ITEM_MISMATCH: "the item selected in the editor's list does not continue the text at the cursor",
    NoSuggestionReason.EMPTY_DOCUMENT: "the document is empty, there is nothing to continue",
    NoSuggestionReason.EMPTY_OUTPUT: "the model ended at once: it sees nothing to insert here",
    NoSuggestionReason.BLANK_OUTPUT: "the model produced only blank text",
    NoSuggestionReason.REPEATS_SUFFIX: "the model repeated the text that already follows the cursor",
    NoSuggestionReason.REPEATS_PREFIX: "the model repeated the lines above the cursor",
    NoSuggestionReason.REPETITIVE_OUTPUT: "the model ran into a loop",
    NoSuggestionReason.HOLDS_SECRET: "the model wrote what looks like a key, a token or a password",
    NoSuggestionReason.UNLIKELY_WANTED: "the model was too unsure of this line; ask explicitly to see what it would write",
    NoSuggestionReason.FORCED_TEXT_IMPOSSIBLE: "the model has no tokens that continue the text at the cursor",
    NoSuggestionReason.DEADLINE_BEFORE_FIRST_LINE: "the deadline passed before any text was ready",
    NoSuggestionReason.TOKEN_LIMIT_BEFORE_FIRST_LINE: "the token limit was reached before any text was ready; raise it",
    NoSuggestionReason.ENGINE_ERROR: "the engine failed; the log holds the error",
}


def explain_reason(reason: NoSuggestionReason) -> str:
    """Return the sentence that tells a user why nothing was shown."""
    return _EXPLANATIONS[reason]
