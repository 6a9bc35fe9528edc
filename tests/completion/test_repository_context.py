"""Context for one document after the other, from real indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from completion.config import PromptConfig
from completion.context import ContextRoom
from completion.prompt import PromptBuilder
from completion.repository_context import RepositoryContext
from completion.types import CompletionRequest, ContextChunk, DocumentSnapshot
from models.tokenizer import Tokenizer
from retrieval.workspaces import IndexOptions, Workspaces

OPENING_S = 60.0
STORE = """\
class PriceTable:
    def discounted_price(self, article: str, percent: float) -> float:
        return self.prices[article] * (1 - percent / 100)
"""
STOCK = """\
def empty_shelves(warehouse: str) -> list[int]:
    return [shelf.number for shelf in shelves_of(warehouse)]
"""
Chunks = Callable[..., Sequence[ContextChunk]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    (path / "shop").mkdir(parents=True)
    (path / "shop" / "store.py").write_text(STORE)
    (path / "shop" / "stock.py").write_text(STOCK)
    return path


@pytest.fixture
def workspaces(tmp_path: Path, folder: Path) -> Iterator[Workspaces]:
    """Indexes that are read as they lie on disk, the folder's made beforehand."""
    from retrieval.workspace import WorkspaceIndex

    options = IndexOptions(tmp_path / "indexes", num_workers=1)
    index = WorkspaceIndex(folder, options)
    index.refresh(lambda _: None, lambda: None)
    index.close()
    made = Workspaces(replace(options, kept_fresh=False))
    yield made
    made.close()


@pytest.fixture
def context(workspaces: Workspaces) -> RepositoryContext:
    return RepositoryContext(workspaces)


@pytest.fixture
def request_in(folder: Path) -> Callable[..., CompletionRequest]:
    """Return ``make(text, **fields)``: a request at the end of a document of the folder."""

    def make(text: str, **fields: object) -> CompletionRequest:
        document = DocumentSnapshot(
            "file:///x", 1, "python", text, "main.py", owner="me", workspace=str(folder)
        )
        return CompletionRequest("1", replace(document, **fields), len(text))  # type: ignore[arg-type]

    return make


def room(request: CompletionRequest, max_num_tokens: int = 1_000) -> ContextRoom:
    shown = (0, len(request.document.text))
    return ContextRoom(max_num_tokens, lambda chunk: len(chunk.text) // 4, shown)


def test_nothing_is_waited_for_while_the_index_opens(
    context: RepositoryContext,
    workspaces: Workspaces,
    folder: Path,
    request_in: Callable[..., CompletionRequest],
) -> None:
    request = request_in("table.discounted_price")
    assert context.chunks(request, room(request)) == ()
    assert workspaces.wait_for(str(folder), OPENING_S) is not None
    assert context.chunks(request, room(request)) != ()


@pytest.fixture
def chunks(context: RepositoryContext, workspaces: Workspaces, folder: Path) -> Chunks:
    """Return ``chunks(request, max_num_tokens)``; the index is open."""
    assert workspaces.wait_for(str(folder), OPENING_S) is not None

    def found(request: CompletionRequest, max_num_tokens: int = 1_000) -> Sequence[ContextChunk]:
        return context.chunks(request, room(request, max_num_tokens))

    return found


def test_chunks_have_the_lines_that_people_count_from_one(
    chunks: Chunks, request_in: Callable[..., CompletionRequest]
) -> None:
    (chunk,) = chunks(request_in("discounted_price(percent, article)"))
    assert (chunk.path, chunk.start_line, chunk.end_line) == ("shop/store.py", 1, 3)
    assert (chunk.text, chunk.source) == (STORE, "similar")
    assert chunk.score > 0
    assert "discounted" in chunk.reason


@pytest.mark.parametrize(
    "fields", [{"workspace": ""}, {"path": None}, {"workspace": "/nowhere/at/all"}]
)
def test_a_document_of_no_indexed_folder_has_none(
    chunks: Chunks, request_in: Callable[..., CompletionRequest], fields: dict[str, str | None]
) -> None:
    assert chunks(request_in("discounted_price", **fields)) == ()


@pytest.mark.parametrize("max_num_tokens", [0, -1, 1])
def test_nothing_is_shown_without_room(
    chunks: Chunks, request_in: Callable[..., CompletionRequest], max_num_tokens: int
) -> None:
    assert list(chunks(request_in("discounted_price"), max_num_tokens)) == []


def test_the_file_itself_is_no_context_for_a_script_that_read_it(
    chunks: Chunks, request_in: Callable[..., CompletionRequest]
) -> None:
    found = chunks(request_in(STORE, path="shop/store.py"))
    assert "shop/store.py" not in {chunk.path for chunk in found}


def test_what_the_model_wrote_is_searched_for_too_until_the_document_is_forgotten(
    chunks: Chunks, context: RepositoryContext, request_in: Callable[..., CompletionRequest]
) -> None:
    def paths(text: str) -> set[str]:
        return {chunk.path for chunk in chunks(request_in(text))}

    assert paths("discounted_price\n") == {"shop/store.py"}
    context.note_draft(request_in(""), "return empty_shelves(warehouse)")
    assert "shop/stock.py" in paths("discounted_price\n\n")
    context.forget(request_in("").document.key)
    assert paths("discounted_price\n\n\n") == {"shop/store.py"}


def test_a_draft_for_a_document_that_was_never_asked_about_is_ignored(
    chunks: Chunks, context: RepositoryContext, request_in: Callable[..., CompletionRequest]
) -> None:
    context.note_draft(request_in("", uri="file:///other"), "empty_shelves")
    context.forget("no such document")
    assert {chunk.path for chunk in chunks(request_in("discounted_price"))} == {"shop/store.py"}


def test_the_clipboard_stands_in_the_prompt_without_its_secrets(
    chunks: Chunks,
    workspaces: Workspaces,
    request_in: Callable[..., CompletionRequest],
    tiny_tokenizer: Tokenizer,
) -> None:
    copied = 'def copied_helper():\n    password = "hunter2hunter2"\n    return 1\n'
    workspaces.clipboards.note("me", copied)
    request = request_in("copied_helper()")
    found = chunks(request)
    assert ("clipboard", 1, 3, "clipboard") in {
        (chunk.path, chunk.start_line, chunk.end_line, chunk.source) for chunk in found
    }
    assert chunks(request_in("copied_helper()", owner="other", uri="file:///y")) == []
    prompt = PromptBuilder(tiny_tokenizer, PromptConfig()).build(request, found)
    shown = b"".join(map(tiny_tokenizer.token_bytes, prompt.token_ids)).decode()
    assert "clipboard\ndef copied_helper():\n" in shown
    assert "<redacted>" in shown
    assert "hunter2" not in shown
