"""The benchmark of the index, on a tree of a few files: what it builds, counts and asks."""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest

import benchmarks.retrieval as benchmark
from benchmarks import results, retrieval_indexing
from benchmarks.figures import Figure, timing_figure
from benchmarks.goals import load_goals, parse_check
from benchmarks.retrieval_indexing import indexing_figures
from benchmarks.retrieval_keys import timed_keys
from benchmarks.retrieval_percentiles import percentile_figures
from benchmarks.retrieval_queries import query_figures, shared
from benchmarks.retrieval_trees import Source, build_tree, own_names, places_in, renamed
from benchmarks.traces.packages import ChangedFile
from benchmarks.traces.typing_model import typed_trace
from retrieval.sparse.corpus import Hit
from retrieval.workspace import IndexState, WorkspaceIndex
from retrieval.workspaces import IndexOptions

PYTHON = '''"""Reads ledgers."""

import csv


def read_ledger_{number}(path, delimiter):
    """Return the rows of a ledger."""
    with open(path) as opened:
        rows = list(csv.reader(opened, delimiter=delimiter))
    return [row for row in rows if row and row[0] != "#{number}"]


class Ledger_{number}Total:
    LIMIT_OF_{number}th = 3

    def total_of_{number}th(self, rows):
        return sum(float(row[self.LIMIT_OF_{number}th]) for row in rows)
'''


@pytest.fixture
def real(tmp_path: Path) -> Path:
    folder = tmp_path / "real"
    for number in range(24):
        path = folder / f"package_{number % 3}" / f"ledger_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PYTHON.format(number=number), encoding="utf-8")
    (folder / "package_0" / "table.csv").write_text("1,2\n" * 500, encoding="utf-8")
    return folder


@pytest.fixture
def index(real: Path, tmp_path: Path) -> Iterator[WorkspaceIndex]:
    index = WorkspaceIndex(real, IndexOptions(tmp_path / "indexes"))
    index.refresh(lambda _: None, lambda: None)
    yield index
    index.close()


def sources_of(folder: Path) -> Mapping[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def num_lines(texts: Mapping[str, str]) -> int:
    return sum(text.count("\n") for text in texts.values())


def by_name(figures: list[Figure]) -> Mapping[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_a_tree_is_sources_as_they_are_while_there_are_enough(real: Path, tmp_path: Path) -> None:
    num_real = build_tree(real, tmp_path / "tree", 100)
    built, given = sources_of(tmp_path / "tree"), sources_of(real)
    assert built.items() <= given.items()
    assert num_lines(built) == num_real >= 100
    assert len(built) < 24  # and no more of them than it takes


def test_what_a_tree_lacks_comes_from_renamed_copies(real: Path, tmp_path: Path) -> None:
    given = {path: text for path, text in sources_of(real).items() if path.endswith(".py")}
    num_real = build_tree(real, tmp_path / "tree", 3 * num_lines(given))
    built = sources_of(tmp_path / "tree")
    copies = [text for path, text in built.items() if path not in given]
    assert given.items() <= built.items()
    assert num_real == num_lines(given)
    assert len(built) == 3 * len(given)
    assert len(set(copies)) == len(copies)
    for text in copies:
        ast.parse(text)


def test_a_copy_keeps_common_words_and_ends_its_own_differently() -> None:
    files = [Source(PurePosixPath(f"a/m{n}.py"), PYTHON.format(number=n)) for n in range(24)]
    copy = renamed(files[7], 2, own_names(iter(files)))
    assert copy.path == PurePosixPath("axb/m7xb.py")
    assert "class Ledger_7Totalxb:" in copy.text
    assert "def total_of_7thxb(self, rows):" in copy.text
    assert "with open(path) as opened:" in copy.text


def test_keywords_are_never_renamed() -> None:
    text = "def once():\n    nonlocal lonely\n"
    file = Source(PurePosixPath("m.py"), text)
    assert renamed(file, 1, own_names(iter([file]))).text == text.replace("once", "oncexa").replace(
        "lonely", "lonelyxa"
    )


def test_places_are_behind_the_indentation_of_lines_with_text(real: Path) -> None:
    places = places_in(real, 50, seed=1)
    assert places == places_in(real, 50, seed=1)
    assert len({place.path for place in places}) > 5
    for place in places:
        assert place.text == (real / place.path).read_text(encoding="utf-8")
        before, after = place.text[: place.offset], place.text[place.offset :]
        line = before.rpartition("\n")[2] + after.partition("\n")[0]
        assert line.strip()
        assert len(line) - len(line.lstrip()) <= len(before.rpartition("\n")[2])


def test_percentiles_are_of_all_values_and_runs_are_drawn_whole() -> None:
    values = [float(value) for value in range(1, 101)]
    alone = by_name(percentile_figures("a", [[value] for value in values], (50, 95)))
    assert alone["a_p50_ms"].value == 50.5
    assert alone["a_p95_ms"].value == pytest.approx(95.05)
    runs = [values[start : start + 25] for start in range(0, 100, 25)]
    together = by_name(percentile_figures("a", runs, (50, 95)))
    assert together["a_p50_ms"].value == 50.5
    spreads = [found["a_p50_ms"].high - found["a_p50_ms"].low for found in (alone, together)]
    assert spreads[0] < spreads[1]


def hits(*scores: float) -> list[Hit]:
    return [Hit(f"{at}.py", 0, 1, at, score, ()) for at, score in enumerate(scores)]


def test_overlap_counts_hits_and_what_ties_with_the_last() -> None:
    found = hits(5.0, 4.0, 3.0, 3.0, 2.0)
    assert shared(found[:3], found) == 1
    assert shared(found[:3], [found[0], found[1], found[3]]) == 1
    assert shared(found[:3], [found[0], found[4], found[3]]) == pytest.approx(2 / 3)
    assert shared(found[:3], [found[4]]) == 0


def test_every_figure_of_a_goal_about_the_index_is_measured(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NUM_OPENED", "NUM_VERIFIED"):
        monkeypatch.setattr(retrieval_indexing, name, 1)
    tree, indexes = tmp_path / "tree", tmp_path / "indexes"
    build_tree(real, tree, 300)
    figures = by_name(
        [
            *indexing_figures("at_1700k", tree, indexes, 1),
            *query_figures("at_1700k", tree, indexes, 5),
        ]
    )
    assert figures["at_1700k_lines"].value == num_lines(sources_of(tree))
    assert figures["at_1700k_overlap_top_10"].value == 1  # so few postings are never cut
    assert figures["at_1700k_parent_peak_mb"].value > 0
    assert figures["at_1700k_parent_peak_mb"].value <= figures["at_1700k_processes_peak_mb"].value
    for name in goal_figures():
        if not name.startswith(("at_1700k_real", "at_1700k_key", "completion")):
            assert name.replace("10000k", "1700k") in figures


def goal_figures() -> list[str]:
    goals, _ = load_goals()
    return [
        name.partition(".")[2]
        for goal in goals
        if goal.benchmark == "retrieval"
        for check in goal.checks
        for name in parse_check(check).figures
    ]


def test_only_typed_keys_are_timed_and_all_edits_are_followed(index: WorkspaceIndex) -> None:
    text = PYTHON.format(number=1)
    after = text.replace("return sum(", "return 2 * sum(").replace("import csv\n", "")
    file = ChangedFile("r", "ledger.py", "python", text, after)
    keys = timed_keys(index, typed_trace(file, 0), 100)
    assert len(keys) == len("2 * ")
    assert all(key.wall_ms > 0 for key in keys)
    assert not index.is_open("typed/r/ledger.py")


def test_an_index_that_is_finished_too_early_is_no_background(real: Path) -> None:
    from benchmarks.retrieval_beside import indexing

    with (
        pytest.raises(RuntimeError, match="take a larger tree"),
        indexing(real, lambda: True) as made,
    ):
        wait_until_fresh(made)


def wait_until_fresh(index: WorkspaceIndex) -> None:
    give_up_at = time.monotonic() + 60
    while index.status().state is not IndexState.FRESH:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_finished_parts_are_taken_from_the_work_folder(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    parts = ("index-100", "queries-100", "keys-100", "completions-100")
    for part in parts:
        figure = timing_figure(f"{part.partition('-')[0]}_ms", [1.0, 2.0])
        benchmark.save(benchmark.result_file(tmp_path, part), [figure])
    folders = {"tree": real, "data": tmp_path, "cache": tmp_path, "work": tmp_path}
    command = ["retrieval", "--lines", "100", "--cold-rounds", "1"]
    for name, folder in folders.items():
        command += [f"--{name}", str(folder)]
    monkeypatch.setattr(sys, "argv", command)
    benchmark.main()
    written = results.read_result("retrieval")
    assert written is not None
    assert written["settings"]["parts"] == list(parts)  # type: ignore[index, call-overload]
    assert str(tmp_path) not in str(written)
