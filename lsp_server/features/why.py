"""``fimble/why`` and the command ``fimble.why``: how a request ended and why, in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

WHY = "fimble/why"
WHY_COMMAND = "fimble.why"


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(WHY)(why)

    # Takes no server: pygls evaluates the annotations of commands, and ours would not be there.
    @server.command(WHY_COMMAND)
    def why_command(*asked: Any) -> dict[str, Any] | None:
        """Answer as ``fimble/why``; asks by ``{id?, uri?}``, without either for the newest."""
        wish = asked[0] if asked else {}
        if len(asked) > 1 or not isinstance(wish, dict):
            raise JsonRpcInvalidParams(f"{WHY_COMMAND} takes {{id?: string, uri?: string}}")
        return _explain(server, WHY_COMMAND, wish.get("id"), wish.get("uri"), or_latest=True)


def why(ls: FimbleLanguageServer, params: Any) -> dict[str, Any] | None:
    """Answer with the request ``params.id``, or the last answered of ``params.textDocument.uri``.

    Null if there is none, or it was too long ago. ``lsp_server.explanation`` has the object.
    """
    uri = getattr(getattr(params, "textDocument", None), "uri", None)
    return _explain(ls, WHY, getattr(params, "id", None), uri, or_latest=False)


def _explain(
    ls: FimbleLanguageServer, method: str, request_id: object, uri: object, *, or_latest: bool
) -> dict[str, Any] | None:
    explanations = ls.explanations
    if isinstance(request_id, str):
        found = explanations.find(request_id)
    elif isinstance(uri, str):
        found = explanations.latest_in(ls.session.owner, uri)
    elif or_latest and request_id is None and uri is None:
        found = explanations.latest_of(ls.session.owner)
    else:
        raise JsonRpcInvalidParams(f"{method} wants an id or a uri, both are texts")
    return None if found is None else explanations.as_json(found)
