"""The filter against keys, tokens and passwords that the model made up or remembers."""

from __future__ import annotations

from completion.postprocess.draft import Draft
from completion.types import NoSuggestionReason
from retrieval.files.secrets import may_span_lines, secrets_in

_NUM_CHARS_BESIDE = 1_000  # of the cursor's line: the name that a value is for, the quote behind it
_NUM_CHARS_ABOVE = 4_000  # where a private key may have begun


def reject_secrets(draft: Draft) -> Draft | NoSuggestionReason:
    """Reject text that holds, or completes, a secret which the document does not have already."""
    document, start = draft.request.document.text, draft.request.offset
    above = document[max(0, start - _NUM_CHARS_ABOVE) : start]
    before = above if may_span_lines(above) else draft.cursor.left[-_NUM_CHARS_BESIDE:]
    whole = before + draft.text + draft.right[:_NUM_CHARS_BESIDE]
    end = len(before) + len(draft.text)
    for secret_start, secret_end in secrets_in(whole):
        is_touched = secret_start < end and secret_end > len(before)
        if is_touched and whole[secret_start:secret_end] not in document:
            return NoSuggestionReason.HOLDS_SECRET
    return draft
