"""``/v1/documents``: a document that stays here, its edits, and completions in it."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    Suggestion,
    TextEdit,
    TriggerKind,
)
from lsp_server.documents import PLAIN_TEXT, offset_at
from lsp_server.errors import BadInputError
from lsp_server.http.answers import CLIENT_RESPONSES, answered
from lsp_server.http.choices import check_served
from lsp_server.http.documents_schema import (
    CompleteBody,
    DocumentCompletion,
    EditsBody,
    HeldDocumentBody,
    OpenBody,
    OpenedDocument,
)
from lsp_server.http.door import HttpDoor
from lsp_server.http.errors import ApiError, bad_request
from lsp_server.http.observe import REQUEST_ID
from lsp_server.http.schema import ErrorBody
from lsp_server.report import as_json, as_sentence
from lsp_server.requests import SCRIPT_DEADLINE_MS, Asked, new_request
from lsp_server.session import cursor_after
from retrieval.languages import language_for

_PLACES = frozenset({"offset", "line", "column", "version"})
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "No such document is open."},
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    **_UNKNOWN,
    409: {"model": ErrorBody, "description": "Another version is here: error.version."},
}
_BODY: dict[int | str, dict[str, Any]] = {code: CLIENT_RESPONSES[code] for code in (400, 415)}
_PATH = "/v1/documents/{document_id}"


def add_documents(app: FastAPI, door: HttpDoor) -> None:
    """Add the routes of this module to ``app``."""
    _add_keeping(app, door)
    _add_completing(app, door)


def _add_keeping(app: FastAPI, door: HttpDoor) -> None:
    @app.post(
        "/v1/documents",
        summary="Open a document",
        response_model=OpenedDocument,
        status_code=201,
        responses=_BODY,
        tags=["documents"],
    )
    async def open_document(body: Annotated[OpenBody, Body()]) -> Response:
        """Keep a text, to edit it and to complete in it. Unused for an hour, it is dropped."""
        door.expect_requests()
        language = language_for(body.language_id or "", body.path)
        known_id = language.language_ids[0] if language else PLAIN_TEXT
        document_id, opened = door.documents.open(
            body.text, uri=body.uri, path=body.path, language_id=body.language_id or known_id
        )
        return JSONResponse({"id": document_id, "version": opened.version}, 201)

    @app.get(
        _PATH,
        summary="Read a document",
        response_model=HeldDocumentBody,
        responses=_UNKNOWN,
        tags=["documents"],
    )
    async def read(document_id: str) -> Response:
        """The text as it is here."""
        found = door.documents.get(document_id)
        names = ("version", "uri", "path", "language_id", "text")
        return JSONResponse({"id": document_id, **{name: getattr(found, name) for name in names}})

    @app.delete(_PATH, summary="Close a document", status_code=204, tags=["documents"])
    async def close(document_id: str) -> Response:
        """Forget a text; one that is not open is fine."""
        door.documents.close(document_id)
        return Response(status_code=204)


def _add_completing(app: FastAPI, door: HttpDoor) -> None:
    @app.post(
        _PATH + "/edits",
        summary="Edit a document",
        response_model=OpenedDocument,
        responses={**_BODY, **_CONFLICT},
        tags=["documents"],
    )
    async def edit(document_id: str, body: Annotated[EditsBody, Body()]) -> Response:
        """Change the text. The cache is brought up to it before anybody asks."""
        edits = [TextEdit(each.start, each.end, each.text) for each in body.edits]
        changed = door.documents.edit(document_id, edits, body.version)
        cursor = cursor_after(changed.edits, None)
        if cursor is not None:
            door.prepare(_request(changed, cursor, {}, door))
        return JSONResponse({"id": document_id, "version": changed.version})

    @app.post(
        _PATH + "/complete",
        summary="Complete in a document",
        response_model=DocumentCompletion,
        responses={**CLIENT_RESPONSES, **_CONFLICT},
        tags=["documents"],
    )
    async def complete(
        request: Request, document_id: str, body: Annotated[CompleteBody, Body()]
    ) -> Response:
        """The code that belongs at a place of the newest version."""
        document = door.documents.get(document_id, body.version)
        door.service()
        wishes = _wishes(body, door.settings.completion.max_new_tokens)
        wishes["request_id"] = request.scope[REQUEST_ID]
        asked = _request(document, _offset(document, body), wishes, door)
        outcome = await answered(door, request.receive, door.answer(asked))
        if isinstance(outcome, Response):
            return outcome
        if isinstance(outcome, Cancelled) and not door.is_closing.is_set():
            raise _superseded(door.documents.get(document_id))
        check_served(outcome)
        return JSONResponse(_described(outcome, asked))


def _superseded(document: DocumentSnapshot) -> ApiError:
    """Return the error of a request whose document was edited while it was completed."""
    message = f"the document was edited meanwhile; it is at version {document.version}"
    version = {"version": document.version}
    return ApiError(409, message, code="version_conflict", param="version", details=version)


def _request(
    document: DocumentSnapshot, offset: int, wishes: Asked, door: HttpDoor
) -> CompletionRequest:
    """Return the request of a script: the user asked for it, so no trigger rule holds it back."""
    asked: Asked = {
        "deadline_ms": SCRIPT_DEADLINE_MS,
        "trigger": TriggerKind.INVOKED,
        "is_interactive": False,
        **wishes,
    }
    request = new_request(document, offset, door.settings, **asked)
    return door.with_context(request)


def _offset(document: DocumentSnapshot, body: CompleteBody) -> int:
    if body.offset is not None:
        if body.line is not None or body.column is not None:
            raise bad_request("send either offset or line and column", "offset")
        if body.offset > len(document.text):
            message = f"offset {body.offset} is outside the text of {len(document.text)} characters"
            raise bad_request(message, "offset")
        return body.offset
    if body.line is None or body.column is None:
        raise bad_request("send offset, or line and column", "offset")
    try:
        return offset_at(document.text, body.line, body.column)
    except BadInputError as error:
        raise bad_request(str(error), "line") from error


def _wishes(body: CompleteBody, max_num_tokens: int) -> Asked:
    """Return what ``body`` says of how to complete.

    Raises:
        ApiError: It wants more than ``max_num_tokens``.
    """
    wanted = body.max_new_tokens
    if wanted is not None and wanted > max_num_tokens:
        message = f"max_new_tokens is {wanted}, this server allows up to {max_num_tokens}"
        raise bad_request(message, "max_new_tokens")
    given = body.model_dump(exclude_none=True, exclude=set(_PLACES))
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    return cast(Asked, given)


def _described(outcome: CompletionOutcome, asked: CompletionRequest) -> dict[str, object]:
    prompt = outcome.trace.prompt
    candidates = outcome.candidates if isinstance(outcome, Suggestion) else ()
    return {
        **as_json(outcome, asked),
        "version": asked.document.version,
        "offset": asked.offset,
        "sentence": "" if isinstance(outcome, Suggestion) else as_sentence(outcome),
        "usage": {
            "prompt_tokens": prompt.num_tokens,
            "cached_tokens": prompt.num_cached_tokens,
            "patched_tokens": prompt.num_patched_tokens,
            "computed_tokens": prompt.num_new_tokens,
            "completion_tokens": sum(found.num_tokens for found in candidates),
        },
    }
