"""The listening socket and uvicorn on the event loop of the process that owns the model."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

from lsp_server.errors import FimbleError
from lsp_server.http.access import Access
from lsp_server.http.app import create_app, with_layers
from lsp_server.http.connection import LimitedH11Protocol
from lsp_server.http.door import HttpDoor, Loading
from lsp_server.http.metrics import HttpMetrics
from lsp_server.http.tickets import Tickets, add_tickets
from lsp_server.settings import Settings

if TYPE_CHECKING:
    from lsp_server.host import ModelHost

_CLOSE_TIMEOUT_S = 5
_KEEP_ALIVE_S = 15
_BACKLOG = 128


class ListenError(FimbleError, OSError):
    """The address cannot be listened on."""


class HttpListener:
    """An open door; ``url`` is where clients find the interface."""

    def __init__(
        self,
        url: str,
        door: HttpDoor,
        server: uvicorn.Server,
        task: asyncio.Task[None],
        tickets: Tickets,
    ) -> None:
        self.url = url
        self.tickets = tickets
        self._door, self._server, self._task = door, server, task

    @property
    def num_requests(self) -> int:
        """How many completions are waited for."""
        return self._door.num_requests

    @property
    def num_connections(self) -> int:
        """How many clients are connected, idle ones too."""
        return len(self._server.server_state.connections)

    async def close(self) -> None:
        """Cancel what is running, answer it, and close the socket; idempotent."""
        if not self._server.should_exit:
            self._door.close()
            self._server.should_exit = True
        await asyncio.wait([self._task])


async def open_listener(
    host: ModelHost,
    settings: Settings,
    access: Access,
    port: int,
    loading: Loading = Loading.AT_ONCE,
) -> HttpListener:
    """Serve HTTP on the running event loop until ``close``.

    Args:
        host: Where the model comes from; the door holds it, once it is loaded, for as long as it is
            open.
        settings: What requests default to, and what limits them.
        access: The host name or address to listen on, and the token.
        port: 0 takes a free one.
        loading: When the model is loaded.

    Raises:
        BadInputError: The address needs a token and there is none.
        ListenError: The port is taken, or the address is not this machine's.
        models.errors.UnknownModelError: No model has the name that the settings give, and it is to
            be loaded at once.
    """
    sockets = await _bind(access, port)
    try:
        # Without a token everybody on this machine is served, and they have files of their own.
        door = HttpDoor(host, settings, loading, shows_files=bool(access.token))
    except BaseException:
        _close_all(sockets)
        raise
    own_metrics = HttpMetrics()
    tickets = Tickets()
    app = create_app(door, lambda: host.metrics.render() + own_metrics.render(), access)
    add_tickets(app, access.token, tickets)
    server = _Server(
        uvicorn.Config(
            with_layers(app, door, access, own_metrics),
            http=LimitedH11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        )
    )
    task = asyncio.create_task(server.serve(sockets))
    return HttpListener(_url(access.host, sockets), door, server, task, tickets)


class _Server(uvicorn.Server):
    """Leaves signals to the process it is a guest in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _bind(access: Access, port: int) -> list[socket.socket]:
    """Return a bound socket for each address of the host, all with the same port."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            access.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(f"{access.host} is not an address of this machine: {error}") from error
    access.check_addresses(str(address[0]) for *_, address in found)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            chosen = sockets[0].getsockname()[1] if sockets else port
            bound = _bound(family, kind, protocol, (address[0], chosen, *address[2:]))
            sockets += [bound] if bound is not None else []
    except BaseException:
        _close_all(sockets)
        raise
    if not sockets:
        raise ListenError(f"{access.host} is not an address of this machine; see http.host")
    return sockets


def _bound(
    family: int, kind: int, protocol: int, address: tuple[object, ...]
) -> socket.socket | None:
    """Return a socket bound to ``address``; ``None`` if this machine has no such address."""
    try:
        bound = socket.socket(family, kind, protocol)
    except OSError:  # a kernel without IPv6
        return None
    try:
        if sys.platform != "win32":  # there it would share the port with whoever has it
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise ListenError(_reason(error, address)) from error
    return bound


def _reason(error: OSError, address: tuple[object, ...]) -> str:
    host, port = address[:2]
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; choose another with --port, 0 takes a free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that fimble does not have; choose one above 1023"
    return f"cannot listen on port {port} of {host}: {error.strerror}"


def _url(host: str, sockets: list[socket.socket]) -> str:
    address, port = sockets[0].getsockname()[:2]
    name = host or address
    is_any = address in ("0.0.0.0", "::")
    shown = socket.gethostname() if is_any else f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}/v1"


def _close_all(sockets: list[socket.socket]) -> None:
    for open_socket in sockets:
        open_socket.close()
