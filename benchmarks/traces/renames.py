"""Cases in which a name changes wherever it stands, as a rename in an editor does it.

Real ones: the releases of a file differ in the same word for the same other word in two lines or
more. Made-up ones: a name that the file defines gets another, in the manner of its spelling.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.traces.case import (
    MAX_NUM_LINES_AWAY,
    MIN_NUM_LINES_AWAY,
    EditCase,
    EditCategory,
    Question,
    edit_case,
    rest_of_line,
    signed_line_distance,
)
from benchmarks.traces.from_releases import document_of, typed_column
from benchmarks.traces.hunks import Part, diff_of, lines_of
from benchmarks.traces.packages import ChangedFile
from benchmarks.traces.recordings import Origin
from completion.types import TextEdit

MAX_NUM_USES = 20
NUM_SYNTHETIC_USES = (3, 9)  # one of them may be in the line that is being typed
MIN_NUM_NAME_CHARS = 4
MAX_NUM_CASES_PER_NAME = 2
MAX_NUM_SYNTHETIC_NAMES = 4
NUM_TRIES = 12

_TOKEN = re.compile(r"\w+|\W")
_NAME = re.compile(r"[A-Za-z_]\w*")
_DEFINITION = re.compile(
    r"\b(?:def|class|fn|struct|enum|trait|let|let mut|const|static|function|interface|type)"
    r"\s+([A-Za-z_]\w*)"
    r"|^[ \t]*([A-Za-z_]\w*)(?:: [\w\[\], .|]+)? = ",
    re.MULTILINE,
)
_WORD_OF_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SYNONYMS = {
    "args": "arguments", "base": "parent", "call": "invoke", "check": "verify", "ctx": "context",
    "current": "active", "data": "content", "dict": "mapping", "error": "failure", "expr": "expression",
    "file": "document", "find": "locate", "get": "fetch", "id": "key", "index": "position",
    "info": "details", "is": "has", "item": "entry", "items": "entries", "key": "label",
    "kind": "category", "len": "size", "line": "row", "list": "sequence", "name": "title",
    "node": "element", "options": "settings", "path": "location", "result": "outcome",
    "set": "assign", "start": "begin", "state": "status", "text": "content", "type": "kind",
    "value": "content", "values": "contents",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rename:
    """In ``text``, ``new`` stands at each offset of ``places``, where there was ``old``."""

    text: str
    places: tuple[int, ...]
    old: str
    new: str


def real_rename_cases(file: ChangedFile, rng: random.Random) -> Iterator[EditCase]:
    """Yield cases of names that the later release has changed."""
    for rename in real_renames(file):
        yield from _cases_of(file, rename, Origin.RELEASE, rng)


def synthetic_rename_cases(file: ChangedFile, rng: random.Random) -> Iterator[EditCase]:
    """Yield cases of made-up names in the later release."""
    for rename in itertools.islice(synthetic_renames(file.after, rng), MAX_NUM_SYNTHETIC_NAMES):
        yield from _cases_of(file, rename, Origin.SYNTHETIC, rng)


def real_renames(file: ChangedFile) -> list[Rename]:
    """Return the pairs of words of which the later one took the other's place twice or more."""
    diff = diff_of(file.before, file.after)
    places: dict[tuple[str, str], list[int]] = {}
    for part, start in zip(diff.parts, diff.offsets(diff.new_parts), strict=True):
        for words, offset in _replaced_words(part):
            places.setdefault(words, []).append(start + offset)
    return [
        Rename(file.after, tuple(found), old, new)
        for (old, new), found in places.items()
        if 2 <= len(found) <= MAX_NUM_USES
    ]


def _replaced_words(part: Part) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield old and new word with the new one's offset, for lines that differ in nothing else."""
    old_lines, new_lines = lines_of(part.old), lines_of(part.new)
    if len(old_lines) != len(new_lines):
        return
    for old_line, new_line, start in zip(old_lines, new_lines, _starts(new_lines), strict=True):
        old_words, new_words = _TOKEN.findall(old_line), _TOKEN.findall(new_line)
        if len(old_words) != len(new_words):
            continue
        differing = [
            ((old, new), start + offset)
            for old, new, offset in zip(old_words, new_words, _starts(new_words), strict=True)
            if old != new
        ]
        pairs = {words for words, _ in differing}
        if len(pairs) == 1 and all(_NAME.fullmatch(word) for word in next(iter(pairs))):
            yield from differing


def _starts(texts: Sequence[str]) -> list[int]:
    return list(itertools.accumulate((len(text) for text in texts), initial=0))[:-1]


def synthetic_renames(text: str, rng: random.Random) -> Iterator[Rename]:
    """Yield renames of names that ``text`` defines and uses a few times, in random order."""
    names = {first or second for first, second in _DEFINITION.findall(text)}
    wanted = [name for name in names if _is_renamed_by_people(name)]
    for old in rng.sample(sorted(wanted), len(wanted)):
        new = renamed(old, rng)
        num_uses = len(re.findall(rf"\b{old}\b", text))
        is_few = NUM_SYNTHETIC_USES[0] <= num_uses <= NUM_SYNTHETIC_USES[1]
        if not is_few or re.search(rf"\b{new}\b", text):
            continue
        changed = re.sub(rf"\b{old}\b", new, text)
        places = tuple(found.start() for found in re.finditer(rf"\b{new}\b", changed))
        yield Rename(changed, places, old, new)


def _is_renamed_by_people(name: str) -> bool:
    # Short names stand for too much, and names like __init__ belong to the language.
    return len(name) >= MIN_NUM_NAME_CHARS and not name.startswith("__")


def renamed(name: str, rng: random.Random) -> str:
    """Return a plausible other name: a synonym of one of its words, or a word in front of it."""
    words = [found for found in _WORD_OF_NAME.finditer(name) if found.group().lower() in _SYNONYMS]
    if words:
        word = rng.choice(words)
        synonym = _like(_SYNONYMS[word.group().lower()], word.group())
        return name[: word.start()] + synonym + name[word.end() :]
    front = rng.choice(("new", "main", "inner", "other", "local"))
    bare = name.lstrip("_")
    underscores = name[: len(name) - len(bare)]
    if bare.isupper():
        return f"{underscores}{front.upper()}_{bare}"
    if "_" in bare or bare.islower():
        return f"{underscores}{front}_{bare}"
    return underscores + _like(front, bare) + bare[0].upper() + bare[1:]


def _like(word: str, model: str) -> str:
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word


def _cases_of(
    file: ChangedFile, rename: Rename, origin: Origin, rng: random.Random
) -> Iterator[EditCase]:
    num_cases = 0
    for cursor in _cursors(rename, rng):
        case = _rename_case(file, rename, origin, cursor)
        if case is not None:
            yield case
            num_cases += 1
            if num_cases == MAX_NUM_CASES_PER_NAME:
                return


def _cursors(rename: Rename, rng: random.Random) -> list[int]:
    """Return places to complete at, those first where the new name is part of the answer."""
    lines = lines_of(rename.text)
    starts = _starts(lines)
    place_lines = {rename.text.count("\n", 0, place) for place in rename.places}
    near = [
        line_idx
        for line_idx in range(len(lines))
        if any(abs(line_idx - found) <= MAX_NUM_LINES_AWAY for found in place_lines)
    ]
    chosen = rng.sample(sorted(place_lines), len(place_lines))[: NUM_TRIES // 2]
    chosen += rng.sample(near, min(len(near), NUM_TRIES))
    columns = {line_idx: typed_column(lines[line_idx], rng) for line_idx in chosen}
    return [starts[line_idx] + column for line_idx, column in columns.items() if column is not None]


def _rename_case(file: ChangedFile, rename: Rename, origin: Origin, cursor: int) -> EditCase | None:
    truth = rest_of_line(rename.text, cursor)
    text = rename.text[:cursor] + rename.text[cursor + len(truth) :]
    question = Question(text, cursor, truth)
    length = len(rename.new)
    places = [
        place if place < cursor else place - len(truth)
        for place in rename.places
        if not cursor - length < place < cursor + len(truth)
    ]
    distances = [signed_line_distance(text, at, at + length, cursor) for at in places]
    away = [found for found in distances if abs(found) >= MIN_NUM_LINES_AWAY]
    num_visible = sum(abs(found) <= MAX_NUM_LINES_AWAY for found in away)
    is_split = any(place < cursor < place + length for place in rename.places)
    if num_visible < 2 or is_split or not question.is_telling:
        return None
    return edit_case(
        EditCategory.RENAME,
        document_of(file, origin),
        _before(rename, text, cursor, places),
        [TextEdit(place, place + len(rename.old), rename.new) for place in places],
        question,
        distance_lines=min(away, key=abs),
    )


def _before(rename: Rename, text: str, cursor: int, places: Sequence[int]) -> tuple[str, int]:
    """Return text and cursor with the old name at ``places``."""
    growth = len(rename.old) - len(rename.new)
    cursor_before = cursor + growth * sum(place < cursor for place in places)
    for place in reversed(places):
        text = text[:place] + rename.old + text[place + len(rename.new) :]
    return text, cursor_before
