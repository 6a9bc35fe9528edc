from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.retrieval_quality import read_rows, run
from benchmarks.retrieval_quality_baselines import COPILOT_NUM_SNIPPETS, Baselines
from benchmarks.retrieval_quality_definitions import Definition
from benchmarks.retrieval_quality_dense import DENSE_METHODS, dense_methods
from benchmarks.retrieval_quality_identifiers import terms
from benchmarks.retrieval_quality_metrics import Measured, measure, packed_snippets
from benchmarks.retrieval_quality_report import figures_of, table_of
from benchmarks.retrieval_quality_windows import K1, B, Floats, WindowIndex, windows_of
from benchmarks.retrieval_tasks import RetrievalTask, TaskKind
from retrieval.snippet import Snippet, SnippetSource

texts = st.lists(st.sampled_from(["one two", "two", "", "threeFour one", "é"]), max_size=9).map(
    "\n".join
)
SIZES = {"num_lines": 3, "step": 2}


# --- windows


@given(texts, st.integers(1, 5), st.integers(1, 5))
def test_windows_show_every_line_and_the_last_ends_with_the_file(
    text: str, num_lines: int, step: int
) -> None:
    step = min(step, num_lines)
    found = list(windows_of("a.py", text, num_lines, step))
    lines = text.splitlines(keepends=True)
    assert {line for each in found for line in range(each.start_line, each.end_line)} == set(
        range(len(lines))
    )
    assert all(each.text == "".join(lines[each.start_line : each.end_line]) for each in found)
    assert found[-1].end_line == len(lines)
    assert sum(each.end_line == len(lines) for each in found) == 1


def slow_bm25(texts: Sequence[str], query: dict[str, float]) -> list[float]:
    bags = [Counter(terms(text)) for text in texts]
    lengths = [bag.total() for bag in bags]
    mean = max(1.0, sum(lengths) / len(lengths))
    scores = []
    for bag, length in zip(bags, lengths, strict=True):
        score = 0.0
        for term, weight in query.items():
            num = sum(term in other for other in bags)
            idf = math.log(1 + (len(bags) - num + 0.5) / (num + 0.5))
            norm = K1 * (1 - B + B * length / mean)
            score += weight * idf * bag[term] * (K1 + 1) / (bag[term] + norm)
        scores.append(score)
    return scores


@given(st.lists(texts, min_size=1, max_size=4))
def test_scores_are_those_of_the_formulas(contents: list[str]) -> None:
    files = {f"{number}.py": text for number, text in enumerate(contents)}
    index = WindowIndex(files, terms, **SIZES)
    shown = [window.text for window in index.windows]
    query = {"two": 1.0, "four": 0.5, "absent": 1.0}
    np.testing.assert_allclose(index.bm25(query), slow_bm25(shown, query), rtol=1e-12)
    wanted = frozenset(query)
    overlaps = [len(wanted & {*terms(t)}) / len(wanted | {*terms(t)}) for t in shown]
    np.testing.assert_allclose(index.jaccard(wanted), overlaps, rtol=1e-12)


# --- baselines

TOOL = "class Tool:\n    def sharpen(self, blade):\n        return blade\n"
FILES = {
    "tool.py": TOOL,
    "here.py": "from tool import Tool\n\nTool().sharpen(my_blade)\n",
    "like.py": "\n".join(f"sharpen(my_blade, {number})" for number in range(100)) + "\n",
    **{f"other_{number}.py": f"unlike = {number}\nmy_blade = 3\n" for number in range(9)},
}


def make_task(
    text: str = "from tool import Tool\n\nmy_blade = 1\n", **changes: object
) -> RetrievalTask:
    task = RetrievalTask(
        task_id="symbol/pack/here.py#1",
        kind=TaskKind.SYMBOL,
        package="pack",
        language_id="python",
        files=FILES,
        path="here.py",
        text=text,
        offset=len(text),
        truth="Tool().sharpen(my_blade)",
        definitions=(Definition("tool.py", "Tool", (0,)),),
        unseen=frozenset({"sharpen", "absent"}),
    )
    return replace(task, **changes)  # type: ignore[arg-type]


def embed_length(texts: Sequence[str]) -> Floats:
    return np.array([[len(text) < 60, len(text) >= 60] for text in texts], np.float64)


@pytest.mark.parametrize("name", list(Baselines(embed_length).methods()))
def test_baseline_gives_whole_lines_of_other_files_once_and_the_same_again(name: str) -> None:
    found = Baselines(embed_length).methods()[name](make_task(), 7)
    assert 0 < len(found) <= 7
    shown = Counter(
        (each.path, line) for each in found for line in range(each.start_line, each.end_line)
    )
    assert all(path != "here.py" for path, _ in shown)
    if name != "bm25_imports":  # which has two ways to find a line
        assert max(shown.values()) == 1
    for each in found:
        lines = FILES[each.path].splitlines(keepends=True)
        assert each.text == "".join(lines[each.start_line : each.end_line])
    assert Baselines(embed_length).methods()[name](make_task(), 7) == found


def test_copilots_takes_the_best_window_of_each_file_and_four_in_all() -> None:
    found = Baselines().jaccard(make_task(), 20)
    paths = [each.path for each in found]
    assert len(paths) == len(set(paths)) == COPILOT_NUM_SNIPPETS


def test_imports_are_those_of_the_open_document() -> None:
    assert [each.path for each in Baselines().imports(make_task(), 5)] == ["tool.py"]
    assert Baselines().imports(make_task("my_blade = 1\n"), 5) == []


def test_nearer_lines_weigh_more() -> None:
    files = {"near.py": "apple = pear\n", "far.py": "cherry = plum\n"}
    text = "cherry\n" + "x\n" * 20 + "apple\n"
    found = Baselines().bm25_decay(make_task(text, files=files), 2)
    assert [each.path for each in found] == ["near.py", "far.py"]
    found = Baselines().bm25_decay(make_task(text, files=files, offset=0), 2)
    assert [each.path for each in found] == ["far.py", "near.py"]


def test_a_definition_follows_four_similar_windows() -> None:
    found = Baselines().bm25_imports(make_task(), 20)
    assert [each.source is SnippetSource.DEFINITION for each in found[:5]] == [False] * 4 + [True]
    assert sum(each.source is SnippetSource.DEFINITION for each in found) == 1


def test_another_package_has_another_index() -> None:
    baselines = Baselines()
    baselines.bm25(make_task(), 3)
    files = {"new.py": "my_blade\n", "here.py": ""}
    found = baselines.bm25(make_task(package="next", files=files), 3)
    assert [each.path for each in found] == ["new.py"]


# --- metrics


def snippet(path: str, text: str) -> Snippet:
    return Snippet(path, 0, text.count("\n"), text, 1.0, SnippetSource.SIMILAR)


def test_measures_definition_identifiers_and_lines() -> None:
    found = [snippet("like.py", "sharpen(1)\n"), snippet("tool.py", TOOL)]
    row = measure(make_task(), "any", found)
    assert (row.definition_rank, row.has_definition) == (1, True)
    assert (row.novid_5, row.novid_chars) == (0.5, 0.5)
    assert row.num_chars == len(found[0].text) + len(TOOL)
    near = measure(make_task(), "any", [snippet("a.py", "x\n  Tool().sharpen(my_blade2)\n")])
    assert near.near_lines == 1
    assert 0.9 < (near.line_similarity or 0) < 1
    assert near.definition_rank == 1  # of one: none


def test_a_definition_counts_only_in_its_file_and_with_its_line() -> None:
    copied, body = snippet("copy.py", TOOL), snippet("tool.py", TOOL.partition("\n")[2])
    assert measure(make_task(), "any", [copied, body]).has_definition is False


def test_what_a_task_does_not_ask_for_is_not_measured() -> None:
    task = make_task(definitions=(), unseen=frozenset(), truth="x = 1")
    row = measure(task, "any", [])
    assert (row.definition_rank, row.has_definition) == (None, None)
    assert (row.novid_5, row.novid_chars, row.line_similarity) == (None, None, None)


@given(st.lists(texts, max_size=4), st.integers(0, 60))
def test_packed_snippets_are_a_beginning_in_whole_lines(contents: list[str], limit: int) -> None:
    packed = packed_snippets([snippet("a.py", text) for text in contents], limit)
    shown, everything = "".join(text for _, text in packed), "".join(contents)
    assert len(shown) <= limit
    assert everything.startswith(shown)
    if len(everything) <= limit:
        assert shown == everything
    for text, (_, part) in zip(contents, packed, strict=False):
        assert part in (text, "") or part.endswith("\n")


# --- runs and reports


def test_a_run_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    asked: list[str] = []

    def retrieve(task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        asked.append(task.task_id)
        return [snippet("tool.py", TOOL)]

    tasks = [make_task(), make_task(task_id="symbol/pack/here.py#2")]
    run(tasks[:1], {"any": retrieve}, tmp_path)
    run(tasks, {"any": retrieve}, tmp_path)
    assert asked == [task.task_id for task in tasks]
    assert [row.task_id for row in read_rows(tmp_path)] == asked
    assert read_rows(tmp_path)[0] == measure(tasks[0], "any", [snippet("tool.py", TOOL)])


def row_of(number: int, method: str, rank: int | None, novid: float | None) -> Measured:
    has_definition = None if rank is None else rank < 2
    return Measured(
        str(number),
        "symbol",
        "pack",
        "python",
        method,
        8,
        99,
        rank,
        has_definition,
        novid,
        novid,
        0,
        0,
    )


def test_figures_leave_out_tasks_without_a_value_and_compare_task_by_task() -> None:
    rows = [
        row_of(0, "fimble", 0, None),
        row_of(1, "fimble", 8, 0.5),
        row_of(0, "random", 4, None),
        row_of(1, "random", 8, 0.25),
    ]
    found = {figure.name: (figure.value, figure.n) for figure in figures_of(rows)}
    assert found["symbol_fimble_def_1"] == (50, 2)
    assert found["symbol_random_def_1"] == (0, 2)
    assert found["symbol_random_def_5"] == (50, 2)
    assert found["symbol_random_def_10"] == (50, 2)  # not found among eight is not found among ten
    assert found["symbol_python_fimble_novid_5"] == (50, 1)
    assert found["symbol_fimble_over_random_novid_5"] == (25, 1)
    assert found["symbol_fimble_over_random_def_1"] == (50, 2)
    table = "\n".join(table_of(rows))
    assert "50.0 (2)" in table
    assert "25.0 (1)" in table


def test_methods_that_load_the_model_are_named_without_loading_it() -> None:
    assert tuple(dense_methods()) == DENSE_METHODS
