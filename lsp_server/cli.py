"""``fimble``: arguments in, exit code out.

Nothing here or in what it imports at the top loads torch: help, version and bad input answer at
once.

Exit codes: 0 done, 1 failed on this machine, 2 bad input, 3 no suggestion, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from completion.errors import CompletionError
from lsp_server import version
from lsp_server.commands import complete, daemon, doctor, lsp, models, serve
from lsp_server.errors import BadInputError, FimbleError
from models.errors import ModelError, UnknownModelError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; this is the front end's error barrier."""
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as exit_:  # argparse: 0 after --help, 2 after bad flags
        return exit_.code if isinstance(exit_.code, int) else EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone; a second failure at exit would only add noise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (BadInputError, UnknownModelError) as error:
        return _fail(error, EXIT_BAD_INPUT)
    except (FimbleError, CompletionError, ModelError, OSError) as error:
        return _fail(error, EXIT_FAILED)
    except Exception as error:
        logger.exception("this is a mistake in fimble")
        return _fail(error, EXIT_FAILED)
    return code


def _fail(error: Exception, code: int) -> int:
    sys.stderr.write(f"fimble: {str(error) or type(error).__name__}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fimble", description="Local code completion.")
    parser.add_argument("--version", action="version", version=f"fimble {version.current()}")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (complete, lsp, serve, daemon, models, doctor):
        command.register(subcommands)
    return parser
