"""``fimble why``: how a request ended and why, for people and programs."""

from __future__ import annotations

import argparse
import os
import sys

from lsp_server.daemon import launch
from lsp_server.daemon.hello import command_hello
from lsp_server.daemon.paths import users_paths

EXIT_UNKNOWN = 3


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subcommands.add_parser(
        "why",
        help="say how a request ended and why",
        description="Explains a suggestion, or why there was none: the newest that was answered, or "
        "the one with that id. The daemon remembers the newest of all editors and commands, in "
        "memory only. Exit code 3: it remembers no such request, or is not running.",
    )
    parser.add_argument("id", nargs="?", default="latest", metavar="ID", help="of a request")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_why)


def _why(arguments: argparse.Namespace) -> int:
    connection = launch.find(users_paths(os.environ), command_hello())
    if connection is None:
        return _tell("no daemon is running, so nothing is remembered")
    from lsp_server.daemon.client import ControlClient

    with ControlClient(connection) as client:
        explanation = client.request("why", {"id": arguments.id}).get("explanation")
    if explanation is None:
        is_any = arguments.id == "latest"
        return _tell(
            "nobody has asked yet" if is_any else f"no request {arguments.id} is remembered"
        )
    if arguments.json:
        import json

        sys.stdout.write(json.dumps(explanation) + "\n")
    else:
        from lsp_server.why_text import in_words

        sys.stdout.write(in_words(explanation))
    return 0


def _tell(message: str) -> int:
    sys.stderr.write(f"fimble: {message}\n")
    return EXIT_UNKNOWN
