"""Suggestions as items of the editor's completion list, for clients without ghost text.

What an item looks like was decided by the clients:

* The range starts where the word at the cursor does. Helix, Emacs and Neovim filter their list by
  that word, so ``filter_text`` begins with it; from the line's start on, as ghost text has it, Emacs
  would find nothing.
* Both modes of an insert and replace edit are given the same range, if the client knows such edits:
  the text was made for what stands on both sides of the cursor, so there is only one way to take
  it. A client's habit of replacing the rest of a word must not change it.
* The list is always incomplete: typing on asks again, and most of that comes from the cache.
* The text is plain, and the client must not indent its lines anew. The label shows the first one,
  the documentation all of them.
* Neovim is the exception. Before 0.12, where it has no ghost text, its own completion inserts of
  plain text the first word alone, but a snippet whole. There the same text goes as a snippet
  without placeholders, less the indentation that the editor adds to each line of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsprotocol import types

from completion.types import CompletionRequest, Suggestion
from lsp_server.convert import accepted_command, place
from lsp_server.session import View
from lsp_server.text_units import PositionEncoding

_MAX_LABEL_CHARS = 60


@dataclass(frozen=True, slots=True)
class ListAbilities:
    """What a client understands in an item of its list."""

    insert_replace: bool = False
    insert_text_mode: bool = False
    needs_snippets: bool = False

    @classmethod
    def of(cls, capabilities: types.ClientCapabilities, client_name: str) -> ListAbilities:
        """Return what ``capabilities`` claim, and what is known of the client ``client_name``."""
        completion = capabilities.text_document and capabilities.text_document.completion
        item = completion.completion_item if completion else None
        if item is None:
            return cls()
        modes = item.insert_text_mode_support
        return cls(
            insert_replace=item.insert_replace_support is True,
            insert_text_mode=modes is not None and types.InsertTextMode.AsIs in modes.value_set,
            needs_snippets=client_name == "Neovim" and item.snippet_support is True,
        )


def to_list(
    suggestion: Suggestion,
    request: CompletionRequest,
    view: View,
    encoding: PositionEncoding,
    abilities: ListAbilities,
) -> types.CompletionList:
    """Return one item for each different text, best first; none if it cannot be shown.

    ``view`` is the one that ``request`` asked about.
    """
    placed = place(suggestion, request, view)
    if placed is None:
        return types.CompletionList(is_incomplete=True, items=[])
    anchor = min(placed.start, _word_start(view.document.snapshot.text, placed.offset))
    anchor = max(anchor, placed.line_start)
    span = placed.range_from(anchor, encoding)
    typed = placed.text_from(anchor)
    indent = _indentation(view.document.snapshot.text, placed.line_start)
    items = [
        _item(rank, typed + text, span, indent, abilities) for rank, text in enumerate(placed.texts)
    ]
    for item in items:
        item.command = accepted_command(suggestion)
    return types.CompletionList(is_incomplete=True, items=items)


def _item(
    rank: int, text: str, span: types.Range, indent: str, abilities: ListAbilities
) -> types.CompletionItem:
    snippet = _snippet(text, indent) if abilities.needs_snippets else None
    is_plain = snippet is None
    as_is = types.InsertTextMode.AsIs if abilities.insert_text_mode and is_plain else None
    formats = types.InsertTextFormat
    return types.CompletionItem(
        label=_label(text),
        kind=types.CompletionItemKind.Text,
        detail="fimble",
        documentation=text if "\n" in text else None,
        preselect=rank == 0,
        sort_text=f"{rank:04d}",
        filter_text=text,
        insert_text_format=formats.PlainText if is_plain else formats.Snippet,
        insert_text_mode=as_is,
        text_edit=_edit(text if snippet is None else snippet, span, abilities),
    )


def _edit(
    text: str, span: types.Range, abilities: ListAbilities
) -> types.TextEdit | types.InsertReplaceEdit:
    if abilities.insert_replace:
        return types.InsertReplaceEdit(new_text=text, insert=span, replace=span)
    return types.TextEdit(span, text)


def _snippet(text: str, indent: str) -> str | None:
    """Return ``text`` as a snippet for an editor that adds ``indent`` to all lines but the first.

    ``None`` if a line is indented less than that: taking indentation away cannot be told.
    """
    first, *rest = text.split("\n")
    if any(line.strip() and not line.startswith(indent) for line in rest):
        return None
    lines = [first, *(line.removeprefix(indent) for line in rest)]
    return re.sub(r"[\\$}]", r"\\\g<0>", "\n".join(lines))


def _indentation(text: str, line_start: int) -> str:
    """Return the blanks that the line at ``line_start`` begins with."""
    end = line_start
    while end < len(text) and text[end] in " \t":
        end += 1
    return text[line_start:end]


def _label(text: str) -> str:
    """Return the first filled line, shortened; what is left out is marked."""
    whole = text.strip()
    first = whole.split("\n", 1)[0].rstrip()
    if len(first) > _MAX_LABEL_CHARS:
        return first[: _MAX_LABEL_CHARS - 1] + "…"
    return first if first == whole else first + " …"


def _word_start(text: str, offset: int) -> int:
    """Return where the word that ends at ``offset`` starts; ``offset`` if there is none."""
    while offset > 0 and (text[offset - 1].isalnum() or text[offset - 1] == "_"):
        offset -= 1
    return offset
