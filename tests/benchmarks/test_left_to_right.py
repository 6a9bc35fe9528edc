from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import left_to_right
from benchmarks.left_to_right_edits import EditKind
from benchmarks.left_to_right_policies import (
    CONTROL,
    FULL,
    PATCHED,
    POLICIES,
    EditBench,
    edit_similarity,
    is_match,
)
from benchmarks.left_to_right_random import NUM_WORDS, random_cases, spell
from benchmarks.left_to_right_report import answer_figures, cost_figures
from benchmarks.left_to_right_rows import Measured, append_rows, read_rows
from models.config import ModelConfig
from models.decoder import Decoder
from models.layout import canonical_tensors
from models.quantize import Precision
from models.slots import SlotTable


@pytest.mark.parametrize(
    ("line", "truth", "is_same", "similarity"),
    [
        ("  x = 1", "x  =  1 ", True, 83.3),
        ("x = 1", "x = 2", False, 80.0),
        ("", "x = 1", False, 0.0),
        ("return a", "return a", True, 100.0),
    ],
)
def test_lines_are_compared_as_repobench_does(
    line: str, truth: str, is_same: bool, similarity: float
) -> None:
    assert is_match(line, truth) is is_same
    assert edit_similarity(line, truth) == pytest.approx(similarity, abs=0.1)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    config = ModelConfig.from_hf(
        {
            "model_type": "llama",
            "vocab_size": NUM_WORDS,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "tie_word_embeddings": True,
        }
    )
    generator = torch.Generator().manual_seed(3)
    shapes = {"embed_tokens": (NUM_WORDS, 32), "gate_proj": (48, 32), "up_proj": (48, 32)}
    shapes |= {"down_proj": (32, 48)}

    def get(name: str) -> Tensor:
        part = name.split(".")[-2]
        if "norm" in part:
            return torch.ones(32)
        return torch.randn(shapes.get(part, (32, 32)), generator=generator) * 0.3

    return Decoder(config, dict(canonical_tensors(config, get)), "cpu", Precision.FLOAT32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", EditKind)
def test_policies_are_measured_against_a_fresh_prefill(decoder: Decoder, kind: EditKind) -> None:
    for case in random_cases(kind, seed=0, count=3, num_context=300):
        bench = EditBench(
            decoder, spell, num_slots=case.num_slots, num_rows=64, max_num_line_tokens=4
        )
        found = bench.run(case)
        assert set(found) == set(POLICIES)
        ids = case.after.token_ids
        pool = decoder.new_pool(len(ids) + 1)
        hidden = decoder.forward(SlotTable(pool, len(ids)).stage(ids), pool)
        exact = decoder.logits(hidden[-1:])[0]
        # float32 sums of 300 terms in another order.
        for name in (FULL, CONTROL):
            torch.testing.assert_close(found[name].logits, exact, atol=1e-4, rtol=1e-4)
            assert (found[name].num_computed, found[name].num_stale) == (len(ids), 0)
            assert found[name].line_ids[0] == int(exact.argmax())
        for name in PATCHED:
            assert 0 < found[name].num_computed < len(ids)
        assert found["pie"].num_computed < found["fimble"].num_computed
        assert bench.run(case)["pie"].line_ids == found["pie"].line_ids


def row(case_id: str, policy: str, **changes: object) -> Measured:
    made = Measured(
        network="int8",
        device="cpu",
        case_id=case_id,
        kind="insertion",
        num_context=2048,
        policy=policy,
        num_tokens=2000,
        num_computed=2000,
        num_stale=0,
        ms=1000.0,
        full_ms=1000.0,
        setting="in_file",
        language="python",
        kl=0.0,
        is_same_top=True,
        is_same_line=True,
        is_match=True,
        edit_similarity=100.0,
        line="x = 1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


ROWS = [
    *(row(case_id, FULL) for case_id in "abcd"),
    row("a", "pie", ms=100.0, num_computed=100),
    row("b", "pie", ms=200.0, num_computed=100, is_match=False, edit_similarity=60.0),
    row("c", "pie", ms=60.0, num_computed=100, is_same_line=False, kl=0.4),
    row("d", "pie", ms=80.0, num_computed=300, kind="deletion"),
]


def values_of(rows: list[Measured]) -> Mapping[str, float]:
    return {fig.name: fig.value for fig in [*cost_figures(rows), *answer_figures(rows)]}


def test_report_compares_each_case_with_its_own_oracle() -> None:
    values = values_of(ROWS)
    assert values["int8_2048_insertion_pie_time_saved"] == pytest.approx(90.0)
    assert values["int8_2048_all_pie_time_saved"] == pytest.approx(91.0)
    assert values["int8_2048_deletion_pie_computed"] == pytest.approx(15.0)
    assert values["int8_2048_in_file_pie_exact_match_loss"] == pytest.approx(25.0)
    assert values["int8_2048_all_pie_edit_similarity_loss"] == pytest.approx(10.0)
    assert values["int8_2048_all_pie_same_line"] == pytest.approx(75.0)
    assert values["int8_2048_all_pie_kl"] == pytest.approx(0.1)
    assert values["int8_2048_all_full_exact_match"] == pytest.approx(100.0)
    assert "int8_2048_all_full_time_saved" not in values
    assert "int8_2048_all_full_kl" not in values


def test_gain_is_a_negative_loss_and_its_interval_is_that_of_the_differences() -> None:
    rows = [row("a", FULL, is_match=False), row("a", "pie"), row("b", FULL), row("b", "pie")]
    figures = {figure.name: figure for figure in answer_figures(rows)}
    found = figures["int8_2048_all_pie_exact_match_loss"]
    assert (found.value, found.low, found.high, found.n) == (-50.0, -100.0, 0.0, 2)


def test_row_that_was_not_written_to_its_end_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "work" / "rows.jsonl"
    append_rows(path, ROWS[:2])
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"network": "int8"})[:-1])
    assert read_rows(Measured, [path]) == ROWS[:2]
    append_rows(path, ROWS[2:])
    assert read_rows(Measured, [path]) == ROWS


def test_dry_run_shows_figures_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append_rows(tmp_path / "left_to_right-answers-int8-cpu-0-of-1.jsonl", ROWS)
    monkeypatch.delattr(left_to_right, "write_result")
    argv = ["left_to_right", "--work", str(tmp_path), "--report", "--dry-run", "--threads", "1"]
    monkeypatch.setattr("sys.argv", argv)
    left_to_right.main()
    assert "int8_2048_all_pie_time_saved" in capsys.readouterr().out
