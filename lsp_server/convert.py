"""Completion values to LSP values and back; with ``list_items`` the only place that knows both.

What an inline item looks like was decided by the clients:

* The range starts at the line's first character and ``insert_text`` repeats what stands there. VS
  Code shows an item only if the text it replaces, up to the cursor, is a prefix of the filter text,
  and then cuts off what is already typed; Neovim draws the item over the line the same way. A range
  that starts at the cursor would be off by the keys typed while the answer was under way.
* With a selected item of the editor's list, the range starts where that item's does: VS Code shows
  only what extends the selected item in its own range.
* A range stays on one line, as LSP demands; a replacement across lines cannot be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types

from completion.types import (
    CompletionRequest,
    DocumentSnapshot,
    SelectedItem,
    Suggestion,
    TriggerKind,
)
from lsp_server.folders import path_of
from lsp_server.line_index import LspPosition
from lsp_server.notebooks import Cell, Notebook
from lsp_server.requests import new_request
from lsp_server.session import ContentChange, OpenDocument, View
from lsp_server.settings import Settings
from lsp_server.text_units import PositionEncoding, without_lone_surrogates

ACCEPTED_COMMAND = "fimble.accepted"


Context = types.InlineCompletionContext | types.CompletionContext | None


def to_snapshot(item: types.TextDocumentItem) -> DocumentSnapshot:
    """Return an opened document; where its URI names no file it has no path."""
    return DocumentSnapshot(item.uri, item.version, item.language_id, item.text, path_of(item.uri))


def to_cell(cell: types.NotebookCell) -> Cell:
    """Return one cell of a notebook."""
    return Cell(cell.document, is_code=cell.kind == types.NotebookCellKind.Code)


def to_notebook(notebook: types.NotebookDocument) -> Notebook:
    """Return an opened notebook."""
    return Notebook(notebook.uri, [to_cell(cell) for cell in notebook.cells], path_of(notebook.uri))


def to_content_change(change: types.TextDocumentContentChangeEvent) -> ContentChange:
    """Return one change of a document."""
    if isinstance(change, types.TextDocumentContentChangePartial):
        span = (to_lsp_position(change.range.start), to_lsp_position(change.range.end))
        return ContentChange(change.text, span)
    return ContentChange(change.text)


def to_lsp_position(position: types.Position) -> LspPosition:
    """Return the protocol's position as ours."""
    return LspPosition(position.line, position.character)


def to_request(
    position: types.Position,
    context: Context,
    view: View,
    encoding: PositionEncoding,
    settings: Settings,
    request_id: str,
) -> CompletionRequest:
    """Return what the client asks, about ``view`` as it is now."""
    offset = view.document.offset_of(to_lsp_position(position), encoding)
    return new_request(
        view.snapshot,
        view.start + offset,
        settings,
        request_id=request_id,
        trigger=_trigger(context),
        selected_item=_selected_item(context, view, encoding),
    )


def _trigger(context: Context) -> TriggerKind:
    """Return what made the client ask.

    A list may be asked for by a key or by typing a word, and clients say *invoked* for both. It is
    taken for a key: refusing someone who asked is worse than one answer too many.
    """
    if isinstance(context, types.InlineCompletionContext):
        invoked = context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    else:
        invoked = context is None or context.trigger_kind == types.CompletionTriggerKind.Invoked
    return TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC


def _selected_item(context: Context, view: View, encoding: PositionEncoding) -> SelectedItem | None:
    if not isinstance(context, types.InlineCompletionContext):
        return None
    selected = context.selected_completion_info
    if selected is None:
        return None
    ends = (to_lsp_position(selected.range.start), to_lsp_position(selected.range.end))
    start, end = sorted(view.start + view.document.offset_of(at, encoding) for at in ends)
    return SelectedItem(start, end, without_lone_surrogates(selected.text))


@dataclass(frozen=True, slots=True)
class Placed:
    """A suggestion in the document that the editor sees.

    ``[start, end)`` is what it replaces there, on one line that starts at ``line_start``. ``texts``
    are its different texts, best first.
    """

    document: OpenDocument
    offset: int
    line_start: int
    start: int
    end: int
    texts: Sequence[str]

    def range_from(self, anchor: int, encoding: PositionEncoding) -> types.Range:
        """Return the range from ``anchor``, an offset on the line, to the end of the replaced."""
        return types.Range(
            _to_position(self.document.position_of(anchor, encoding)),
            _to_position(self.document.position_of(self.end, encoding)),
        )

    def text_from(self, anchor: int) -> str:
        """Return what stands between ``anchor`` and the replaced."""
        return self.document.snapshot.text[anchor : self.start]


def place(suggestion: Suggestion, request: CompletionRequest, view: View) -> Placed | None:
    """Return where ``suggestion`` goes, None if it cannot be shown there.

    ``view`` is the one that ``request`` asked about.
    """
    document, text = view.document, view.document.snapshot.text
    start, end = suggestion.replace_start - view.start, suggestion.replace_end - view.start
    offset = request.offset - view.start
    line = document.lines.line_of(offset)
    line_start = document.lines.line_start(line)
    if start < line_start or end > document.lines.line_end(text, line):
        return None
    texts = [suggestion.text, *(candidate.text for candidate in suggestion.candidates)]
    different = list(dict.fromkeys(text for text in texts if text))
    return Placed(document, offset, line_start, start, end, different)


def to_inline_items(
    suggestion: Suggestion,
    request: CompletionRequest,
    view: View,
    encoding: PositionEncoding,
) -> list[types.InlineCompletionItem]:
    """Return one item for each different text, best first; none if it cannot be shown.

    ``view`` is the one that ``request`` asked about.
    """
    placed = place(suggestion, request, view)
    if placed is None:
        return []
    selected = request.selected_item
    anchor = min(placed.start, selected.start - view.start if selected else placed.line_start)
    typed = placed.text_from(anchor)
    return [
        types.InlineCompletionItem(
            insert_text=typed + text,
            filter_text=typed + text,
            range=placed.range_from(anchor, encoding),
            command=accepted_command(suggestion),
        )
        for text in placed.texts
    ]


def accepted_command(suggestion: Suggestion) -> types.Command:
    """Return the command by which the client tells that ``suggestion`` was taken."""
    return types.Command("Accepted", ACCEPTED_COMMAND, arguments=[suggestion.request_id])


def _to_position(position: LspPosition) -> types.Position:
    return types.Position(position.line, position.character)
