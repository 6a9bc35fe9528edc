"""The text of indexed lines: never of another version of the file, never with secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from retrieval import file_texts
from retrieval.file_texts import FileTexts
from retrieval.files.reading import read_text
from retrieval.prepare import prepare
from retrieval.stamp import Stamp

Write = Callable[[Mapping[str, str | bytes]], None]
MAX_NUM_BYTES = 100_000
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@dataclass
class Desk:
    """Texts of a folder, with what editors show of it and what was told to be stale."""

    folder: Path
    shown: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.texts = FileTexts(self.folder, MAX_NUM_BYTES, self.shown.get, self.stale.append)

    def index(self, *paths: str) -> None:
        for path in paths:
            file = prepare(self.folder, path, MAX_NUM_BYTES)
            assert file is not None
            self.stamps[path] = file.stamp

    def lines(self, path: str, start_line: int = 0, end_line: int = 99) -> str | None:
        return self.texts.lines(path, start_line, end_line, self.stamps)


@pytest.fixture
def desk(folder: Path) -> Desk:
    return Desk(folder)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"one\ntwo\nthree", ["one\n", "two\n", "three"]),
        (b"one\r\ntwo\r\n", ["one\r\n", "two\r\n"]),
        (b"one\rone\n\x0c\n", ["one\rone\n", "\x0c\n"]),
        ("# coding: latin-1\nß\n".encode("latin-1"), ["# coding: latin-1\n", "ß\n"]),
        ("ü\nö\n".encode("utf-16"), ["ü\n", "ö\n"]),
        (b"\xef\xbb\xbfone\n", ["one\n"]),
        ("a\u2028b\n\U0001f40d\n".encode(), ["a\u2028b\n", "\U0001f40d\n"]),
        (b"", []),
    ],
)
def test_lines_are_what_stands_between_line_feeds(
    content: bytes, lines: list[str], write: Write, desk: Desk
) -> None:
    write({"a.py": content})
    desk.index("a.py")
    for start in range(len(lines) + 2):
        for end in range(start, len(lines) + 2):
            assert desk.lines("a.py", start, end) == "".join(lines[start:end])
    assert desk.stale == []


def test_a_file_that_is_not_indexed_is_not_quoted(write: Write, desk: Desk) -> None:
    write({"a.py": "one\n"})
    assert desk.lines("a.py") is None
    assert desk.lines("no.py") is None


def test_a_file_that_changed_is_not_quoted_and_told_of(write: Write, desk: Desk) -> None:
    write({"a.py": "one\n"})
    desk.index("a.py")
    assert desk.lines("a.py") == "one\n"
    write({"a.py": "one and two\n"})
    assert desk.lines("a.py") is None
    assert desk.stale == ["a.py"]
    desk.index("a.py")
    assert desk.lines("a.py") == "one and two\n"


def test_a_file_of_another_time_is_not_quoted(write: Write, desk: Desk, folder: Path) -> None:
    write({"a.py": "one\n"})
    desk.index("a.py")
    os.utime(folder / "a.py", ns=(1, 1))
    assert desk.lines("a.py") is None
    assert desk.stale == ["a.py"]


def test_a_file_that_is_gone_is_not_quoted_and_told_of(
    write: Write, desk: Desk, folder: Path
) -> None:
    write({"a.py": "one\n"})
    desk.index("a.py")
    assert desk.lines("a.py") == "one\n"
    (folder / "a.py").unlink()
    assert (desk.lines("a.py"), desk.texts.read("a.py")) == (None, None)
    assert "a.py" in desk.stale


@pytest.mark.parametrize(
    "content", [b"a\0b", b"# @generated\n1\n", b"x = 1\n" * MAX_NUM_BYTES, b"a," * 2_000]
)
def test_what_is_not_for_people_to_read_is_not_shown(
    content: bytes, write: Write, desk: Desk
) -> None:
    write({"a.py": content})
    desk.index("a.py")
    assert not desk.lines("a.py")
    assert desk.texts.read("a.py") is None
    assert desk.stale == []


def test_what_lies_behind_a_link_is_not_shown(write: Write, desk: Desk, folder: Path) -> None:
    write({"a.py": "one\n"})
    (folder / "b.py").symlink_to(folder / "a.py")
    assert desk.texts.read("b.py") is None


def test_an_open_document_counts_more_than_its_file(write: Write, desk: Desk) -> None:
    write({"a.py": "one\n"})
    desk.index("a.py")
    desk.shown["a.py"] = "typed\nlines\n"
    assert (desk.lines("a.py", 1, 2), desk.texts.read("a.py")) == ("lines\n", "typed\nlines\n")
    desk.shown["a.py"] = ""
    assert (desk.lines("a.py"), desk.texts.read("a.py")) == ("", "")
    del desk.shown["a.py"]
    assert desk.lines("a.py") == "one\n"


@pytest.mark.parametrize("is_open", [False, True])
def test_secrets_are_taken_out_and_lines_stay_where_they_are(
    is_open: bool, write: Write, desk: Desk
) -> None:
    text = f'first = 1\ntoken = "{TOKEN}"\nlast = 2\n'
    write({"a.py": text})
    desk.index("a.py")
    if is_open:
        desk.shown["a.py"] = text
    assert desk.lines("a.py", 1, 2) == 'token = "<redacted>"\n'
    assert desk.lines("a.py", 2, 3) == "last = 2\n"
    assert TOKEN not in (desk.texts.read("a.py") or TOKEN)


def test_files_used_last_are_not_read_again(
    write: Write, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    write({f"{number}.py": f"x = {number}\n" for number in range(100)})
    desk.index(*(f"{number}.py" for number in range(100)))

    def counting(path: Path, max_num_bytes: int) -> object:
        read.append(path.name)
        return read_text(path, max_num_bytes)

    monkeypatch.setattr(file_texts, "read_text", counting)
    for number in range(100):
        assert desk.lines("0.py") == "x = 0\n"
        assert desk.lines(f"{number}.py") == f"x = {number}\n"
    assert read == [f"{number}.py" for number in range(100)]
    assert desk.lines("1.py") == "x = 1\n"  # it was used long ago
    assert read[100:] == ["1.py"]
