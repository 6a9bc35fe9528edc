"""``fimble train``: the small networks that make a model faster, for one that came without them."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from lsp_server.cache_folder import cache_folder
from lsp_server.commands.flags import add_log_flags, add_setting, resolve_settings
from lsp_server.errors import BadInputError
from lsp_server.progress_bar import ProgressPrinter
from models.errors import UnknownModelError
from models.registry import DEFAULT_MODEL

_PARTS = ("exit", "stop")


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    add_arguments(
        subcommands.add_parser(
            "train",
            help="train what makes a model faster",
            description="Train, on permissively licensed Python code that is installed here, what "
            "drafts by early exit and what gives up lines that will not be wanted. Takes about "
            "ten minutes on two idle cores and goes on where it was interrupted. Exit code 0: done, "
            "1: failed, 2: bad input.",
        )
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``fimble train``."""
    parser.set_defaults(run=run)
    parser.add_argument(
        "name",
        nargs="?",
        default=DEFAULT_MODEL,
        help=f"a registered name, a folder or a .gguf file (default: {DEFAULT_MODEL})",
    )
    parser.add_argument("--only", choices=_PARTS, help="train one of the two")
    parser.add_argument("--seed", type=int, default=0, help="another one learns from other places")
    add_setting(parser, "--cache-dir", "model.cache_dir", "DIR")
    add_setting(parser, "--device", "model.device", "DEVICE")
    add_setting(parser, "--precision", "model.precision", "PRECISION")
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train and put the files where fimble finds them; returns the exit code.

    Raises:
        BadInputError: The model is unknown.
        ModelError: Loading or writing failed.
    """
    from completion.training.exit_training import train_exit  # loads torch
    from completion.training.stop_training import train_stop
    from models.loader import load_model

    settings = resolve_settings(arguments).model
    cache_dir = cache_folder(settings)
    trainers = {"exit": train_exit, "stop": train_stop}
    with ProgressPrinter(sys.stderr) as printer:
        try:
            model = load_model(
                arguments.name,
                device=settings.device,
                precision=settings.precision,
                cache_dir=cache_dir,
                progress=printer.show,
                allow_network=not settings.offline,
            )
        except UnknownModelError as error:
            raise BadInputError(str(error)) from error
        work = cache_dir / "training" / model.fingerprint
        for part in [arguments.only] if arguments.only else _PARTS:
            made = trainers[part](model, work, printer.show, arguments.seed)
            placed = _place(made, cache_dir / "trained")
            sys.stdout.write(f"{placed}\n")
    shutil.rmtree(work)  # gigabytes, which only an interrupted run would need
    return 0


def _place(made: Path, folder: Path) -> Path:
    """Move a trained file into ``folder``, whole or not at all; returns its new path."""
    folder.mkdir(parents=True, exist_ok=True)
    return made.replace(folder / made.name)
