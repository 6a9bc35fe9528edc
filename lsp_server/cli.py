"""``fimble``: arguments in, exit code out.

A command's module is imported when that command runs, so that help, the version and the proxy of
an editor answer at once.

Exit codes: 0 done, 1 failed on this machine, 2 bad input, 3 no suggestion, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

# Each command is a module of ``lsp_server.commands``.
COMMANDS = {
    "complete": "print the suggestion at a place in a file",
    "lsp": "serve an editor over standard input and output",
    "serve": "serve the model over HTTP, as OpenAI's completions",
    "daemon": "start, stop and look at the process that owns the models",
    "index": "index a folder, or show the state of its index",
    "search": "search the index, or show what the model would be shown",
    "config": "show the settings and where they come from, trust a project's file",
    "models": "list, fetch, check and remove models",
    "stats": "show how many suggestions were shown, accepted and kept",
    "why": "say how a request ended and why",
    "dashboard": "print the address of the page that shows requests, models and indexes",
    "train": "train what makes a model faster",
    "doctor": "say what works on this machine, what is missing and what to do",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; this is the front end's error barrier."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _serve_editor() if _is_plain_proxy(words) else _run(words)
        sys.stdout.flush()
    except SystemExit as exit_:  # argparse: 0 after --help, 2 after bad flags
        return exit_.code if isinstance(exit_.code, int) else EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone; a second failure at exit would only add noise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - this is the barrier, which tells every error
        return _explain(error)
    return code


def _is_plain_proxy(words: list[str]) -> bool:
    """Whether an editor starts its proxy: without flags there is nothing to parse."""
    return words in (["lsp"], ["lsp", "--stdio"]) and sys.platform != "win32"


def _serve_editor() -> int:
    from lsp_server.proxy.serve import serve_editor

    return serve_editor({})


def _run(words: list[str]) -> int:
    arguments = _parser(words).parse_args(words)
    code: int = arguments.run(arguments)
    return code


def _explain(error: Exception) -> int:
    """Tell what went wrong and return the exit code that says whose fault it is."""
    from completion.errors import CompletionError
    from lsp_server.errors import BadInputError, FimbleError
    from models.errors import ModelError, UnknownModelError
    from retrieval.errors import RetrievalError

    if isinstance(error, BadInputError | UnknownModelError):
        return _fail(error, EXIT_BAD_INPUT)
    known = FimbleError | CompletionError | ModelError | RetrievalError | OSError
    if not isinstance(error, known):
        import logging

        logging.getLogger(__name__).error("this is a mistake in fimble", exc_info=error)
    return _fail(error, EXIT_FAILED)


def _fail(error: Exception, code: int) -> int:
    sys.stderr.write(f"fimble: {str(error) or type(error).__name__}\n")
    return code


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser for ``words``, which knows the flags of their command and no other's."""
    import argparse
    import importlib

    from lsp_server import version

    parser = argparse.ArgumentParser(prog="fimble", description="Local code completion.")
    parser.add_argument("--version", action="version", version=f"fimble {version.current()}")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, meaning in COMMANDS.items():
        if words[:1] == [name]:
            importlib.import_module(f"lsp_server.commands.{name}").register(subcommands)
        else:
            subcommands.add_parser(name, help=meaning)
    return parser
