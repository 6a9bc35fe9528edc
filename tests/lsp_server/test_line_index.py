"""Positions against a slow reference that walks the text one character at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.types import TextEdit, apply_edits
from lsp_server.line_index import LineIndex, LspPosition
from lsp_server.text_units import PositionEncoding

# Line ends, things str.splitlines takes for line ends, one to four byte characters, a letter.
ALPHABET = "\r\n\r\na \t\x0b\x0c\x1c\x85\u2028\u2029é漢😀"
texts = st.text(alphabet=ALPHABET, max_size=40)
encodings = st.sampled_from(list(PositionEncoding))


def slow_starts(text: str) -> list[int]:
    starts, offset = [0], 0
    while offset < len(text):
        if text[offset] == "\r" and text[offset + 1 : offset + 2] == "\n":
            offset += 2
            starts.append(offset)
        elif text[offset] in "\r\n":
            offset += 1
            starts.append(offset)
        else:
            offset += 1
    return starts


def slow_offset(text: str, position: LspPosition, encoding: PositionEncoding) -> int:
    starts = slow_starts(text)
    if position.line >= len(starts):
        return len(text)
    offset, units = starts[position.line], 0
    while offset < len(text) and text[offset] not in "\r\n":
        units += width(text[offset], encoding)
        if units > position.character:
            break
        offset += 1
    return offset


def width(character: str, encoding: PositionEncoding) -> int:
    if encoding is PositionEncoding.UTF8:
        return len(character.encode())
    if encoding is PositionEncoding.UTF16:
        return 2 if ord(character) > 0xFFFF else 1
    return 1


@given(texts)
def test_line_starts_match_the_slow_reference(text: str) -> None:
    assert LineIndex.of(text).starts.tolist() == slow_starts(text)


@given(texts, st.integers(0, 50), st.integers(0, 120), encodings)
def test_positions_match_the_slow_reference(
    text: str, line: int, character: int, encoding: PositionEncoding
) -> None:
    position = LspPosition(line, character)
    offset = LineIndex.of(text).offset_of(text, position, encoding)
    assert offset == slow_offset(text, position, encoding)


@given(texts, st.integers(0, 40), encodings)
def test_every_offset_outside_a_crlf_survives_the_round_trip(
    text: str, offset: int, encoding: PositionEncoding
) -> None:
    offset = min(offset, len(text))
    index = LineIndex.of(text)
    back = index.offset_of(text, index.position_of(text, offset, encoding), encoding)
    inside_crlf = text[max(offset - 1, 0) : offset + 1] == "\r\n"
    assert back == (offset - 1 if inside_crlf else offset)


@given(texts, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), texts), max_size=6))
def test_an_edited_index_equals_a_fresh_one(text: str, edits: list[tuple[int, int, str]]) -> None:
    index = LineIndex.of(text)
    for first, second, inserted in edits:
        start, end = sorted((min(first, len(text)), min(second, len(text))))
        edit = TextEdit(start, end, inserted)
        text = apply_edits(text, [edit])
        index = index.after_edit(edit, text)
        assert index.starts.tolist() == slow_starts(text)


@pytest.mark.parametrize(
    ("text", "line", "character", "encoding", "expected"),
    [
        ("a\u2028b\x0cc\x0bd\x85e\nx", 1, 0, PositionEncoding.UTF16, 10),
        ("😀x", 0, 1, PositionEncoding.UTF16, 0),  # inside a surrogate pair: rounds down
        ("😀x", 0, 2, PositionEncoding.UTF16, 1),
        ("éx", 0, 1, PositionEncoding.UTF8, 0),  # inside a UTF-8 sequence: rounds down
        ("😀x", 0, 4, PositionEncoding.UTF8, 1),
        ("😀x", 0, 1, PositionEncoding.UTF32, 1),
        ("ab\r\ncd", 0, 99, PositionEncoding.UTF16, 2),  # past the line: its end
        ("ab\rcd", 1, 1, PositionEncoding.UTF16, 4),
        ("ab\n", 99, 0, PositionEncoding.UTF16, 3),  # past the document: its end
        ("", 0, 0, PositionEncoding.UTF16, 0),
        ("ab", -1, 5, PositionEncoding.UTF16, 0),
        ("ab", 0, -5, PositionEncoding.UTF16, 0),
    ],
)
def test_a_position_means_the_offset_lsp_says(
    text: str, line: int, character: int, encoding: PositionEncoding, expected: int
) -> None:
    assert LineIndex.of(text).offset_of(text, LspPosition(line, character), encoding) == expected
