"""Bracket depth of code, read line by line, with strings and comments left out.

A syntax tree of half-written code says little about brackets, because the parser invents or drops
some to recover. Counting them lexically is dull and dependable.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from retrieval.languages import Language

PAIRS = {"(": ")", "[": "]", "{": "}"}
OPENERS = "".join(PAIRS)
CLOSERS = "".join(PAIRS.values())


@dataclass(frozen=True, slots=True)
class BracketState:
    """What stands open at a place in the code.

    ``open`` are the unclosed openers, outermost first. ``unmatched`` are the closers met while
    nothing stood open, in order. ``inside`` is the delimiter that ends the string or comment the
    place lies in, ``""`` in plain code.
    """

    open: str = ""
    unmatched: str = ""
    inside: str = ""


@dataclass(frozen=True, slots=True)
class _Lexicon:
    token: re.Pattern[str]
    closing_delimiters: dict[str, str]


@functools.cache
def _lexicon(language: Language | None) -> _Lexicon:
    if language is None:
        return _Lexicon(re.compile(r"(?P<bracket>[()\[\]{}])"), {})
    delimiters = dict(language.multiline_quotes)
    quotes = re.escape(language.line_quotes)
    alternatives = [
        rf"(?P<skipped>\\.|{re.escape(language.line_comment)}[^\n]*"
        # a quoted single character, for languages whose lone quote is no string
        r"|'(?:\\[^\n]|[^\\'\n])')",
        "(?P<multiline>" + "|".join(re.escape(opener) for opener in delimiters) + ")",
        rf"(?P<string>(?P<quote>[{quotes}])(?:\\[^\n]|(?!(?P=quote))[^\\\n])*(?:(?P=quote)|\\?))",
        r"(?P<bracket>[()\[\]{}])",
    ]
    return _Lexicon(re.compile("|".join(alternatives)), delimiters)


def scan_brackets(
    text: str, language: Language | None, state: BracketState | None = None
) -> BracketState:
    """Return the state behind ``text`` when it follows code that ended in ``state``.

    ``text`` should begin where a line begins: a string of one line is closed by the line's end.
    """
    state = state or BracketState()
    brackets, inside = _lex(text, language, state.inside)
    stack = list(state.open)
    unmatched = list(state.unmatched)
    for _, bracket in brackets:
        _step(bracket, stack, unmatched)
    return BracketState("".join(stack), "".join(unmatched), inside)


def depth(state: BracketState) -> int:
    """Return how many brackets stand open; negative if more were closed than opened."""
    return len(state.open) - len(state.unmatched)


def find_surplus_closer(
    text: str, language: Language | None, state: BracketState, floor: float
) -> int | None:
    """Return the offset in ``text`` of the first closer that takes the depth below ``floor``."""
    level = depth(state)
    for offset, bracket in _lex(text, language, state.inside)[0]:
        level += 1 if bracket in PAIRS else -1
        if level < floor:
            return offset
    return None


def _lex(text: str, language: Language | None, inside: str) -> tuple[list[tuple[int, str]], str]:
    """Return the brackets of ``text`` with their offsets, and the delimiter it ends inside."""
    lexicon = _lexicon(language)
    brackets = []
    position = 0
    while True:
        if inside:
            position = _behind_delimiter(text, inside, position)
            if position < 0:
                break
            inside = ""
        match = lexicon.token.search(text, position)
        if match is None:
            break
        position = match.end()
        if match.lastgroup == "bracket":
            brackets.append((match.start(), match.group()))
        elif match.lastgroup == "multiline":
            inside = lexicon.closing_delimiters[match.group()]
    return brackets, inside


def ends_inside_string(line: str, language: Language | None, state: BracketState) -> bool:
    """Whether the end of ``line``, which began in ``state``, lies in a string or comment."""
    if scan_brackets(line, language, state).inside:
        return True
    # A probe bracket that is not counted has been swallowed by a string or comment.
    probe = scan_brackets(line + "(", language, state)
    return language is not None and len(probe.open) == len(
        scan_brackets(line, language, state).open
    )


def _behind_delimiter(text: str, delimiter: str, position: int) -> int:
    """Return the position behind the next unescaped ``delimiter``, or -1."""
    while (found := text.find(delimiter, position)) >= 0:
        before = text[max(0, found - 32) : found]
        backslashes = len(before) - len(before.rstrip("\\"))
        if delimiter == "*/" or backslashes % 2 == 0:
            return found + len(delimiter)
        position = found + 1
    return -1


def _step(bracket: str, stack: list[str], unmatched: list[str]) -> None:
    if bracket in PAIRS:
        stack.append(bracket)
    elif stack:
        # A closer of the wrong kind still closes: half-written code has both, and a strict
        # match would leave the depth wrong for the whole rest of the file.
        stack.pop()
    else:
        unmatched.append(bracket)
