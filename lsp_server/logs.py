"""Where log records go, and from which client and request each of them comes.

Records go to standard error or to a file that is rotated, never to standard output, which may carry
JSON-RPC. A door names its client and its request with ``client_scope`` and ``request_scope``; asyncio
hands these names on to the tasks it starts, and whoever gives work to another thread gives them on by
``contextvars.copy_context().run``. So the engine's records are named too, though nothing below the
doors knows who asks.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from io import BufferedWriter, FileIO, TextIOWrapper

from lsp_server.settings import LogFormat, LogLevel, ServerSettings

NUM_OLD_FILES = 3
_TEXT = "%(asctime)s %(levelname)s [%(client)s %(request)s] %(name)s: %(message)s"
_NOBODY = "-"

_client: ContextVar[str] = ContextVar("fimble_client", default=_NOBODY)
_request: ContextVar[str] = ContextVar("fimble_request", default=_NOBODY)


@contextmanager
def client_scope(client: str) -> Iterator[None]:
    """Name ``client`` in every record until the end of the block, and in what it starts."""
    former = _client.set(client or _NOBODY)
    try:
        yield
    finally:
        _client.reset(former)


@contextmanager
def request_scope(request_id: str) -> Iterator[None]:
    """Name the request ``request_id`` in every record until the end of the block, likewise."""
    former = _request.set(request_id)
    try:
        yield
    finally:
        _request.reset(former)


def configure_logging(settings: ServerSettings, default_file: str = "") -> None:
    """Send this process's log where ``settings`` say; calling it again replaces the former choice.

    Args:
        settings: Level, format, file and size.
        default_file: Where the log goes if ``settings`` name no file; empty: standard error.

    Raises:
        OSError: The log file cannot be opened.
    """
    handler = _handler(settings.log_file or default_file, settings.log_max_mb)
    handler.addFilter(_name_origin)
    is_json = settings.log_format is LogFormat.JSON
    handler.setFormatter(_JsonLines() if is_json else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # pygls logs whole messages at INFO and failed ones at ERROR, source text and all. What is
    # worth knowing of its errors, the server logs itself.
    is_debug = settings.log_level is LogLevel.DEBUG
    logging.getLogger("pygls").setLevel(logging.DEBUG if is_debug else logging.CRITICAL)


def _handler(path: str, max_mb: int) -> logging.Handler:
    if not path:
        return logging.StreamHandler()  # standard error
    return _PrivateFileHandler(
        os.path.expanduser(path),
        maxBytes=max_mb * 1_000_000,
        backupCount=NUM_OLD_FILES,
    )


def _name_origin(record: logging.LogRecord) -> bool:
    """Add client and request; runs in the thread and the context that the record comes from."""
    record.client, record.request = _client.get(), _request.get()
    return True


class _PrivateFileHandler(logging.handlers.RotatingFileHandler):
    """Files that only this user can read: at level DEBUG they hold source text."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        stream = BufferedWriter(FileIO(os.open(self.baseFilename, flags, 0o600), "a"))
        # A client's text may hold half of a surrogate pair, which has no place in UTF-8.
        return TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace")


class _JsonLines(logging.Formatter):
    """One JSON object a line; ``time`` is UTC in ISO 8601."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "thread": record.threadName,
            "client": _known(getattr(record, "client", _NOBODY)),
            "request": _known(getattr(record, "request", _NOBODY)),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields)  # ASCII: some readers break lines at U+2028


def _known(name: str) -> str | None:
    return None if name == _NOBODY else name
