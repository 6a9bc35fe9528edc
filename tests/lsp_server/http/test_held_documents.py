"""``/v1/documents``: opened, edited and completed over HTTP, within bounds."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from completion.types import Cancelled, CompletionRequest, TextEdit
from lsp_server.http import held_documents
from lsp_server.http.errors import ApiError
from lsp_server.http.held_documents import MAX_IDLE_S, MAX_NUM_DOCUMENTS, HeldDocuments

TEXT = "def area(radius):\n    return \n"
AT = len(TEXT) - 1


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(documents: HeldDocuments, text: str = TEXT) -> str:
    """Open a document and return its id."""
    return documents.open(text, uri=None, path="a.py", language_id="python")[0]


def keep(server: Any, **fields: Any) -> str:
    """Open a document at the server and return its path."""
    body = {"text": TEXT, "path": "area.py", **fields}
    response = server.request("POST", "/v1/documents", json=body)
    assert response.status_code == 201, response.text
    assert response.json()["version"] == 1
    return f"/v1/documents/{response.json()['id']}"


def edit(server: Any, path: str, *edits: tuple[int, int, str], **more: Any) -> httpx.Response:
    """Edit a document at the server."""
    sent = [{"start": start, "end": end, "text": text} for start, end, text in edits]
    body = {"edits": sent, **more}
    response: httpx.Response = server.request("POST", f"{path}/edits", json=body)
    return response


def complete(server: Any, path: str, **body: Any) -> httpx.Response:
    """Complete in a document at the server."""
    response: httpx.Response = server.request("POST", f"{path}/complete", json=body)
    return response


def check_error(response: httpx.Response, status: int, code: str, *told: str) -> None:
    """The response is an error object whose message holds the words ``told``."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code, error
    for words in told:
        assert words in error["message"]


def test_a_document_is_what_was_opened_and_edited(tiny: Any) -> None:
    path = keep(tiny, uri="file:///area.py")
    changed = edit(tiny, path, (0, 3, "async def"), (len("async def"), len("async def"), " "))
    assert changed.json()["version"] == 2
    found = tiny.get(path).json()
    assert found["text"] == "async def  area(radius):\n    return \n"
    assert found["version"] == 2
    assert (found["uri"], found["path"], found["language_id"]) == (
        "file:///area.py",
        "area.py",
        "python",
    )
    assert tiny.request("DELETE", path).status_code == 204
    check_error(tiny.get(path), 404, "document_not_found", "POST /v1/documents")
    assert tiny.request("DELETE", path).status_code == 204


def test_offsets_count_code_points(tiny: Any) -> None:
    path = keep(tiny, text="x = '😀é'\n")
    edit(tiny, path, (5, 6, "a"))
    assert tiny.get(path).json()["text"] == "x = 'aé'\n"


def test_a_completion_says_where_and_at_what_cost(tiny: Any) -> None:
    path = keep(tiny)
    answer = complete(tiny, path, offset=AT, max_new_tokens=3).json()
    assert (answer["version"], answer["offset"]) == (1, AT)
    assert answer["outcome"] in ("suggestion", "none")
    usage = answer["usage"]
    parts = ("cached_tokens", "patched_tokens", "computed_tokens")
    assert usage["prompt_tokens"] == sum(usage[name] for name in parts) > 0
    by_line = complete(tiny, path, line=2, column=12, max_new_tokens=3).json()
    assert by_line["offset"] == AT
    assert tiny.get(f"/v1/explain/{answer['id']}").json()["id"] == answer["id"]


def test_an_edit_is_patched_and_not_computed_anew(tiny: Any) -> None:
    lines = [f"value_{number} = {number}\n" for number in range(14)]
    text = "".join(lines)
    path = keep(tiny, text=text)
    first = complete(tiny, path, offset=len(text), max_new_tokens=2).json()["usage"]
    assert first["cached_tokens"] == 0
    edit(tiny, path, (0, 0, "a"), (len(text) + 1, len(text) + 1, "x"))
    second = complete(tiny, path, offset=len(text) + 2, max_new_tokens=2).json()["usage"]
    assert second["computed_tokens"] < first["computed_tokens"] / 2


def test_an_edit_is_prepared_before_anybody_asks(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service)
    path = keep(server)
    edit(server, path, (AT, AT, "math."))
    ((prepared, _),) = service.prepared
    assert prepared.offset == AT + 5
    assert prepared.document.edits == (TextEdit(AT, AT, "math."),)
    assert (prepared.document.version, prepared.document.base_version) == (2, 1)
    complete(server, path, offset=AT + 5)
    (asked,) = service.requests
    assert asked.document is prepared.document
    assert not asked.is_interactive


def test_a_path_opens_no_folder(serve: Any, make_service: Any, tmp_path: Any) -> None:
    (tmp_path / ".git").mkdir()
    service = make_service()
    server = serve(service)
    path = keep(server, path=str(tmp_path / "a.py"))
    complete(server, path, offset=0)
    (asked,) = service.requests
    assert asked.document.workspace == ""
    assert asked.document.path == str(tmp_path / "a.py")
    assert not asked.use_retrieval


def test_wishes_reach_the_engine(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service)
    wishes: dict[str, Any] = {
        "num_candidates": 2,
        "max_new_tokens": 9,
        "deadline_ms": 500.0,
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 4,
        "patching": "exact",
        "use_speculation": False,
    }
    assert complete(server, keep(server), offset=0, stop=["\n"], **wishes).is_success
    (asked,) = service.requests
    assert {name: getattr(asked, name) for name in wishes} == wishes
    assert asked.stop == ("\n",)


def test_another_version_is_a_conflict_that_names_the_one_there_is(tiny: Any) -> None:
    path = keep(tiny)
    assert edit(tiny, path, (0, 0, "#"), version=1).is_success
    for response in (
        edit(tiny, path, (0, 0, "#"), version=1),
        complete(tiny, path, offset=0, version=1),
    ):
        check_error(response, 409, "version_conflict", "version 2, not 1")
        assert response.json()["error"]["version"] == 2
    assert tiny.get(path).json()["text"].startswith("#def")


def test_edits_are_made_all_or_none(tiny: Any) -> None:
    path = keep(tiny)
    for wrong in ((5, 4, ""), (0, len(TEXT) + 2, ""), (len(TEXT) + 2, len(TEXT) + 2, "a")):
        check_error(edit(tiny, path, (0, 0, "#"), wrong), 400, "invalid_value", "edit 1")
    assert tiny.get(path).json() == {**tiny.get(path).json(), "text": TEXT, "version": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"line": 1},
        {"offset": 0, "line": 1, "column": 1},
        {"offset": len(TEXT) + 1},
        {"line": 9, "column": 1},
        {"line": 1, "column": 99},
        {"offset": 0, "max_new_tokens": 257},
        {"offset": 0, "patching": "full"},
        {"offset": 0, "use_retrieval": True},
    ],
)
def test_a_place_or_a_wish_that_cannot_be_is_refused(tiny: Any, body: dict[str, Any]) -> None:
    assert complete(tiny, keep(tiny), **body).status_code == 400


def test_documents_of_one_name_are_strangers(tiny: Any) -> None:
    one, other = keep(tiny, uri="file:///a.py"), keep(tiny, uri="file:///a.py")
    edit(tiny, one, (0, 0, "# mine\n"))
    assert tiny.get(other).json()["text"] == TEXT


def test_documents_can_be_kept_while_the_model_loads(serve: Any) -> None:
    ended = threading.Event()

    def build(*_: Any) -> Any:
        ended.wait(30)
        raise OSError("no model")

    server = serve(build=build)
    path = keep(server)
    assert edit(server, path, (0, 0, "#")).is_success
    check_error(complete(server, path, offset=0), 503, "model_loading")
    ended.set()


def test_a_client_that_hangs_up_frees_the_engine_of_its_document(
    serve: Any, make_service: Any
) -> None:
    service = make_service()
    service.gate.clear()
    server = serve(service)
    path = keep(server)
    with server.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"{path}/complete", json={"offset": 0}, timeout=0.2)
    poll = threading.Event()
    for _ in range(2000):
        if service.cancelled_ids:
            break
        poll.wait(0.005)
    assert len(service.cancelled_ids) == 1
    service.gate.set()


def test_a_request_that_an_edit_took_the_engine_from_is_a_conflict(
    serve: Any, make_service: Any
) -> None:
    def abandoned(request: CompletionRequest) -> Cancelled:
        return Cancelled(request.request_id)

    server = serve(make_service(outcome=abandoned))
    path = keep(server)
    check_error(complete(server, path, offset=0), 409, "version_conflict", "edited meanwhile")


def test_closing_the_server_forgets_its_documents(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service)
    keep(server)
    server.threads.run(server.listener.close())
    assert len(service.forgotten) == 1


def test_the_document_unused_for_longest_is_dropped() -> None:
    forgotten: list[str] = []
    documents = HeldDocuments(forgotten.append)
    first, second = opened(documents), opened(documents)
    documents.get(first)
    for _ in range(MAX_NUM_DOCUMENTS - 1):
        opened(documents)
    assert len(documents) == MAX_NUM_DOCUMENTS
    documents.get(first)
    with pytest.raises(ApiError, match="made room"):
        documents.get(second)
    assert len(forgotten) == 1


def test_idle_documents_are_dropped() -> None:
    clock, forgotten = Clock(), list[str]()
    documents = HeldDocuments(forgotten.append, clock)
    idle = opened(documents)
    clock.now = MAX_IDLE_S - 1
    used = opened(documents)
    clock.now = MAX_IDLE_S + 1
    documents.get(used)
    with pytest.raises(ApiError):
        documents.get(idle)
    assert len(forgotten) == 1


def test_idle_documents_go_though_nobody_asks_for_documents_any_more(
    serve: Any, make_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service()
    server = serve(service)
    path = keep(server)
    monkeypatch.setattr(held_documents, "MAX_IDLE_S", -1.0)
    server.post({"prompt": "x = "})
    assert len(service.forgotten) == 1
    monkeypatch.undo()
    check_error(server.get(path), 404, "document_not_found")


def test_all_documents_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_documents, "MAX_NUM_CHARS", 100)
    documents = HeldDocuments(lambda _: None)
    small = opened(documents, "a" * 40)
    large = opened(documents, "b" * 50)
    documents.edit(large, [TextEdit(0, 0, "c" * 20)])  # 110 together
    with pytest.raises(ApiError):
        documents.get(small)
    with pytest.raises(ApiError, match="100 characters"):
        documents.edit(large, [TextEdit(0, 0, "d" * 31)])
    assert len(documents.get(large).text) == 70
    with pytest.raises(ApiError) as refused:
        opened(documents, "e" * 101)
    assert refused.value.status == 413
