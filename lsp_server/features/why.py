"""``fimble/why``: how the last request of a document ended, in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

WHY = "fimble/why"


def register(server: FimbleLanguageServer) -> None:
    """Add the handler of this module."""
    server.feature(WHY)(why)


def why(ls: FimbleLanguageServer, params: Any) -> dict[str, object] | None:
    """Answer with the last outcome of ``params.textDocument.uri``; null if there was no request.

    The object is that of ``fimble complete --json``, with a ``sentence`` for people.
    """
    uri = getattr(getattr(params, "textDocument", None), "uri", None)
    if not isinstance(uri, str):
        raise JsonRpcInvalidParams(f"{WHY} wants {{textDocument: {{uri: string}}}}")
    return ls.last_outcomes.explain(uri)
