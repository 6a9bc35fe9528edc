"""Every refusal as the object that OpenAI's clients know, whoever found the reason.

FimbleError
└── ApiError      one request cannot be served; becomes a response
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lsp_server.errors import FimbleError
from lsp_server.http.dialects.either import DIALECTS, OPENAI

_MAX_NAME_LENGTH = 64
_MISSING_ROUTES = {
    "/v1/chat/completions": "fimble completes text and has no chat; use POST /v1/completions",
    "/v1/embeddings": "fimble completes text and has no embeddings",
}


class ApiError(FimbleError):
    """A request that cannot be served.

    ``param`` names the field at fault, ``code`` is for programs, the message for people. ``details``
    are what a program needs to go on.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.details = dict(details or {})
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """Return the error object."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": {**error, **self.details}}

    def response(self) -> JSONResponse:
        """Return the response that tells of it."""
        return JSONResponse(self.body(), self.status, self.headers)


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """Return the error of a request that says something impossible."""
    return ApiError(400, message, code=code, param=param)


def try_later(status: int, message: str, *, code: str, after_s: int) -> ApiError:
    """Return the error of a request that may succeed when sent again after ``after_s`` seconds."""
    return ApiError(status, message, code=code, headers={"Retry-After": str(after_s)})


def install(app: FastAPI) -> None:
    """Make ``app`` answer every failure with an error object."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_mistake)


async def _on_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error.response()


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _first_problem(error).response()


def _first_problem(error: RequestValidationError) -> ApiError:
    problem = error.errors()[0]
    kind, (_, *location) = problem["type"], problem["loc"]
    words = location.pop(0) if location and location[0] in DIALECTS else None
    if kind == "json_invalid":
        reason = problem.get("ctx", {}).get("error", "")
        return bad_request(f"the body is not JSON: {reason}", code="invalid_json")
    if not location:
        return bad_request("the body must be a JSON object")
    names = [_readable(part) for part in location if isinstance(part, str)]
    # What follows a field's own name may be a branch of its union, which no client knows.
    param = ".".join(names[:2]) if names[0] in _NESTED else names[0] if names else None
    if kind == "extra_forbidden":
        hint = "; fimble completes text and has no chat" if param == "messages" else ""
        return bad_request(f"{param} is not supported{hint}", param, "unknown_parameter")
    meanings = _MEANINGS if words == OPENAI else {}
    return bad_request(_message(str(param), kind, problem["msg"], meanings), param)


_NESTED = {"stream_options", "fimble", "segments", "debug_options", "wishes"}
_MEANINGS = {
    "prompt": "must be a string or a list of 1 to 16 strings",
    "stop": "must be a string or a list of up to 4 strings, none of them empty",
    "best_of": "is not supported; ask for n choices",
    "logit_bias": "is not supported; leave it out",
    "presence_penalty": "is not supported; leave it out or send 0",
    "frequency_penalty": "is not supported; leave it out or send 0",
}


def _message(param: str, kind: str, said: str, meanings: Mapping[str, str]) -> str:
    if kind == "missing":
        return f"{param} is missing"
    if kind == "value_error":
        return f"{param} {said.removeprefix('Value error, ')}"
    meaning = meanings.get(param)
    return f"{param} {meaning}" if meaning else f"{param}: {said[:1].lower()}{said[1:]}"


def _readable(name: str) -> str:
    """Return a client's field name as text that any encoding can carry."""
    return name[:_MAX_NAME_LENGTH].encode("utf-8", "replace").decode()


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status == 404:
        path = request.url.path
        message = _MISSING_ROUTES.get(path, "there is nothing at this path; /docs lists what is")
        return ApiError(404, message, code="unknown_url").response()
    if status == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        message = f"{request.method} is not possible here; use {allowed}"
        return ApiError(405, message, code="method_not_allowed", headers=error.headers).response()
    code = "invalid_json" if status == 400 else "http_error"
    return ApiError(status, str(error.detail), code=code, headers=error.headers).response()


async def _on_mistake(_: Request, __: Exception) -> JSONResponse:
    """Answer for a mistake of ours; Starlette hands the exception on, and the log gets it."""
    message = "this is a mistake in fimble; the log holds the error"
    return ApiError(500, message, code="internal_error").response()
