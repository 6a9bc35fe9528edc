"""Cases out of two releases of a file: one hunk is being typed, others are the edits.

All that changed between the releases is done, but for the line at the cursor, of which a third to
a half is typed, and the rest of its hunk, which is as it was.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.traces.case import (
    MAX_NUM_LINES_AWAY,
    Document,
    EditCase,
    EditCategory,
    Question,
    edit_case,
    nearest_away,
    signed_line_distance,
)
from benchmarks.traces.hunks import FileDiff, Part, PartKind, diff_of, lines_of
from benchmarks.traces.packages import ChangedFile
from benchmarks.traces.recordings import Origin, language_id_of, minimal_edit
from completion.types import ContextChunk, TextEdit

MIN_NUM_LINE_CHARS = 8  # not counting blanks
MAX_NUM_CHANGED_LINES = 40  # of a hunk; more is no small edit
MAX_NUM_CASES_PER_HUNK = 3
MAX_NUM_CASES_PER_FILE = 3  # of a chunk that changes: the places hardly matter
MAX_NUM_PLACES = 5
MIN_NUM_CHANGED_CHARS = 4
NUM_CHUNKS = (2, 4)
NUM_CHUNK_LINES = (10, 20)

_KINDS = {
    EditCategory.INSERTION: {PartKind.INSERTION},
    EditCategory.DELETION: {PartKind.DELETION},
    EditCategory.MULTI_PLACE: set(PartKind),
}


@dataclass(frozen=True, slots=True)
class Cut:
    """A part that is being typed: ``shown`` is there so far, the cursor at ``cursor`` in it."""

    part_idx: int
    shown: str
    cursor: int
    truth: str


def document_of(file: ChangedFile, origin: Origin = Origin.RELEASE) -> Document:
    """Return what a file's cases say about where they come from."""
    return Document(file.name, file.path, file.language_id, origin)


def typed_column(line: str, rng: random.Random) -> int | None:
    """Return a column after a third to a half of what stands in ``line``; ``None`` if too little."""
    content = line.strip()
    if len("".join(content.split())) < MIN_NUM_LINE_CHARS:
        return None
    num_blanks = len(line) - len(line.lstrip())
    return num_blanks + round(len(content) * rng.uniform(1 / 3, 1 / 2))


def cuts_of(diff: FileDiff, rng: random.Random) -> dict[int, list[Cut]]:
    """Return each place at which the cursor may stand, by the index of its hunk."""
    cuts: dict[int, list[Cut]] = {}
    for part_idx, part in enumerate(diff.parts):
        lines = lines_of(part.new)
        for line_idx, line in enumerate(lines):
            column = typed_column(line, rng)
            if column is None or line in lines_of(part.old):
                continue
            typed = "".join(lines[:line_idx]) + line[:column]
            content = line.removesuffix("\n")
            shown = typed + line[len(content) :]
            cut = Cut(part_idx, shown, len(typed), content[column:])
            cuts.setdefault(part.hunk_idx, []).append(cut)
    return cuts


def shown_parts(diff: FileDiff, cut: Cut, old_hunks: Collection[int] = ()) -> list[str]:
    """Return what each part shows while ``cut`` is typed and ``old_hunks`` are as they were."""
    cursor_hunk = diff.parts[cut.part_idx].hunk_idx
    shown: list[str] = []
    for part_idx, part in enumerate(diff.parts):
        is_yet_to_come = part.hunk_idx == cursor_hunk and part_idx > cut.part_idx
        is_old = is_yet_to_come or part.hunk_idx in old_hunks
        shown.append(part.old if is_old else part.new)
    shown[cut.part_idx] = cut.shown
    return shown


def away_cases(file: ChangedFile, rng: random.Random, category: EditCategory) -> Iterator[EditCase]:
    """Yield cases in which one hunk, or two to five, are edited away from the cursor."""
    diff = diff_of(file.before, file.after)
    cuts = cuts_of(diff, rng)
    lines = _first_lines(diff)
    wanted = [idx for idx in range(diff.num_hunks) if _is_wanted(diff, idx, _KINDS[category])]
    found: list[EditCase] = []
    for cursor_hunk, places in _combinations(sorted(cuts), wanted, lines, rng, category):
        cut = rng.choice(cuts[cursor_hunk])
        case = _away_case(file, diff, cut, places, category)
        found += [case] if case else []
    rng.shuffle(found)
    yield from found


def _first_lines(diff: FileDiff) -> list[int]:
    text, offsets = diff.text(diff.new_parts), diff.offsets(diff.new_parts)
    return [
        text.count("\n", 0, offsets[diff.parts_of(hunk_idx)[0]])
        for hunk_idx in range(diff.num_hunks)
    ]


def _is_wanted(diff: FileDiff, hunk_idx: int, kinds: set[PartKind]) -> bool:
    parts = [diff.parts[idx] for idx in diff.parts_of(hunk_idx)]
    num_lines = sum(len(lines_of(part.old)) + len(lines_of(part.new)) for part in parts)
    num_chars = sum(len("".join((part.old + part.new).split())) for part in parts)
    return (
        num_lines <= MAX_NUM_CHANGED_LINES
        and num_chars >= MIN_NUM_CHANGED_CHARS
        and all(part.kind in kinds for part in parts)
    )


def _combinations(
    cursor_hunks: Sequence[int],
    wanted: Sequence[int],
    lines: Sequence[int],
    rng: random.Random,
    category: EditCategory,
) -> Iterator[tuple[int, list[int]]]:
    """Yield a hunk for the cursor with the hunks that change, all within one window."""
    if category is EditCategory.MULTI_PLACE:
        for cursor_hunk in cursor_hunks:
            places = _near(cursor_hunk, wanted, lines)
            if len(places) >= 2:
                num_places = rng.randint(2, min(len(places), MAX_NUM_PLACES))
                yield cursor_hunk, sorted(rng.sample(places, num_places))
        return
    for place in wanted:
        around = _near(place, cursor_hunks, lines)
        for cursor_hunk in rng.sample(around, min(len(around), MAX_NUM_CASES_PER_HUNK)):
            yield cursor_hunk, [place]


def _near(hunk_idx: int, others: Sequence[int], lines: Sequence[int]) -> list[int]:
    return [
        other
        for other in others
        if other != hunk_idx and abs(lines[other] - lines[hunk_idx]) <= MAX_NUM_LINES_AWAY
    ]


def _away_case(
    file: ChangedFile, diff: FileDiff, cut: Cut, places: Sequence[int], category: EditCategory
) -> EditCase | None:
    shown_before, shown_after = shown_parts(diff, cut, places), shown_parts(diff, cut)
    starts_before, starts_after = diff.offsets(shown_before), diff.offsets(shown_after)
    question = _question(diff, cut, shown_after)
    edits: list[TextEdit] = []
    distances: list[int] = []
    for part_idx in (idx for place in places for idx in diff.parts_of(place)):
        part, start = diff.parts[part_idx], starts_after[part_idx]
        # From left to right, each part already is where it will be once all are changed.
        edits.append(_edit_of(part, start))
        end = start + len(part.new)
        distances.append(signed_line_distance(question.text, start, end, question.cursor))
    distance = nearest_away(distances)
    if distance is None or not question.is_telling:
        return None
    before = diff.text(shown_before), starts_before[cut.part_idx] + cut.cursor
    return edit_case(category, document_of(file), before, edits, question, distance_lines=distance)


def _edit_of(part: Part, start: int) -> TextEdit:
    if part.kind is PartKind.REPLACEMENT:
        return minimal_edit(part.old, part.new, start)
    return TextEdit(start, start + len(part.old), part.new)


def _question(diff: FileDiff, cut: Cut, shown: Sequence[str]) -> Question:
    cursor = diff.offsets(shown)[cut.part_idx] + cut.cursor
    return Question(diff.text(shown), cursor, cut.truth)


def chunk_cases(
    file: ChangedFile, rng: random.Random, sources: Mapping[str, str]
) -> Iterator[EditCase]:
    """Yield cases in which one of two to four chunks of other files gives way to another."""
    others = sorted(
        path
        for path, text in sources.items()
        if path != file.path
        and language_id_of(path) == file.language_id
        and text.count("\n") > NUM_CHUNK_LINES[1]
    )
    if len(others) <= NUM_CHUNKS[1]:
        return
    diff = diff_of(file.before, file.after)
    cuts = [cut for some in cuts_of(diff, rng).values() for cut in some]
    shuffled = rng.sample(cuts, len(cuts))
    questions = (_question(diff, cut, shown_parts(diff, cut)) for cut in shuffled)
    telling = (question for question in questions if question.is_telling)
    for question in itertools.islice(telling, MAX_NUM_CASES_PER_FILE):
        paths = rng.sample(others, rng.randint(*NUM_CHUNKS) + 1)
        *chunks, successor = [_chunk(path, sources[path], rng) for path in paths]
        yield _chunk_case(file, question, chunks, successor, rng.randrange(len(chunks)))


def _chunk_case(
    file: ChangedFile,
    question: Question,
    chunks: Sequence[ContextChunk],
    successor: ContextChunk,
    replaced_idx: int,
) -> EditCase:
    after = [*chunks[:replaced_idx], successor, *chunks[replaced_idx + 1 :]]
    return edit_case(
        EditCategory.CHUNK,
        document_of(file),
        (question.text, question.cursor),
        [],
        question,
        chunks=(chunks, after),
    )


def _chunk(path: str, text: str, rng: random.Random) -> ContextChunk:
    lines = lines_of(text)
    num_lines = rng.randint(*NUM_CHUNK_LINES)
    start = rng.randrange(len(lines) - num_lines + 1)
    chunk = "".join(lines[start : start + num_lines])
    return ContextChunk(path, start + 1, start + num_lines, chunk, 0.0, "release")
