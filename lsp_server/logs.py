"""Where log lines go: standard error or a file, never standard output, which may carry JSON-RPC."""

from __future__ import annotations

import logging

from lsp_server.settings import LogLevel, ServerSettings

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(settings: ServerSettings) -> None:
    """Send this process's log where ``settings`` say; calling it again replaces the former choice.

    Raises:
        OSError: The log file cannot be opened.
    """
    handler: logging.Handler = logging.StreamHandler()  # standard error
    if settings.log_file:
        handler = logging.FileHandler(settings.log_file, encoding="utf-8")
    logging.basicConfig(
        level=settings.log_level.upper(), handlers=[handler], format=_FORMAT, force=True
    )
    # pygls logs whole messages at INFO and failed ones at ERROR, source text and all. What is
    # worth knowing of its errors, the server logs itself.
    is_debug = settings.log_level is LogLevel.DEBUG
    logging.getLogger("pygls").setLevel(logging.DEBUG if is_debug else logging.CRITICAL)
