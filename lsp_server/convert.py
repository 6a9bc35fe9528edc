"""Completion values to LSP values and back; the only place that knows both.

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

from lsprotocol import types
from pygls import uris

from completion.types import (
    CompletionRequest,
    DocumentSnapshot,
    SelectedItem,
    Suggestion,
    TriggerKind,
)
from lsp_server.line_index import LspPosition
from lsp_server.session import ContentChange, OpenDocument
from lsp_server.settings import Settings
from lsp_server.text_units import PositionEncoding

ACCEPTED_COMMAND = "fimble.accepted"


def to_snapshot(item: types.TextDocumentItem) -> DocumentSnapshot:
    """Return an opened document; only ``file:`` URIs have a path."""
    path = uris.to_fs_path(item.uri) if item.uri.startswith("file:") else None
    return DocumentSnapshot(item.uri, item.version, item.language_id, item.text, path)


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
    params: types.InlineCompletionParams,
    document: OpenDocument,
    encoding: PositionEncoding,
    settings: Settings,
    request_id: str,
) -> CompletionRequest:
    """Return what the client asks, about ``document`` as it is now."""
    completion, engine = settings.completion, settings.engine
    invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    return CompletionRequest(
        request_id=request_id,
        document=document.snapshot,
        offset=document.offset_of(to_lsp_position(params.position), encoding),
        trigger=TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC,
        selected_item=_selected_item(params.context, document, encoding),
        num_candidates=completion.num_candidates,
        max_new_tokens=completion.max_new_tokens,
        deadline_ms=completion.deadline_ms,
        temperature=completion.temperature,
        top_p=completion.top_p,
        top_k=completion.top_k,
        use_retrieval=engine.retrieval,
        use_speculation=engine.speculation,
        use_patching=engine.patching,
    )


def _selected_item(
    context: types.InlineCompletionContext, document: OpenDocument, encoding: PositionEncoding
) -> SelectedItem | None:
    selected = context.selected_completion_info
    if selected is None:
        return None
    start = document.offset_of(to_lsp_position(selected.range.start), encoding)
    end = document.offset_of(to_lsp_position(selected.range.end), encoding)
    return SelectedItem(min(start, end), max(start, end), selected.text)


def to_inline_items(
    suggestion: Suggestion,
    request: CompletionRequest,
    document: OpenDocument,
    encoding: PositionEncoding,
) -> list[types.InlineCompletionItem]:
    """Return one item for each different text, best first; none if it cannot be shown.

    ``document`` is the version that ``request`` asked about.
    """
    start, end = suggestion.replace_start, suggestion.replace_end
    line = document.lines.line_of(request.offset)
    line_start = document.lines.line_start(line)
    if start < line_start or end > document.lines.line_end(document.snapshot.text, line):
        return []
    selected = request.selected_item
    anchor = min(start, selected.start if selected else line_start)
    span = types.Range(
        _to_position(document.position_of(anchor, encoding)),
        _to_position(document.position_of(end, encoding)),
    )
    typed = document.snapshot.text[anchor:start]
    return [
        types.InlineCompletionItem(
            insert_text=typed + text,
            filter_text=typed + text,
            range=span,
            command=types.Command(
                title="Accepted", command=ACCEPTED_COMMAND, arguments=[suggestion.request_id]
            ),
        )
        for text in _different_texts(suggestion)
    ]


def _different_texts(suggestion: Suggestion) -> Sequence[str]:
    texts = [suggestion.text, *(candidate.text for candidate in suggestion.candidates)]
    return list(dict.fromkeys(text for text in texts if text))


def _to_position(position: LspPosition) -> types.Position:
    return types.Position(position.line, position.character)
