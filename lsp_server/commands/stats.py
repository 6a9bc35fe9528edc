"""``fimble stats``: what became of suggestions on this machine, counted, exported or erased."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

from lsp_server.commands.flags import add_log_flags, resolve_settings
from lsp_server.errors import BadInputError
from lsp_server.learning.stats import Summary, summarize
from lsp_server.learning.store import ObservationStore, default_store_path
from lsp_server.learning.table import render

EXIT_KEPT = 3


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "stats",
        help="show how many suggestions were shown, accepted and kept",
        description="Show what fimble has noted on this machine about its suggestions: numbers by "
        "day, language and model, and what it made of them. No text is ever noted.",
    )
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="print one JSON object (schema 1)")
    what.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture (png, svg, pdf)")
    what.add_argument(
        "--export", type=Path, metavar="FILE", help="write every row as a line of JSON; -: here"
    )
    what.add_argument("--erase", action="store_true", help="forget everything that was noted")
    parser.add_argument("--yes", action="store_true", help="erase without asking")
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do what the flags say; returns the exit code, 3 if the user decided not to erase.

    Raises:
        BadInputError: The flags do not go together, or nobody can be asked.
        OSError: A file cannot be written.
    """
    settings = resolve_settings(arguments)
    if arguments.yes and not arguments.erase:
        raise BadInputError("--yes goes with --erase")
    store = ObservationStore(default_store_path())
    try:
        if arguments.erase:
            return _erase(store, is_sure=arguments.yes)
        if arguments.export is not None:
            return _export(store, arguments.export)
        summary = summarize(store.read(), time.time(), settings.engine.min_confidence)
    finally:
        store.close()
    if not settings.learning.enabled:
        sys.stderr.write("fimble: learning.enabled is off, so that nothing new is noted\n")
    elif not settings.learning.adaptive:
        sys.stderr.write("fimble: learning.adaptive is off, so that nothing is adapted\n")
    if arguments.plot is not None:
        return _plot(summary, arguments.plot)
    sys.stdout.write(json.dumps(summary.as_json()) + "\n" if arguments.json else render(summary))
    return 0


def _plot(summary: Summary, file: Path) -> int:
    from lsp_server.learning.plot import draw  # loads matplotlib, which not everybody has

    draw(summary, file)
    sys.stderr.write(f"fimble: drew {file}\n")
    return 0


def _export(store: ObservationStore, file: Path) -> int:
    rows = store.read()
    lines = "".join(json.dumps(dataclasses.asdict(row)) + "\n" for row in rows)
    if str(file) == "-":
        sys.stdout.write(lines)
    else:
        file.write_text(lines, encoding="utf-8")
    sys.stderr.write(f"fimble: exported {len(rows)} rows\n")
    return 0


def _erase(store: ObservationStore, *, is_sure: bool) -> int:
    if not is_sure and not _is_confirmed(store.path):
        sys.stderr.write("fimble: nothing was erased\n")
        return EXIT_KEPT
    sys.stderr.write(f"fimble: erased {store.erase()} rows\n")
    return 0


def _is_confirmed(path: Path) -> bool:
    """Ask whoever sits at the terminal.

    Raises:
        BadInputError: Nobody does.
    """
    if not sys.stdin.isatty():
        raise BadInputError("erasing needs a yes; from a script, add --yes")
    sys.stderr.write(f"Erase all that was noted in {path}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
