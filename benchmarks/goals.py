"""Prints every goal beside what was measured; ``make goals``.

The exit status is 1 if a goal of an active issue has no result, or one whose measured code has
changed since. A goal that was measured and missed is shown as missed and does not fail: the figure
is true, and hiding it would be worse.
"""

from __future__ import annotations

import operator
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from benchmarks.results import GOALS, JsonValue, code_fingerprints, read_result

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
CHECK = re.compile(r"(?P<figures>[\w.]+(\|[\w.]+)*) (?P<sign><=|>=|<|>) (?P<bound>-?[\d.]+)")


class State(StrEnum):
    """Where a goal stands."""

    MET = "met"
    MISSED = "missed"
    REPORTED = "reported"
    TESTED = "tested"
    MISSING = "missing"
    STALE = "stale"
    NOT_YET = "not yet measured"
    NOT_HERE = "not measured: needs CUDA"


@dataclass(frozen=True, slots=True)
class Goal:
    """One table of ``[[goals]]``; ``test`` is ``FILE::NAME`` of a test that shows it without a figure."""

    issue: int
    text: str
    benchmark: str | None = None
    checks: tuple[str, ...] = ()
    needs: str | None = None
    test: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """``figures`` are alternatives, written ``benchmark.figure``; the best of them counts."""

    figures: tuple[str, ...]
    sign: str
    bound: float


def load_goals() -> tuple[list[Goal], frozenset[int]]:
    """Return all goals in file order, and the issues whose goals must be measured."""
    table = tomllib.loads(GOALS.read_text(encoding="utf-8"))
    goals = [Goal(**{**row, "checks": tuple(row.get("checks", ()))}) for row in table["goals"]]
    return goals, frozenset(table["active"])


def parse_check(text: str) -> Check:
    """Return the comparison that ``text`` states.

    Raises:
        ValueError: If ``text`` is no comparison of figures with a number.
    """
    match = CHECK.fullmatch(text)
    if match is None:
        raise ValueError(f"check {text!r} is not 'benchmark.figure <= number'; see goals.toml")
    return Check(tuple(match["figures"].split("|")), match["sign"], float(match["bound"]))


def changed_files(benchmark: str, result: Mapping[str, JsonValue]) -> list[str]:
    """Return the measured files whose code differs from what ``result`` measured."""
    then = cast(dict[str, str], result["measured_code"])
    now = code_fingerprints(benchmark)
    return sorted(path for path in then.keys() | now.keys() if then.get(path) != now.get(path))


def figure_rows(result: Mapping[str, JsonValue]) -> dict[str, dict[str, JsonValue]]:
    """Return the figures of ``result`` by name."""
    figures = cast(list[dict[str, JsonValue]], result["figures"])
    return {cast(str, figure["name"]): figure for figure in figures}


def assess_check(check: Check) -> tuple[State, str]:
    """Return where ``check`` stands, and the line that shows it."""
    rows = [row for figure in check.figures if (row := _find(figure)) is not None]
    wanted = f"{check.sign} {check.bound:g}"
    if not rows:
        return State.MISSING, f"{' or '.join(check.figures)}: no value, goal {wanted}"
    pick = max if check.sign.startswith(">") else min
    best = pick(rows, key=lambda row: cast(float, row["value"]))
    value = cast(float, best["value"])
    met = COMPARISONS[check.sign](value, check.bound)
    line = (
        f"{best['name']}: {value:.4g} {best['unit']} "
        f"[{best['low']:.4g}, {best['high']:.4g}; {best['interval']}, n={best['n']}], goal {wanted}"
    )
    return (State.MET if met else State.MISSED), line


def assess(goal: Goal, active: frozenset[int]) -> tuple[State, list[str]]:
    """Return where ``goal`` stands, and lines with the values behind it."""
    if goal.test is not None:
        return _assess_test(goal.test)
    if goal.benchmark is None or (result := read_result(goal.benchmark)) is None:
        return _state_without_result(goal, active), []
    states, lines = [State.REPORTED] if not goal.checks else [], []
    for text in goal.checks:
        state, line = assess_check(parse_check(text))
        states.append(state)
        lines.append(f"{state}: {line}")
    changed = changed_files(goal.benchmark, result)
    if changed:
        lines.append(f"measured before changes in {', '.join(changed)}; run it again")
        return State.STALE, lines
    worst = next(
        state
        for state in (State.MISSING, State.MISSED, State.MET, State.REPORTED)
        if state in states
    )
    return worst, lines


def main() -> int:
    """Print all goals and return the exit status."""
    goals, active = load_goals()
    failures = 0
    for goal in goals:
        state, lines = assess(goal, active)
        required = goal.issue in active and goal.needs is None
        failures += required and state in (State.MISSING, State.STALE)
        title = f"[{state}] issue {goal.issue}: {goal.text}"
        print(textwrap.fill(title, 100, subsequent_indent="    "))
        for line in lines:
            print(textwrap.fill(line, 100, initial_indent="      ", subsequent_indent="        "))
    if failures:
        print(
            f"\n{failures} goals of issues {sorted(active)} have no current result", file=sys.stderr
        )
    return 1 if failures else 0


def _assess_test(test: str) -> tuple[State, list[str]]:
    """Return whether ``test`` is there; whether it passes is for CI to say."""
    name, _, function = test.partition("::")
    path = GOALS.parents[1] / name
    is_there = path.exists() and f"def {function}(" in path.read_text(encoding="utf-8")
    return (State.TESTED if is_there else State.MISSING), [f"by {test}"]


def _find(figure: str) -> dict[str, JsonValue] | None:
    benchmark, _, name = figure.partition(".")
    result = read_result(benchmark)
    return None if result is None else figure_rows(result).get(name)


def _state_without_result(goal: Goal, active: frozenset[int]) -> State:
    if goal.needs is not None:
        return State.NOT_HERE
    return State.MISSING if goal.issue in active else State.NOT_YET


if __name__ == "__main__":
    sys.exit(main())
