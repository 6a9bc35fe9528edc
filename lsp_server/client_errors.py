"""What a script meets that asks a server, by what it can do about it.

FimbleError
└── ClientError             there is no answer
    ├── UnreachableError    nobody listens there, or the connection broke
    ├── RefusedError        the request is wrong, or the token is: do not send it again
    │   ├── GoneError       the document is not open any more, or nothing is known of the request
    │   └── ConflictError   the document is at another version, ``version``
    ├── BusyError           try again after ``retry_after_s`` seconds
    └── ServerFailedError   the engine failed or was too late
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lsp_server.errors import FimbleError

_RETRY_S = 1.0


class ClientError(FimbleError):
    """There is no answer."""


class UnreachableError(ClientError):
    """The server cannot be reached."""

    def __init__(self, host: str, port: int | None, error: BaseException) -> None:
        address = host if port is None else f"{host}:{port}"
        super().__init__(
            f"no answer from {address}: {str(error) or type(error).__name__}; is fimble serve running?"
        )


class AnsweredError(ClientError):
    """The server says no: ``status`` of HTTP, and a ``code`` for programs."""

    def __init__(self, status: int, message: str, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status, self.code, self.details = status, code, dict(details)


class RefusedError(AnsweredError):
    """The request cannot be served as it is."""


class GoneError(RefusedError):
    """What the request speaks of is not there (any more)."""


class ConflictError(RefusedError):
    """The document is at another version."""

    @property
    def version(self) -> int | None:
        """The version that the server has, None if it did not say."""
        found = self.details.get("version")
        return found if isinstance(found, int) else None


class BusyError(AnsweredError):
    """The server has too much to do, or loads its model."""

    retry_after_s: float = _RETRY_S


class ServerFailedError(AnsweredError):
    """The server failed; its log says why."""


_CLASSES: dict[int, type[AnsweredError]] = {
    404: GoneError,
    409: ConflictError,
    429: BusyError,
    503: BusyError,
}


def error_of(status: int, content: bytes, retry_after: str | None) -> AnsweredError:
    """Return the error that an answer tells of, whatever is in it."""
    try:
        details = json.loads(content)["error"]
        message, code = str(details["message"]), str(details["code"])
    except (ValueError, TypeError, LookupError):
        details, message, code = {}, f"status {status}, which is not fimble's answer", ""
    kind = _CLASSES.get(status, RefusedError if status < 500 else ServerFailedError)
    error = kind(status, message, code, details if isinstance(details, Mapping) else {})
    if isinstance(error, BusyError) and retry_after is not None and retry_after.isdigit():
        error.retry_after_s = float(retry_after)
    return error
