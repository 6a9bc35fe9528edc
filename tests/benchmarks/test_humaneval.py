from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.humaneval import Row, Shard, inserted_text
from benchmarks.humaneval_tasks import (
    Hole,
    HoleLayout,
    is_exact_match,
    load_tasks,
    sample_tasks,
)
from completion.types import CompletionTrace, FinishReason, Suggestion, SuggestionSource

FIXTURE = Path(__file__).parent.parent / "fixtures" / "infilling_tasks.jsonl"


@pytest.fixture
def row() -> Row:
    return Row("a/0", "return 1", "stop", True, True, 12.5)


def check_inserted(text: str, start: int, end: int, expected: str) -> None:
    hole = Hole("f(", ")\n", "x")
    suggestion = Suggestion(
        "1",
        text,
        start,
        end,
        (),
        1.0,
        FinishReason.STOP,
        SuggestionSource.ENGINE,
        CompletionTrace(),
    )
    assert inserted_text(suggestion, hole) == expected


def test_both_layouts_show_the_same_file_and_only_one_moves_the_line_break() -> None:
    for task in load_tasks(FIXTURE):
        editor, given = task.hole(HoleLayout.EDITOR), task.hole(HoleLayout.AS_GIVEN)
        for hole in (editor, given):
            whole = hole.prefix + hole.expected + hole.suffix
            assert whole == task.prompt + task.canonical_solution + task.suffix
        assert given.suffix == task.suffix
        assert editor.suffix == (
            "\n" + task.suffix if task.canonical_solution.endswith("\n") else task.suffix
        )


def test_sample_is_the_head_of_a_seeded_shuffle() -> None:
    tasks = load_tasks(FIXTURE) * 20
    assert sample_tasks(tasks, 5) == sample_tasks(tasks, 5)
    assert sample_tasks(tasks, 5) == sample_tasks(tasks, 30)[:5]
    assert sample_tasks(tasks, 60) != tasks
    assert sample_tasks(tasks, None) == tasks


def test_exact_match_forgives_only_blank_text_at_the_right_end() -> None:
    hole = Hole("", "", "    x = 1\n    y = 2\n")
    assert is_exact_match("    x = 1\n    y = 2", hole)
    assert not is_exact_match("x = 1\n    y = 2", hole)
    assert not is_exact_match("    x = 1", hole)


def test_text_that_a_suggestion_repeats_of_the_file_is_not_inserted_twice() -> None:
    check_inserted("x", 2, 2, "x")
    check_inserted("x)", 2, 3, "x")
    check_inserted("(x", 1, 2, "x")


def test_shard_remembers_finished_tasks_and_forgives_a_torn_last_line(
    tmp_path: Path, row: Row
) -> None:
    path = tmp_path / "rows.jsonl"
    Shard(path).add(row)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"task_id": "a/1", "te')
    Shard(path).add(replace(row, task_id="a/2"))
    assert list(Shard(path).rows) == ["a/0", "a/2"]
