"""Many edits of one text: the same text as edit by edit, in a time that does not multiply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from completion.types import TextEdit, apply_edits
from lsp_server.http.documents_schema import MAX_NUM_EDITS
from lsp_server.http.editing import edited


@st.composite
def texts_and_edits(draw: st.DrawFn) -> tuple[str, list[TextEdit]]:
    """Return a text and edits of which each is possible in what the one before it left."""
    first = text = draw(st.text("ab😀é\n", max_size=12))
    edits: list[TextEdit] = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, len(text)))
        edits.append(TextEdit(start, end, draw(st.text("xy😀", max_size=4))))
        text = apply_edits(text, edits[-1:])
    return first, edits


@given(texts_and_edits())
def test_the_text_is_that_of_edit_by_edit(case: tuple[str, list[TextEdit]]) -> None:
    text, edits = case
    assert edited(text, edits) == apply_edits(text, edits)


class CountedText(str):
    """A text that counts how many of its characters are copied."""

    __slots__ = ("num_copied",)
    num_copied: int

    def __getitem__(self, key: object) -> str:
        assert isinstance(key, slice)
        found = str.__getitem__(self, key)
        self.num_copied += len(found)
        return found


def test_a_text_is_copied_once_however_many_edits_there_are() -> None:
    text = CountedText("a" * 100_000)
    text.num_copied = 0
    edits = [TextEdit(at * 50, at * 50 + 1, "b") for at in range(MAX_NUM_EDITS)]
    changed = edited(text, edits)
    assert changed.count("b") == MAX_NUM_EDITS
    assert text.num_copied <= len(text)
