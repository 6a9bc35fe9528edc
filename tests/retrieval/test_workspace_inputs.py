"""Folders as people have them: odd names, odd bytes, links, pipes, and very many files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from retrieval.keeper import Refreshed
from retrieval.sparse.corpus import Hit
from retrieval.workspace import WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Paths = Callable[[WorkspaceIndex, str], list[str]]
Hits = Callable[..., list[Hit]]

UNUSUAL: dict[str, bytes] = {
    "crlf.py": b"def alpha_crlf():\r\n    return 1\r\n",
    "tabs.py": b"class A:\n\tdef alpha_tabs(self):\n\t\treturn 1\n",
    "latin.py": "# coding: latin-1\nalpha_latin = 'ß'\n".encode("latin-1"),
    "utf16.py": "alpha_utf16 = 'ü'\n".encode("utf-16"),
    "mark.py": b"\xef\xbb\xbfalpha_mark = 1\n",
    "with space.py": b"alpha_space = 1\n",
    "\u00e9\u6f22\U0001f40d.py": b"alpha_unicode = 1\n",
    "new\nline.py": b"alpha_newline = 1\n",
    "-dash.py": b"alpha_dash = 1\n",
    "deep/" * 40 + "deep.py": b"alpha_deep = 1\n",
    "inner/.git/config": b"alpha_config = 1\n",
    "inner/inner.py": b"alpha_inner = 1\n",
    "open.py": b"def alpha_open(:\n" * 50 + b'"""',
}
NOT_INDEXED: dict[str, bytes] = {
    "nul.py": b"alpha_nul = 1\0\n",
    "empty.py": b"",
    "line.js": b"alpha_line=" + b"1," * 500_000,
    ".env": b"alpha_env=1\n",
}


def test_unusual_files_are_indexed_or_left_out(
    folder: Path, write: Write, open_index: OpenIndex, refresh: Refresh, hits: Hits
) -> None:
    write({**UNUSUAL, **NOT_INDEXED})
    (folder / "loop").symlink_to(folder)
    (folder / "link.py").symlink_to(folder / "crlf.py")
    (folder / "dangling.py").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.py")
    (folder / os.fsdecode(b"\xff.py")).write_bytes(b"alpha_bytes = 1\n")
    index = open_index()
    refresh(index)
    found = hits(index, "alpha")
    assert {hit.path for hit in found} == UNUSUAL.keys() - {"inner/.git/config"}
    for hit in found:
        assert "alpha_" in (index.lines(hit.path, hit.start_line, hit.end_line) or "")
    assert refresh(index).num_changed == 0
    index.close()
    index = open_index()
    assert {hit.path for hit in hits(index, "alpha")} == UNUSUAL.keys() - {"inner/.git/config"}


def test_many_small_files_are_indexed(
    folder: Path, open_index: OpenIndex, refresh: Refresh, paths: Paths
) -> None:
    for number in range(200):
        inner = folder / f"d{number}"
        inner.mkdir()
        for name in range(100):
            (inner / f"{name}.py").write_bytes(b"name = %d\n" % number)
    (folder / "d77" / "77.py").write_bytes(b"alpha = 1\n")
    index = open_index(num_workers=2)
    assert refresh(index).num_changed == 20_000
    assert paths(index, "alpha") == ["d77/77.py"]
    assert len(paths(index, "name")) == 19_999
    assert refresh(index).num_changed == 0


def test_a_folder_that_is_not_there_has_an_empty_index(
    tmp_path: Path, open_index: OpenIndex, refresh: Refresh, paths: Paths
) -> None:
    index = open_index(at=tmp_path / "nowhere")
    assert refresh(index).num_found == 0
    assert paths(index, "alpha") == []
