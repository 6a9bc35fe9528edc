from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.types import DocumentSnapshot
from lsp_server.line_index import LspPosition
from lsp_server.proxy.texts import Lines
from lsp_server.session import ContentChange, Session
from lsp_server.text_units import PositionEncoding

PIECES = ["a", "\n", "\r", "\r\n", "é", "漢", "😀", "\u2028", "\f", "\ud800"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
POSITION = st.tuples(st.integers(0, 8), st.integers(0, 12))
EDIT = st.tuples(POSITION, POSITION, TEXT)


@given(TEXT, st.lists(EDIT, max_size=8), st.sampled_from(list(PositionEncoding)))
def test_a_change_leads_to_the_same_text_as_in_the_session(
    text: str, edits: list[tuple[tuple[int, int], tuple[int, int], str]], encoding: PositionEncoding
) -> None:
    session = Session()
    session.encoding = encoding
    session.open(DocumentSnapshot("u", 0, "python", text, None))
    lines = Lines(text)
    for version, (start, end, inserted) in enumerate(edits, 1):
        span = (LspPosition(*start), LspPosition(*end))
        session.change("u", version, [ContentChange(inserted, span)])
        lines.replace(start, end, inserted, encoding)
        document = session.find("u")
        assert document is not None
        assert lines.text == document.snapshot.text
        # The next position is counted in lines: these have to agree as well as the text.
        assert lines._lines == Lines(lines.text)._lines


@pytest.mark.parametrize("text", ["", "\n", "a\r", "a\r\nb", "\r\r\n\n"])
def test_a_text_is_kept_as_it_is(text: str) -> None:
    assert Lines(text).text == text
