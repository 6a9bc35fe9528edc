"""``fimble stats``, and the figures behind it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.cli import main
from lsp_server.learning.observation import Observation
from lsp_server.learning.stats import count, percentile, summarize, wilson_interval
from lsp_server.learning.store import ObservationStore, default_store_path

Make = Callable[..., Observation]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def users_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObservationStore:
    """The store that the command finds."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = ObservationStore(default_store_path())
    assert store.path.is_relative_to(tmp_path)
    return store


@pytest.fixture
def filled(users_store: ObservationStore, make_observation: Make) -> ObservationStore:
    """Eight suggestions on two days: three were accepted, one in part, one typed."""
    day = 86_400.0
    rows = [make_observation(n, latency_ms=100.0 * (n + 1)) for n in range(8)]
    whole = {"accepted": 2, "accepted_chars": 20}
    rows[0] = dataclasses.replace(rows[0], **whole, kept_30=1.0, kept_120=0.5)
    rows[1] = dataclasses.replace(rows[1], **whole, kept_30=0.0)
    rows[2] = dataclasses.replace(rows[2], **whole)
    rows[3] = dataclasses.replace(rows[3], accepted=1, accepted_chars=10, kept_30=1.0)
    rows[4] = dataclasses.replace(rows[4], typed=1)
    rows[5:] = [dataclasses.replace(row, at=row.at - 3 * day, language="go") for row in rows[5:]]
    users_store.insert(rows)
    return users_store


@pytest.mark.usefixtures("filled")
def test_the_table_counts_by_day_language_and_model(capsys: Capture) -> None:
    assert main(["stats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    headings, python, go, everything = (" ".join(line.split()) for line in lines[:4])
    assert headings.startswith("day language model shown accepted partly typed acceptance (95 %)")
    assert " python tiny 5 3 1 1 80% (38% to 96%) 60% of 50 50% of 20 - 300 500" in python
    assert " go tiny 3 0 0 0 0% (0% to 56%) - - - 700 800" in go
    assert everything.startswith("all 8 3 1 1 50% (22% to 78%)")
    assert "8 of 200 observations" in lines[-1]


@pytest.mark.usefixtures("filled")
def test_the_same_figures_come_as_one_object(capsys: Capture) -> None:
    assert main(["stats", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert [group["language"] for group in told["groups"]] == ["python", "go"]
    total = told["total"]
    assert (total["shown"], total["accepted"], total["partly"], total["typed"]) == (8, 3, 1, 1)
    assert total["acceptance"]["rate"] == 0.5
    assert total["kept"]["30"] == {"ratio": 0.6, "chars": 30, "measured_chars": 50}
    assert total["kept"]["600"]["ratio"] is None
    assert total["latency_ms"] == {"p50": 400.0, "p95": 800.0}


def test_without_anything_noted_the_command_says_so(
    users_store: ObservationStore, capsys: Capture
) -> None:
    assert main(["stats"]) == 0
    assert "nothing was noted yet" in capsys.readouterr().out
    assert not users_store.path.exists()


def test_an_export_holds_every_row_as_a_line(
    filled: ObservationStore, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "rows.jsonl"
    assert main(["stats", "--export", str(file)]) == 0
    assert "8 rows" in capsys.readouterr().err
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == [dataclasses.asdict(row) for row in filled.read()]
    assert main(["stats", "--export", "-"]) == 0
    assert capsys.readouterr().out == file.read_text()


def test_erasing_needs_a_yes(
    filled: ObservationStore, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert main(["stats", "--erase"]) == 2  # nobody sits at the terminal of a test
    assert "--yes" in capsys.readouterr().err
    for answer, code, left in (("n\n", 3, 8), ("", 3, 8), ("y\n", 0, 0)):
        monkeypatch.setattr(sys, "stdin", _Typed(answer))
        assert main(["stats", "--erase"]) == code
        assert len(filled.read()) == left


def test_a_script_erases_without_being_asked(filled: ObservationStore, capsys: Capture) -> None:
    assert main(["stats", "--erase", "--yes"]) == 0
    assert "erased 8 rows" in capsys.readouterr().err
    assert filled.read() == []


class _Typed:
    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._line


@pytest.mark.parametrize("flags", [["--yes"], ["--json", "--erase"]])
def test_flags_that_do_not_go_together_are_bad_input(flags: list[str], capsys: Capture) -> None:
    assert main(["stats", *flags]) == 2
    assert capsys.readouterr().err


@pytest.mark.usefixtures("filled")
def test_a_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "stats.png"
    assert main(["stats", "--plot", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("filled")
def test_without_matplotlib_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["stats", "--plot", str(tmp_path / "stats.png")]) == 1
    assert "pip install 'fimble[plot]'" in capsys.readouterr().err


@pytest.mark.usefixtures("filled")
def test_a_picture_of_an_unknown_form_is_bad_input(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    assert main(["stats", "--plot", str(tmp_path / "stats.text")]) == 2
    assert "stats.text" in capsys.readouterr().err


def test_a_damaged_file_is_told_and_the_table_is_empty(
    users_store: ObservationStore, capsys: Capture
) -> None:
    users_store.path.parent.mkdir(parents=True)
    users_store.path.write_bytes(b"no database" * 500)
    assert main(["stats"]) == 0
    told = capsys.readouterr()
    assert "nothing was noted yet" in told.out
    assert "is damaged" in told.err


@pytest.mark.parametrize(
    ("rate", "num_trials", "expected"),
    [(0.0, 10, (0.0, 0.2775)), (0.5, 10, (0.2366, 0.7634)), (1.0, 10, (0.7225, 1.0))],
)
def test_the_interval_is_wilsons(
    rate: float, num_trials: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(rate, num_trials) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7.0], 0.95, 7.0), ([1.0, 2.0], 0.5, 1.0), ([1.0, 2.0], 0.95, 2.0)],
)
def test_a_percentile_is_one_of_the_values(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


def test_a_row_that_stands_for_many_counts_as_many_and_is_no_more_certain(
    make_observation: Make,
) -> None:
    heavy = [make_observation(n, weight=10, accepted=2 * (n % 2)) for n in range(10)]
    counts = count(heavy)
    assert (counts.shown, counts.accepted, counts.rate) == (100, 50, 0.5)
    assert counts.interval == pytest.approx(wilson_interval(0.5, 10))


def test_days_are_those_of_the_users_clock(make_observation: Make, clock: Any) -> None:
    import time

    noon = 1_790_000_000.0 // 86_400 * 86_400 + 43_200
    rows = [make_observation(1, at=noon)]

    def east(at: float) -> time.struct_time:
        return time.gmtime(at + 13 * 3600)

    here = summarize(rows, clock.now, 0.009, time.gmtime).groups[0].day
    there = summarize(rows, clock.now, 0.009, east).groups[0].day
    assert here < there
