"""Chooses stretches of typing out of long files: whole lines of code, half of them with a jump."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.head_to_head_schedule import Language, Stretch, place_of, steps_of
from benchmarks.traces.case import rest_of_line
from benchmarks.traces.recordings import Trace, TraceEvent
from benchmarks.traces.sources import Sources
from benchmarks.traces.stays import MIN_NUM_LINES_JUMPED, typed_key
from benchmarks.traces.typing_model import typed_trace
from completion.types import apply_edits
from retrieval.languages import language_for
from retrieval.syntax import SyntaxTree

NUM_KEYS = 80
MIN_NUM_LINES = 1_000
EDGE_SHARE = 0.1  # of a file's lines, at each end of it
MIN_TYPED_SHARE = 0.8  # the rest is erased or pasted
MAX_NUM_LINES_AT_ONCE = 40  # a longer paste leaves nothing of what was there
MAX_PROSE_SHARE = 0.25
NUM_PROSE_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class _Window:
    """Events ``[first_idx, end_idx)`` of a trace, which follow upon ``text``."""

    trace: Trace
    first_idx: int
    end_idx: int
    text: str
    cursor: int

    @property
    def events(self) -> tuple[TraceEvent, ...]:
        return self.trace.events[self.first_idx : self.end_idx]

    @property
    def has_jump(self) -> bool:
        text, cursor = self.text, self.cursor
        for event in self.events:
            place = place_of(event, cursor)
            if text.count("\n", *sorted((cursor, place))) >= MIN_NUM_LINES_JUMPED:
                return True
            text, cursor = apply_edits(text, event.edits), event.cursor
        return False


def stretches(
    sources: Sources,
    language: Language,
    *,
    count: int,
    num_keys: int = NUM_KEYS,
    seed: int = 0,
    min_num_lines: int = MIN_NUM_LINES,
) -> list[Stretch]:
    """Return up to ``count`` stretches of ``num_keys`` keys, the same ones for the same arguments.

    What people typed comes before what is modelled; every second one has a jump or an edit
    elsewhere, as far as there are such. A smaller ``count`` gives the beginning of the same list.
    """
    rng = random.Random(f"{seed}/{language}")
    windows = itertools.chain.from_iterable(
        _in_turn([_windows(trace, num_keys, min_num_lines, rng) for trace in group])
        for group in _traces(sources, language, min_num_lines, seed, rng)
    )
    return [_stretch(window, language) for window in itertools.islice(_alternating(windows), count)]


def _traces(
    sources: Sources, language: Language, min_num_lines: int, seed: int, rng: random.Random
) -> Iterator[Sequence[Trace]]:
    """Yield the histories of people, then those modelled after releases."""
    yield [trace for trace in sources.traces if trace.language_id.startswith(language)]
    files = [
        file
        for release in sources.releases
        for file in release.changed
        if file.language_id.startswith(language) and file.before.count("\n") >= min_num_lines
    ]
    yield [typed_trace(file, seed) for file in rng.sample(files, len(files))]


def _in_turn(streams: Sequence[Iterator[_Window]]) -> Iterator[_Window]:
    rows = itertools.zip_longest(*streams)
    return (window for row in rows for window in row if window is not None)


def _alternating(windows: Iterator[_Window]) -> Iterator[_Window]:
    """Yield one without and one with a jump in turn; of what there is more, the rest at the end."""
    waiting: dict[bool, deque[_Window]] = {False: deque(), True: deque()}
    for has_jump in itertools.cycle((False, True)):
        while not waiting[has_jump] and (window := next(windows, None)) is not None:
            waiting[window.has_jump].append(window)
        queue = waiting[has_jump] or waiting[not has_jump]
        if not queue:
            return
        yield queue.popleft()


def _windows(
    trace: Trace, num_keys: int, min_num_lines: int, rng: random.Random
) -> Iterator[_Window]:
    """Yield the windows of a trace that are wanted, in random order; they do not overlap."""
    found = [
        window
        for window in _all_windows(trace, num_keys)
        if window.text.count("\n") >= min_num_lines
        and _is_inside(window.text, window.cursor)
        and _is_typing(window)
    ]
    yield from (window for window in rng.sample(found, len(found)) if _is_code(window))


def _all_windows(trace: Trace, num_keys: int) -> Iterator[_Window]:
    ends = dict(_bounds(trace, num_keys))
    for event_idx, (text, cursor) in enumerate(zip(trace.texts(), trace.cursors(), strict=True)):
        if event_idx in ends:
            yield _Window(trace, event_idx, ends[event_idx], text, cursor)


def _bounds(trace: Trace, num_keys: int) -> Iterator[tuple[int, int]]:
    first_idx, num_found = None, 0
    for event_idx, (event, cursor) in enumerate(zip(trace.events, trace.cursors(), strict=False)):
        if first_idx is None and typed_key(event, cursor) is None:
            continue
        first_idx = event_idx if first_idx is None else first_idx
        num_found += bool(event.edits)
        if num_found == num_keys:
            yield first_idx, event_idx + 1
            first_idx, num_found = None, 0


def _is_inside(text: str, cursor: int) -> bool:
    """Whether the cursor is at the end of a line that is neither near the top nor the bottom."""
    share = text.count("\n", 0, cursor) / text.count("\n")
    is_amid = EDGE_SHARE <= share <= 1 - EDGE_SHARE
    return is_amid and not rest_of_line(text, cursor).strip()


def _is_typing(window: _Window) -> bool:
    edited = [event for event in window.events if event.edits]
    typed = [event for event in edited if typed_key(event, event.edits[0].start)]
    num_lines = max(edit.inserted.count("\n") for event in edited for edit in event.edits)
    return len(typed) >= MIN_TYPED_SHARE * len(edited) and num_lines <= MAX_NUM_LINES_AT_ONCE


def _is_code(window: _Window) -> bool:
    """Whether most of what is typed belongs neither to comments nor to strings."""
    language = language_for(window.trace.language_id, window.trace.path)
    if language is None:
        return False
    stride = max(1, len(window.events) // NUM_PROSE_SAMPLES)
    text, is_prose = window.text, list[bool]()
    for event_idx, event in enumerate(window.events):
        text = apply_edits(text, event.edits)
        if event_idx % stride == 0:
            tree = SyntaxTree.parse(language, text)
            is_prose.append(tree.in_comment(event.cursor) or tree.in_string(event.cursor))
    return sum(is_prose) <= MAX_PROSE_SHARE * len(is_prose)


def _stretch(window: _Window, language: Language) -> Stretch:
    trace = window.trace
    return Stretch(
        stretch_id=f"{trace.name}@{window.first_idx}-{window.end_idx}",
        language=language,
        language_id=trace.language_id,
        path=trace.path,
        origin=trace.origin,
        has_jump=window.has_jump,
        start_text=window.text,
        start_cursor=window.cursor,
        steps=tuple(steps_of(trace, window.first_idx, window.end_idx, window.text, window.cursor)),
    )
