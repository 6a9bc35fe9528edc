"""What the indexes of the workspaces are told: folders, open documents, saved files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from retrieval.open_text import OpenText

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer


def change_folders(ls: FimbleLanguageServer, before: Iterable[str], after: Iterable[str]) -> None:
    """Take in which folders this client has open."""
    workspaces, former, present = ls.workspaces, set(before), set(after)
    if not ls.settings.index.enabled:
        return
    for folder in present - former:
        workspaces.enter(folder)
    for folder in former - present:
        workspaces.leave(folder)


def note(ls: FimbleLanguageServer, uri: str) -> None:
    """Let the index know what a document says now; the cells of a notebook are left out."""
    view = ls.session.view(uri)
    if view is None or view.snapshot.uri != uri or not view.snapshot.workspace:
        return
    snapshot = view.snapshot
    ls.workspaces.note(
        OpenText(
            workspace=snapshot.workspace,
            path=snapshot.path or "",
            owner=snapshot.owner,
            language_id=snapshot.language_id,
            version=snapshot.version,
            text=snapshot.text,
            base_version=snapshot.base_version,
            edits=tuple((edit.start, edit.end, edit.inserted) for edit in snapshot.edits),
        )
    )


def drop(ls: FimbleLanguageServer, uris: Sequence[str]) -> None:
    """Let the index go back to what is on disk for documents about to be closed."""
    for uri in uris:
        view = ls.session.view(uri)
        if view is not None and view.snapshot.workspace:
            snapshot = view.snapshot
            ls.workspaces.drop(snapshot.workspace, snapshot.path or "", snapshot.owner)


def touch(ls: FimbleLanguageServer, paths: Iterable[str]) -> None:
    """Let the indexes look at files, by absolute path, that changed on disk or are gone."""
    for path in paths:
        folder, name = ls.session.folders.locate(path)
        if folder:
            ls.workspaces.touch(folder, name)
