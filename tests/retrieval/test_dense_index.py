"""Chunks found by meaning: which of them have vectors, when those are made, and what is kept."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.context import ContextFinder, Place
from retrieval.dense.embedder import Vectors, normalised
from retrieval.dense.errors import EmbedderUnavailableError
from retrieval.keeper import Refreshed
from retrieval.open_text import OpenText
from retrieval.snippet import Snippet, SnippetSource
from retrieval.sparse.corpus import Hit
from retrieval.workspace import IndexState, WorkspaceIndex
from retrieval.workspaces import IndexOptions, Workspaces

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Eventually = Callable[[Callable[[], object]], None]
Shown = Callable[..., OpenText]

TOPICS = ("cat", "dog", "sun")
CATS = "def feed(cat):\n    return cat.dish\n"
FILES = {
    "cats.py": CATS,
    "dogs.py": "def walk(dog):\n    return dog.leash\n",
    "pets.py": "def greet(cat, dog):\n    return dog.name\n",
    "sky.py": "def rise(sun):\n    return sun.hour\n",
}
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@dataclass
class Topics:
    """Embeds a text as how often it speaks of each topic, and notes what it was given."""

    name: str = "topics"
    is_fast: bool = True
    is_available: bool = True
    texts: list[str] = field(default_factory=list)

    @property
    def dimension(self) -> int:
        if not self.is_available:
            raise EmbedderUnavailableError("no such model; install it")
        return len(TOPICS)

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        counts = [[text.count(topic) for topic in TOPICS] for text in texts]
        return normalised(np.array(counts, np.float32))


def near(index: WorkspaceIndex, text: str, *, has_time: bool = False) -> list[str]:
    return [hit.path for hit in hits(index, text, has_time=has_time)]


def hits(index: WorkspaceIndex, text: str, *, has_time: bool = False) -> list[Hit]:
    """Return what is near to ``text`` at all: everything has some place in a ranking."""
    return [hit for hit in index.near(text, 10, {}, has_time=has_time) if hit.score > 0]


@pytest.fixture
def embedded(
    open_index: OpenIndex, write: Write, refresh: Refresh
) -> Callable[..., WorkspaceIndex]:
    """Write files and return an index whose chunks all have vectors of an embedder."""

    def make(embedder: Topics, files: Mapping[str, str | bytes] = FILES) -> WorkspaceIndex:
        write(files)
        index = open_index()
        index.use_embedder(embedder)
        refresh(index)
        return index

    return make


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat", ["cats.py", "pets.py"]),
        ("dog dog cat", ["pets.py", "dogs.py", "cats.py"]),
        ("sun", ["sky.py"]),
        ("nothing of all this", []),
        ("", []),
    ],
)
def test_the_nearest_chunks_come_first(
    embedded: Callable[..., WorkspaceIndex], text: str, expected: list[str]
) -> None:
    found = hits(embedded(Topics()), text)
    assert [hit.path for hit in found] == expected
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_no_more_are_returned_than_are_wanted_and_none_that_is_hidden(
    embedded: Callable[..., WorkspaceIndex],
) -> None:
    index = embedded(Topics())
    (best,) = index.near("cat", 1, {}, has_time=False)
    assert (best.path, best.score) == ("cats.py", pytest.approx(1.0))
    (other,) = index.near("cat", 1, {"cats.py": [(0, 2)]}, has_time=False)
    assert other.path == "pets.py"
    assert index.near("cat", 1, {"cats.py": [(2, 9)]}, has_time=False) == [best]


def test_without_an_embedder_nothing_is_near(
    open_index: OpenIndex, write: Write, refresh: Refresh
) -> None:
    write(FILES)
    index = open_index()
    refresh(index)
    assert near(index, "cat", has_time=True) == []


def test_a_slow_embedder_is_asked_only_by_those_who_have_time(
    embedded: Callable[..., WorkspaceIndex],
) -> None:
    embedder = Topics(is_fast=False)
    index = embedded(embedder)
    embedder.texts.clear()
    assert near(index, "cat") == []
    assert embedder.texts == []
    assert near(index, "cat", has_time=True) == ["cats.py", "pets.py"]


def test_equal_chunks_share_a_vector_and_are_found_in_every_file(
    embedded: Callable[..., WorkspaceIndex],
) -> None:
    embedder = Topics()
    index = embedded(embedder, {"a.py": CATS, "b/c.py": f"\n\n{CATS}"})
    assert embedder.texts == [CATS]
    found = index.near("cat", 10, {}, has_time=False)
    assert [(hit.path, hit.start_line, hit.end_line) for hit in found] == [
        ("a.py", 0, 2),
        ("b/c.py", 2, 4),
    ]


def test_a_chunk_is_embedded_with_what_encloses_it(
    embedded: Callable[..., WorkspaceIndex],
) -> None:
    body = "".join(f"    def use_{row}(self):\n        return {row}\n\n" for row in range(20))
    embedder = Topics()
    embedded(embedder, {"cats.py": f"class Cat:\n{body}"})
    assert len(embedder.texts) > 1
    assert all(text.startswith("class Cat:") for text in embedder.texts)


def test_files_that_changed_or_went_are_found_as_they_are(
    embedded: Callable[..., WorkspaceIndex], folder: Path, refresh: Refresh
) -> None:
    embedder = Topics()
    index = embedded(embedder)
    embedder.texts.clear()
    (folder / "cats.py").write_text("def shine(sun):\n    return 'longer than before'\n")
    (folder / "pets.py").unlink()
    refresh(index)
    assert near(index, "cat") == []
    assert near(index, "sun") == ["cats.py", "sky.py"]
    assert [text for text in embedder.texts if "\n" in text] == [
        "def shine(sun):\n    return 'longer than before'\n"
    ]


def test_what_an_editor_shows_is_found_and_what_it_does_not_show_is_not(
    start_index: OpenIndex, shown: Shown, eventually: Eventually
) -> None:
    index = start_index(FILES)
    index.use_embedder(Topics())
    eventually(lambda: near(index, "cat") == ["cats.py", "pets.py"])
    index.note(shown("cats.py", "def shine(sun):\n    return sun\n"))
    assert near(index, "cat") == ["pets.py"]
    eventually(lambda: near(index, "sun") == ["cats.py", "sky.py"])
    index.drop("cats.py", "editor")
    assert near(index, "cat") == ["cats.py", "pets.py"]


def test_vectors_are_made_only_while_the_engine_is_idle(
    start_index: OpenIndex, eventually: Eventually
) -> None:
    asked: list[bool] = []
    is_idle = False

    def answer() -> bool:
        asked.append(is_idle)
        return is_idle

    embedder = Topics()
    index = start_index(FILES)
    index.give_way(answer)
    index.use_embedder(embedder)
    eventually(lambda: len(asked) >= 2)
    assert embedder.texts == []
    is_idle = True
    eventually(lambda: near(index, "sun") == ["sky.py"])


def test_a_secret_in_an_open_document_is_not_embedded(
    start_index: OpenIndex, shown: Shown, eventually: Eventually
) -> None:
    embedder = Topics()
    index = start_index(FILES)
    index.use_embedder(embedder)
    secret = f'def call(cat):\n    token = "{TOKEN}"\n    return cat\n'
    index.note(shown("a.py", secret))
    index.note(shown("c.py", f'def call(token="{TOKEN}"):\n' + "    feed(cat)\n" * 60))
    index.note(shown("b.py", "def shine(sun):\n    return sun\n"))
    eventually(lambda: near(index, "sun") == ["b.py", "sky.py"])
    assert near(index, "cat") == ["cats.py", "pets.py"]
    assert not any(TOKEN in text for text in embedder.texts)


def test_vectors_are_kept_for_the_next_one_who_opens_the_index(
    embedded: Callable[..., WorkspaceIndex],
) -> None:
    embedded(Topics()).close()
    again = Topics()
    index = embedded(again)
    assert again.texts == []
    assert near(index, "cat") == ["cats.py", "pets.py"]


@pytest.mark.parametrize("name", ["topics", "another"])
def test_vectors_that_are_damaged_or_of_another_embedder_are_made_anew(
    embedded: Callable[..., WorkspaceIndex], name: str
) -> None:
    former = embedded(Topics())
    former.close()
    if name == "topics":
        for path in (former.store_folder / "vectors").glob("*.bin"):
            path.write_bytes(b"damaged")
    again = Topics(name)
    index = embedded(again)
    assert len(again.texts) == len(FILES)
    assert near(index, "cat") == ["cats.py", "pets.py"]


def test_vectors_of_chunks_that_are_gone_are_swept_when_they_are_many(
    embedded: Callable[..., WorkspaceIndex], folder: Path, refresh: Refresh
) -> None:
    index = embedded(Topics())
    for path in ("dogs.py", "pets.py", "sky.py"):
        (folder / path).unlink()
    refresh(index)
    assert index.status().num_vectors == len(FILES)
    index.close()
    again = embedded(Topics(), {})
    assert again.status().num_vectors == 1
    assert near(again, "cat") == ["cats.py"]


def test_an_embedder_that_is_not_available_is_logged_once_and_words_still_find(
    start_index: OpenIndex,
    paths: Callable[[WorkspaceIndex, str], list[str]],
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    folder: Path,
) -> None:
    index = start_index(FILES)
    index.use_embedder(Topics(is_available=False))
    eventually(lambda: caplog.records)
    (folder / "new.py").write_text("def feed(cat): ...\n")
    index.touch("new.py")
    eventually(lambda: paths(index, "feed") == ["cats.py", "new.py"])
    eventually(lambda: index.status().state is IndexState.FRESH)
    assert near(index, "cat", has_time=True) == []
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "install it" in record.getMessage()


def test_a_reader_makes_no_vectors(folder: Path, tmp_path: Path) -> None:
    index = WorkspaceIndex(folder, IndexOptions(tmp_path / "indexes", kept_fresh=False))
    embedder = Topics()
    index.use_embedder(embedder)
    assert near(index, "cat", has_time=True) == []
    assert embedder.texts == []
    index.close()


def test_what_is_near_is_a_ranking_of_its_own_that_waits_for_a_slow_embedder(
    embedded: Callable[..., WorkspaceIndex],
) -> None:
    def meant(place: Place) -> list[Snippet]:
        found = ContextFinder(index).find(place, 1_000, lambda snippet: 1)
        return [each for each in found if each.source is SnippetSource.MEANING]

    index = embedded(Topics(is_fast=False), {"cats.py": CATS})
    text = "concat\n"  # shares no term with it
    typing = Place("new.py", "python", text, len(text), (0, len(text)), has_rested=True)
    assert meant(replace(typing, has_rested=False)) == []
    (snippet,) = meant(typing)
    assert (snippet.path, snippet.text, snippet.reason) == ("cats.py", CATS, "reads alike")


def test_every_index_of_a_process_uses_the_first_embedder(
    folder: Path, tmp_path: Path, write: Write, eventually: Eventually
) -> None:
    write({f"{half}/{path}": text for half in ("one", "two") for path, text in FILES.items()})
    workspaces = Workspaces(IndexOptions(tmp_path / "indexes", num_workers=1))
    first, other = Topics(), Topics("another")

    def sees_cats(half: str) -> bool:
        index = workspaces.find(str(folder / half))
        return index is not None and near(index, "cat") == ["cats.py", "pets.py"]

    eventually(lambda: workspaces.find(str(folder / "one")))
    workspaces.use_embedder(first)
    workspaces.use_embedder(other)
    for half in ("one", "two"):
        eventually(lambda half=half: sees_cats(half))
    assert other.texts == []
    workspaces.close()


def test_a_process_without_an_embedder_imports_nothing_for_one() -> None:
    code = (
        "import sys, retrieval.workspace, retrieval.context\n"
        "found = {name for name in sys.modules if name.split('.')[0] == 'faiss'\n"
        "         or name.startswith('retrieval.dense')}\n"
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
