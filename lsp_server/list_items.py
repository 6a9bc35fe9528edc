"""Suggestions as items of the editor's completion list, for clients without ghost text.

What an item looks like was decided by the clients:

* The range starts where the word at the cursor does. Helix, Emacs and Neovim filter their list by
  that word, so ``filter_text`` begins with it; from the line's start on, as ghost text has it, Emacs
  would find nothing.
* Both modes of an insert and replace edit are given the same range, if the client knows such edits:
  the text was made for what stands on both sides of the cursor, so there is only one way to take
  it. A client's habit of replacing the rest of a word must not change it.
* The list is always incomplete: typing on asks again, and most of that comes from the cache.
* Several lines are plain text that the client must not indent anew. The label shows the first one,
  the documentation all of them: Neovim before 0.12 inserts the first line alone.
"""

from __future__ import annotations

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

    @classmethod
    def of(cls, capabilities: types.ClientCapabilities) -> ListAbilities:
        """Return what ``capabilities`` claim."""
        completion = capabilities.text_document and capabilities.text_document.completion
        item = completion.completion_item if completion else None
        if item is None:
            return cls()
        modes = item.insert_text_mode_support
        return cls(
            insert_replace=item.insert_replace_support is True,
            insert_text_mode=modes is not None and types.InsertTextMode.AsIs in modes.value_set,
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
    items = [
        types.CompletionItem(
            label=_label(typed + text),
            kind=types.CompletionItemKind.Text,
            detail="fimble",
            documentation=typed + text if "\n" in text else None,
            preselect=rank == 0,
            sort_text=f"{rank:04d}",
            filter_text=typed + text,
            insert_text_format=types.InsertTextFormat.PlainText,
            insert_text_mode=types.InsertTextMode.AsIs if abilities.insert_text_mode else None,
            text_edit=_edit(typed + text, span, abilities),
            command=accepted_command(suggestion),
        )
        for rank, text in enumerate(placed.texts)
    ]
    return types.CompletionList(is_incomplete=True, items=items)


def _edit(
    text: str, span: types.Range, abilities: ListAbilities
) -> types.TextEdit | types.InsertReplaceEdit:
    if abilities.insert_replace:
        return types.InsertReplaceEdit(new_text=text, insert=span, replace=span)
    return types.TextEdit(span, text)


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
