"""What stands around the cursor, and what lines say about the type of a name, read as text.

The line of the cursor is broken more often than not, and a tree of it says little; these few
patterns hold on whatever is typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WINDOW = 2000  # characters before the cursor that an expression or a call may span
_MAX_NUM_MENTIONS = 60  # of a variable that are looked at, upwards from the cursor
_MAX_LINE = 400
_MAX_NAME = 100
_MAX_NUM_GROUPS = 3  # brackets around the cursor that may be the call's
_PARTIAL = re.compile(r"[\w$]*\Z")
_SEPARATOR_BEFORE = re.compile(r"\s*(?:[?!]?\.|::|->)\s*\Z")
_SEPARATOR = re.compile(r"\s*(?:[?!]?\.|::|->)\s*")
_NAME_BEFORE = re.compile(r"[A-Za-z_$][\w$]*\Z")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_BEFORE_VALUE = re.compile(r"(?:await|new|yield|&mut)\s+|[&*]\s*")
_GENERIC = re.compile(r"(?:::)?<[\w\s,.:<>\[\]'&]*>(?=\s*[({]|::|\s*\Z)")
_SPACED_BRACE = re.compile(r"\s*\{")
_END_OF_VALUE = re.compile(r"\s*(?:\Z|[;,)\]}#?]|//|or\b|as\b|else\b)")
_DEFINES = re.compile(r"\b(?:def|class|function|fn|func)\s+(?:\([^()]*\)\s*)?\Z")
# The name of a type before its fields. A signature or a block that opens is none.
_LITERAL = re.compile(
    r"(?:[=(,{}\[&;|]|=>|\w:|\b(?:return|new))\s*((?:\w+(?:::|\.))*[A-Z]\w*[a-z]\w*)\s*\Z"
)
_ELEMENT = re.compile(r"<([A-Z]\w*(?:\.\w+)*)\s(?:[^<>{}]|\{[^{}]*\})*\Z")  # of JSX, unclosed
_BRACKET = re.compile(r"[()\[\]{}]")
_OPENING, _CLOSING = "([{", ")]}"

_ANNOTATED = re.compile(r"\s*[?!]?\s*:(?![:=])\s*([^=,;(){}\n]+)")
_ASSIGNED = re.compile(r"\s*:?=(?![=>])\s*(\S.*)")
_ASSIGNED_FIRST = re.compile(r"(?:\s*,\s*\w+)*\s*:?=(?!=)\s*(\S.*)")
_TYPE_BEHIND = re.compile(r"(?:\s*,\s*\w+)*\s+(\*?[A-Za-z_][\w.]*)")
_TYPE_BEFORE = re.compile(r"([A-Za-z_][\w.:]*(?:<[^;(){}]*>)?(?:\[\])?)[\s*&]+\Z")
_PATTERN = re.compile(r"\blet\s+(?:\w+::)*\w+\((?:(?:ref|mut)\s+)?\Z")
_MATCHED = re.compile(r"\)\s*=\s*([^\s{][^{]*)")
_OPENED_AS = re.compile(r"\bwith\s+(.+?)\s+as\s+\Z")
_NO_TYPES = frozenset({"return", "new", "throw", "else", "case", "import", "package", "delete"})
_TYPED_BEHIND_COLON = frozenset({"Python", "TypeScript", "TSX", "Rust"})
_TYPED_BEFORE = frozenset({"Java", "C", "C++", "C#"})


@dataclass(frozen=True, slots=True)
class Step:
    """One name of ``a.b().c``; ``is_called`` where brackets of a call or of values follow it."""

    name: str
    is_called: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is being typed: ``partial`` behind ``receiver.``, as an argument of ``callee``."""

    partial: str
    receiver: tuple[Step, ...] = ()
    callee: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Hint:
    """What a line says of a name: the text of its type, or the expression it is set to."""

    type: str = ""
    value: tuple[Step, ...] = ()


def cursor_at(text: str, offset: int) -> Cursor:
    """Return what is being typed at ``offset``."""
    before = text[max(0, offset - _WINDOW) : offset]
    partial = _last(_PARTIAL, before)
    rest = before[: len(before) - len(partial)]
    separator = _last(_SEPARATOR_BEFORE, rest)
    receiver = _expression_before(rest[: len(rest) - len(separator)]) if separator else ""
    return Cursor(partial, steps_of(receiver) or (), _callee(rest))


def steps_of(expression: str) -> tuple[Step, ...] | None:
    """Return the names of ``a.b(...).c``; None if the text is, or goes on as, something else."""
    steps: list[Step] = []
    at = 0
    while prefix := _BEFORE_VALUE.match(expression, at):
        at = prefix.end()
    while name := _NAME.match(expression, at):
        at = name.end()
        bracket, at = _skip_groups(expression, at)
        if bracket == "[":
            return None
        steps.append(Step(name[0], bool(bracket)))
        separator = _SEPARATOR.match(expression, at)
        if separator is None:
            break
        at = separator.end()
    return tuple(steps) if steps and _END_OF_VALUE.match(expression, at) else None


def hints_for(language: str, text: str, offset: int, name: str) -> Iterator[Hint]:
    """Yield what the lines above ``offset`` say of a variable, the nearest first."""
    at = offset
    for _ in range(_MAX_NUM_MENTIONS):
        at = text.rfind(name, 0, at)
        if at < 0:
            return
        end = at + len(name)
        if _is_word(text, at, end):
            line_start = max(text.rfind("\n", 0, at) + 1, at - _MAX_LINE)
            line_end = text.find("\n", end)
            line_end = min(line_end if line_end >= 0 else len(text), end + _MAX_LINE)
            hint = hint_in(language, text[line_start:at], text[end:line_end])
            if hint is not None:
                yield hint


def hint_in(language: str, before: str, after: str) -> Hint | None:
    """Return what a line says of the name between ``before`` and ``after``."""
    if language in _TYPED_BEHIND_COLON and (match := _ANNOTATED.match(after)):
        return Hint(type=match[1].strip())
    if language == "Go":
        if match := _ASSIGNED_FIRST.match(after):
            return _value(match[1])
        return Hint(type=match[1]) if (match := _TYPE_BEHIND.match(after)) else None
    if (
        language in _TYPED_BEFORE
        and (match := _TYPE_BEFORE.search(before))
        and match[1] not in _NO_TYPES
        and match[1] != "var"
    ):
        return Hint(type=match[1])
    if match := _ASSIGNED.match(after):
        return _value(match[1])
    if language == "Rust" and _PATTERN.search(before) and (match := _MATCHED.match(after)):
        return _value(match[1])
    return _value(match[1]) if (match := _OPENED_AS.search(before)) else None


def _value(text: str) -> Hint | None:
    steps = steps_of(text.rstrip())
    return Hint(value=steps) if steps else None


def _callee(before: str) -> tuple[Step, ...]:
    """Return the function, type or element whose arguments or fields ``before`` ends in."""
    if element := _ELEMENT.search(before):
        return steps_of(element[1]) or ()
    depth = num_groups = 0
    for bracket in reversed(list(_BRACKET.finditer(before))):
        character, at = bracket[0], bracket.start()
        depth += 1 if character in _CLOSING else -1
        if depth < 0:
            depth = 0
            expression = _expression_before(before[:at]) if character == "(" else ""
            if expression:
                head = before[: at - len(expression)]
                return () if _DEFINES.search(head) else steps_of(expression) or ()
            at_type = max(0, at - 2 * _MAX_NAME)
            if character == "{" and (literal := _LITERAL.search(before[:at], at_type)):
                return steps_of(literal[1]) or ()
            num_groups += 1
            if num_groups == _MAX_NUM_GROUPS:
                break
    return ()


def _expression_before(text: str) -> str:
    """Return the ``a.b(...)`` that ``text`` ends with."""
    start = len(text)
    while True:
        at = start
        while at and text[at - 1] in ")]":
            at = _opening(text, at)
        name = _last(_NAME_BEFORE, text[:at])
        if not name:
            return text[start:].lstrip(".:->?! \t\r\n")
        start = at - len(name)
        separator = _last(_SEPARATOR_BEFORE, text[:start])
        if not separator:
            return text[start:]
        start -= len(separator)


def _skip_groups(text: str, at: int) -> tuple[str, int]:
    """Return the last bracket that follows the name before ``at``, and where its group ends."""
    bracket = ""
    generic = _GENERIC.match(text, at)
    at = generic.end() if generic is not None else at
    while at < len(text) and text[at] in _OPENING:
        bracket, at = text[at], _closing(text, at)
    spaced = _SPACED_BRACE.match(text, at)
    if spaced is not None and not bracket:
        bracket, at = "{", _closing(text, spaced.end() - 1)
    return bracket, at


def _closing(text: str, start: int) -> int:
    """Return the end of the group that opens at ``start``; that of the text if it stays open."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in _OPENING) - (text[at] in _CLOSING)
        if depth == 0:
            return at + 1
    return len(text)


def _opening(text: str, end: int) -> int:
    """Return the start of the group that closes right before ``end``; 0 if it has none."""
    depth = 0
    for at in range(end - 1, -1, -1):
        depth += (text[at] in _CLOSING) - (text[at] in _OPENING)
        if depth == 0:
            return at
    return 0


def _is_word(text: str, start: int, end: int) -> bool:
    outside = text[start - 1 : start] + text[end : end + 1]
    return not any(character.isalnum() or character in "_$" for character in outside)


def _last(pattern: re.Pattern[str], text: str) -> str:
    """Return what ``pattern`` matches at the end of ``text``; a look from its start costs more."""
    match = pattern.search(text, max(0, len(text) - _MAX_NAME))
    return match[0] if match is not None else ""
