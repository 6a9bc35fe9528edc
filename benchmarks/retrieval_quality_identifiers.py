"""The words of a text, and the identifiers of its code, by regular expressions.

These are the measure's own: what it measures has others.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass

MIN_NUM_CHARS = 3  # of an identifier; shorter ones are found everywhere

_WORD = re.compile(r"[^\W\d]\w*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_STRING = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
_PYTHON = rf"\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)|{_STRING}|\#[^\n]*"
_BRACES = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_NOT_CODE = {
    "python": _PYTHON,
    "typescript": rf"{_BRACES}|{_STRING}|`(?:\\.|[^`\\])*`",
    # A quote also begins a lifetime, and a string goes on over the end of its line.
    "rust": rf"{_BRACES}|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\\n])'",
}
_CODE = {
    language: re.compile(rf"{pattern}|(?P<name>{_WORD.pattern})", re.DOTALL)
    for language, pattern in _NOT_CODE.items()
}
_TYPESCRIPT_KEYWORDS = """abstract any as async await boolean break case catch class const continue
    default delete do else enum export extends false finally for from function get if implements
    import in instanceof interface keyof let never new null number of private protected public
    readonly return set static string super switch this throw true try type typeof undefined
    unknown var void while yield"""
_RUST_KEYWORDS = """as async await break const continue crate dyn else enum extern false fn for if
    impl in let loop match mod move mut pub ref return self Self static struct super trait true
    type unsafe use where while Some None Ok Err Option Result String Vec bool str usize"""
_KEYWORDS = {
    "python": frozenset([*keyword.kwlist, *dir(builtins), "self", "cls"]),
    "typescript": frozenset(_TYPESCRIPT_KEYWORDS.split()),
    "rust": frozenset(_RUST_KEYWORDS.split()),
}


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name in code, not in a string or a comment, at ``offset``."""

    name: str
    offset: int


def family_of(language_id: str) -> str:
    """Return the language whose rules hold: TypeScript's for its dialects as well."""
    return language_id.removesuffix("react")


def identifiers(text: str, language_id: str) -> Iterator[Identifier]:
    """Yield the identifiers of ``text``, but keywords and names that every program has."""
    family = family_of(language_id)
    known = _KEYWORDS[family]
    for match in _CODE[family].finditer(text):
        name = match["name"]
        if name is not None and len(name) >= MIN_NUM_CHARS and name not in known:
            yield Identifier(name, match.start())


def words(text: str) -> frozenset[str]:
    """Return every word of ``text``, be it code or prose."""
    return frozenset(_WORD.findall(text))


def is_keyword(word: str, language_id: str) -> bool:
    """Whether ``word`` means the same in every program of the language."""
    return word in _KEYWORDS.get(family_of(language_id), ())


def terms(text: str) -> Iterator[str]:
    """Yield what an index counts: each word in lower case, and the parts of a compound one."""
    for word in _WORD.findall(text):
        yield word.lower()
        parts = _PART.findall(word)
        if len(parts) > 1:
            yield from (part.lower() for part in parts)
