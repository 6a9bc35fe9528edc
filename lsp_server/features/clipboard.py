"""``fimble/didCopy``: what the user copied, from editors whose plugin tells.

LSP has no message for it. ``params.text`` is kept in memory for ten minutes, for this client alone,
shown to the model without the secrets that are recognised, and never logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsp_server.text_units import without_lone_surrogates

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

DID_COPY = "fimble/didCopy"


def register(server: FimbleLanguageServer) -> None:
    """Add the handler of this module."""
    server.feature(DID_COPY)(did_copy)


def did_copy(ls: FimbleLanguageServer, params: Any) -> None:
    """Keep the text; messages that say nothing are ignored."""
    text = getattr(params, "text", None)
    if isinstance(text, str) and ls.settings.shows_context:
        ls.workspaces.clipboards.note(ls.session.owner, without_lone_surrogates(text))
