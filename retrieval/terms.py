"""The words of source text that retrieval compares: names, and the parts names are made of.

    parseHTTPHeader2   parsehttpheader2, parse, http, header
    max_num_lines      max_num_lines, max, num, lines
    token              token

Terms are lower case and two characters or longer. Names beyond ``MAX_NAME_LENGTH`` are encoded
data rather than names, and yield nothing.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable

MAX_NAME_LENGTH = 100
_MIN_TERM_LENGTH = 2
_NUM_REMEMBERED = 1 << 14  # eight times as many cost a worker 50 MB and save it no time

_NAME = re.compile(r"\b[^\W\d]\w*")
# Over shapes, not characters: a run of capitals keeps its last one for the word that follows.
_PART = re.compile(r"U+(?!l)|U?l+|d+")

names_in: Callable[[str], list[str]] = _NAME.findall
"""All names of a text, in order, with repetitions."""


def terms_of(text: str) -> list[str]:
    """Return the terms of ``text``, in order, with repetitions."""
    return [term for name in names_in(text) for term in terms_of_name(name)]


@functools.lru_cache(maxsize=_NUM_REMEMBERED)
def _terms_of_short_name(name: str) -> tuple[str, ...]:
    shape = name.translate(_SHAPES)
    parts = [name[part.start() : part.end()].lower() for part in _PART.finditer(shape)]
    if not parts:
        return ()
    whole = name.lower()
    terms = parts if parts == [whole] else [whole, *parts]
    return tuple(term for term in terms if len(term) >= _MIN_TERM_LENGTH)


def terms_of_name(name: str) -> tuple[str, ...]:
    """Return the terms of one name: all of it, then its parts if there are several."""
    return _terms_of_short_name(name) if len(name) <= MAX_NAME_LENGTH else ()


@functools.lru_cache(maxsize=_NUM_REMEMBERED)
def term_hash(term: str) -> int:
    """Return 64 bits of BLAKE2b of ``term``: the same in every process and on every machine."""
    encoded = term.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


class _Shapes(dict[int, str]):
    """From a code point to its class: upper case, digit, letter of any other kind, or a gap."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        if character.isupper():
            return "U"
        if character.isnumeric():
            return "d"
        return "l" if character.isalpha() else "_"


_SHAPES = _Shapes({code_point: _Shapes()[code_point] for code_point in range(128)})
