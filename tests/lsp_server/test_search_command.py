"""``fimble search``: words, and places in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.cli import main

Capture = pytest.CaptureFixture[str]
Search = Callable[..., tuple[str, str]]
STORE = """\
class PriceTable:
    def discounted_price(self, article: str, percent: float) -> float:
        return self.prices[article] * (1 - percent / 100)
"""
MAIN = """\
from store import PriceTable

table = PriceTable()
table.discounted_price
"""
SNIPPET = {
    "path": str,
    "start_line": int,
    "end_line": int,
    "text": str,
    "score": float,
    "source": str,
    "reason": str,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is not indexed yet, the current folder."""
    path = tmp_path / "project"
    (path / ".git").mkdir(parents=True)
    (path / "store.py").write_text(STORE)
    (path / "main.py").write_text(MAIN)
    (path / "other.py").write_text("def unrelated_thing():\n    return None\n")
    monkeypatch.setenv("FIMBLE_INDEX_FOLDER", str(tmp_path / "indexes"))
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def indexed(folder: Path, capsys: Capture) -> Path:
    assert main(["index", "--workers", "1"]) == 0
    capsys.readouterr()
    return folder


@pytest.fixture
def search(capsys: Capture) -> Search:
    """Return ``run(*arguments, code=0)``: run the command and return both streams."""

    def run(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
        assert main(["search", *map(str, arguments)]) == code, capsys.readouterr()
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


def snippets(text: str) -> list[dict[str, Any]]:
    """Return the snippets of an object after checking its fields and their types."""
    (line,) = text.splitlines()
    found = json.loads(line)
    assert (set(found), found["schema"]) == ({"schema", "ms", "snippets"}, 1)
    assert found["ms"] > 0
    for snippet in found["snippets"]:
        assert {name: type(value) for name, value in snippet.items()} == SNIPPET
    shown: list[dict[str, Any]] = found["snippets"]
    return shown


@pytest.mark.usefixtures("indexed")
def test_words_find_lines_and_say_what_they_share(search: Search) -> None:
    out, told = search("percent article")
    first, *lines = out.splitlines()
    assert first.startswith("store.py:1-3  [similar, ")
    assert first.endswith("shares article, percent]")
    assert lines[0] == "    class PriceTable:"
    assert "found in" in told


@pytest.mark.usefixtures("indexed")
def test_the_object_of_a_search_has_every_field(search: Search) -> None:
    best, *others = snippets(search("percent article self", "--json")[0])
    assert (best["path"], best["start_line"], best["end_line"]) == ("store.py", 1, 3)
    assert (best["text"], best["source"]) == (STORE, "similar")
    assert best["reason"].startswith("shares ")
    assert all(best["score"] >= other["score"] for other in others)


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_as_many_are_shown_as_are_wanted(search: Search, number: int) -> None:
    found = snippets(search("PriceTable unrelated_thing", "--json", "-n", str(number))[0])
    assert len(found) == number


@pytest.mark.usefixtures("indexed")
def test_a_place_shows_what_the_model_would_be_shown(search: Search) -> None:
    found = snippets(search("main.py:4:10", "--json")[0])
    assert {snippet["path"] for snippet in found} == {"store.py"}
    assert "definition" in {snippet["source"] for snippet in found}
    assert "def discounted_price" in found[-1]["text"]


def test_a_place_is_searched_in_its_own_project_from_anywhere(
    indexed: Path, search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search(f"{indexed / 'main.py'}:4:10")[0].startswith("store.py:")
    assert search("percent", "--in", indexed)[0].startswith("store.py:")


def test_a_place_behind_a_link_is_searched_where_it_lies(
    indexed: Path, search: Search, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(indexed)
    assert search(f"{tmp_path / 'link' / 'main.py'}:4:10")[0].startswith("store.py:")


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("query", ["zzyzx_nowhere", "", "  ", "+ - *"])
def test_nothing_found_is_3_and_an_empty_list(search: Search, query: str) -> None:
    out, told = search(query, "--json", code=3)
    assert snippets(out) == []
    assert "0 found" in search(query, code=3)[1]
    assert told == ""


def test_without_an_index_the_remedy_is_told(folder: Path, search: Search) -> None:
    out, told = search("discounted price", code=2)
    assert (out, told) == (
        "",
        f"fimble: {folder} has no index yet; run `fimble index {folder}`\n",
    )


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gone.py:1:1"], "no such file"),
        (["main.py:99:1"], "line 99 is outside the file"),
        (["main.py:1:99"], "column 99 is outside line 1"),
        (["words", "-n", "0"], "a number from 1 is needed"),
        (["words", "--in", "gone"], "no such folder"),
        (["main.py:4:10", "--in", ".git"], "has no index yet"),
    ],
)
def test_bad_input_is_named(search: Search, arguments: list[str], told: str) -> None:
    out, error = search(*arguments, code=2)
    assert told in error
    assert out == ""


def test_a_place_outside_of_the_folder_that_is_searched_is_refused(
    indexed: Path, search: Search, tmp_path: Path
) -> None:
    (tmp_path / "loose.py").write_text("x = 1\n")
    (indexed / "linked.py").symlink_to(tmp_path / "loose.py")
    for place in (tmp_path / "loose.py", indexed / "linked.py"):
        assert "does not lie in" in search(f"{place}:1:1", "--in", indexed, code=2)[1]


def test_outside_of_every_project_a_folder_has_to_be_named(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "name a folder with --in DIR" in search("words", code=2)[1]


def test_lines_that_have_moved_since_are_not_quoted(indexed: Path, search: Search) -> None:
    (indexed / "store.py").write_text(f"# a line more\n{STORE}")
    found = snippets(search("discounted price percent", "--json")[0])
    assert [snippet["path"] for snippet in found] == ["main.py"]
