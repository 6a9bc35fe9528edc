"""The bookkeeping of the comparison of cache policies, on made rows and made cases."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.kv_edit import chosen_variants, read_rows
from benchmarks.kv_edit_report import figures_of, report, table_of
from benchmarks.kv_policies import LAYOUT_ONLY, OURS, VARIANTS, Measured
from benchmarks.traces.case import EditCategory

ROW = Measured(
    case_id="typing/a",
    category="typing",
    language="python",
    num_context=2048,
    variant=OURS.name,
    layout="line",
    num_tokens=2000,
    num_computed=50,
    num_stale=1000,
    num_at_rest=0,
    full_ms=4000.0,
    before_decoding_ms=100.0,
    kl=0.001,
    is_same_top=True,
    is_same_line=True,
    is_match=True,
    is_oracle_match=False,
    line="return 1",
)


def rows() -> list[Measured]:
    found = []
    for category in EditCategory:
        for number in range(4):
            ours = replace(ROW, case_id=f"{category}/{number}", category=category.value)
            ours = replace(ours, is_same_line=number > 0)
            layout = replace(ours, variant=LAYOUT_ONLY.name, num_computed=1000, is_same_line=True)
            found += [ours, layout]
    return found


def test_shares_are_of_all_tokens_and_changes_are_paired() -> None:
    by_name = {figure.name: figure for figure in figures_of(rows())}
    assert by_name["at_2048_fimble_all_computed_of_all"].value == pytest.approx(2.5)
    assert by_name["at_2048_fimble_typing_line"].value == 75
    assert by_name["at_2048_fimble_all_line"].n == 28
    assert by_name["at_2048_fimble_all_match_change"].value == 100
    assert by_name["at_2048_layout_only_jump_computed"].value == 50
    assert by_name["at_2048_fimble_chunk_ms"].value == 100


def test_a_report_holds_every_category_and_says_by_how_much_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.kv_edit_report.RESULTS", tmp_path)
    report(rows(), "kv_edit", num_threads=1, precision="int8")
    written = json.loads((tmp_path / "kv_edit.json").read_text())
    by_name = {figure["name"]: figure for figure in written["figures"]}
    assert by_name["at_2048_jump_fewer_tokens"]["value"] == 20
    assert (tmp_path / "kv_edit.png").stat().st_size > 5000
    table = (tmp_path / "kv_edit.md").read_text()
    assert all(f"| {category} |" in table for category in [*EditCategory, "all"])
    assert table == table_of(rows())


def test_finished_rows_are_read_back(tmp_path: Path) -> None:
    (tmp_path / "kv_edit-0-of-2.jsonl").write_text(json.dumps(asdict(ROW)) + "\n")
    (tmp_path / "kv_edit-1-of-2.jsonl").write_text(json.dumps(asdict(ROW)) + "\n")
    assert read_rows(tmp_path) == [ROW, ROW]


def test_the_comparison_has_seven_policies_with_full_recomputation() -> None:
    assert len(chosen_variants(["policies"])) == len(VARIANTS) == 6
    assert len(
        {variant.name for variant in chosen_variants(["policies", "layouts", "ladder"])}
    ) == (len(chosen_variants(["policies", "layouts", "ladder"])))
