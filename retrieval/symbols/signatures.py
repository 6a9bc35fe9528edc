"""What a definition looks like from outside: its opening on one line, and what its comment says.

Both are cut out of the bytes of the source, which costs far less than asking the tree.
"""

from __future__ import annotations

import re

MAX_SIGNATURE = 200
MAX_DOC = 120
_MAX_NUM_COMMENT_LINES = 200
_MAX_BYTES = 1000  # of an opening that are looked at: the rest would be cut off anyway
_KEPT_DECORATORS = frozenset(
    {"property", "cached_property", "staticmethod", "classmethod", "abstractmethod", "dataclass"}
)
_DECORATOR = re.compile(r"@(?:\w+\.)*(\w+)")
_LINE_COMMENT = re.compile(r"(?:(?<=\s)|^)(?:#(?=\s)|//)[^\n]*", re.MULTILINE)
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SPACE = re.compile(r"\s+")
_AFTER_OPENING = re.compile(r"([(\[]) ")
_BEFORE_CLOSING = re.compile(r",? ([)\]])")
_DOCSTRING = re.compile(rb"[rRuU]?(\"\"\"|'''|\"|')")
_TRIMMED = " \t\r\n;{="


def signature_of(source: bytes, start: int, end: int) -> str:
    """Return ``source[start:end]`` on one line, without comments and most decorators."""
    text = decoded(source[start : min(end, start + _MAX_BYTES)])
    if "\n" in text:
        text = _BLOCK_COMMENT.sub(" ", _LINE_COMMENT.sub("", text))
    if text.startswith(("@", "[")):
        text = _without_decorators(text)
    return one_line(text)


def one_line(text: str) -> str:
    """Return ``text`` on one line as it were written on one, cut to ``MAX_SIGNATURE``."""
    if not text.isprintable():
        text = _SPACE.sub(" ", text)
        text = _BEFORE_CLOSING.sub(r"\1", _AFTER_OPENING.sub(r"\1", text))
    text = text.strip().rstrip(_TRIMMED)
    return text if len(text) <= MAX_SIGNATURE else text[: MAX_SIGNATURE - 1] + "…"


def doc_of(source: bytes, start: int, docstring_start: int | None) -> str:
    """Return the first line that documents what begins at ``start``, or an empty string.

    It stands in a docstring at ``docstring_start``, or in the comment right above.
    """
    if docstring_start is not None:
        return _docstring(source, docstring_start)
    line_start = source.rfind(b"\n", 0, start) + 1
    if source[line_start:start].strip():
        return ""  # the comment is that of what the line begins with
    comment: list[bytes] = []
    for _ in range(_MAX_NUM_COMMENT_LINES):
        end = line_start - 1
        if end <= 0:
            break
        line_start = source.rfind(b"\n", 0, end) + 1
        line = source[line_start:end].strip()
        if line.startswith((b"#[", b"@")) and not comment:
            continue
        if not line.startswith((b"/", b"*", b"# ")) or line.startswith(b"//!"):
            break
        comment.append(line)
        if line.startswith(b"/*"):
            break
    lines = (decoded(line.strip(b"/*#! \t\r")) for line in reversed(comment))
    return next((_shortened(line) for line in lines if line), "")


def decoded(source: bytes) -> str:
    """Return bytes of a document as text; what is cut through or not UTF-8 is replaced."""
    return source.decode("utf-8", "replace")


def _docstring(source: bytes, start: int) -> str:
    opening = _DOCSTRING.match(source, start)
    if opening is None:
        return ""
    quote = opening[1]
    end = source.find(quote, opening.end(), opening.end() + _MAX_BYTES)
    lines = decoded(source[opening.end() : end if end >= 0 else opening.end()]).split("\n")
    return next((_shortened(line) for line in lines if line.strip()), "")


def _shortened(line: str) -> str:
    line = line.strip()
    return line if len(line) <= MAX_DOC else line[: MAX_DOC - 1] + "…"


def _without_decorators(text: str) -> str:
    """Drop the decorators, annotations or attributes that ``text`` begins with.

    Those stay that change how the thing is used: ``@property``.
    """
    kept, text = [], text.lstrip()
    while text.startswith(("@", "[")):
        match = _DECORATOR.match(text)
        if match is not None and match[1] == "interface":  # Java's way to define an annotation
            break
        end = match.end() if match is not None else 0
        if match is not None and match[1] in _KEPT_DECORATORS:
            kept.append("@" + match[1])
        # A mark that nothing follows is dropped too, so that every round comes nearer to the end.
        text = text[max(1, _closing(text, end)) :].lstrip()
    return " ".join((*kept, text))


def _closing(text: str, start: int) -> int:
    """Return where the bracket at ``start`` is closed; ``start`` if there is none."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth <= 0:
            return at + 1 if at > start or text[at] in ")]}" else start
    return len(text)
