"""Starting, configuring and ending a connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder

from lsp_server.features import completion_list
from lsp_server.features.workspace import open_folders, watch_project_files
from lsp_server.options import from_mapping
from lsp_server.text_units import PositionEncoding

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

logger = logging.getLogger(__name__)


def register(server: FimbleLanguageServer) -> None:
    """Add the handlers of this module."""
    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    server.feature(types.SHUTDOWN)(shutdown)


def initialize(ls: FimbleLanguageServer, params: types.InitializeParams) -> None:
    """Agree on the unit of positions and read the client's options."""
    chosen = ServerCapabilitiesBuilder.choose_position_encoding(params.capabilities)
    ls.session.encoding = PositionEncoding(str(getattr(chosen, "value", chosen)))
    ls.initialization = from_mapping(params.initialization_options, "initializationOptions")
    open_folders(ls, params)
    completion_list.register_for(ls, params.capabilities)
    client = params.client_info.name if params.client_info else "an unnamed client"
    ls.client_name = client
    logger.info("connected to %s, positions in %s", client, ls.session.encoding)


def initialized(ls: FimbleLanguageServer, _params: types.InitializedParams) -> None:
    """Report bad options, which could not be shown before, and load the model."""
    watch_project_files(ls)
    ls.take_over_settings()


def did_change_configuration(
    ls: FimbleLanguageServer, params: types.DidChangeConfigurationParams
) -> None:
    """Use the new settings from the next request on, with another model if they name one."""
    ls.configuration = from_mapping(params.settings, "configuration")
    ls.projects.reload()
    ls.take_over_settings()


def shutdown(ls: FimbleLanguageServer, _params: None) -> None:
    """End all work; the process stays until ``exit``."""
    ls.protocol.cancel_running_requests()
