"""``FimbleClient`` against a real listener."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from lsp_server.client import FimbleClient
from lsp_server.client_errors import (
    BusyError,
    ClientError,
    ConflictError,
    GoneError,
    RefusedError,
    ServerFailedError,
    UnreachableError,
    error_of,
)
from lsp_server.errors import FimbleError

TOKEN = "a-token-of-some-length"
TEXT = "def area(radius):\n    return \n"


def test_text_around_a_cursor_is_completed(serve: Any, make_service: Any) -> None:
    service = make_service()
    client = FimbleClient(serve(service).url)
    found = client.complete("x = ", "\n", path="a.py", stop="\n", temperature=0.5)
    assert found.text == "a + b"
    (asked,) = service.requests
    assert (asked.prefix, asked.suffix, asked.document.path) == ("x = ", "\n", "a.py")
    assert (asked.stop, asked.temperature, asked.verbatim) == (("\n",), 0.5, False)
    assert client.explain(found.id)["text"] == "a + b"


def test_a_document_here_and_there_stay_the_same(tiny: Any) -> None:
    client = FimbleClient(tiny.url.removesuffix("/v1"))
    with client.open_document(TEXT, path="area.py") as document:
        document.insert(len(TEXT) - 1, "3")
        document.edit_all([(0, 3, "async def"), (0, 0, "# é😀\n")])
        here = document.text
        path = f"/v1/documents/{document._path.rpartition('/')[2]}"
        assert tiny.get(path).json()["text"] == here == f"# é😀\nasync def{TEXT[3:-1]}3\n"
        assert document.cursor == len("# é😀\n")
        assert document.complete(line=2, column=1, max_new_tokens=2).usage["prompt_tokens"] > 0
    assert tiny.get(path).status_code == 404


def test_what_was_completed_is_accepted_where_it_belongs(serve: Any, make_service: Any) -> None:
    server = serve(make_service())
    told: list[dict[str, Any]] = []
    server.host.feedback.subscribe(lambda _, fields: told.append(fields))
    with FimbleClient(server.url).open_document(TEXT) as document:
        found = document.complete(len(TEXT) - 1)
        document.accept(found)
        assert document.text == TEXT[:-1] + "a + b\n"
        assert told[0]["accepted"] == "all"
        with pytest.raises(ConflictError, match="has changed"):
            document.accept(found)


def test_nothing_is_accepted_of_a_completion_that_says_nothing(
    serve: Any, make_service: Any
) -> None:
    server = serve(make_service(text=""))
    told: list[dict[str, Any]] = []
    server.host.feedback.subscribe(lambda _, fields: told.append(fields))
    with FimbleClient(server.url).open_document(TEXT) as document:
        document.accept(document.complete(len(TEXT) - 1))
        assert (document.text, document.version) == (TEXT, 1)
    assert told == []


def test_a_page_of_somebody_else_is_an_error_though_its_status_is_200(
    serve: Any, make_service: Any
) -> None:
    client = FimbleClient(serve(make_service()).url)
    with pytest.raises(ClientError, match="not fimble's answer"):
        client.request("GET", "/docs")


def test_a_document_that_somebody_else_edited_is_a_conflict(tiny: Any) -> None:
    with FimbleClient(tiny.url).open_document(TEXT) as document:
        document.insert(0, "#")
        document.version = 1
        with pytest.raises(ConflictError) as refused:
            document.insert(0, "#")
        assert refused.value.version == 2


def test_a_document_that_is_gone_says_what_to_do(tiny: Any) -> None:
    with FimbleClient(tiny.url).open_document(TEXT) as document:
        document.close()
        with pytest.raises(GoneError, match="open it again"):
            document.complete()


def test_an_error_within_the_block_is_not_hidden_by_closing(serve: Any, make_service: Any) -> None:
    server = serve(make_service())

    def leave() -> None:
        with FimbleClient(server.url).open_document(TEXT):
            server.threads.run(server.listener.close())
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        leave()


def test_a_token_is_sent_and_a_missing_one_is_refused(serve: Any, make_service: Any) -> None:
    server = serve(make_service(), token=TOKEN)
    assert FimbleClient(server.url, TOKEN).complete("a").text == "a + b"
    with pytest.raises(RefusedError, match="token") as refused:
        FimbleClient(server.url).complete("a")
    assert refused.value.status == 401


def test_a_server_that_is_busy_says_when_to_come_back(
    serve: Any, make_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_server.http.door.MAX_NUM_REQUESTS", 0)
    with pytest.raises(BusyError) as refused:
        FimbleClient(serve(make_service()).url).complete("a")
    assert refused.value.retry_after_s == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_fails_is_told_from_a_wrong_request(serve: Any, make_service: Any) -> None:
    with pytest.raises(ServerFailedError, match="log"):
        FimbleClient(serve(make_service(error=RuntimeError("x"))).url).complete("a")
    with pytest.raises(RefusedError, match="temperature"):
        FimbleClient(serve(make_service()).url).complete("a", temperature=9)


def test_nobody_there_is_said_with_the_address() -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: .*fimble serve"):
        FimbleClient("http://127.0.0.1:1").complete("a")


@pytest.mark.parametrize("url", ["", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        FimbleClient(url)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"error": 3}', b'{"error": {}}'])
def test_an_answer_of_somebody_else_is_an_error_all_the_same(content: bytes) -> None:
    error = error_of(502, content, None)
    assert isinstance(error, ServerFailedError)
    assert isinstance(error, ClientError)
    assert isinstance(error, FimbleError)
    assert "502" in str(error)


def test_the_client_needs_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, lsp_server.client\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'fastapi', 'pygls', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
