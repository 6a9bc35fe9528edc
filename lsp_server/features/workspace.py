"""Which folders the editor has open, and the settings files in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls import uris

from lsp_server.config_files import PROJECT_FILE_NAME
from lsp_server.folders import path_of
from lsp_server.projects import is_project_file

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)
    server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_watched_files)


def open_folders(ls: FimbleLanguageServer, params: types.InitializeParams) -> None:
    """Take in what the client opened; the older ways of saying it count where the newest is missing."""
    if params.workspace_folders:
        _change(ls, [folder.uri for folder in params.workspace_folders])
        return
    root = params.root_uri or (params.root_path and uris.from_fs_path(params.root_path))
    if root:
        _change(ls, [root])


def did_change_workspace_folders(
    ls: FimbleLanguageServer, params: types.DidChangeWorkspaceFoldersParams
) -> None:
    """Name documents by the folders that are open from now on, and use their settings."""
    added = [folder.uri for folder in params.event.added]
    _change(ls, added, [folder.uri for folder in params.event.removed])
    ls.take_over_settings()


def watch_project_files(ls: FimbleLanguageServer) -> None:
    """Ask the client to tell of changes, if it can; saving in the editor tells anyway."""
    workspace = ls.protocol.client_capabilities.workspace
    watching = workspace.did_change_watched_files if workspace else None
    if watching is None or not watching.dynamic_registration:
        return
    options = types.DidChangeWatchedFilesRegistrationOptions(
        [types.FileSystemWatcher(f"**/{PROJECT_FILE_NAME}")]
    )
    method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
    registration = types.Registration("fimble-project-files", method, options)
    ls.client_register_capability(types.RegistrationParams([registration]))


def did_change_watched_files(
    ls: FimbleLanguageServer, params: types.DidChangeWatchedFilesParams
) -> None:
    """Use what a settings file says now, and index what changed."""
    paths = [path for change in params.changes if (path := path_of(change.uri)) is not None]
    ls.index_feed.touch(paths)
    if any(map(is_project_file, paths)):
        reload_project_files(ls)


def reload_project_files(ls: FimbleLanguageServer) -> None:
    """Read the settings files of all folders again and use what they say."""
    ls.projects.reload()
    ls.take_over_settings()


def _change(ls: FimbleLanguageServer, added: Sequence[str], removed: Sequence[str] = ()) -> None:
    ls.session.folders.change(added, removed)
    paths = [[path for uri in uris_ if (path := path_of(uri))] for uris_ in (added, removed)]
    ls.projects.change(*paths)
