"""``fimble serve``: the model over HTTP, in the shape of OpenAI's completions."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.commands.flags import (
    add_log_flags,
    add_model_flags,
    add_setting,
    flag_options,
    resolve_settings,
)
from lsp_server.errors import BadInputError, NotReadableError
from lsp_server.settings import HttpSettings, Settings
from models import registry

if TYPE_CHECKING:
    from lsp_server.host import ModelHost

_MAX_TOKEN_FILE_BYTES = 4096


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "serve",
        help="serve the model over HTTP, as OpenAI's completions",
        description="Serve POST /v1/completions until interrupted, and print where. Only this "
        "machine is served unless --host names another address, which needs a token.",
    )
    parser.set_defaults(run=run)
    add_setting(parser, "--host", "http.host", "HOST")
    add_setting(parser, "--port", "http.port", "PORT")
    parser.add_argument("--token-file", metavar="PATH", help="a file that holds the token")
    parser.add_argument("--standalone", action="store_true", help="load the model in this process")
    add_model_flags(parser)
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; everything that can be wrong with the input is checked first."""
    settings = resolve_settings(arguments)
    registry.resolve(settings.model.name)
    if arguments.token_file is not None:
        http = replace(settings.http, token=read_token(Path(arguments.token_file)))
        settings = replace(settings, http=http)
    if arguments.standalone or sys.platform == "win32":
        return _serve_here(settings)
    return _serve_from_daemon(settings.http, flag_options(arguments).values)


def read_token(path: Path) -> str:
    """Return the token in ``path``, white space around it left out.

    Raises:
        NotReadableError: The file cannot be read.
        BadInputError: The file holds no token, or others may read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_TOKEN_FILE_BYTES).decode("ascii").strip()
    except OSError as error:
        raise NotReadableError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: a token consists of ASCII characters") from error
    if os.name == "posix" and mode & 0o077:
        raise BadInputError(f"{path}: other users may read the token; chmod 600 it")
    if not text:
        raise BadInputError(f"{path}: the file is empty; write the token into it")
    return text


def _serve_from_daemon(http: HttpSettings, flags: Mapping[str, object]) -> int:
    """Ask the daemon to listen; it goes on for as long as the connection lasts."""
    from lsp_server.commands.daemon import daemon_paths
    from lsp_server.daemon import launch
    from lsp_server.daemon.client import ControlClient, DaemonFailedError
    from lsp_server.daemon.hello import command_hello

    hello = command_hello(os.environ, flags)
    connection = launch.find_or_start(daemon_paths(), hello, os.environ)
    wanted = {"host": http.host, "port": http.port, "token": http.token or None}
    with ControlClient(connection) as client:
        _announce(client.request("serve", wanted)["url"])
        connection.settimeout(None)
        try:
            while connection.recv(4096):  # nothing is expected but the end
                pass
        except KeyboardInterrupt:
            return 0
    raise DaemonFailedError("the daemon has ended, and its HTTP server with it")


def _serve_here(settings: Settings) -> int:
    from lsp_server.building import new_host

    host = new_host(settings.index)
    try:
        asyncio.run(_until_interrupted(host, settings))
    finally:
        is_still_loading = host.close()
    if is_still_loading:
        # Loading cannot be interrupted, and an interpreter that ends waits for its threads.
        logging.shutdown()
        os._exit(0)
    return 0


async def _until_interrupted(host: ModelHost, settings: Settings) -> None:
    from lsp_server.http.access import Access
    from lsp_server.http.listener import open_listener

    http = settings.http
    access = Access(http.host, http.token)
    listener = await open_listener(host, settings, access, http.port)
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupted.set))
    _announce(listener.url)
    await interrupted.wait()
    await listener.close()


def _announce(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    sys.stderr.write("fimble: serving, Ctrl-C ends it\n")
