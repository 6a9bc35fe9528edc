"""Who may talk to the server: not a web page, and beyond this machine only who has the token.

A page in the user's browser can send requests to this machine. It cannot choose the ``Origin`` and
``Sec-Fetch-Site`` headers, and a name that it makes resolve to this machine ("DNS rebinding") shows
in ``Host``. So requests must name the server as it is known here, and must not come from elsewhere.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from lsp_server.errors import BadInputError
from lsp_server.http.errors import ApiError

HEALTH_PATH = "/health"
PAGE_PATH = "/dashboard"
MIN_TOKEN_LENGTH = 16
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:@/?#\[\]]+)(?::\d{1,5})?")
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Access:
    """What a client must know. ``host`` is the name or address that the server was told to use."""

    host: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.token and (len(self.token) < MIN_TOKEN_LENGTH or not self.token.isascii()):
            raise BadInputError(
                f"the token must have {MIN_TOKEN_LENGTH} or more ASCII characters; one from "
                "python -c 'import secrets; print(secrets.token_urlsafe())' will do"
            )

    def check_addresses(self, addresses: Iterable[str]) -> None:
        """Refuse to listen on ``addresses`` without a token if others than this machine reach them.

        Raises:
            BadInputError: A token is needed and there is none.
        """
        if not self.token and not all(is_loopback(address) for address in addresses):
            raise BadInputError(
                f"{self.host or 'every address'} can be reached from other machines, which needs a "
                "token: set http.token, or name a file with --token-file"
            )


class AccessCheck:
    """Refuses requests by ``Host``, ``Origin``, token and content type, before a body is read."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._names = {access.host.lower(), socket.gethostname().lower()} - {""}
        self._credentials = f"Bearer {access.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or answer with an error."""
        try:
            if scope["type"] == "http":
                self._check(scope)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host = _header(scope, b"host")
        if not self._is_own_name(host, scope):
            message = "the Host header names another server; use the address that fimble printed"
            raise ApiError(403, message, code="host_not_allowed")
        if not _is_same_origin(scope, host) and not _opens_page(scope):
            raise ApiError(403, "web pages may not use this server", code="origin_not_allowed")
        if self._access.token and not _is_public(scope["path"]):
            self._check_token(scope)
        if scope["method"] in _BODY_METHODS:
            _check_content_type(scope)

    def _is_own_name(self, host: str, scope: Scope) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name, local = match[1].strip("[]").rstrip(".").lower(), _local_address(scope)
        if name == "localhost":
            return is_loopback(local)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            # This machine's name resolves to loopback nowhere that a page could choose.
            return name in self._names
        return str(address) == local or (address.is_loopback and is_loopback(local))

    def _check_token(self, scope: Scope) -> None:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) == 1 and hmac.compare_digest(given[0], self._credentials):
            return
        message = "this server needs its token: Authorization: Bearer TOKEN"
        challenge = {"WWW-Authenticate": "Bearer"}
        raise ApiError(401, message, code="invalid_api_key", headers=challenge)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches ``address``, a name or an IP address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def _local_address(scope: Scope) -> str:
    """Return the address of this end of the connection, in its shortest spelling."""
    server = scope.get("server")
    address = str(server[0]).partition("%")[0] if server else ""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _header(scope: Scope, wanted: bytes) -> str:
    """Return a header's value; empty if it is missing or there is more than one."""
    values = [value for name, value in scope["headers"] if name == wanted]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _is_same_origin(scope: Scope, host: str) -> bool:
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    own = f"{scope['scheme']}://{host}".lower().encode("latin-1")
    if any(origin.lower() != own for origin in origins):
        return False
    # Images and scripts carry no Origin; "none" is a person typing the address.
    sites = [value for name, value in scope["headers"] if name == b"sec-fetch-site"]
    return all(site in (b"same-origin", b"none") for site in sites)


def _is_public(path: str) -> bool:
    """Whether what is there is the same for everybody, so that it needs no token."""
    return path in (HEALTH_PATH, PAGE_PATH) or path.startswith(PAGE_PATH + "/")


def _opens_page(scope: Scope) -> bool:
    """Whether a link somewhere leads a person here; pages can neither read nor frame what comes."""
    is_link = _header(scope, b"sec-fetch-mode") == "navigate" and scope["method"] == "GET"
    is_page = scope["path"].rstrip("/") == PAGE_PATH
    return is_link and is_page and _header(scope, b"sec-fetch-dest") == "document"


def _check_content_type(scope: Scope) -> None:
    kind = _header(scope, b"content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        message = "send JSON with Content-Type: application/json"
        raise ApiError(415, message, code="unsupported_media_type")
