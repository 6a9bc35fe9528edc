"""Which folders the editor has open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pygls import uris

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer


def register(server: FimbleLanguageServer) -> None:
    """Add the handler of this module."""
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)


def open_folders(ls: FimbleLanguageServer, params: types.InitializeParams) -> None:
    """Take in what the client opened; the older ways of saying it count where the newest is missing."""
    if params.workspace_folders:
        ls.session.folders.change([folder.uri for folder in params.workspace_folders])
        return
    root = params.root_uri or (params.root_path and uris.from_fs_path(params.root_path))
    if root:
        ls.session.folders.change([root])


def did_change_workspace_folders(
    ls: FimbleLanguageServer, params: types.DidChangeWorkspaceFoldersParams
) -> None:
    """Name documents by the folders that are open from now on."""
    added = [folder.uri for folder in params.event.added]
    ls.session.folders.change(added, [folder.uri for folder in params.event.removed])
