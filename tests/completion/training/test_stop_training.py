"""Learning when to give a line up: places, rows, curves and the regression."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from completion.dynamic.features import LinePlace, TokenTrace
from completion.strategy import Scope, choose_strategy
from completion.training.stop_curve import (
    JudgedLine,
    best_threshold,
    calibration_error,
    curve,
    judge,
    reliability,
    separation,
)
from completion.training.stop_examples import StopExample, StopExamples
from completion.training.stop_places import stop_places
from completion.training.stop_training import fit, train
from models.loader import LoadedModel
from models.progress import Progress, ignore_progress

PLACE = LinePlace(False, "(", 5, False, 1, False)
SOURCE = "".join(
    f"def function_{at}(first, second):\n    value = call(first, {at})\n    return value\n\n\n"
    for at in range(12)
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.py" for name in "abcd"]
    for path in paths:
        path.write_text(SOURCE, encoding="utf-8")
    return paths


def example(logprob: float, *, is_right: bool, group: str = "0", length: int = 4) -> StopExample:
    traces = tuple(
        TokenTrace(logprob, -logprob, 1.0, False, 3, True, at == length - 1) for at in range(length)
    )
    chosen = tuple(10.0 * at for at in range(length))
    return StopExample(f"{group}-{logprob}", group, is_right, PLACE, traces, chosen)


def line(*probabilities: float, is_right: bool) -> JudgedLine:
    return JudgedLine(
        example(-0.1, is_right=is_right, length=len(probabilities)), tuple(probabilities)
    )


def test_a_place_and_its_truth_make_the_line(files: list[Path]) -> None:
    groups = stop_places(files, 100, 3)
    assert len(groups) == len(files)
    lines = SOURCE.split("\n")
    for place in (place for group in groups for place in group):
        left = place.request.prefix.rpartition("\n")[2]
        right = place.request.suffix.partition("\n")[0]
        assert left + place.truth + right in lines
        assert right in ("", ")")


def test_the_seed_decides_the_places(files: list[Path]) -> None:
    assert stop_places(files, 100, 3) == stop_places(files, 100, 3)
    assert stop_places(files, 100, 3) != stop_places(files, 100, 4)


def test_fewer_places_are_the_first_of_more(files: list[Path]) -> None:
    few, many = stop_places(files, 4, 3), stop_places(files, 9, 3)
    assert many[: len(few)] == few


def test_a_typist_rests_once_before_the_line(files: list[Path]) -> None:
    for group in stop_places(files, 100, 3):
        blank = [
            choose_strategy(place.request, scope=Scope.LINE).cursor.left.strip() == ""
            for place in group
        ]
        assert blank == [True, *[False] * (len(group) - 1)]


def test_rows_are_made_once_and_hold_no_text(
    tiny_model: LoadedModel, files: list[Path], tmp_path: Path
) -> None:
    groups = stop_places(files, 6, 0)
    path = tmp_path / "rows.jsonl"
    seen: list[Progress] = []
    made = StopExamples(path).collect("x", tiny_model, groups, seen.append)
    assert seen[-1].done == seen[-1].total == sum(map(len, groups))
    text = path.read_text(encoding="utf-8")
    assert "function" not in text
    assert "value" not in text

    tiny = replace(tiny_model, decoder=_Refusing(tiny_model.decoder))  # type: ignore[arg-type]
    assert StopExamples(path).collect("x", tiny, groups, ignore_progress) == list(
        StopExamples(path)
    )
    assert [each.name for each in StopExamples(path)] == [each.name for each in made]


class _Refusing:
    """A decoder that can be built upon but not run."""

    def __init__(self, decoder: object) -> None:
        self._decoder = decoder

    def __getattr__(self, name: str) -> object:
        return getattr(self._decoder, name)

    def forward(self, *_: object, **__: object) -> object:
        raise AssertionError("a line was completed again")


def test_a_row_that_was_cut_short_is_made_again(
    tiny_model: LoadedModel, files: list[Path], tmp_path: Path
) -> None:
    groups = stop_places(files, 6, 0)
    path = tmp_path / "rows.jsonl"
    StopExamples(path).collect("x", tiny_model, groups, ignore_progress)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-20], encoding="utf-8")
    StopExamples(path).collect("x", tiny_model, groups, ignore_progress)
    names = {each.name for each in StopExamples(path)}
    assert names == {place.request.request_id for group in groups for place in group}


def test_what_a_threshold_saves_and_costs() -> None:
    lines = [
        line(0.5, 0.1, 0.05, 0.05, is_right=False),
        line(0.5, 0.4, 0.4, is_right=False),
        line(0.2, 0.8, is_right=True),
        line(0.9, is_right=True),
    ]
    point = curve(lines, (0.15,))[0]
    assert point.saved_ms == pytest.approx(20 / 50)
    assert point.saved_tokens == pytest.approx(2 / 5)
    assert (point.hidden_wrong, point.lost_right) == (0.5, 0.0)
    assert curve(lines, (0.25,))[0].lost_right == 0.5
    assert curve(lines, (0.0,))[0].saved_ms == 0


def test_the_threshold_is_the_largest_that_loses_little() -> None:
    lines = [line(0.1, is_right=True), *[line(0.9, is_right=True)] * 99]
    assert best_threshold(lines, 0.04) == pytest.approx(0.1)  # 0 of 100 are at most 3.7 %
    assert best_threshold(lines, 0.03) == 0.0
    assert best_threshold(lines, 0.06) == pytest.approx(0.3)  # 1 of 100 is at most 5.4 %
    assert best_threshold(lines * 3, 0.03, num_copies=3) == 0.0


def test_lines_that_are_right_as_often_as_said_are_calibrated() -> None:
    lines = [line(0.75, is_right=at % 4 > 0) for at in range(40)]
    assert calibration_error(reliability(lines)) == pytest.approx(0.0)
    assert calibration_error(reliability([line(0.75, is_right=False)])) == pytest.approx(0.75)


def test_separation_counts_pairs() -> None:
    assert separation([0.9, 0.1, 0.5], [True, False, True]) == 1.0
    assert separation([0.5, 0.5], [True, False]) == 0.5


def test_what_is_learnt_is_calibrated_on_lines_left_out() -> None:
    chance = random.Random(5)
    examples = []
    for at in range(300):
        logprob = -chance.random() * 2
        is_right = chance.random() < np.exp(2 * logprob)
        examples.append(example(logprob, is_right=is_right, group=str(at)))
    trained = train(examples)
    fresh = []
    for at in range(2000):
        logprob = -chance.random() * 2
        is_right = chance.random() < np.exp(2 * logprob)
        fresh.append(example(logprob, is_right=is_right, group=str(at)))
    lines = judge(trained.controller, fresh)
    # 200 lines of a tenth vary by 3.5 points; the form of the curve costs some more.
    assert calibration_error(reliability(lines)) < 0.07
    scores = [each.probabilities[-1] for each in lines]
    assert separation(scores, [each.example.is_right for each in lines]) > 0.75


def test_the_regression_stands_where_its_slope_is_zero() -> None:
    chance = random.Random(2)
    examples = [
        example(-chance.random(), is_right=chance.random() < 0.5, group=str(at)) for at in range(60)
    ]
    controller = fit(examples)
    lines = judge(controller, examples)
    found = sum(sum(each.probabilities) / len(each.probabilities) for each in lines)
    assert found == pytest.approx(sum(each.example.is_right for each in lines), abs=0.01)
