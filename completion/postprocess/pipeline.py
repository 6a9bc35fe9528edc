"""The filters in their order, and the door to them."""

from __future__ import annotations

from dataclasses import dataclass

from completion.postprocess.brackets import (
    avoid_doubled_quote,
    avoid_doubled_separator,
    balance_closing_brackets,
    remove_duplicated_block_closing_line,
)
from completion.postprocess.draft import Draft, Filter
from completion.postprocess.duplicates import (
    avoid_word_remainder,
    reject_near_copy_of_suffix,
    reject_repeated_lines_above,
    remove_overlap_with_right,
    remove_suffix_lines,
)
from completion.postprocess.repetition import (
    remove_repetitive_blocks,
    remove_repetitive_lines,
)
from completion.postprocess.scope import (
    limit_scope,
    reject_blank,
    reject_empty,
    remove_sentinels,
    trim_to_single_line,
)
from completion.postprocess.secrets import reject_secrets
from completion.postprocess.whitespace import (
    end_whole_lines,
    normalise_first_indentation,
    normalise_indentation_style,
    trim_leading_space,
    trim_trailing_space,
)
from completion.strategy import Strategy
from completion.types import CompletionRequest, NoSuggestionReason

FILTERS: tuple[Filter, ...] = (
    reject_empty,
    remove_sentinels,
    normalise_first_indentation,
    limit_scope,
    trim_to_single_line,
    reject_blank,
    reject_repeated_lines_above,
    remove_repetitive_lines,
    remove_repetitive_blocks,
    remove_suffix_lines,
    reject_near_copy_of_suffix,
    remove_overlap_with_right,
    avoid_word_remainder,
    remove_duplicated_block_closing_line,
    balance_closing_brackets,
    avoid_doubled_quote,
    avoid_doubled_separator,
    normalise_indentation_style,
    trim_leading_space,
    trim_trailing_space,
    end_whole_lines,
    reject_blank,
    reject_secrets,
)


@dataclass(frozen=True, slots=True)
class PostprocessedText:
    """What may be shown: ``text`` replaces ``document.text[replace_start:replace_end]``."""

    text: str
    replace_start: int
    replace_end: int


@dataclass(frozen=True, slots=True)
class RejectedText:
    """Why nothing may be shown, and the filter that said so."""

    reason: NoSuggestionReason
    filter_name: str


def postprocess(
    text: str, request: CompletionRequest, strategy: Strategy
) -> PostprocessedText | RejectedText:
    """Return ``text``, as the stop rules left it, in the form in which it fits the document.

    The replaced range begins at the cursor and never leaves its line; the text uses the line
    ending of the document.
    """
    draft = Draft(text.replace("\r\n", "\n"), request, strategy)
    for apply in FILTERS:
        result = apply(draft)
        if isinstance(result, NoSuggestionReason):
            return RejectedText(result, apply.__name__)
        draft = result
    fitted = draft.text.replace("\n", draft.cursor.line_ending)
    return PostprocessedText(fitted, request.offset, request.offset + draft.num_replaced)
