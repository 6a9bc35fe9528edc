"""Starting, configuring and ending a connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder

from lsp_server.features import completion_list
from lsp_server.features.workspace import open_folders
from lsp_server.options import Problem, from_mapping
from lsp_server.settings import Settings
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
    logger.info("connected to %s, positions in %s", client, ls.session.encoding)


def initialized(ls: FimbleLanguageServer, _params: types.InitializedParams) -> None:
    """Report bad options, which could not be shown before, and load the model."""
    _report(ls, ls.resolve_settings())
    ls.start_loading()


def did_change_configuration(
    ls: FimbleLanguageServer, params: types.DidChangeConfigurationParams
) -> None:
    """Use the new settings from the next request on; what the model was built with stays."""
    built_with = ls.background.settings
    had_outgrown = built_with is not None and _outgrows(ls.settings, built_with)
    ls.configuration = from_mapping(params.settings, "configuration")
    ls.resolve_settings()
    _report(ls, ls.configuration.problems)
    if built_with is not None and not had_outgrown and _outgrows(ls.settings, built_with):
        ls.show_warning("fimble uses some of the new settings after the server is restarted")


def shutdown(ls: FimbleLanguageServer, _params: None) -> None:
    """End all work; the process stays until ``exit``."""
    ls.protocol.cancel_running_requests()


def _report(ls: FimbleLanguageServer, problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        logger.warning("%s", problem.message)
        ls.show_warning(f"fimble: {problem.message}")


def _outgrows(settings: Settings, built_with: Settings) -> bool:
    """Whether ``settings`` ask for something that the service was not built for."""
    # The cache holds as many tokens of a suggestion as were wanted then; fewer always fit.
    longest, built_for = settings.completion.max_new_tokens, built_with.completion.max_new_tokens
    return _fixed(settings) != _fixed(built_with) or longest > built_for


def _fixed(settings: Settings) -> tuple[object, ...]:
    """Return what the service was built with."""
    engine = settings.engine
    return (settings.model, settings.prompt, engine.max_num_sessions, engine.prefetch)
