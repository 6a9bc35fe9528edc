"""Commands that items carry back to the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygls.exceptions import JsonRpcInvalidParams

from lsp_server.convert import ACCEPTED_COMMAND

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""

    # Takes no server: pygls evaluates the annotations of commands, and ours would not be there.
    @server.command(ACCEPTED_COMMAND)
    def accepted(request_id: str = "") -> None:
        """Tell the service that a suggestion was taken, so that it can prepare the next one."""
        if not request_id:  # pygls lets arguments be left out altogether
            raise JsonRpcInvalidParams(f"{ACCEPTED_COMMAND} takes the id of the accepted request")
        server.follower.accepted(request_id)
        service = server.background.ready
        if service is not None:
            service.accepted(request_id)
