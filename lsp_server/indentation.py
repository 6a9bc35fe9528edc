"""Indentation as the editor would type it, where that is safe.

A model follows the indentation that it sees. In a file that has none yet it may choose tabs where the
editor is set to spaces, or the other way round. Copilot's clients say what the editor is set to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from completion.types import CompletionRequest, Suggestion
from lsp_server.messages import Json, value_at

_MAX_TAB_SIZE = 16
# A tab means something else than indentation there.
_TABS_MATTER = frozenset({"makefile", "tsv", "go"})
_BLANKS = re.compile(r"[ \t]*")
_BEGINS_WITH_TAB = re.compile(r"^ *\t", re.MULTILINE)
_BEGINS_WITH_SPACE = re.compile(r"^\t* [ \t]*[^\s*]", re.MULTILINE)  # not the stars of a comment


@dataclass(frozen=True, slots=True)
class Formatting:
    """How an editor indents a document."""

    tab_size: int
    insert_spaces: bool


def read_formatting(options: Json) -> Formatting | None:
    """Return what ``formattingOptions`` say, None if that is nothing that can be used."""
    tab_size, insert_spaces = value_at(options, "tabSize"), value_at(options, "insertSpaces")
    if type(tab_size) is not int or not isinstance(insert_spaces, bool):
        return None
    return Formatting(tab_size, insert_spaces) if 1 <= tab_size <= _MAX_TAB_SIZE else None


def indented(
    suggestion: Suggestion, request: CompletionRequest, formatting: Formatting | None
) -> Suggestion:
    """Return ``suggestion`` indented by tabs or spaces alone, as ``formatting`` says.

    It stays as it is where the document itself indents otherwise, where a tab has a meaning, and
    where spaces do not come in whole steps.
    """
    document = request.document
    if formatting is None or document.language_id in _TABS_MATTER:
        return suggestion
    other = _BEGINS_WITH_TAB if formatting.insert_spaces else _BEGINS_WITH_SPACE
    if other.search(document.text):
        return suggestion
    start = suggestion.replace_start
    is_at_line_start = start == 0 or document.text[start - 1] in "\r\n"

    def fit(text: str) -> str:
        return _fitted(text, formatting, is_at_line_start=is_at_line_start)

    candidates = tuple(
        replace(candidate, text=fit(candidate.text)) for candidate in suggestion.candidates
    )
    return replace(suggestion, text=fit(suggestion.text), candidates=candidates)


def _fitted(text: str, formatting: Formatting, *, is_at_line_start: bool) -> str:
    lines = text.split("\n")
    kept = [] if is_at_line_start else lines[:1]
    fitted = [_fitted_line(line, formatting) for line in lines[len(kept) :]]
    if None in fitted:
        return text
    return "\n".join([*kept, *(line for line in fitted if line is not None)])


def _fitted_line(line: str, formatting: Formatting) -> str | None:
    """Return the line indented as wished, None if its spaces do not come in whole steps."""
    found = _BLANKS.match(line)
    assert found is not None, "nothing is a match too"
    blanks, rest = found.group(), line[found.end() :]
    if formatting.insert_spaces:
        return blanks.expandtabs(formatting.tab_size) + rest
    width = len(blanks.expandtabs(formatting.tab_size))
    if rest.strip() and width % formatting.tab_size:
        return None
    return "\t" * (width // formatting.tab_size) + rest
