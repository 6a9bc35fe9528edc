"""Indexes whose files were cut, changed or deleted: they are built anew, by whoever opens or has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from retrieval.keeper import Refreshed
from retrieval.sparse.errors import IndexWriteError
from retrieval.workspace import WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Paths = Callable[[WorkspaceIndex, str], list[str]]

FILES = {
    "a.py": "def alpha(): return 1\n",
    "src/b.py": "def beta(): return 2\n",
    "src/c.py": "def gamma(): return 3\n",
}
WORDS = "alpha beta gamma"


def manifest_cut(store: Path) -> None:
    manifest = store / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])


def manifest_empty(store: Path) -> None:
    (store / "manifest.json").write_bytes(b"")


def manifest_of_other_layout(store: Path) -> None:
    (store / "manifest.json").write_text('{"schema": 999, "segments": []}')


def manifest_is_a_folder(store: Path) -> None:
    (store / "manifest.json").unlink()
    (store / "manifest.json").mkdir()


def segment_gone(store: Path) -> None:
    for path in (store / "segments").iterdir():
        path.rename(path.with_name("elsewhere"))


def array_cut(store: Path) -> None:
    path = max(store.rglob("*.npy"), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-3])


def array_wrong(store: Path) -> None:
    path = next(iter(sorted(store.rglob("postings.chunks.npy"))))
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


def everything_gone(store: Path) -> None:
    for path in sorted(store.rglob("*"), reverse=True):
        if path.name != "writer.lock":
            path.rmdir() if path.is_dir() else path.unlink()


DAMAGES = {
    damage.__name__: damage
    for damage in (
        manifest_cut,
        manifest_empty,
        manifest_of_other_layout,
        segment_gone,
        array_cut,
        array_wrong,
        everything_gone,
    )
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_is_damaged_is_built_anew(
    damage: str, write: Write, open_index: OpenIndex, refresh: Refresh, paths: Paths
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    index.close()
    DAMAGES[damage](index.store_folder)
    index = open_index()
    assert paths(index, WORDS) == []
    assert refresh(index).num_changed == len(FILES)
    assert paths(index, WORDS) == sorted(FILES)


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_gets_damaged_while_it_is_open_is_built_anew(
    damage: str, write: Write, open_index: OpenIndex, refresh: Refresh, paths: Paths
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    DAMAGES[damage](index.store_folder)
    write({"d.py": "def alpha(): return 'one more'\n"})
    refresh(index)
    assert paths(index, WORDS) == sorted({*FILES, "d.py"})
    index.close()
    index = open_index()
    assert paths(index, WORDS) == sorted({*FILES, "d.py"})
    assert refresh(index).num_changed == 0


def test_an_index_that_cannot_be_cleared_is_told_of_and_left_unlocked(
    write: Write, open_index: OpenIndex, refresh: Refresh
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    index.close()
    manifest_is_a_folder(index.store_folder)
    with pytest.raises(IndexWriteError, match="free some space or give the permission"):
        open_index()
    (index.store_folder / "manifest.json").rmdir()
    assert open_index().is_writer
