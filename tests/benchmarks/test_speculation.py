"""The bookkeeping of the benchmark of speculation, on made rows and made files."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.head_to_head_schedule import Language, Step, Stretch
from benchmarks.speculation_asking import Variant, all_variants
from benchmarks.speculation_exactness import first_difference, wanted_variants
from benchmarks.speculation_report import exactness_figures, figures_of, rival_figures
from benchmarks.speculation_rows import (
    MERGED,
    PLAIN,
    Compared,
    Measured,
    Rival,
    append,
    by_task,
    read_lines,
)
from benchmarks.speculation_tasks import Workload, block_of, line_of, task_of_stretch
from benchmarks.traces.recordings import Origin
from completion.config import DRAFT_SOURCES
from completion.types import TextEdit, TriggerKind, apply_edits

ROW = Measured(
    task_id="blocks/a",
    workload="blocks",
    category="short",
    variant=PLAIN,
    num_questions=1,
    num_remembered=0,
    num_passes=40,
    num_drafted=0,
    num_accepted=0,
    passes_ms=1000.0,
    num_computed=1,
    digest="a",
)
DRAFTED = replace(
    ROW, variant=MERGED, num_passes=20, num_drafted=60, num_accepted=20, passes_ms=500.0
)
COMPARED = Compared("a", "lines", "float32", MERGED, 10, 20, 5, None)
SOURCE = '''"""Text."""

import os


def joined(names: list[str]) -> str:
    """Return one text."""
    found = []
    for name in names:
        found.append(name)
    return os.sep.join(found)
'''


def test_speed_is_by_token_so_that_a_text_cut_short_by_rounding_counts_for_nothing() -> None:
    shorter = replace(DRAFTED, num_passes=10, num_accepted=10, passes_ms=500.0)
    found = {each.name: each.value for each in figures_of([ROW, shorter], (PLAIN, MERGED))}
    assert found["blocks_merged_speed"] == found["blocks_merged_task_speed"] == 1


def test_speed_is_of_all_tasks_together_and_the_worst_category_is_named() -> None:
    rows = []
    for number in range(5):
        for category, passes_ms in (("short", 500.0), ("long", 1250.0)):
            plain = replace(ROW, task_id=f"{category}{number}", category=category)
            drafted = replace(DRAFTED, task_id=plain.task_id, category=category)
            rows += [plain, replace(drafted, passes_ms=passes_ms)]
    found = {figure.name: figure.value for figure in figures_of(rows, [PLAIN, MERGED])}
    assert found["blocks_merged_speed"] == pytest.approx(10_000 / 8_750)
    assert found["blocks_merged_in_short_speed"] == 2
    assert found["blocks_merged_worst_speed"] == found["worst_merged_speed"] == 0.8
    assert found["blocks_merged_tokens_per_pass"] == 2
    assert found["blocks_merged_drafted_of_all"] == 50
    assert found["blocks_merged_drafts_per_pass"] == 3


def test_a_task_that_a_variant_lacks_does_not_count() -> None:
    alone = replace(ROW, task_id="blocks/b", passes_ms=9000.0)
    figures = figures_of([ROW, DRAFTED, alone], [PLAIN, MERGED])
    assert {figure.n for figure in figures} == {1}


def test_the_newest_row_of_a_task_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append(path, [ROW])
    with path.open("a", encoding="utf-8") as file:
        file.write('{"task_id": "killed')
    append(path, [replace(ROW, passes_ms=1.0)])
    rows = [Measured(**row) for row in read_lines(path)]
    assert len(rows) == 2
    assert by_task(rows)["blocks/a"][PLAIN].passes_ms == 1.0


def test_flips_are_counted_among_tokens_behind_the_same_ones() -> None:
    rows = [COMPARED, replace(COMPARED, task_id="b", first_difference=4)]
    found = {figure.name: figure for figure in exactness_figures(rows)}
    assert found["float32_merged_different"].value == 1
    assert found["float32_merged_different_share"].value == 50
    assert found["float32_merged_flips_of_tokens"].n == 15
    assert found["float32_merged_drafted"].value == 2 * COMPARED.num_drafted
    assert found["float32_prompts"].value == 2


def test_a_rival_is_compared_with_its_own_plain_decoding() -> None:
    plain = Rival("a", "bf16", PLAIN, 10, 2.0, is_same=True)
    figures = rival_figures([plain, replace(plain, variant="prompt_lookup", seconds=1.0)])
    assert {each.name: each.value for each in figures}["bf16_prompt_lookup_speed"] == 2


@pytest.mark.parametrize(
    ("found", "wanted", "at"),
    [("abc", "abc", None), ("abd", "abc", 2), ("ab", "abc", 2), ("abc", "ab", 2), ("", "", None)],
)
def test_the_first_other_token_is_found(found: str, wanted: str, at: int | None) -> None:
    assert first_difference(list(found), list(wanted)) == at


def test_every_source_is_compared_alone_with_lines_and_with_blocks() -> None:
    variants = all_variants(has_draft_model=True)
    assert [variants[0].name, variants[-1].name] == [PLAIN, MERGED]
    chosen = [wanted_variants(number, variants) for number in range(2 * len(DRAFT_SOURCES))]
    assert all(some[0].name == MERGED for some in chosen)
    assert {some[1].name for some in chosen[::2]} == DRAFT_SOURCES
    assert {some[1].name for some in chosen[1::2]} == DRAFT_SOURCES
    assert not Variant(PLAIN, frozenset()).uses_speculation


@pytest.mark.parametrize("seed", range(8))
def test_only_the_missing_code_differs_from_the_file(seed: int) -> None:
    for choose in (line_of, block_of):
        chosen = choose(SOURCE, random.Random(seed))
        if chosen is not None:
            question = chosen[1]
            before, after = question.text[: question.offset], question.text[question.offset :]
            assert SOURCE.startswith(before)
            assert SOURCE.endswith(after)
            assert len(question.text) < len(SOURCE)


def test_a_block_is_asked_for_behind_its_documentation() -> None:
    chosen = block_of(SOURCE, random.Random(0))
    assert chosen is not None
    category, question = chosen
    assert category == "short"
    assert question.text[: question.offset].endswith('"""Return one text."""\n    ')


def test_text_that_is_no_code_has_neither_line_nor_block() -> None:
    assert line_of("(", random.Random(0)) is None
    assert block_of("(", random.Random(0)) is None


def test_questions_at_pauses_lead_from_one_to_the_next() -> None:
    steps, text = [], "x = 1\n"
    for number, pause_ms in enumerate((50.0, 400.0, 50.0, 900.0)):
        edit = TextEdit(number, number, "a")
        text = apply_edits(text, [edit])
        steps.append(Step(0.0, pause_ms, (edit,), text, number + 1, None))
    stretch = Stretch(
        stretch_id="s",
        language=Language.PYTHON,
        language_id="python",
        path="a.py",
        origin=Origin.RECORDING,
        has_jump=False,
        start_text="x = 1\n",
        start_cursor=0,
        steps=tuple(steps),
    )
    paused, keys = (
        task_of_stretch(stretch, workload).questions
        for workload in (Workload.REPLAY, Workload.KEYS)
    )
    assert (len(paused), len(keys)) == (2, 4)
    assert apply_edits(paused[0].text, paused[1].edits) == paused[1].text
    assert all(question.trigger is TriggerKind.AUTOMATIC for question in keys)
