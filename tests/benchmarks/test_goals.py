from __future__ import annotations

import json
import platform
import tomllib
from pathlib import Path

import pytest

import benchmarks.goals as goals_module
from benchmarks import results
from benchmarks.figures import mean_figure, ratio_figure, share_figure, timing_figure
from benchmarks.goals import Goal, State, assess, load_goals, parse_check
from benchmarks.results import GOALS, code_fingerprint, command_line


@pytest.fixture
def results_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return tmp_path


def write_startup(value: float) -> Path:
    figure = timing_figure("cold_process_before_decoding_s", [value, value + 1, value - 1], "s")
    return results.write_result("startup", [figure], num_threads=1, settings={})


def check_state(checks: tuple[str, ...], state: State) -> None:
    goal = Goal(2, "as quick as stated", "startup", checks)
    assert assess(goal, frozenset({2}))[0] is state


def test_every_goal_is_well_formed() -> None:
    benchmarks = tomllib.loads(GOALS.read_text(encoding="utf-8"))["benchmarks"]
    goals, active = load_goals()
    assert active <= {goal.issue for goal in goals}
    assert len({goal.text for goal in goals}) == len(goals)
    for goal in goals:
        assert goal.text.strip() == goal.text
        assert goal.benchmark is None or goal.benchmark in benchmarks
        is_shown = goal.benchmark is not None or goal.test is not None or goal.needs is not None
        assert goal.issue not in active or is_shown, goal.text
        assert goal.test is None or assess(goal, active)[0] is State.TESTED, goal.test
        for text in goal.checks:
            for figure in parse_check(text).figures:
                assert figure.split(".")[0] in benchmarks


def test_every_benchmark_measures_code_that_exists() -> None:
    for table in tomllib.loads(GOALS.read_text(encoding="utf-8"))["benchmarks"].values():
        for pattern in table["measures"]:
            assert any(results.ROOT.glob(pattern)), f"{pattern} matches no file"


def test_every_benchmark_is_described() -> None:
    described = (results.ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for table in tomllib.loads(GOALS.read_text(encoding="utf-8"))["benchmarks"].values():
        words = table["command"].split()
        script = words[words.index("-m") + 1].replace(".", "/") + ".py"
        assert f"| `{script}` |" in described


def test_goal_without_result_is_missing_when_active_and_not_yet_measured_otherwise(
    results_folder: Path,
) -> None:
    goal = Goal(2, "as quick as stated", "startup", ("startup.total_s < 5",))
    assert assess(goal, frozenset({2}))[0] is State.MISSING
    assert assess(goal, frozenset({3}))[0] is State.NOT_YET
    needs_cuda = Goal(2, "as quick as stated", "startup", (), "cuda")
    assert assess(needs_cuda, frozenset({2}))[0] is State.NOT_HERE


def test_goal_is_met_or_missed_by_the_value_that_was_written(results_folder: Path) -> None:
    write_startup(4.0)
    check_state(("startup.cold_process_before_decoding_s < 5",), State.MET)
    check_state(("startup.cold_process_before_decoding_s < 4",), State.MISSED)
    check_state(("startup.cold_process_before_decoding_s <= 4",), State.MET)
    check_state(("startup.other_s < 5",), State.MISSING)
    check_state(("startup.other_s|startup.cold_process_before_decoding_s < 5",), State.MET)
    check_state((), State.REPORTED)


def test_result_is_stale_once_measured_code_changes(results_folder: Path) -> None:
    target = write_startup(4.0)
    result = json.loads(target.read_text(encoding="utf-8"))
    result["measured_code"]["benchmarks/startup.py"] = "0" * 16
    target.write_text(json.dumps(result), encoding="utf-8")
    check_state(("startup.cold_process_before_decoding_s < 5",), State.STALE)


def test_goals_exit_status_tells_missing_results(
    results_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert goals_module.main() == 1
    assert "have no current result" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["startup.total_s", "total_s == 5", "a.b < many", ""])
def test_check_that_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_check(text)


def test_fingerprint_sees_code_and_not_comments_docstrings_or_layout() -> None:
    plain = 'def f(x):\n    """Add."""\n    return x + 1\n'
    assert code_fingerprint(plain) == code_fingerprint("def f( x ):\n  # why\n  return (x + 1)\n")
    assert code_fingerprint(plain) != code_fingerprint(plain.replace("1", "2"))


def test_recorded_command_holds_no_path_of_the_machine() -> None:
    command = command_line(["/somewhere/benchmarks/engine.py", "--gguf", "/data/model.gguf"])
    assert command == "python -m benchmarks.engine --gguf model.gguf"


def test_result_tells_the_machine_without_naming_it(results_folder: Path) -> None:
    text = write_startup(4.0).read_text(encoding="utf-8")
    machine = json.loads(text)["machine"]
    assert machine["num_cores"] >= 1
    assert platform.node() not in machine.values()
    assert str(Path.home()) not in text


def test_two_figures_of_one_name_are_refused(results_folder: Path) -> None:
    figure = timing_figure("a_ms", [1.0])
    with pytest.raises(ValueError, match="share a name"):
        results.write_result("startup", [figure, figure], num_threads=1, settings={})


def test_intervals_hold_the_value_and_narrow_with_more_samples() -> None:
    few, many = share_figure("a", 5, 10), share_figure("a", 500, 1000)
    assert few.low < few.value == many.value == 50.0 < few.high
    assert many.high - many.low < few.high - few.low
    # Wilson 1927 for 5 of 10, by hand.
    assert few.low == pytest.approx(23.66, abs=0.01)
    assert few.high == pytest.approx(76.34, abs=0.01)
    mean = mean_figure("b", [1.0, 2.0, 3.0, 4.0], "nats")
    assert mean.low < mean.value == 2.5 < mean.high
    assert ratio_figure("c", [2.0, 6.0, 4.0], [1.0, 2.0, 4.0]).value == 2.0
