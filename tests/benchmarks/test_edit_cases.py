from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from benchmarks.traces.case import EditCase, EditCategory, Question, in_turn
from benchmarks.traces.packages import ChangedFile, Release
from benchmarks.traces.recordings import Origin
from benchmarks.traces.renames import real_renames, renamed, synthetic_renames
from benchmarks.traces.sources import Sources, edit_cases
from benchmarks.traces.typing_model import typed_trace

AWAY = (EditCategory.INSERTION, EditCategory.DELETION, EditCategory.MULTI_PLACE)


def changed_file(before: str, after: str, path: str = "src/a.py") -> ChangedFile:
    return ChangedFile("p-1-2", path, "python", before, after)


def function(name: str, number: int) -> str:
    return (
        f"def {name}_{number}(left, right):\n"
        f'    """Return what number {number} is made of."""\n'
        f"    total_{number} = left * {number} + right\n"
        f"    log({number}, total_{number})\n"
        f"    return total_{number} - {number * 7}\n\n\n"
    )


@pytest.fixture(scope="module")
def sources() -> Sources:
    """Give a person who works at several places, and files whose functions come and go."""
    before = [function("keep", number) for number in range(40)]
    after = list(before)
    for number in range(4, 40, 4):
        after[number] = function("add", number + 100) + before[number]
        after[number + 1 - 2 * (number % 8 == 0)] = ""
    after = [text.replace("left * 2 ", "left * 2222 ") for text in after]
    start = "".join(before)
    renamed_twice = [text.replace("left", "first") for text in after[10:12]]
    end = "".join([*after[:10], *renamed_twice, *after[12:]])
    files = tuple(
        changed_file(start, text, f"src/{name}.py")
        for name, text in (("a", "".join(after)), ("b", end))
    )
    others = {f"src/other_{idx}.py": "".join(before[idx:]) for idx in range(8)}
    trace = typed_trace(changed_file(start, "".join(after), "src/person.py"), seed=3)
    person = replace(trace, name="person", origin=Origin.KEYSTROKES)
    release = Release("p-1-2", files, others | {file.path: file.after for file in files})
    return Sources((person,), (release,))


def cases_of(sources: Sources, category: EditCategory, count: int = 40) -> list[EditCase]:
    return edit_cases(sources, category, count=count, min_num_chars=500)


def line_before(text: str, cursor: int) -> str:
    return text[text.rfind("\n", 0, cursor) + 1 : cursor]


@pytest.mark.parametrize(
    "name", ["get_path", "HttpServer", "MAX_SIZE", "_private", "camelCase", "x1"]
)
def test_other_name_is_a_name_in_the_same_spelling(name: str) -> None:
    for seed in range(10):
        other = renamed(name, random.Random(seed))
        assert re.fullmatch(r"[A-Za-z_]\w*", other)
        assert other != name
        assert other.isupper() == name.isupper()
        assert other.startswith("_") == name.startswith("_")


def test_words_that_gave_way_to_the_same_word_are_a_rename() -> None:
    before = "get(a)\nkeep\nget(b, get)\nget(c)\n"
    after = "load(a)\nkeep\nload(b, load)\nload(d)\n"
    (rename,) = real_renames(changed_file(before, after))
    assert (rename.old, rename.new) == ("get", "load")
    # The last line differs in more than the name.
    assert [after[place:][:8] for place in rename.places] == ["load(a)\n", "load(b, ", "load)\nlo"]


def test_made_up_rename_is_undone_by_putting_the_old_name_back() -> None:
    text = "".join(function("keep", number) for number in range(3))
    found = list(synthetic_renames(text, random.Random(0)))
    assert {rename.old for rename in found} == {"total_0", "total_1", "total_2"}
    for rename in found:
        restored = rename.text
        for place in reversed(rename.places):
            restored = restored[:place] + rename.old + restored[place + len(rename.new) :]
        assert restored == text


def check(case: EditCase) -> None:
    """Every promise that holds for all categories; the edits were checked when it was made."""
    question = Question(case.after, case.cursor_after, case.truth)
    assert question.is_telling
    assert "\n" not in case.truth
    if case.category is not EditCategory.CHUNK:
        assert case.chunks_before == case.chunks_after == ()
    if case.category in (*AWAY, EditCategory.CHUNK):
        assert line_before(case.before, case.cursor_before) == line_before(
            case.after, case.cursor_after
        )


@pytest.mark.parametrize("category", EditCategory)
def test_cases_keep_their_promises_and_are_the_same_every_time(
    sources: Sources, category: EditCategory
) -> None:
    cases = cases_of(sources, category)
    assert len(cases) >= 5
    assert len({case.case_id for case in cases}) == len(cases)
    for case in cases:
        check(case)
    assert cases_of(sources, category, count=5) == cases[:5]
    assert edit_cases(sources, category, count=5, min_num_chars=10**6) == []
    assert cases != edit_cases(sources, category, count=40, min_num_chars=500, seed=1)


def test_typing_cases_insert_a_few_keys_at_the_cursor(sources: Sources) -> None:
    cases = cases_of(sources, EditCategory.TYPING)
    for case in cases:
        (edit,) = case.edits
        assert edit.start == edit.end == case.cursor_before
        assert case.cursor_after == edit.start + len(edit.inserted)
        assert 1 <= len(edit.inserted.replace("\n    ", "\n")) <= 8
    assert any("\n" in case.edits[0].inserted for case in cases)


def test_cases_of_an_edit_elsewhere_do_what_their_category_says(sources: Sources) -> None:
    for category in AWAY:
        for case in cases_of(sources, category):
            assert 3 <= abs(case.distance_lines) <= 150
            is_above = case.edits[0].start < case.cursor_after
            assert is_above or case.distance_lines > 0
    for case in cases_of(sources, EditCategory.INSERTION):
        assert all(edit.start == edit.end for edit in case.edits)
    for case in cases_of(sources, EditCategory.DELETION):
        assert not any(edit.inserted for edit in case.edits)
    assert all(len(case.edits) >= 2 for case in cases_of(sources, EditCategory.MULTI_PLACE))


def test_people_and_releases_take_turns(sources: Sources) -> None:
    for category in (EditCategory.TYPING, EditCategory.JUMP, *AWAY):
        origins = {case.origin for case in cases_of(sources, category)}
        assert origins == {Origin.KEYSTROKES, Origin.RELEASE}, category


def test_jump_moves_only_the_cursor(sources: Sources) -> None:
    for case in cases_of(sources, EditCategory.JUMP):
        assert case.before == case.after
        between = sorted((case.cursor_before, case.cursor_after))
        assert abs(case.distance_lines) == case.after.count("\n", *between) >= 5
        assert (case.distance_lines > 0) == (case.cursor_before < case.cursor_after)


def test_rename_replaces_one_word_by_one_other_everywhere(sources: Sources) -> None:
    cases = cases_of(sources, EditCategory.RENAME)
    for case in cases:
        assert len(case.edits) >= 2
        assert len({edit.inserted for edit in case.edits}) == 1
        assert len({edit.end - edit.start for edit in case.edits}) == 1
    assert [case.origin for case in cases] == sorted(case.origin for case in cases)


def test_chunk_cases_change_one_chunk_and_nothing_else(sources: Sources) -> None:
    for case in cases_of(sources, EditCategory.CHUNK):
        assert (case.before, case.cursor_before) == (case.after, case.cursor_after)
        pairs = list(zip(case.chunks_before, case.chunks_after, strict=True))
        assert 2 <= len(pairs) <= 4
        assert sum(old != new for old, new in pairs) == 1
        for chunk in case.chunks_after:
            assert chunk.path != case.path
            assert 10 <= chunk.text.count("\n") == chunk.end_line - chunk.start_line + 1 <= 20


@pytest.mark.parametrize(
    ("text", "truth", "is_telling"),
    [
        ("x = |\n", "compute(1)", True),
        ("x = |  \n", "compute(1)", True),
        ("x = |y\n", "compute(1)", False),
        ("x = |\n", "1", False),
        ("x = |\nx = foo\n", "foo", False),
        ("x = |\ny = foo\n", "foo", True),
        ("x = |\ny = compute_it(12)\n", "compute_it(12)", False),
    ],
)
def test_question_is_telling_if_its_answer_is_not_in_sight(
    text: str, truth: str, is_telling: bool
) -> None:
    question = Question(text.replace("|", ""), text.index("|"), truth)
    assert question.is_telling is is_telling


def test_case_whose_edits_lead_elsewhere_is_refused(sources: Sources) -> None:
    case = cases_of(sources, EditCategory.INSERTION)[0]
    with pytest.raises(ValueError, match="do not lead from before to after"):
        replace(case, before=case.after)
    with pytest.raises(ValueError, match="cursor_after"):
        replace(case, cursor_after=len(case.after) + 1)


def test_streams_are_taken_in_turn_until_all_have_ended(sources: Sources) -> None:
    cases = cases_of(sources, EditCategory.CHUNK)[:5]
    assert list(in_turn([iter(cases[:1]), iter(cases[1:4]), iter(cases[4:])])) == [
        cases[0],
        cases[1],
        cases[4],
        cases[2],
        cases[3],
    ]
