"""The bookkeeping of the benchmarks of several candidates, on made rows and made texts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.candidates_report import WAYS, figures_of
from benchmarks.candidates_rows import (
    Asking,
    append_rows,
    by_task,
    compared_text,
    missing_text,
    read_rows,
    right_at,
    run_tasks,
)
from benchmarks.speculation_tasks import Question, SpeculationTask, Workload
from benchmarks.superposed import BRANCHES, ONE, row_of
from benchmarks.superposed import WAYS as LINE_WAYS
from benchmarks.superposed import figures_of as line_figures_of
from benchmarks.superposed_decoding import (
    Draft,
    ExactPasses,
    NgramShares,
    Passes,
    SuperposedLines,
    SuperposedPasses,
    combined,
    is_settled,
    weights_of,
)
from completion.speculation.ngrams import RepositoryNgrams
from completion.types import TriggerKind
from models.config import ModelConfig
from models.decoder import Decoder
from models.quantize import Precision
from models.slots import SlotTable

FILE = "def f(a):\n    b = a + 1\n    return b\n"
OFFSET = FILE.index("a + 1")
QUESTION = Question(FILE.replace("a + 1", ""), OFFSET, TriggerKind.AUTOMATIC)
TASK = SpeculationTask("lines/f", Workload.LINES, "begun", "x/f.py", "python", (QUESTION,))
ROW = Asking(
    task_id="lines/f",
    way=WAYS[0],
    num_found=1,
    num_distinct=1,
    right_at=0,
    num_passes=10,
    passes_ms=100.0,
    workload="lines",
    num_tokens=10,
    num_prompt_tokens=50,
)


def asked(**milliseconds: float) -> list[Asking]:
    """Return a task's rows, each way with its time; 100 ms for those that are not named."""
    return [replace(ROW, way=way, passes_ms=milliseconds.get(way, 100.0)) for way in WAYS]


def values_of(rows: list[Asking]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures_of(rows)}


def test_the_cost_of_candidates_is_beside_one_with_the_same_drafts() -> None:
    found = values_of(asked(plain_3=250.0, merged_1=50.0, merged_3=75.0))
    assert found["lines_plain_3_cost"] == 2.5
    assert found["lines_merged_3_cost"] == 1.5
    assert found["lines_merged_3_cost_over_plain_1"] == 0.75
    assert found["lines_merged_3_cost_in_passes"] == 1


@pytest.mark.parametrize(
    ("at", "first", "later"), [(None, 0.0, 0.0), (0, 100.0, 0.0), (2, 0.0, 100.0)]
)
def test_a_later_candidate_counts_where_the_first_is_not_right(
    at: int | None, first: float, later: float
) -> None:
    found = values_of([replace(row, right_at=at) for row in asked()])
    assert found["lines_merged_5_first_right"] == first
    assert found["lines_merged_5_later_right"] == later


def test_answers_that_repeat_themselves_are_counted() -> None:
    rows = asked()
    rows[2] = replace(rows[2], num_found=5, num_distinct=4)
    assert values_of(rows)["lines_repeating"] == 1
    assert values_of(asked())["lines_repeating"] == 0


def test_a_task_that_was_not_asked_in_every_way_does_not_count() -> None:
    rows = asked()
    rows += [replace(row, task_id="lines/g") for row in rows[1:]]
    assert {figure.n for figure in figures_of(rows) if figure.name.endswith("_ms")} == {1}


def test_rows_come_back_and_the_newest_of_a_task_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_rows(Asking, path) == []
    append_rows(path, asked())
    with path.open("a", encoding="utf-8") as file:
        file.write('{"task_id": "killed')
    append_rows(path, [replace(ROW, passes_ms=1.0)])
    rows = read_rows(Asking, path)
    assert len(rows) == len(WAYS) + 1
    assert by_task(rows, WAYS)[0][WAYS[0]].passes_ms == 1.0


def test_no_task_is_begun_once_the_time_is_up(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert list(run_tasks([TASK, TASK], lambda _: [ROW], path, max_s=-1.0)) == []
    assert list(run_tasks([TASK, TASK], lambda _: [ROW], path, max_s=60.0)) == [[ROW], [ROW]]
    assert len(read_rows(Asking, path)) == 2


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (FILE, "a + 1"),
        (FILE.replace("a + 1", ""), ""),
        (FILE.replace("def f", "def g"), None),
        (FILE + "\n", None),
        ("", None),
    ],
)
def test_what_a_file_has_at_the_cursor_is_found(text: str, wanted: str | None) -> None:
    assert missing_text(TASK, text) == wanted


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [([], None), (["a"], None), (["a + 1"], 0), (["a", " a  +\n1 ", "a + 1"], 1)],
)
def test_texts_are_compared_without_regard_to_blanks(texts: list[str], wanted: int | None) -> None:
    assert right_at(texts, "a + 1") == wanted


def test_lines_behind_a_line_are_not_compared() -> None:
    assert compared_text("a\nb", Workload.LINES) == "a"
    assert compared_text("a\nb", Workload.BLOCKS) == "a\nb"


def test_drafts_are_weighted_by_how_likely_they_are() -> None:
    drafts = [Draft((1,), math.log(0.6)), Draft((2,), math.log(0.2))]
    assert weights_of(drafts) == pytest.approx([0.75, 0.25])
    assert weights_of([Draft((1,), -2000.0)]) == [1.0]


def test_what_was_never_counted_is_unlikely_but_possible() -> None:
    assert combined(-1.0, 1.0, 0.5) == -0.5
    assert -math.inf < combined(-1.0, 0.0, 0.5) < combined(-1.0, 0.1, 0.5)
    assert combined(-1.0, 0.0, 0.0) == -1.0


@pytest.mark.parametrize(
    ("alive", "finished", "wanted"),
    [
        ([], [], True),
        ([-9.0], [], False),
        ([-9.0], [-1.0], False),
        ([-1.0], [-0.5, -2.0], False),
        ([-2.0], [-0.5, -2.0], True),
        ([-3.0, -4.0], [-2.0, -9.0, -0.5], True),
    ],
)
def test_drafts_go_on_while_one_may_still_be_among_the_best(
    alive: list[float], finished: list[float], wanted: bool
) -> None:
    drafts, ended = ([Draft((1,), logprob) for logprob in some] for some in (alive, finished))
    assert is_settled(drafts, ended, num_drafts=2) is wanted


def test_ngrams_of_the_prompt_prefer_what_stood_behind_longer_contexts() -> None:
    shares = NgramShares([1, 2, 3, 9, 2, 4, 8, 1, 2], RepositoryNgrams(100))
    seen, other, never = shares.of((), [3, 4, 5])
    assert seen > other > never == 0.0
    assert shares.of((3,), [9]) > shares.of((4,), [9]) == [0.0]


def test_ngrams_of_the_repository_count_where_the_prompt_has_none() -> None:
    repository = RepositoryNgrams(100)
    repository.learn_text([50, 51, 52])
    assert NgramShares([50, 51], repository).of((), [52])[0] > 0
    assert NgramShares([50, 51], RepositoryNgrams(100)).of((), [52]) == [0.0]


def test_lines_are_compared_with_those_that_branches_find() -> None:
    lines = SuperposedLines(("a + 1", "a +", "b"), 7, 100.0)
    row = row_of(TASK, "superposed", lines, ("a + 1", "b"), "a + 1")
    assert (row.num_alternatives, row.num_later_alternatives) == (2, 1)
    assert (row.num_parsing, row.right_at, row.is_first_greedy) == (2, 0, True)
    rows = [replace(row, way=way) for way in LINE_WAYS]
    found = {figure.name: figure.value for figure in line_figures_of(rows)}
    assert found["superposed_parses"] == pytest.approx(200 / 3)
    assert found["superposed_alternatives"] == pytest.approx(200 / 3)
    assert found["superposed_later_alternatives"] == 50
    assert found[f"{BRANCHES}_cost"] == 1
    assert f"{ONE}_alternatives" not in found


def small_decoder() -> Decoder:
    """Return a random network of two layers and 64 tokens."""
    config = ModelConfig.from_hf(
        {
            "model_type": "qwen2",
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        }
    )
    shapes = {
        "embedding.weight": (64, 32),
        "final_norm.weight": (32,),
    }
    for layer in ("layers.0", "layers.1"):
        shapes |= {
            f"{layer}.attention_norm.weight": (32,),
            f"{layer}.mlp_norm.weight": (32,),
            f"{layer}.qkv.weight": (64, 32),
            f"{layer}.qkv.bias": (64,),
            f"{layer}.output.weight": (32, 32),
            f"{layer}.gate_up.weight": (96, 32),
            f"{layer}.down.weight": (32, 48),
        }
    generator = torch.Generator().manual_seed(3)
    weights = {
        name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()
    }
    return Decoder(config, weights, "cpu", Precision.FLOAT32)


def logits_behind(decoder: Decoder, token_ids: list[int]) -> torch.Tensor:
    """Return what a pass over all of ``token_ids`` says comes next, [vocab_size]."""
    pool = decoder.new_pool(33)
    table = SlotTable(pool, 32)
    return decoder.logits(decoder.forward(table.stage(token_ids), pool)[-1:])[0]


def prompted(kind: type[ExactPasses | SuperposedPasses], decoder: Decoder) -> Passes:
    """Return passes behind a computed prompt."""
    pool = decoder.new_pool(65)
    table = SlotTable(pool, 64)
    decoder.forward(table.stage(PROMPT), pool)
    table.commit()
    return kind(decoder, pool, table)


PROMPT = [5, 9, 2]
# Of three drafts two go on, one of them twice; then one goes on, so that its beginning is shared.
ROUNDS = (
    ((7,), (8,), (9,)),
    ((7, 1), (7, 2), (9, 1)),
    ((7, 2, 3), (7, 2, 4), (7, 1, 3)),
    ((7, 2, 4, 5), (7, 2, 4, 6)),
    ((7, 2, 4, 5, 5),),
)


@torch.inference_mode()
def test_drafts_with_rows_of_their_own_get_the_logits_behind_their_own_text() -> None:
    decoder = small_decoder()
    passes = prompted(ExactPasses, decoder)
    for outputs in ROUNDS:
        found = passes.logits([Draft(output) for output in outputs])
        for output, logits in zip(outputs, found, strict=True):
            # Sums of float32 in another order.
            torch.testing.assert_close(logits, logits_behind(decoder, [*PROMPT, *output]))


@torch.inference_mode()
def test_a_draft_that_is_alone_is_not_mixed_with_anything() -> None:
    decoder = small_decoder()
    passes = prompted(SuperposedPasses, decoder)
    for output in ((7,), (7, 1), (7, 1, 3)):
        (logits,) = passes.logits([Draft(output)])
        torch.testing.assert_close(logits, logits_behind(decoder, [*PROMPT, *output]))


@torch.inference_mode()
def test_drafts_that_are_mixed_get_the_same_logits_mostly_those_of_the_likelier() -> None:
    decoder = small_decoder()
    passes = prompted(SuperposedPasses, decoder)
    first, second = passes.logits([Draft((7,), -0.001), Draft((8,), -9.0)])
    assert first is second
    alone = [logits_behind(decoder, [*PROMPT, token_id]) for token_id in (7, 8)]
    assert (first - alone[0]).abs().max() < 0.01 * (first - alone[1]).abs().max()
