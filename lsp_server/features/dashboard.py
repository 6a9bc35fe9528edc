"""The command ``fimble.dashboard``: the address of the page that shows what fimble does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

DASHBOARD_COMMAND = "fimble.dashboard"


def register(server: FimbleLanguageServer) -> None:
    """Add the command."""

    # Takes no server: pygls evaluates the annotations of commands, and ours would not be there.
    @server.command(DASHBOARD_COMMAND)
    async def dashboard() -> dict[str, str]:
        """Answer with ``{url}``. Whoever has it sees source text: it is for the user's browser."""
        return {"url": await server.dashboard.url(server.settings)}
