"""Cases out of histories: what a person did, cut at the moments that matter to a cache."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.traces.case import (
    Document,
    EditCase,
    EditCategory,
    Question,
    edit_case,
    nearest_away,
    signed_line_distance,
)
from benchmarks.traces.recordings import Trace, shifted
from benchmarks.traces.stays import (
    MIN_NUM_LINES_JUMPED,
    Change,
    Stay,
    changes_of,
    rest_as_left,
    stays,
    typed_key,
)
from completion.types import TextEdit, apply_edits

MAX_NUM_KEYS = 8
MAX_NUM_PLACES = 5
MAX_NUM_CASES_PER_STAY = 2
MIN_NUM_CHANGED_CHARS = 4
MAX_NUM_CHANGED_CHARS = 2_000
MAX_NUM_EVENTS_AFTER_RETURN = 100
MAX_NUM_TRIES_PER_STAY = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """A question before event ``event_idx``; ``edits`` were made since the stay began."""

    question: Question
    event_idx: int
    edits: tuple[TextEdit, ...]


def document_of(trace: Trace) -> Document:
    """Return what a trace's cases say about where they come from."""
    return Document(trace.name, trace.path, trace.language_id, trace.origin)


def typing_cases(trace: Trace, rng: random.Random, max_num_tries: int) -> Iterator[EditCase]:
    """Yield cases of one to eight keys in a row, about every fourth with a line break."""
    keys = [
        typed_key(event, cursor)
        for event, cursor in zip(trace.events, trace.cursors(), strict=False)
    ]
    num_keys_at = _sampled_ends(keys, rng, max_num_tries)
    found: list[EditCase] = []
    for num_events, (text, cursor) in enumerate(zip(trace.texts(), trace.cursors(), strict=True)):
        if num_keys := num_keys_at.get(num_events):
            typed = "".join(key or "" for key in keys[num_events - num_keys : num_events])
            truth = rest_as_left(text, cursor, trace.events[num_events:])
            question = Question(text, cursor, truth or "")
            if question.is_telling:
                found.append(_typing_case(trace, typed, question))
    rng.shuffle(found)
    yield from found


def _typing_case(trace: Trace, typed: str, question: Question) -> EditCase:
    start = question.cursor - len(typed)
    before = question.text[:start] + question.text[question.cursor :]
    edit = TextEdit(start, start, typed)
    return edit_case(EditCategory.TYPING, document_of(trace), (before, start), [edit], question)


def _sampled_ends(
    keys: Sequence[str | None], rng: random.Random, max_num_tries: int
) -> dict[int, int]:
    """Return how many keys to take, by the number of events that end with the last of them."""
    num_in_row, num_since_break = 0, MAX_NUM_KEYS
    ends: dict[int, int] = {}
    after_break: dict[int, int] = {}
    for num_events, key in enumerate(keys, start=1):
        num_in_row = min(num_in_row + 1, MAX_NUM_KEYS) if key else 0
        num_since_break = 1 if key and "\n" in key else num_since_break + 1
        if num_in_row:
            ends[num_events] = rng.randint(1, num_in_row)
        if num_since_break <= num_in_row:
            after_break[num_events] = rng.randint(num_since_break, num_in_row)
    sampled = rng.sample(sorted(ends), min(len(ends), max_num_tries))
    with_break = rng.sample(sorted(after_break), min(len(after_break), max_num_tries // 4))
    return {end: ends[end] for end in sampled} | {end: after_break[end] for end in with_break}


def jump_cases(trace: Trace, rng: random.Random) -> Iterator[EditCase]:
    """Yield cases in which the cursor goes from one stay to the next, five lines or more.

    Where the person first typed something there, or changed it, that is in both texts, as if it
    had been done before going away; so it is in ``away_cases``.
    """
    found: list[EditCase] = []
    for former, stay in itertools.pairwise(stays(trace)):
        case = _jump_case(trace, rng, former, stay)
        found += [case] if case else []
    rng.shuffle(found)
    yield from found


def _jump_case(trace: Trace, rng: random.Random, former: Stay, stay: Stay) -> EditCase | None:
    if (asked := _question_in(trace, stay, rng)) is None:
        return None
    question, cursor_before = asked.question, former.last_cursor
    for edit in asked.edits:
        cursor_before = shifted(cursor_before, edit)
    start, end = sorted((cursor_before, question.cursor))
    num_lines = question.text.count("\n", start, end)
    if num_lines < MIN_NUM_LINES_JUMPED:
        return None
    return edit_case(
        EditCategory.JUMP,
        document_of(trace),
        (question.text, cursor_before),
        [],
        question,
        distance_lines=num_lines if cursor_before < question.cursor else -num_lines,
    )


def away_cases(trace: Trace, rng: random.Random, category: EditCategory) -> Iterator[EditCase]:
    """Yield cases in which the person edited elsewhere and came (back) to where the cursor is."""
    found: list[EditCase] = []
    recent: deque[Stay] = deque(maxlen=MAX_NUM_PLACES + 1)
    for stay in stays(trace):
        recent.append(stay)
        changes = [
            change for change in changes_of(list(recent)[:-1]) if _is_wanted(change, category)
        ]
        for places in _combinations(changes, rng, category):
            case = _away_case(trace, rng, category, places, stay)
            found += [case] if case else []
    rng.shuffle(found)
    yield from found


def _is_wanted(change: Change, category: EditCategory) -> bool:
    num_deleted, num_inserted = len(change.old), len(change.new)
    if not MIN_NUM_CHANGED_CHARS <= max(num_deleted, num_inserted) <= MAX_NUM_CHANGED_CHARS:
        return False
    if category is EditCategory.INSERTION:
        return num_deleted == 0
    return category is EditCategory.MULTI_PLACE or num_inserted == 0


def _combinations(
    changes: Sequence[Change], rng: random.Random, category: EditCategory
) -> list[list[Change]]:
    if category is not EditCategory.MULTI_PLACE:
        num_cases = min(len(changes), MAX_NUM_CASES_PER_STAY)
        return [[change] for change in rng.sample(changes, num_cases)]
    if len(changes) < 2:
        return []
    return [
        rng.sample(changes, rng.randint(2, len(changes))) for _ in range(MAX_NUM_CASES_PER_STAY)
    ]


def _away_case(
    trace: Trace,
    rng: random.Random,
    category: EditCategory,
    changes: Sequence[Change],
    stay: Stay,
) -> EditCase | None:
    if (asked := _question_in(trace, stay, rng)) is None:
        return None
    question = asked.question
    places = sorted((change.moved(asked.edits) for change in changes), key=lambda c: c.start)
    distance = nearest_away(
        [signed_line_distance(question.text, c.start, c.end, question.cursor) for c in places]
    )
    are_intact = all(question.text[c.start : c.end] == c.new for c in places)
    are_apart = all(a.end < b.start for a, b in itertools.pairwise(places))
    if distance is None or not are_intact or not are_apart:
        return None
    before, cursor_before = question.text, question.cursor
    for change in reversed(places):
        before = before[: change.start] + change.old + before[change.end :]
        cursor_before += (len(change.old) - len(change.new)) * (change.end <= question.cursor)
    return edit_case(
        category,
        document_of(trace),
        (before, cursor_before),
        # From left to right, each place already is where it will be once all are changed.
        [TextEdit(c.start, c.start + len(c.old), c.new) for c in places],
        question,
        distance_lines=distance,
    )


def _question_in(trace: Trace, stay: Stay, rng: random.Random) -> Asked | None:
    """Return a question at the beginning of a stay, or else at a later key of it."""
    moments = [Asked(Question(stay.before, stay.cursor, ""), stay.first_idx, ())]
    text, edits = stay.before, list[TextEdit]()
    for event_idx in range(stay.first_idx, stay.end_idx)[:MAX_NUM_EVENTS_AFTER_RETURN]:
        event = trace.events[event_idx]
        if event_idx > stay.first_idx and event.edits and typed_key(event, event.edits[0].start):
            question = Question(text, event.edits[0].start, "")
            moments.append(Asked(question, event_idx, tuple(edits)))
        text = apply_edits(text, event.edits)
        edits += event.edits
    later = rng.sample(moments[1:], min(len(moments) - 1, MAX_NUM_TRIES_PER_STAY))
    for moment in [moments[0], *later]:
        events = trace.events[moment.event_idx :]
        truth = rest_as_left(moment.question.text, moment.question.cursor, events)
        question = replace(moment.question, truth=truth or "")
        if question.is_telling:
            return replace(moment, question=question)
    return None
