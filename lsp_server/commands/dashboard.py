"""``fimble dashboard``: the address of the page that shows what fimble does."""

from __future__ import annotations

import argparse
import os
import sys

from lsp_server.daemon import launch
from lsp_server.daemon.hello import command_hello
from lsp_server.daemon.paths import users_paths
from lsp_server.errors import BadInputError


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flag."""
    parser = subcommands.add_parser(
        "dashboard",
        help="print the address of the page that shows requests, models and indexes",
        description="Prints the address of a page on this machine that shows each request as it "
        "ends, how its time was spent and why it brought nothing, and has an editor to try fimble "
        "in. The daemon serves it, and starts if it does not run. The address opens the page once, "
        "within a minute; whoever opens it sees your source text.",
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the address; returns the exit code.

    Raises:
        BadInputError: There is no daemon on this system.
    """
    if sys.platform == "win32":
        raise BadInputError("there is no daemon on Windows yet, which serves the dashboard")
    url = _url()
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    if arguments.open:
        import webbrowser

        if not webbrowser.open(url):
            sys.stderr.write("fimble: no browser was found; open the address above\n")
    return 0


def _url() -> str:
    from lsp_server.daemon.client import ControlClient

    hello = command_hello(os.environ)
    with ControlClient(launch.find_or_start(users_paths(os.environ), hello, os.environ)) as client:
        return str(client.request("dashboard", {})["url"])
