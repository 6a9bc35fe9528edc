"""The first exchange on a connection to the daemon: who is there, in which version, for what.

One frame each way, in the framing of LSP. Behind it a connection speaks plain LSP (role ``lsp``) or
the daemon's own methods (role ``control``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lsp_server import version
from lsp_server.errors import BadHelloError

PROTOCOL = 1
MAX_HELLO_BYTES = 1024 * 1024


class Role(StrEnum):
    """What a connection is for."""

    LSP = "lsp"
    CONTROL = "control"


class Refusal(StrEnum):
    """Why a daemon does not take a connection."""

    VERSION = "version"
    BAD_HELLO = "bad_hello"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client says first.

    ``client`` stays the same for as long as the client lives, over any number of daemons.
    ``environment`` holds its ``FIMBLE_*`` variables, ``flags`` its command line by dotted setting;
    the daemon, not the client, checks them. ``directory`` is where the client was started.
    """

    version: str
    role: Role
    client: str
    directory: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the daemon answers; ``reason`` and ``message`` say why it does not accept."""

    version: str
    pid: int
    accepted: bool = True
    reason: str = ""
    message: str = ""
    protocol: int = PROTOCOL


def new_client_id() -> str:
    """Return an id that no other client has."""
    return os.urandom(8).hex()


def command_hello(
    environment: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Hello:
    """Return the hello of a command that was started in this process's folder.

    Of ``environment``, those variables are told that are settings; None: they do not bear on it.
    """
    told = {
        name: value for name, value in (environment or {}).items() if name.startswith("FIMBLE_")
    }
    return Hello(
        version.current(),
        Role.CONTROL,
        new_client_id(),
        directory=os.getcwd(),
        environment=told,
        flags=flags or {},
    )


def encode(said: Hello | Welcome) -> bytes:
    """Return the whole frame."""
    fields = {name: getattr(said, name) for name in said.__slots__}
    body = json.dumps({"fimble": fields}).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def decode_hello(body: bytes) -> Hello:
    """Return the hello in ``body``.

    Raises:
        BadHelloError: It is something else.
    """
    fields = _fields(body)
    texts = {name: _text(fields, name) for name in ("version", "client", "directory")}
    environment, flags = fields.get("environment", {}), fields.get("flags", {})
    if not isinstance(environment, dict) or not isinstance(flags, dict):
        raise BadHelloError("environment and flags have to be objects")
    if not all(isinstance(value, str) for value in environment.values()):
        raise BadHelloError("environment has values that are not text")
    try:
        role = Role(_text(fields, "role"))
    except ValueError as error:
        raise BadHelloError(f"no role is called {fields.get('role')!r}") from error
    return Hello(
        **texts, role=role, environment=environment, flags=flags, protocol=_protocol(fields)
    )


def decode_welcome(body: bytes) -> Welcome:
    """Return the welcome in ``body``.

    Raises:
        BadHelloError: It is something else: whoever listens there is no fimble daemon.
    """
    fields = _fields(body)
    pid = fields.get("pid")
    if not isinstance(pid, int):
        raise BadHelloError("no process id")
    return Welcome(
        version=_text(fields, "version"),
        pid=pid,
        accepted=fields.get("accepted") is True,
        reason=_text(fields, "reason"),
        message=_text(fields, "message"),
        protocol=_protocol(fields),
    )


def _fields(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadHelloError("not JSON") from error
    fields = said.get("fimble") if isinstance(said, dict) else None
    if not isinstance(fields, dict):
        raise BadHelloError('no object under "fimble"')
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise BadHelloError(f"{name} is not text")
    return value


def _protocol(fields: dict[str, Any]) -> int:
    protocol = fields.get("protocol")
    if not isinstance(protocol, int):
        raise BadHelloError("no protocol number")
    return protocol
