"""Bytes to text, without guessing more than source files need."""

from __future__ import annotations

import codecs
import re

# Both UTF-32 marks would pass for UTF-16: they are looked for first.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# PEP 263; Emacs and Vim write and read the same in other languages.
_DECLARATION = re.compile(rb"\A(?:[^\n]*\n)?[^\n]*?coding[:=][ \t]*([-\w.]+)")
# Of all codecs, those that files are written in; others unpack, escape or take quadratic time.
_DECLARABLE = frozenset(
    {"big5", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "mac-roman", "shift_jis"}
    | {f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))}
    | {f"cp{page}" for page in (437, 850, 852, 866, 932, 949, *range(1250, 1259))}
    | {"koi8-r", "koi8-u"}
)
_FALLBACK = "cp1252"
# No text has these, not even an old one: bell, backspace and escape happen.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\a\b\t\n\v\f\r\x1a\x1b"))
_MAX_CONTROL_SHARE = 0.001


def decode(content: bytes) -> str | None:
    """Return the text that ``content`` encodes, without its byte order mark; ``None`` if binary.

    Tried are the byte order mark, UTF-8, a declaration in the first two lines, and then Windows-1252
    with U+FFFD for what it lacks, in which at least ASCII comes out right. Line ends stay as they
    are.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            text = _strictly(content[len(mark) :], encoding)
            return None if text is None or "\0" in text else text
    if b"\0" in content:
        return None
    text = _strictly(content, "utf-8")
    return _single_byte_text(content) if text is None else text


def _single_byte_text(content: bytes) -> str | None:
    num_controls = len(content) - len(content.translate(None, _CONTROLS))
    if num_controls > _MAX_CONTROL_SHARE * len(content):
        return None
    encoding = _declared(content)
    text = _strictly(content, encoding) if encoding else None
    return content.decode(_FALLBACK, "replace") if text is None else text


def _declared(content: bytes) -> str | None:
    found = _DECLARATION.match(content)
    if found is None:
        return None
    try:
        name = codecs.lookup(found.group(1).decode("ascii", "replace")).name
    except (LookupError, ValueError):
        return None
    return name if name in _DECLARABLE else None


def _strictly(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None
