"""``fimble daemon``: the one process that owns the models, from outside."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from lsp_server import version
from lsp_server.daemon import launch
from lsp_server.daemon.hello import command_hello
from lsp_server.daemon.paths import RuntimePaths, log_file, users_paths

EXIT_NOT_RUNNING = 3
_FOLLOW_S = 0.25
_TAIL_BYTES = 64 * 1024


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its own commands."""
    parser = subcommands.add_parser(
        "daemon",
        help="start, stop and look at the process that owns the models",
        description="Every editor and every command of this user shares one daemon. It starts by "
        "itself when it is needed.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    start = actions.add_parser("start", help="start it, unless it runs")
    start.set_defaults(run=_start)
    stop = actions.add_parser("stop", help="end it; editors start it again when they need it")
    stop.set_defaults(run=_stop)
    status = actions.add_parser(
        "status", help="who uses it, and what it holds; exit 3: not running"
    )
    status.add_argument("--json", action="store_true", help="print one JSON object")
    status.set_defaults(run=_status)
    logs = actions.add_parser("logs", help="print the end of its log")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")
    logs.set_defaults(run=_logs)
    run = actions.add_parser("run", help="be the daemon, in the foreground")
    run.set_defaults(run=_run)


def daemon_paths() -> RuntimePaths:
    """Return where the daemon of this user is."""
    return users_paths(os.environ)


def _start(_arguments: argparse.Namespace) -> int:
    paths = daemon_paths()
    was_running = launch.is_running(paths)
    launch.find_or_start(paths, command_hello(), os.environ).close()
    sys.stderr.write(f"fimble: the daemon {'runs already' if was_running else 'has started'}\n")
    return 0


def _stop(_arguments: argparse.Namespace) -> int:
    was_running = launch.stop(daemon_paths(), version.current())
    sys.stderr.write(f"fimble: the daemon {'has ended' if was_running else 'was not running'}\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    connection = launch.find(daemon_paths(), command_hello())
    if connection is None:
        sys.stderr.write("fimble: no daemon is running; the first client starts it\n")
        return EXIT_NOT_RUNNING
    from lsp_server.daemon.client import ControlClient

    with ControlClient(connection) as client:
        status = client.request("status", {})
    if arguments.json:
        import json

        sys.stdout.write(json.dumps(status) + "\n")
    else:
        sys.stdout.write(_in_words(status))
    return 0


def _in_words(status: dict[str, Any]) -> str:
    megabytes = status["resident_bytes"] / 1e6
    lines = [
        f"fimble {status['version']}, process {status['pid']}, up {status['uptime_s']:.0f} s, "
        f"{megabytes:.0f} MB",
        *(f"  http    {url}" for url in status["http"]),
        *(
            f"  model   {model['name']}: {model['state']}, clients {model['num_clients']}, "
            f"waiting {model['num_waiting']} {model['detail']}".rstrip()
            for model in status["models"]
        ),
        *(
            f"  index   {index['folder']}: {index['state']}, files {index['num_files']} "
            f"{index['detail']}".rstrip()
            for index in status.get("indexes", ())  # a daemon of an older version has none
        ),
        *(
            f"  client  {client['name'] or client['role']}: documents {client['num_documents']}, "
            f"for {client['since_s']:.0f} s"
            for client in status["clients"]
        ),
    ]
    return "\n".join(lines) + "\n"


def _logs(arguments: argparse.Namespace) -> int:
    path = log_file(os.environ)
    if not path.exists():
        sys.stderr.write(f"fimble: there is no log yet; it will be {path}\n")
        return EXIT_NOT_RUNNING
    file = path.open("rb")
    try:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        _pass_on(file)
        while arguments.follow:
            time.sleep(_FOLLOW_S)
            is_complete = _is_rotated(file, path)
            _pass_on(file)
            if is_complete:
                file.close()
                file = path.open("rb")
    finally:
        file.close()
    return 0


def _pass_on(file: BinaryIO) -> None:
    sys.stdout.buffer.write(file.read())
    sys.stdout.flush()


def _is_rotated(file: BinaryIO, path: Path) -> bool:
    """Whether the log goes on in a new file under the name of this one."""
    try:
        return not os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False  # between the two steps of a rotation


def _run(_arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    import asyncio
    import logging

    from lsp_server.building import new_host
    from lsp_server.config_files import read_user_file
    from lsp_server.daemon.server import Daemon
    from lsp_server.logs import configure_logging
    from lsp_server.options import from_environment, resolve

    # The daemon belongs to no client: of the variables it was started with, only those about the
    # process count. Each client brings its own.
    resolved = resolve(read_user_file(os.environ), from_environment(os.environ))
    settings = resolved.settings
    paths, file = daemon_paths(), log_file(os.environ)
    file.parent.mkdir(parents=True, exist_ok=True)
    configure_logging(settings.server, str(file))
    for problem in resolved.problems:
        logging.getLogger(__name__).warning("%s", problem.message)
    os.chdir("/")
    if settings.server.nice:
        os.nice(settings.server.nice)
    host = new_host(settings.index)

    async def serve() -> None:
        daemon = Daemon(host, paths, settings.server)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, daemon.stop)
        await daemon.run()

    asyncio.run(serve())
    is_still_loading = host.close()
    logging.shutdown()
    if is_still_loading:
        # Loading cannot be interrupted, and an interpreter that ends waits for its threads.
        os._exit(0)
    return 0
