"""Line ends and code units as LSP counts them; without numpy, so that the proxy may know them too."""

from __future__ import annotations

import re
from enum import StrEnum

# LSP knows three line ends. ``str.splitlines`` knows eight more (a form feed, U+2028 ...), so it
# must not be used on documents: every position below such a character would be one line off.
LINE_END = re.compile(r"\r\n|\r|\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class PositionEncoding(StrEnum):
    """The unit in which the client counts ``character``; values are LSP's names."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


def num_characters(line_text: str, num_units: int, encoding: PositionEncoding) -> int:
    """Return how many whole characters the first ``num_units`` code units of a line make.

    A character cut in two does not count, so a position inside one means its start.
    """
    if encoding is PositionEncoding.UTF32 or line_text.isascii():
        return min(num_units, len(line_text))
    unit_bytes = 1 if encoding is PositionEncoding.UTF8 else 2
    codec = "utf-8" if encoding is PositionEncoding.UTF8 else "utf-16-le"
    head = line_text.encode(codec)[: num_units * unit_bytes]
    # The character cut in two is the only thing that can fail to decode.
    return len(head.decode(codec, errors="ignore"))


def num_code_units(text: str, encoding: PositionEncoding) -> int:
    """Return the length of ``text`` in code units."""
    if encoding is PositionEncoding.UTF32 or text.isascii():
        return len(text)
    if encoding is PositionEncoding.UTF8:
        return len(text.encode())
    return len(text.encode("utf-16-le")) // 2


def without_lone_surrogates(text: str) -> str:
    """Return ``text`` in which every character can be encoded.

    JSON may carry half of a surrogate pair, which no tokenizer and no file accepts. U+FFFD takes
    the same number of units in all three encodings, so no position moves.
    """
    if text.isascii() or not _LONE_SURROGATE.search(text):
        return text
    return _LONE_SURROGATE.sub("\ufffd", text)
