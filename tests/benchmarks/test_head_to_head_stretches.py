"""Which stretches of typing are chosen, and the schedule they are replayed by."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.head_to_head_schedule import Language, Step, Stretch, steps_of
from benchmarks.head_to_head_stretches import stretches
from benchmarks.traces.packages import ChangedFile, Release
from benchmarks.traces.recordings import Origin, Trace, TraceEvent
from benchmarks.traces.sources import Sources
from completion.types import TextEdit

NUM_KEYS = 12


# --- stretches


def function(name: str, number: int) -> str:
    return (
        f"def {name}_{number}(left, right):\n"
        f"    total_{number} = left * {number} + right\n"
        f"    return total_{number} - {number * 7}\n\n\n"
    )


@pytest.fixture(scope="module")
def sources() -> Sources:
    """Give a file in which a function was added at many places, and one of nothing but prose."""
    before = [function("keep", number) for number in range(40)]
    after = [
        text + function("add", number) * (number % 4 == 0) for number, text in enumerate(before)
    ]
    prose = [f"# A line of prose, number {number}.\n" * 5 for number in range(40)]
    more_prose = [text + "# And some more prose here.\n" for text in prose]
    files = [
        ChangedFile("p-1-2", f"src/{name}.py", "python", "".join(old), "".join(new))
        for name, old, new in (("code", before, after), ("prose", prose, more_prose))
    ]
    return Sources((), (Release("p-1-2", tuple(files), {}),))


def chosen(sources: Sources, count: int, min_num_lines: int = 150) -> list[Stretch]:
    return stretches(
        sources, Language.PYTHON, count=count, num_keys=NUM_KEYS, min_num_lines=min_num_lines
    )


def test_stretch_has_the_wanted_number_of_keys_in_a_long_file(sources: Sources) -> None:
    found = chosen(sources, 4)
    assert [stretch.num_keys for stretch in found] == [NUM_KEYS] * 4
    assert all(stretch.start_text.count("\n") >= 150 for stretch in found)


def test_short_files_have_no_stretches(sources: Sources) -> None:
    assert chosen(sources, 4, min_num_lines=1000) == []


def test_prose_is_not_chosen(sources: Sources) -> None:
    assert {stretch.path for stretch in chosen(sources, 100)} == {"src/code.py"}


def test_every_second_stretch_has_a_jump(sources: Sources) -> None:
    assert [stretch.has_jump for stretch in chosen(sources, 4)] == [False, True, False, True]


def test_fewer_stretches_are_the_beginning_of_more(sources: Sources) -> None:
    assert chosen(sources, 6)[:3] == chosen(sources, 3)


def test_stretches_do_not_overlap(sources: Sources) -> None:
    bounds = sorted(
        tuple(map(int, stretch.stretch_id.rpartition("@")[2].split("-")))
        for stretch in chosen(sources, 100)
    )
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(bounds))


# --- schedule

TEXT = "first\nsecond\nthird\nfourth\nfifth\nsixth\nseventh\n"


def trace_of(*events: TraceEvent, origin: Origin = Origin.KEYSTROKES) -> Trace:
    return Trace("made", "a.py", "python", origin, TEXT, 5, events)


def key(time_ms: float, offset: int, text: str) -> TraceEvent:
    return TraceEvent(time_ms, (TextEdit(offset, offset, text),), offset + len(text))


def steps(trace: Trace, num_events: int | None = None) -> list[Step]:
    end_idx = len(trace.events) if num_events is None else num_events
    return list(steps_of(trace, 0, end_idx, trace.start_text, trace.start_cursor))


def test_pauses_are_those_of_the_person_within_bounds() -> None:
    found = steps(trace_of(key(0, 5, "a"), key(1, 6, "b"), key(301, 7, "c"), key(9_000, 8, "d")))
    assert [step.pause_ms for step in found] == [30, 300, 2000, 2000]


def test_each_step_follows_when_the_pause_before_it_is_over() -> None:
    found = steps(trace_of(key(0, 5, "a"), key(100, 6, "b"), key(350, 7, "c")))
    assert [step.at_ms for step in found] == [0, 100, 350]


def test_an_edit_elsewhere_is_reached_by_a_move_halfway_through_the_pause() -> None:
    found = steps(trace_of(key(0, 5, "a"), key(400, 13, "b")))
    assert [(step.is_key, step.pause_ms, step.cursor) for step in found] == [
        (True, 200, 6),
        (False, 200, 13),
        (True, 2000, 14),
    ]


def test_truth_is_what_the_line_became_after_the_stretch() -> None:
    trace = trace_of(key(0, 5, "a"), key(100, 6, "b"), key(200, 7, "\n"))
    assert [step.truth for step in steps(trace, num_events=1)] == ["b"]


@pytest.mark.parametrize(("origin", "truth"), [(Origin.KEYSTROKES, None), (Origin.RELEASE, "b")])
def test_only_a_release_is_finished_where_its_history_ends(
    origin: Origin, truth: str | None
) -> None:
    trace = trace_of(key(0, 12, "a"), key(100, 13, "b"), origin=origin)
    assert next(step.truth for step in steps(trace) if step.is_key) == truth
