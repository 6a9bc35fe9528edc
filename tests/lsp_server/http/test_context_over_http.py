"""Lines of other files over HTTP: where an editor has made an index, and for who has the token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from completion.context import ContextRoom
from completion.repository_context import RepositoryContext
from completion.types import CompletionOutcome, CompletionRequest, CompletionTrace, Suggestion
from lsp_server.settings import EngineSettings, Settings
from retrieval.workspaces import IndexOptions, Workspaces

TOKEN = "a-token-of-enough-characters"
STORE = """\
class PriceTable:
    def discounted_price(self, article: str, percent: float) -> float:
        return self.prices[article] * (1 - percent / 100)
"""
MAIN = "from store import PriceTable\n\ntable = PriceTable()\ntable.discounted_price"
SHOWN = ["store.py"]

Ask = Callable[[Any, Path], None]


class LentWorkspaces(Workspaces):
    """Indexes that outlive the servers of the tests."""

    def close(self) -> None: ...

    def end(self) -> None:
        super().close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("context").resolve() / "project"
    path.mkdir()
    (path / "store.py").write_text(STORE)
    (path / "main.py").write_text(MAIN)
    other = path.parent / "other"
    other.mkdir()
    (path / "link").symlink_to(other)
    return path


@pytest.fixture(scope="module")
def workspaces(folder: Path, wait: Callable[..., None]) -> Iterator[Workspaces]:
    """The indexes of a process in which an editor works in ``folder``."""
    home = {"HOME": str(folder.parent / "home")}
    options = IndexOptions(folder.parent / "indexes", num_workers=1, environment=home)
    made = LentWorkspaces(options)
    made.enter(str(folder))
    wait(lambda: [each.state for each in made.status()] == ["up to date"])
    yield made
    made.end()


@pytest.fixture
def service(make_service: Any, workspaces: Workspaces) -> Any:
    """A service that remembers which files it would have shown."""
    context = RepositoryContext(workspaces)
    made = make_service()
    made.shown = []

    def answer(request: CompletionRequest) -> CompletionOutcome:
        room = ContextRoom(1_000, lambda chunk: len(chunk.text) // 4, (0, request.offset))
        chunks = context.chunks(request, room) if request.use_retrieval else ()
        made.shown.append(sorted({chunk.path for chunk in chunks}))
        suggestion: Suggestion = made.suggestion(request)
        return replace(suggestion, trace=CompletionTrace(context=tuple(chunks)))

    made.outcome = answer
    return made


def ask_openai(server: Any, path: Path) -> None:
    options = {"path": str(path), "trim": True}
    assert server.post({"prompt": MAIN, "fimble": options}).is_success


def ask_openai_for_raw_text(server: Any, path: Path) -> None:
    assert server.post({"prompt": MAIN, "fimble": {"path": str(path)}}).is_success


def ask_tabby(server: Any, path: Path) -> None:
    assert server.post({"segments": {"prefix": MAIN, "filepath": str(path)}}).is_success


def ask_tabby_for_none(server: Any, path: Path) -> None:
    options = {"disable_retrieval_augmented_code_completion": True}
    body = {"segments": {"prefix": MAIN, "filepath": str(path)}, "debug_options": options}
    assert server.post(body).is_success


def ask_in_document(server: Any, path: Path, **named: str) -> None:
    body = {"text": MAIN, **(named or {"path": str(path)})}
    opened = server.request("POST", "/v1/documents", json=body).json()
    at = {"offset": len(MAIN)}
    assert server.request("POST", f"/v1/documents/{opened['id']}/complete", json=at).is_success


def ask_in_document_with_uri(server: Any, path: Path) -> None:
    ask_in_document(server, path, uri=path.as_uri())


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (ask_openai, SHOWN),
        (ask_openai_for_raw_text, []),
        (ask_tabby, SHOWN),
        (ask_tabby_for_none, []),
        (ask_in_document, SHOWN),
        (ask_in_document_with_uri, SHOWN),
    ],
)
def test_a_file_of_an_indexed_folder_gets_what_an_editor_would(
    serve: Any, service: Any, workspaces: Workspaces, folder: Path, ask: Ask, expected: list[str]
) -> None:
    server = serve(service, token=TOKEN, workspaces=workspaces)
    ask(server, folder / "main.py")
    assert service.shown == [expected]
    if expected:
        (asked,) = service.requests
        assert (asked.document.path, asked.document.workspace) == ("main.py", str(folder))


def test_the_cache_of_a_document_stays_its_own_wherever_it_lies(
    serve: Any, service: Any, workspaces: Workspaces, folder: Path
) -> None:
    server = serve(service, token=TOKEN, workspaces=workspaces)
    for more in ("", "("):
        options = {"path": str(folder / "main.py"), "trim": True}
        assert server.post({"prompt": MAIN + more, "fimble": options}).is_success
    first, second = service.requests
    assert second.document.key == first.document.key
    assert second.document.base_version == first.document.version


@pytest.mark.parametrize("ask", [ask_openai, ask_tabby, ask_in_document])
def test_who_has_no_token_sees_no_other_file(
    serve: Any, service: Any, workspaces: Workspaces, folder: Path, ask: Ask
) -> None:
    server = serve(service, workspaces=workspaces)
    ask(server, folder / "main.py")
    assert service.shown == [[]]


@pytest.mark.parametrize("name", ["main.py", "../main.py", "../other/a.py", "link/a.py"])
def test_a_path_opens_no_folder_and_leads_into_none(
    serve: Any, service: Any, workspaces: Workspaces, folder: Path, name: str
) -> None:
    server = serve(service, token=TOKEN, workspaces=workspaces)
    path = Path(name) if name == "main.py" else folder / name
    ask_in_document(server, path)
    assert service.shown == [[]]
    assert [each.folder for each in workspaces.status()] == [str(folder)]


def test_who_wants_no_context_gets_none_over_http(
    serve: Any, service: Any, workspaces: Workspaces, folder: Path
) -> None:
    settings = Settings(engine=EngineSettings(retrieval=False))
    server = serve(service, token=TOKEN, workspaces=workspaces, settings=settings)
    ask_openai(server, folder / "main.py")
    assert service.shown == [[]]


@pytest.mark.parametrize("path", ["/a\0b", "/", "//", "/" + "a/" * 2000, "C:\\a.py", "~/a.py"])
def test_odd_paths_are_answered(
    serve: Any, service: Any, workspaces: Workspaces, path: str
) -> None:
    server = serve(service, token=TOKEN, workspaces=workspaces)
    opened = server.request("POST", "/v1/documents", json={"text": MAIN, "path": path}).json()
    answer = server.request("POST", f"/v1/documents/{opened['id']}/complete", json={"offset": 0})
    assert answer.is_success
    assert service.shown == [[]]
