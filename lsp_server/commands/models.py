"""``fimble models``: which weights are here, fetch them, check them, remove them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from lsp_server.cache_folder import cache_folder
from lsp_server.commands.flags import add_log_flags, add_setting, resolve_settings
from lsp_server.errors import BadInputError
from lsp_server.progress_bar import ProgressPrinter
from lsp_server.settings import ModelSettings
from models.errors import UnknownModelError
from models.registry import DEFAULT_MODEL, Recommendation, recommend, registered_models

if TYPE_CHECKING:  # importing it loads torch, which --help must not wait for
    from models.checkpoint import StoredCheckpoint

_MIB = 1 << 20
_SCHEMA = 1
EXIT_BROKEN = 1


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    title: str
    licence: str
    download_bytes: int
    ram_bytes: int
    has_fim: bool
    is_recommended: bool
    installed: list[str]  # precisions that are ready to run
    disk_bytes: int


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    add_arguments(
        subcommands.add_parser(
            "models",
            help="list, fetch, check and remove models",
            description="Look after the weights in the cache folder. Exit code 0: done, 1: broken "
            "or not there, 2: bad input.",
        )
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions below ``fimble models`` to its parser."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    known = ", ".join(registered_models())
    for action, meaning in (
        ("list", "show registered and installed models"),
        ("pull", "fetch and prepare a model, or repair it"),
        ("verify", "compare every byte of a model with its digests"),
        ("path", "print the folder of a prepared model"),
        ("rm", "remove a model and what was fetched for it"),
    ):
        child = actions.add_parser(action, help=meaning, description=f"{meaning.capitalize()}.")
        child.set_defaults(run=run)
        if action == "list":
            child.add_argument("--json", action="store_true", help="print one JSON object")
        else:
            child.add_argument(
                "name",
                nargs="?",
                default=DEFAULT_MODEL,
                help=f"{known}, a folder, a .gguf file or a hub id (default: {DEFAULT_MODEL})",
            )
        add_setting(child, "--cache-dir", "model.cache_dir", "DIR")
        if action == "pull":
            add_setting(child, "--device", "model.device", "DEVICE")
            add_setting(child, "--precision", "model.precision", "PRECISION")
        add_log_flags(child)


def run(arguments: argparse.Namespace) -> int:
    """Do one action; returns the exit code.

    Raises:
        BadInputError: The model is unknown.
        ModelError: Fetching, converting or reading failed.
    """
    actions: dict[str, Callable[[argparse.Namespace, ModelSettings, Path], int]] = {
        "list": _list,
        "pull": _pull,
        "verify": _verify,
        "path": _path,
        "rm": _remove,
    }
    settings = resolve_settings(arguments).model
    try:
        return actions[arguments.action](arguments, settings, cache_folder(settings))
    except UnknownModelError as error:
        raise BadInputError(str(error)) from error


def _list(arguments: argparse.Namespace, _: ModelSettings, cache_dir: Path) -> int:
    from models.checkpoint import list_checkpoints  # loads torch

    stored = list_checkpoints(cache_dir)
    advice = _recommendation()
    rows = [_row(name, stored, cache_dir, advice) for name in registered_models()]
    others = [checkpoint for checkpoint in stored if checkpoint.name not in registered_models()]
    if arguments.json:
        sys.stdout.write(_listing_json(rows, others, advice, cache_dir))
    else:
        sys.stdout.write(_listing_text(rows, others, advice, cache_dir))
    return 0


def _pull(arguments: argparse.Namespace, settings: ModelSettings, cache_dir: Path) -> int:
    from models.loader import pull  # loads torch

    with ProgressPrinter(sys.stderr) as printer:
        stored = pull(
            arguments.name,
            device=settings.device,
            precision=settings.precision,
            cache_dir=cache_dir,
            progress=printer.show,
        )
    if stored is None:
        sys.stdout.write(f"{arguments.name} is used where it lies, nothing to prepare\n")
    else:
        size = _mib(stored.size_bytes)
        sys.stdout.write(
            f"{stored.name} ({stored.precision}, {size}) is ready in {stored.folder}\n"
        )
    return 0


def _verify(arguments: argparse.Namespace, _: ModelSettings, cache_dir: Path) -> int:
    found = _installed(arguments.name, cache_dir)
    if not found:
        return _absent(arguments.name)
    with ProgressPrinter(sys.stderr) as printer:
        for stored in found:
            stored.verify(printer.show)
    names = ", ".join(stored.precision for stored in found)
    sys.stdout.write(f"{found[0].name} ({names}): every file is as it was written\n")
    return 0


def _path(arguments: argparse.Namespace, _: ModelSettings, cache_dir: Path) -> int:
    found = _installed(arguments.name, cache_dir)
    if not found:
        return _absent(arguments.name)
    sys.stdout.writelines(f"{stored.folder}\n" for stored in found)
    return 0


def _remove(arguments: argparse.Namespace, _: ModelSettings, cache_dir: Path) -> int:
    from models.loader import model_name, remove  # loads torch

    num_bytes = remove(arguments.name, cache_dir)
    if num_bytes == 0:
        return _absent(arguments.name)
    name = model_name(arguments.name)
    sys.stdout.write(f"removed {name}, {_mib(num_bytes)} freed\n")
    return 0


def _installed(name: str, cache_dir: Path) -> list[StoredCheckpoint]:
    from models.loader import installed  # loads torch

    return installed(name, cache_dir)


def _absent(name: str) -> int:
    sys.stderr.write(
        f"fimble: {name} is not prepared here, or is broken; run `fimble models pull {name}`\n"
    )
    return EXIT_BROKEN


def _row(
    name: str, stored: Sequence[StoredCheckpoint], cache_dir: Path, advice: Recommendation
) -> _Row:
    model = registered_models()[name]
    own = [checkpoint for checkpoint in stored if checkpoint.name == name]
    downloads = (cache_dir / "downloads" / name).rglob("*")
    return _Row(
        name=name,
        title=model.title,
        licence=model.licence,
        download_bytes=model.file.size_bytes,
        ram_bytes=model.ram_bytes,
        has_fim=model.has_fim,
        is_recommended=advice.model.name == name,
        installed=[str(checkpoint.precision) for checkpoint in own],
        disk_bytes=sum(checkpoint.size_bytes for checkpoint in own)
        + sum(path.stat().st_size for path in downloads if path.is_file()),
    )


def _listing_json(
    rows: Sequence[_Row],
    others: Sequence[StoredCheckpoint],
    advice: Recommendation,
    cache_dir: Path,
) -> str:
    listing = {
        "schema": _SCHEMA,
        "cache_dir": str(cache_dir),
        "models": [dataclasses.asdict(row) for row in rows],
        "others": [
            {"name": s.name, "precision": str(s.precision), "disk_bytes": s.size_bytes}
            for s in others
        ],
        "recommendation": {"name": advice.model.name, "reason": advice.reason},
    }
    return json.dumps(listing) + "\n"


def _listing_text(
    rows: Sequence[_Row],
    others: Sequence[StoredCheckpoint],
    advice: Recommendation,
    cache_dir: Path,
) -> str:
    table = [("name", "installed", "download", "on disk", "memory", "fim", "licence")]
    table += [
        (
            row.name + (" *" if row.is_recommended else ""),
            ", ".join(row.installed) or "no",
            _mib(row.download_bytes),
            _mib(row.disk_bytes),
            _mib(row.ram_bytes),
            "yes" if row.has_fim else "no",
            row.licence,
        )
        for row in rows
    ]
    table += [(s.name, str(s.precision), "", _mib(s.size_bytes), "", "", "") for s in others]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    lines.append(f"* recommended here: {advice.reason}")
    lines.append(f"cache folder: {cache_dir}")
    return "\n".join(lines) + "\n"


def _recommendation() -> Recommendation:
    # Asking torch would take two seconds; a machine whose driver is set up has this program.
    has_cuda = shutil.which("nvidia-smi") is not None
    return recommend(psutil.virtual_memory().total, has_cuda)


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / _MIB:.0f} MiB"
