"""``fimble lsp`` as a proxy: standard input and output on one side, the daemon on the other."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

from lsp_server import version
from lsp_server.daemon.hello import Hello, Role, new_client_id
from lsp_server.daemon.launch import find_or_start
from lsp_server.daemon.paths import log_file, users_paths
from lsp_server.proxy.pump import Pump
from lsp_server.proxy.relay import Relay

_VARIABLE_PREFIX = "FIMBLE_"


def serve_editor(flags: Mapping[str, object]) -> int:
    """Serve until the editor sends ``exit`` or goes away, and return the exit code LSP asks for.

    Args:
        flags: What the command line set, by dotted setting; the daemon reports what is wrong with
            it and with the environment.
    """
    client = new_client_id()

    def connect() -> socket.socket:
        # The version is read anew each time: fimble may have been updated under a running editor,
        # and a daemon that starts now is of the version that is installed now.
        hello = Hello(
            version.current(), Role.LSP, client, _directory(), fimble_variables(os.environ), flags
        )
        return find_or_start(users_paths(os.environ), hello, os.environ)

    pump = Pump(Relay(_where_to_look), connect, sys.stdin.fileno(), sys.stdout.fileno())
    return pump.run()


def fimble_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are settings."""
    return {name: value for name, value in environment.items() if name.startswith(_VARIABLE_PREFIX)}


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # it was removed under us


def _where_to_look() -> str:
    return (
        f"; the log is {log_file(os.environ)}, and `fimble lsp --standalone` does without a daemon"
    )
