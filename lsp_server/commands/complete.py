"""``fimble complete PATH:LINE:COL``: one suggestion on standard output, the reason on the other."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
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
from lsp_server.errors import DaemonStartError, RuntimeFolderError
from lsp_server.progress_bar import ProgressPrinter
from lsp_server.report import as_json, as_sentence, insertion
from lsp_server.settings import Settings
from models import registry

EXIT_NONE = 3
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome, from this process or from the daemon.

    ``report`` is the object for ``--json``, ``insertion`` the text for the cursor, ``sentence`` why
    there is none.
    """

    report: Mapping[str, object]
    insertion: str
    sentence: str


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
    add_setting(parser, "--patching", "engine.patching", "MODE")
    add_switch(parser, "--exact", "engine.patching", "same as --patching exact", value="exact")
    parser.add_argument("--standalone", action="store_true", help="load the model in this process")
    add_model_flags(parser)
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Complete once; everything that can be wrong with the input is checked before torch loads."""
    target = parse_target(arguments.target)
    settings = resolve_settings(arguments, near=target.path.parent)
    registry.resolve(settings.model.name)
    document = read_document(target.path)
    offset = offset_at(document.text, target.line, target.column)
    wishes: Wishes = {"trigger": TriggerKind(arguments.trigger)}
    if arguments.seed is not None:
        wishes["seed"] = arguments.seed
    if getattr(arguments, "completion.deadline_ms") is not None:
        wishes["deadline_ms"] = settings.completion.deadline_ms
    request = build_request(document, offset, settings, wishes)
    is_alone = arguments.standalone or sys.platform == "win32"
    answer = (
        _load_and_ask(request, settings) if is_alone else _ask_daemon(request, settings, wishes)
    )
    return _show(answer, as_object=arguments.json)


def _load_and_ask(request: CompletionRequest, settings: Settings) -> Answer:
    """Complete with the model in this process."""
    with (
        ProgressPrinter(sys.stderr) as printer,
        Completer(settings=settings, progress=printer.show) as completer,
    ):
        return _as_answer(_complete(completer, request), request)


def _complete(completer: Completer, request: CompletionRequest) -> CompletionOutcome:
    token = CancellationToken()
    try:
        completer.load()
        with _interrupt_calls(token.cancel):
            return completer.answer(request, token)
    except KeyboardInterrupt:  # while the model was loading, or a second one
        return Cancelled(request.request_id)


def _ask_daemon(request: CompletionRequest, settings: Settings, wishes: Wishes) -> Answer:
    """Complete with the model of the daemon, which is started if none is there.

    Raises:
        DaemonStartError: None can be had.
    """
    from lsp_server.daemon.client import ControlClient, TakenBackError

    document = request.document
    params = {
        "document": {
            "uri": document.uri,
            "path": os.path.join(document.workspace, document.path or ""),
            "language_id": document.language_id,
            "text": document.text,
        },
        "offset": request.offset,
        "wishes": wishes,
    }
    try:
        with (
            ProgressPrinter(sys.stderr) as printer,
            ControlClient(_connect(settings)) as client,
            _interrupt_calls(client.cancel),
        ):
            answer = client.request("complete", params, printer.show_share)
    except (TakenBackError, KeyboardInterrupt):
        return _as_answer(Cancelled(request.request_id), request)
    inserted, sentence = answer.pop("insertion"), answer.pop("sentence")
    return Answer(answer, inserted, sentence)


def _connect(settings: Settings) -> socket.socket:
    from lsp_server.daemon.hello import command_hello
    from lsp_server.daemon.launch import find_or_start
    from lsp_server.daemon.paths import users_paths

    # The settings are resolved here, from all their places; the daemon takes them as they are.
    # It works in another folder, though, so that it has to know where relative paths begin.
    hello = command_hello(flags=_as_flags(settings))
    try:
        return find_or_start(users_paths(os.environ), hello, os.environ)
    except (DaemonStartError, RuntimeFolderError) as error:
        message = f"{error}; `fimble complete --standalone` does without a daemon"
        raise DaemonStartError(message) from error


def _as_flags(settings: Settings) -> dict[str, object]:
    """Return every setting that bears on a completion, by its dotted key."""
    return {
        f"{section}.{name}": value
        for section in ("model", "completion", "prompt", "engine", "index")
        for name, value in dataclasses.asdict(getattr(settings, section)).items()
    }


@contextmanager
def _interrupt_calls(cancel_work: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C take the work back, so that the engine stops in order; a second one interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signal handlers belong to the main thread
        return

    def cancel(_signal: int, _frame: object) -> None:
        cancel_work()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    former = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _as_answer(outcome: CompletionOutcome, request: CompletionRequest) -> Answer:
    if isinstance(outcome, Suggestion):
        return Answer(as_json(outcome, request), insertion(outcome, request), "")
    return Answer(as_json(outcome, request), "", as_sentence(outcome))


def _show(answer: Answer, *, as_object: bool) -> int:
    """Print the answer and return the exit code."""
    if as_object:
        _write(json.dumps(answer.report) + "\n")
    if answer.report["outcome"] == "suggestion":
        if not as_object:
            # Exactly the text; only a person at a terminal needs the line ended.
            end = "\n" if sys.stdout.isatty() else ""
            _write(answer.insertion + end)
        return 0
    sys.stderr.write(f"fimble: {answer.sentence}\n")
    return EXIT_NONE if answer.report["outcome"] == "none" else EXIT_INTERRUPTED


def _write(text: str) -> None:
    """Write UTF-8 with the line ends as they are, whatever the terminal's locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
