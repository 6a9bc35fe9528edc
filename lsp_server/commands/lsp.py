"""``fimble lsp``: the language server on standard input and output."""

from __future__ import annotations

import argparse
import os
import sys
from typing import BinaryIO

from lsp_server.commands.flags import (
    add_log_flags,
    add_model_flags,
    add_switch,
    flag_options,
    resolve_settings,
)
from lsp_server.config_files import read_user_file
from lsp_server.errors import BadInputError, BadSettingError
from lsp_server.options import from_environment
from models import registry
from models.registry import DEFAULT_MODEL

EXIT_INTERRUPTED = 130


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "lsp",
        help="serve an editor over standard input and output",
        description="Speak the Language Server Protocol over standard input and output.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("--stdio", action="store_true", help="accepted for clients that send it")
    parser.add_argument("--standalone", action="store_true", help="keep the model in this process")
    meaning = "hold requests until the model is loaded"
    add_switch(parser, "--wait-for-model", "server.wait_for_model", meaning, value=True)
    add_model_flags(parser)
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until the client sends ``exit`` or goes away."""
    if arguments.standalone:
        return _serve_here(arguments)
    if sys.platform == "win32":
        raise BadInputError("there is no daemon on Windows; use fimble lsp --standalone")
    flags = flag_options(arguments)
    if flags.problems:
        raise BadSettingError("; ".join(problem.message for problem in flags.problems))
    registry.resolve(str(flags.values.get("model.name", DEFAULT_MODEL)))
    from lsp_server.proxy.serve import serve_editor

    return serve_editor(flags.values)


def _serve_here(arguments: argparse.Namespace) -> int:
    """Serve with the model in this process."""
    import asyncio
    import logging

    # Bad flags and variables are refused here, before a client waits for an answer.
    settings = resolve_settings(arguments)
    registry.resolve(settings.model.name)
    from lsp_server.building import new_host
    from lsp_server.server import FimbleLanguageServer
    from lsp_server.transport import serve
    from lsp_server.turns import watch_turns

    output = _claim_stdout()
    host = new_host(settings.index)
    server = FimbleLanguageServer(
        host,
        from_environment(os.environ),
        flag_options(arguments),
        user=read_user_file(os.environ),
    )
    try:
        with asyncio.Runner() as runner:
            watch_turns(runner.get_loop())
            code = runner.run(serve(server.protocol, sys.stdin.fileno(), output))
            runner.run(host.dashboard.close())
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    is_still_loading = host.close()
    if is_still_loading:
        # An interpreter that ends waits for its threads, and loading cannot be interrupted: the
        # editor would see a server that does not go away for seconds.
        logging.shutdown()
        os._exit(code)
    return code


def _claim_stdout() -> BinaryIO:
    """Return the message stream, and send everything else written to standard output to the log.

    A single stray line, from us or from a C library, would break the client's JSON-RPC parser.
    """
    sys.stdout.flush()
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return stream
