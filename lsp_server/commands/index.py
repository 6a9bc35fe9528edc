"""``fimble index``: bring the index of a folder up to date, look at it, remove it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.building import index_options
from lsp_server.commands.flags import add_log_flags, add_setting, resolve_settings
from lsp_server.errors import BadInputError, NotReadableError
from lsp_server.progress_bar import ProgressPrinter
from lsp_server.workspace_root import workspace_root
from models.progress import Progress

if TYPE_CHECKING:
    from retrieval.keeper import IndexProgress
    from retrieval.workspace import IndexStatus, WorkspaceIndex

_SCHEMA = 1
_ACTIONS = ("status", "remove")
EXIT_NONE = 3
_MIB = 1 << 20


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "index",
        usage="fimble index [status|remove] [PATH] [--json]",
        help="index a folder, or show the state of its index",
        description="Bring the index of a folder up to date, show its state, or remove it. PATH "
        "is a folder, or a file of a repository or project (default: the one around here). A running "
        "fimble does the first by itself. A folder called status is ./status. Exit code 0: done, 2: "
        "bad input, 3: there is no index.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("words", nargs="*", metavar="[status|remove] [PATH]")
    parser.add_argument("--json", action="store_true", help="print one JSON object (schema 1)")
    add_setting(parser, "--index-dir", "index.folder", "DIR")
    add_setting(parser, "--workers", "index.num_workers", "N")
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do one action; returns the exit code.

    Raises:
        BadInputError: There is no such folder, or too many of them.
        RetrievalError: The index cannot be read or written.
    """
    words = list(arguments.words)
    action = words.pop(0) if words and words[0] in _ACTIONS else "refresh"
    if len(words) > 1:
        raise BadInputError(f"{' '.join(words)!r}: one folder at a time")
    folder = _folder(Path(words[0]) if words else None, may_be_gone=action == "remove")
    options = index_options(resolve_settings(arguments, near=folder).index)
    if action == "remove":
        return _remove(options.folder, folder, as_object=arguments.json)
    from retrieval.workspace import WorkspaceIndex

    index = WorkspaceIndex(folder, dataclasses.replace(options, kept_fresh=action == "refresh"))
    try:
        if action == "refresh":
            _refresh(index)
        status = index.status()
        _show(status, as_object=arguments.json)
    finally:
        index.close()
    if action == "refresh" or Path(status.store).is_dir():
        return 0
    sys.stderr.write(f"fimble: {folder} has no index; run `fimble index {folder}`\n")
    return EXIT_NONE


def _folder(path: Path | None, *, may_be_gone: bool) -> Path:
    """Return the folder to index: ``path`` if it is one, else the project that it lies in.

    Without a path, the project around the current folder, or that folder.
    """
    if path is None:
        return (workspace_root(Path()) or Path()).resolve()
    if path.is_dir() or (may_be_gone and not path.exists()):
        return path.resolve()
    if not path.exists():
        raise NotReadableError(path, "no such folder; check the path")
    root = workspace_root(path.parent)
    if root is None:
        raise BadInputError(f"{path} is a file in no repository and no project; name a folder")
    return root.resolve()


def _refresh(index: WorkspaceIndex) -> None:
    if not index.is_writer:
        sys.stderr.write("fimble: another fimble keeps this index up to date; this is its state\n")
        return
    started = time.monotonic()
    with ProgressPrinter(sys.stderr) as printer:

        def show(moment: IndexProgress) -> None:
            printer.show(Progress("indexing", moment.num_files, moment.num_all_files, "files"))

        done = index.refresh(show, lambda: None)
    seconds = time.monotonic() - started
    sys.stderr.write(
        f"fimble: {done.num_changed} files indexed ({done.num_lines} lines), {done.num_gone} "
        f"dropped, {seconds:.1f} s\n"
    )


def _remove(indexes: Path, folder: Path, *, as_object: bool) -> int:
    from retrieval.sparse.errors import IndexLockedError
    from retrieval.sparse.store import IndexStore
    from retrieval.workspace import store_folder

    place = store_folder(indexes, folder)
    is_there = place.is_dir()
    if is_there:
        try:
            IndexStore.for_writing(place).close()  # nobody uses it
        except IndexLockedError as error:
            raise IndexLockedError(
                f"another fimble keeps the index of {folder} up to date; close the editors that have "
                "it open and run `fimble daemon stop`, then try again"
            ) from error
        shutil.rmtree(place)
    told = "the index of {} is removed" if is_there else "{} has no index"
    sys.stderr.write(f"fimble: {told.format(folder)}\n")
    if as_object:
        fields = {"schema": _SCHEMA, "folder": str(folder), "removed": is_there}
        sys.stdout.write(json.dumps(fields) + "\n")
    return 0


def _show(status: IndexStatus, *, as_object: bool) -> None:
    if as_object:
        fields = {"schema": _SCHEMA, **dataclasses.asdict(status)}
        sys.stdout.write(json.dumps(fields) + "\n")
        return
    lines = [
        f"folder     {status.folder}",
        f"index      {status.store} ({status.num_bytes / _MIB:.1f} MiB)",
        f"state      {status.state}" + (f": {status.detail}" if status.detail else ""),
        f"files      {status.num_files}",
        f"chunks     {status.num_chunks}",
    ]
    excluded = status.refreshed.excluded
    if excluded:
        counts = ", ".join(f"{number} {reason}" for reason, number in sorted(excluded.items()))
        lines.append(f"left out   {counts}")
    sys.stdout.write("\n".join(lines) + "\n")
