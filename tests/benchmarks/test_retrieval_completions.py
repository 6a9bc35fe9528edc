from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.retrieval_completions import missing_of, run
from benchmarks.retrieval_completions_asking import (
    CompletionBench,
    OneWorkspace,
    VariantContexts,
    best_similarity,
    end_of,
    identifier_f1,
    line_of,
)
from benchmarks.retrieval_completions_report import figures_of, table_of
from benchmarks.retrieval_completions_rows import Measured, append_row, read_rows, rows_path
from benchmarks.retrieval_completions_variants import ALONE, CONTEXT, VARIANTS, Variant, variant_of
from benchmarks.retrieval_quality_fimble import FimbleRetrieval, place_of
from benchmarks.retrieval_tasks import RetrievalTask, TaskKind
from completion.context import ContextRoom
from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    DocumentSnapshot,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    SuggestionSource,
)
from models.loader import load_model
from models.registry import DEFAULT_MODEL

TRUTH = "sharpen_blade(grindstone_7, passes=41)"
FILES = {
    "shop/here.py": f"def work(blade):\n    {TRUTH}\n",
    "shop/like.py": f"def repair(blade):\n    grindstone_7 = pick(blade)\n    {TRUTH}\n",
    **{f"shop/other_{number}.py": f"unlike_{number} = {number}\n" for number in range(6)},
}
TEXT = "def work(blade):\n    grindstone_7 = pick(blade)\n    \n"


def make_task(name: str = "1", kind: TaskKind = TaskKind.SYMBOL) -> RetrievalTask:
    return RetrievalTask(
        task_id=f"{kind}/shop/{name}",
        kind=kind,
        package="shop",
        language_id="python",
        files=FILES,
        path="shop/here.py",
        text=TEXT,
        offset=len(TEXT) - 1,
        truth=TRUTH,
        definitions=(),
        unseen=frozenset({"sharpen_blade"}),
    )


# --- variants


def test_a_variant_is_made_of_changes() -> None:
    made = variant_of("min_similarity=1,context_share=0.125,max_num_snippets=3")
    context = VARIANTS[CONTEXT]
    assert made.name == "context_min_similarity_1_context_share_0.125_max_num_snippets_3"
    assert made.context_share == 0.125
    assert made.assembly == replace(context.assembly, min_similarity=1.0, max_num_snippets=3)
    assert made.fusion == context.fusion


@pytest.mark.parametrize(
    "changes",
    ["", "min_similarity", "min_similarity=", "min_similarity=high", "max_num_snippets=2.5", "x=1"],
)
def test_a_change_of_nothing_or_to_nothing_is_refused(changes: str) -> None:
    with pytest.raises(ValueError, match="NAME=VALUE"):
        variant_of(changes)


# --- scores


def suggestion(text: str, start: int, end: int) -> Suggestion:
    source, reason = SuggestionSource.ENGINE, FinishReason.STOP
    return Suggestion("1", text, start, end, (), 1.0, reason, source, CompletionTrace())


AT = len(TEXT) - 1


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (suggestion("sharpen(blade)", AT, AT), "sharpen(blade)"),
        (suggestion("sharpen(\n        blade,\n    )", AT, AT), "sharpen("),
        (suggestion("    sharpen(blade)", AT - 4, AT), "sharpen(blade)"),
        (suggestion("\n    pass", AT, AT), ""),
        (NoSuggestion("1", NoSuggestionReason.EMPTY_OUTPUT), ""),
    ],
)
def test_what_counts_is_the_line_right_of_the_cursor(outcome: CompletionOutcome, line: str) -> None:
    assert line_of(make_task(), outcome) == line


def test_a_failed_engine_is_no_measurement() -> None:
    for outcome in (NoSuggestion("1", NoSuggestionReason.ENGINE_ERROR), Cancelled("1")):
        with pytest.raises(RuntimeError, match="nothing was measured"):
            end_of(outcome)
    assert end_of(NoSuggestion("1", NoSuggestionReason.BLANK_OUTPUT)) == "blank_output"
    assert end_of(suggestion("x", AT, AT)) == "stop"


@pytest.mark.parametrize(
    ("line", "truth", "score"),
    [
        ("alpha(beta)", "beta(alpha)", 100.0),
        ("alpha(beta, gamma)", "alpha()", 50.0),
        ("alpha(alpha)", "alpha()", pytest.approx(66.67, abs=0.01)),
        ("'alpha'", "alpha()", 0.0),
        ("", "alpha()", 0.0),
        ("alpha()", "1 + 1", None),
    ],
)
def test_identifiers_are_compared_as_often_as_they_stand(
    line: str, truth: str, score: float | None
) -> None:
    assert identifier_f1(line, truth, "python") == score


# --- contexts of variants


@pytest.fixture
def repositories() -> Iterator[FimbleRetrieval]:
    made = FimbleRetrieval()
    yield made
    made.close()


def shown_to(repositories: FimbleRetrieval, variant: Variant) -> int:
    """Return how many chunks the variant shows in ``TEXT``."""
    workspaces, task = OneWorkspace(), make_task()
    index = workspaces.index = repositories.index_of(task)
    contexts = VariantContexts(workspaces, [VARIANTS[CONTEXT], variant])
    document = DocumentSnapshot(
        "file:///here.py",
        1,
        "python",
        TEXT,
        path=task.path,
        owner=variant.name,
        workspace=str(index.folder),
    )
    room = ContextRoom(500, lambda chunk: len(chunk.text) // 4, (0, len(TEXT)))
    return len(contexts.chunks(CompletionRequest("1", document, task.offset), room))


def test_best_similarity_is_what_a_threshold_is_compared_with(
    repositories: FimbleRetrieval,
) -> None:
    task, context = make_task(), VARIANTS[CONTEXT]
    best = best_similarity(repositories.index_of(task), place_of(task), context)
    assert 0 < best < 1
    assert shown_to(repositories, variant_of(f"min_similarity={best - 0.001}")) > 0
    assert shown_to(repositories, variant_of(f"min_similarity={best + 0.001}")) == 0


# --- the whole path


def without_times(row: Measured) -> Measured:
    return replace(row, retrieval_ms=0, prefill_ms=0, decode_ms=0, total_ms=0)


@pytest.mark.weights
def test_context_is_what_variants_differ_in_and_no_request_leaves_anything_to_the_next() -> None:
    variants = [VARIANTS[ALONE], VARIANTS[CONTEXT], variant_of("context_share=0.4")]
    bench = CompletionBench(load_model(DEFAULT_MODEL), variants, 512)
    try:
        alone, context, wider = (bench.measure(make_task(), variant) for variant in variants)
        again = bench.measure(make_task(), VARIANTS[CONTEXT])
    finally:
        bench.close()
    assert (alone.sources, alone.num_context_tokens, alone.best_similarity) == ([], 0, 0)
    assert alone.edit_similarity < 100
    assert context.is_match
    assert context.line == TRUTH
    assert (context.edit_similarity, context.identifier_f1) == (100, 100)
    assert context.sources
    assert context.num_context_tokens <= 512 // 4
    assert context.num_prompt_tokens >= alone.num_prompt_tokens + context.num_context_tokens
    assert context.best_similarity == wider.best_similarity > 0
    assert context.prefill_ms > 0
    assert without_times(again) == without_times(context)


# --- runs


def make_row(
    task: RetrievalTask, variant: str, similarity: float = 50.0, **changes: object
) -> Measured:
    row = Measured(
        task_id=task.task_id,
        kind=task.kind,
        package=task.package,
        language_id=task.language_id,
        variant=variant,
        max_num_prompt_tokens=2048,
        truth=TRUTH,
        num_unseen=0,
        line="sharpen",
        end="stop",
        is_match=False,
        edit_similarity=similarity,
        identifier_f1=None,
        best_similarity=0.0,
        sources=[],
        num_context_tokens=0,
        num_prompt_tokens=100,
        retrieval_ms=1.0,
        prefill_ms=1.0,
        decode_ms=1.0,
        total_ms=10.0,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def test_a_run_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    tasks = [make_task(name) for name in "abc"]
    variants = [VARIANTS[ALONE], VARIANTS[CONTEXT]]

    def measure(task: RetrievalTask, variant: Variant) -> Measured:
        return make_row(task, variant.name)

    wanted = missing_of(tasks, variants, tmp_path, 2048)
    assert len(wanted) == 6
    assert {variant.name for _, variant in wanted[::2]} == {
        ALONE,
        CONTEXT,
    }  # each is first at times
    run(wanted[:3], measure, tmp_path)
    torn = rows_path(tmp_path, CONTEXT, 2048)
    torn.write_text(torn.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    left = missing_of(tasks, variants, tmp_path, 2048)
    assert left == [each for each in wanted if each in left]
    assert len(left) == 4
    run(left, measure, tmp_path)
    assert missing_of(tasks, variants, tmp_path, 2048) == []
    assert len(missing_of(tasks, variants, tmp_path, 1024)) == 6
    for variant in variants:
        rows = read_rows(rows_path(tmp_path, variant.name, 2048))
        assert sorted(rows, key=lambda row: row.task_id) == [
            make_row(task, variant.name) for task in tasks
        ]


def test_a_row_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    row = make_row(make_task(), CONTEXT, line='"é\u2028"', sources=["similar"], identifier_f1=1.5)
    path = rows_path(tmp_path / "new", CONTEXT, 2048)
    append_row(path, row)
    append_row(path, row)
    assert read_rows(path) == [row, row]


# --- reports


def test_gains_are_taken_task_by_task_over_tasks_that_all_variants_have() -> None:
    rows = []
    for number in range(20):
        task, unseen = make_task(f"{number:02}"), int(number < 5)
        rows.append(make_row(task, ALONE, number, num_unseen=unseen))
        gain = 10.0 if number < 10 else 4.0
        found = make_row(
            task,
            CONTEXT,
            number + gain,
            num_unseen=unseen,
            is_match=number < 5,
            best_similarity=1 - number / 20,
            num_prompt_tokens=150,
            total_ms=20.0,
            sources=["similar"],
        )
        rows.append(found)
    rows.append(make_row(make_task("unfinished"), ALONE, 100))
    figures = {figure.name: figure for figure in figures_of(rows)}
    values = {name: each.value for name, each in figures.items()}
    assert values["symbol_num_tasks"] == values["symbol_python_num_tasks"] == 20
    assert values["symbol_alone_edit_similarity"] == pytest.approx(9.5)
    overall = figures["symbol_context_over_alone_edit_similarity"]
    assert overall.value == pytest.approx(7)
    assert values["symbol_context_over_alone_edit_similarity_low"] == overall.low < overall.value
    assert values["symbol_unseen_context_over_alone_edit_similarity"] == 10
    assert values["symbol_context_over_alone_exact_match"] == 25
    assert values["symbol_context_over_alone_prompt_tokens"] == 50
    assert values["symbol_context_over_alone_total_ms_ratio"] == 2
    assert values["symbol_context_tenth_0_edit_similarity_gain"] == 4
    assert values["symbol_context_tenth_9_edit_similarity_gain"] == 10
    assert values["symbol_context_tenth_9_similarity"] == pytest.approx(0.975)
    assert "symbol_context_identifier_f1" not in values  # no truth has an identifier
    table = "\n".join(table_of(rows))
    assert "0.00 shows 20              +7.0 points" in table
    assert "0.50 shows 11              +5.2 points" in table
    assert "similar                    +7.0 points" in table
