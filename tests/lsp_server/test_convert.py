"""What an inline item looks like to the clients, judged by what the clients do with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lsprotocol import types

from completion.types import Candidate, CompletionRequest, DocumentSnapshot, SelectedItem
from lsp_server.convert import to_inline_items
from lsp_server.line_index import LineIndex
from lsp_server.session import OpenDocument, View
from lsp_server.text_units import PositionEncoding


def asked(marked: str, selected: SelectedItem | None = None) -> tuple[CompletionRequest, View]:
    offset = marked.index("|")
    snapshot = DocumentSnapshot("file:///w/a.py", 1, "python", marked.replace("|", "", 1))
    request = CompletionRequest("id-1", snapshot, offset, selected_item=selected)
    return request, View(OpenDocument(snapshot, LineIndex.of(snapshot.text)), snapshot)


def accepted(text: str, item: types.InlineCompletionItem, document: OpenDocument) -> str:
    """Return the text after a client has put the item's text in place of its range."""
    assert item.range is not None
    start, end = (
        document.offset_of(_ours(position), PositionEncoding.UTF16)
        for position in (item.range.start, item.range.end)
    )
    return text[:start] + str(item.insert_text) + text[end:]


def _ours(position: types.Position) -> Any:
    from lsp_server.line_index import LspPosition

    return LspPosition(position.line, position.character)


@pytest.mark.parametrize(
    ("marked", "text", "replaced_right", "expected"),
    [
        ("x = |\n", "1", 0, "x = 1\n"),
        ("a\n    return |\r\nb", "x + y", 0, "a\n    return x + y\r\nb"),
        ("f(|)\n", "x, y)", 1, "f(x, y)\n"),
        ("😀 = |", "1\n2", 0, "😀 = 1\n2"),
        ("|", "import os\n", 0, "import os\n"),
    ],
)
def test_accepting_an_item_puts_the_suggestion_at_the_cursor(
    make_service: Any, marked: str, text: str, replaced_right: int, expected: str
) -> None:
    request, view = asked(marked)
    plain = make_service().suggestion(request, text)
    suggestion = replace(plain, replace_end=request.offset + replaced_right)
    (item,) = to_inline_items(suggestion, request, view, PositionEncoding.UTF16)
    assert accepted(view.snapshot.text, item, view.document) == expected
    lines = view.document.lines
    line_start = lines.line_start(lines.line_of(request.offset))
    # VS Code shows an item only if the text it replaces up to the cursor begins the filter text.
    assert str(item.filter_text).startswith(view.snapshot.text[line_start : request.offset])
    assert item.range is not None
    assert item.range.start.line == item.range.end.line


def test_a_replacement_to_the_left_keeps_the_rest_of_the_line(make_service: Any) -> None:
    request, view = asked("  foo.forE|\n", SelectedItem(6, 10, "forEach"))
    suggestion = replace(make_service().suggestion(request, "forEach(x)"), replace_start=6)
    (item,) = to_inline_items(suggestion, request, view, PositionEncoding.UTF16)
    assert accepted(view.snapshot.text, item, view.document) == "  foo.forEach(x)\n"
    assert item.range is not None
    assert item.range.start.character == 6, "VS Code wants the selected item's own range"
    assert str(item.insert_text).startswith("forEach")


def test_a_replacement_across_lines_is_not_shown(make_service: Any) -> None:
    request, view = asked("f(|\n)\n")
    plain = make_service().suggestion(request, "x)")
    suggestion = replace(plain, replace_end=request.offset + 2)
    assert to_inline_items(suggestion, request, view, PositionEncoding.UTF16) == []


def test_each_different_candidate_is_one_item_with_the_best_first(make_service: Any) -> None:
    request, view = asked("x = |")
    candidates = tuple(Candidate(text, -1.0) for text in ("1", "2", "1", ""))
    suggestion = replace(make_service().suggestion(request, "1"), candidates=candidates)
    items = to_inline_items(suggestion, request, view, PositionEncoding.UTF16)
    assert [item.insert_text for item in items] == ["x = 1", "x = 2"]
