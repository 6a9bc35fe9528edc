"""Patching ahead: an edit reaches the cache at once, not with the request that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from completion.types import CompletionRequest

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer


def patch_ahead(ls: FimbleLanguageServer, uri: str) -> None:
    """Let the engine prepare what is likely to be asked next about the document, if anything is."""
    service, view = ls.background.ready, ls.session.view(uri)
    if service is None or view is None or ls.session.is_lost(uri):
        return
    snapshot = view.snapshot
    settings = ls.settings_for(view.document.snapshot.path)
    cursor = ls.session.cursor(uri)
    if cursor is None or settings.refusal(snapshot.language_id) is not None:
        return
    request = CompletionRequest(
        request_id=f"ahead of {snapshot.version}",
        document=snapshot,
        offset=min(view.start + cursor, len(snapshot.text)),
        use_retrieval=settings.engine.retrieval,
        use_speculation=settings.engine.speculation,
        patching=settings.engine.patching,
    )
    service.edited(request)
