"""``fimble complete PATH:LINE:COL``: one suggestion on standard output, the reason on the other."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    NoSuggestion,
    Suggestion,
    TriggerKind,
)
from lsp_server.api import Completer, Wishes, build_request
from lsp_server.commands.flags import (
    add_log_flags,
    add_model_flags,
    add_setting,
    add_switch,
    resolve_settings,
)
from lsp_server.documents import offset_at, parse_target, read_document
from lsp_server.progress_bar import ProgressPrinter
from lsp_server.report import as_json, as_sentence, insertion
from models import registry

EXIT_NONE = 3
EXIT_INTERRUPTED = 130


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "complete",
        help="print the suggestion at a place in a file",
        description="Print what fits at a place in a file. Exit code 0: a suggestion, 3: none "
        "(the reason is on standard error), 2: bad input.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("target", metavar="PATH:LINE:COL", help="the cursor, both numbers from 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object (schema 1)")
    add_setting(parser, "--candidates", "completion.num_candidates", "N")
    add_setting(parser, "--max-tokens", "completion.max_new_tokens", "N")
    add_setting(parser, "--temperature", "completion.temperature", "T")
    parser.add_argument(
        "--deadline-ms",
        dest="completion.deadline_ms",
        metavar="MS",
        help="print what is ready after so many milliseconds (default: two minutes)",
    )
    parser.add_argument("--seed", type=int, help="makes sampling repeatable")
    parser.add_argument("--trigger", choices=list(TriggerKind), default=TriggerKind.INVOKED)
    add_switch(parser, "--no-retrieval", "engine.retrieval", "this file only", value=False)
    add_switch(parser, "--no-speculation", "engine.speculation", "one token a step", value=False)
    add_switch(parser, "--exact", "engine.patching", "no cache patching", value=False)
    parser.add_argument("--standalone", action="store_true", help="load the model in this process")
    add_model_flags(parser)
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Complete once; everything that can be wrong with the input is checked before torch loads."""
    settings = resolve_settings(arguments)
    registry.resolve(settings.model.name)
    target = parse_target(arguments.target)
    document = read_document(target.path)
    offset = offset_at(document.text, target.line, target.column)
    wishes: Wishes = {"trigger": TriggerKind(arguments.trigger)}
    if arguments.seed is not None:
        wishes["seed"] = arguments.seed
    if getattr(arguments, "completion.deadline_ms") is not None:
        wishes["deadline_ms"] = settings.completion.deadline_ms
    request = build_request(document, offset, settings, wishes)
    with (
        ProgressPrinter(sys.stderr) as printer,
        Completer(settings=settings, progress=printer.show) as completer,
    ):
        outcome = _complete(completer, request)
    return _show(outcome, request, as_object=arguments.json)


def _complete(completer: Completer, request: CompletionRequest) -> CompletionOutcome:
    token = CancellationToken()
    try:
        service = completer.load()
        with _cancelled_by_interrupt(token):
            return service.complete(request, token)
    except KeyboardInterrupt:  # while the model was loading, or a second one
        return Cancelled(request.request_id)


@contextmanager
def _cancelled_by_interrupt(token: CancellationToken) -> Iterator[None]:
    """Let Ctrl-C cancel ``token``, so that the engine stops in order; a second one interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signal handlers belong to the main thread
        return

    def cancel(_signal: int, _frame: object) -> None:
        token.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    former = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _show(outcome: CompletionOutcome, request: CompletionRequest, *, as_object: bool) -> int:
    """Print the outcome and return the exit code."""
    if as_object:
        _write(json.dumps(as_json(outcome, request)) + "\n")
    match outcome:
        case Suggestion():
            if not as_object:
                # Exactly the text; only a person at a terminal needs the line ended.
                end = "\n" if sys.stdout.isatty() else ""
                _write(insertion(outcome, request) + end)
            return 0
        case NoSuggestion():
            sys.stderr.write(f"fimble: {as_sentence(outcome)}\n")
            return EXIT_NONE
        case Cancelled():
            sys.stderr.write(f"fimble: {as_sentence(outcome)}\n")
            return EXIT_INTERRUPTED


def _write(text: str) -> None:
    """Write UTF-8 with the line ends as they are, whatever the terminal's locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
