"""What editors show, laid over the files of an index: the newest text counts, and at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval import scopes
from retrieval.keeper import Refreshed
from retrieval.open_documents import OpenDocuments
from retrieval.open_text import OpenText
from retrieval.prepare import prepare_text
from retrieval.sparse.corpus import Hit, LiveSegment
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.merge import merge
from retrieval.sparse.segment import Segment
from retrieval.stamp import Stamp
from retrieval.terms import terms_of
from retrieval.workspace import WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Paths = Callable[[WorkspaceIndex, str], list[str]]
Shown = Callable[..., OpenText]
Texts = Callable[[WorkspaceIndex, str], list[str]]

SOURCE = Path(scopes.__file__).read_text(encoding="utf-8")
OTHER = "def lookup(name):\n    return scopes[name]\n"
INSERTED = (
    "",
    "\n",
    "\n\n\ndef added(first, second):\n    return first + second\n",
    "    ",
    '"""',
    "class Inserted:\n",
    "\r\n",
    "é\U0001f40d",
    "(",
    "value = [1, 2, 3]\n" * 40,
)
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 300),
        st.sampled_from(INSERTED),
        st.sampled_from(["right", "missing", "wrong"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)
Edits = list[tuple[float, int, str, str, bool]]


@pytest.fixture
def index(open_index: OpenIndex, write: Write, refresh: Refresh) -> WorkspaceIndex:
    write({"a.py": "def alpha(): return 1\n", "b.py": "def beta(): return 2\n"})
    opened = open_index()
    refresh(opened)
    return opened


def segment_of(files: Mapping[str, str]) -> Segment:
    return Segment.build(
        prepare_text(path, text, Stamp(1, len(text), 1)) for path, text in files.items()
    )


def everything(index: SparseIndex, *texts: str) -> list[Hit]:
    query = dict.fromkeys((term for text in texts for term in terms_of(text)), 1.0)
    return index.search(query, 10_000)


def places(found: list[Hit]) -> set[tuple[object, ...]]:
    return {(hit.path, hit.start_line, hit.end_line, hit.key, hit.header) for hit in found}


def type_into(documents: OpenDocuments, index: SparseIndex, done: Edits) -> str:
    """Edit the document ``a.py``, with right and wrong hints, and return the text it ends as."""
    text = SOURCE
    documents.note(OpenText("", "a.py", "editor", "python", 0, text))
    for version, (share, length, inserted, hint, is_searched) in enumerate(done, start=1):
        start = int(share * len(text))
        end = min(start + length, len(text))
        text = text[:start] + inserted + text[end:]
        told = {
            "right": ((start, end, inserted),),
            "missing": (),
            "wrong": ((0, len(text) + 9, "?"), (5, 3, "")),
        }[hint]
        base = None if hint == "missing" else version - 1
        documents.note(OpenText("", "a.py", "editor", "python", version, text, base, told))
        if is_searched:
            documents.apply()
            assert places(everything(index, text, OTHER))
    documents.apply()
    return text


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=edits)
def test_an_edited_document_is_indexed_as_its_text_alone_would_be(
    done: Edits, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("segments")
    on_disk = segment_of({"a.py": SOURCE, "b.py": OTHER}).write(folder / "one")
    index = SparseIndex([LiveSegment(on_disk)])
    documents = OpenDocuments(index)
    text = type_into(documents, index, done)
    final = {"a.py": text, "b.py": OTHER}
    fresh = everything(SparseIndex([LiveSegment(segment_of(final))]), text, OTHER)
    assert places(everything(index, text, OTHER)) == places(fresh)

    index.add(segment_of({"a.py": text}).write(folder / "two"))  # it is saved,
    assert places(everything(index, text, OTHER)) == places(fresh)
    assert documents.drop("a.py", "editor")  # closed,
    inputs = index.segments
    dead = [live.dead for live in inputs]
    merged = merge([folder / "one", folder / "two"], dead, folder / "three")
    index.replace(inputs, merged)  # and merged
    found = {(hit.path, hit.start_line): hit.score for hit in everything(index, text, OTHER)}
    assert found == {(hit.path, hit.start_line): pytest.approx(hit.score) for hit in fresh}


def test_the_next_search_finds_what_was_typed(
    index: WorkspaceIndex, shown: Shown, paths: Paths, texts: Texts
) -> None:
    index.note(shown("a.py", "import os\n\n\ndef typed(): return 'not saved'\n"))
    (text,) = texts(index, "typed")
    assert "def typed(): return 'not saved'\n" in text
    assert paths(index, "alpha") == []
    index.note(shown("a.py", "def later(): return 1\n", 2, base_version=1))
    assert (paths(index, "typed"), paths(index, "later")) == ([], ["a.py"])


def test_a_document_that_was_never_saved_is_found(
    index: WorkspaceIndex, shown: Shown, paths: Paths
) -> None:
    index.note(shown("new/file.py", "def epsilon(): return 5\n"))
    assert paths(index, "epsilon") == ["new/file.py"]
    assert index.lines("new/file.py", 0, 9) == "def epsilon(): return 5\n"
    index.drop("new/file.py", "editor")
    assert paths(index, "epsilon") == []
    assert index.lines("new/file.py", 0, 9) is None


def test_a_closed_document_is_what_is_on_disk_again(
    index: WorkspaceIndex, shown: Shown, paths: Paths, texts: Texts
) -> None:
    index.note(shown("a.py", "\n\ndef typed(): return 'not saved'\n"))
    assert index.is_open("a.py")
    index.drop("a.py", "editor")
    assert not index.is_open("a.py")
    assert (paths(index, "typed"), texts(index, "alpha")) == ([], ["def alpha(): return 1\n"])
    assert index.tree("a.py") is None


def test_of_two_owners_the_one_who_typed_last_counts(
    index: WorkspaceIndex, shown: Shown, paths: Paths
) -> None:
    index.note(shown("a.py", "def one(): return 'first'\n", owner="first"))
    index.note(shown("a.py", "def two(): return 'second'\n", owner="second"))
    assert (paths(index, "one"), paths(index, "two")) == ([], ["a.py"])
    index.note(
        shown(
            "a.py",
            "def three(): return 'first'\n",
            2,
            owner="first",
            base_version=1,
            edits=((4, 7, "three"),),
        )
    )
    assert (paths(index, "two"), paths(index, "three")) == ([], ["a.py"])
    index.drop("a.py", "first")
    assert (paths(index, "three"), paths(index, "two")) == ([], ["a.py"])
    index.drop("a.py", "second")
    assert (paths(index, "two"), paths(index, "alpha")) == ([], ["a.py"])


def test_to_close_what_is_not_open_changes_nothing(
    index: WorkspaceIndex, shown: Shown, paths: Paths
) -> None:
    index.note(shown("a.py", "def typed(): return 1\n"))
    index.drop("a.py", "somebody else")
    index.drop("b.py", "editor")
    assert paths(index, "typed beta") == ["a.py", "b.py"]


def test_a_document_that_changed_on_disk_meanwhile_is_as_the_editor_shows_it(
    index: WorkspaceIndex, shown: Shown, refresh: Refresh, paths: Paths, texts: Texts, folder: Path
) -> None:
    index.note(shown("a.py", "\n\ndef typed(): return 'not saved'\n"))
    (folder / "a.py").write_text("def disk(): return 'written by a tool'\n")
    refresh(index)
    assert (paths(index, "disk"), paths(index, "typed")) == ([], ["a.py"])
    index.drop("a.py", "editor")
    assert texts(index, "disk") == ["def disk(): return 'written by a tool'\n"]


def test_lines_are_quoted_from_the_text_that_is_shown_now(
    index: WorkspaceIndex, shown: Shown
) -> None:
    (hit,) = index.search({"alpha": 1.0}, 1)
    index.note(shown("a.py", "# one more line\ndef alpha(): return 1\n"))
    text = index.lines(hit.path, hit.start_line, hit.end_line)
    assert text == "# one more line\n"  # what stands there now, never what stood there


def test_secrets_of_an_open_document_are_not_quoted(
    index: WorkspaceIndex, shown: Shown, texts: Texts
) -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    index.note(shown("a.py", f'def alpha():\n    token = "{token}"\n    return token\n'))
    assert texts(index, "alpha") == ['def alpha():\n    token = "<redacted>"\n    return token\n']
    assert token not in (index.text("a.py") or "")


@pytest.mark.parametrize("name", [".env", "deploy/.env.production", "id_rsa", "server.key"])
def test_an_open_file_that_is_made_to_hold_secrets_is_not_found(
    name: str, index: WorkspaceIndex, shown: Shown, paths: Paths
) -> None:
    index.note(shown(name, "EPSILON=correct horse battery staple\n"))
    assert paths(index, "epsilon") == []
    assert index.lines(name, 0, 1) is None
    index.drop(name, "editor")
    assert paths(index, "alpha") == ["a.py"]
