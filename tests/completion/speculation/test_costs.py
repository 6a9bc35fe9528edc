"""Costs of passes: measured once, kept, and never nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from completion.speculation.costs import CostStore, PassCosts, calibrate
from models.loader import LoadedModel


def test_costs_are_relative_to_one_row_and_straight_between_measured_sizes() -> None:
    costs = PassCosts({512: {1: 0.05, 4: 0.06, 8: 0.1}})
    assert [costs.of(rows) for rows in (1, 4, 6, 8)] == pytest.approx([1.0, 1.2, 1.6, 2.0])
    assert costs.of(12) == pytest.approx(2.8)  # as it went on last


def test_rows_cost_more_the_more_tokens_each_of_them_attends_to() -> None:
    costs = PassCosts({500: {1: 1.0, 9: 2.0}, 1500: {1: 2.0, 9: 8.0}})
    contexts = (0, 500, 1000, 1500, 2500)
    assert [costs.of(9, size) for size in contexts] == pytest.approx([2.0, 2.0, 3.0, 4.0, 6.0])
    assert [costs.of(1, size) for size in contexts] == pytest.approx([1.0] * 5)


def test_a_larger_pass_that_was_measured_faster_is_taken_for_noise() -> None:
    costs = PassCosts({512: {1: 0.1, 2: 0.3, 4: 0.2}})
    assert costs.of(4) == costs.of(3) == costs.of(2) == pytest.approx(3.0)


def test_what_was_measured_is_used_and_found_again(tiny_model: LoadedModel, tmp_path: Path) -> None:
    store = CostStore(tmp_path / "new", "tiny", "cuda:1", 2)
    assert store.read() is None
    costs = PassCosts()
    assumed = [costs.of(rows) for rows in range(1, 33)]
    calibrate(costs, store, tiny_model.decoder)(lambda: None)
    measured = [costs.of(rows) for rows in range(1, 33)]
    assert measured != assumed
    assert measured == sorted(measured)
    kept = store.read()
    assert kept is not None
    assert [PassCosts(kept).of(rows) for rows in range(1, 33)] == measured
    assert CostStore(tmp_path / "new", "tiny", "cuda:1", 4).read() is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"torch": "?", "seconds": {}}'])
def test_a_file_that_is_not_ours_is_measured_anew(tmp_path: Path, content: str) -> None:
    store = CostStore(tmp_path, "tiny", "cpu", 2)
    store.write({512: {1: 1.0, 2: 1.1}})
    (path,) = tmp_path.iterdir()
    path.write_text(content)
    assert store.read() is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = CostStore(tmp_path / "file", "tiny", "cpu", 2)
    store.write({512: {1: 1.0, 2: 1.1}})
    assert store.read() is None
