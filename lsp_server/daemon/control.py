"""The daemon's own methods, for the command line: JSON-RPC in the framing of LSP.

``complete`` answers for a text that the caller sends, with ``progress`` notifications while the model
loads, and ``cancel`` takes it back by its id. ``why`` explains a request of any client, ``dashboard``
says where the page is that shows them. ``status`` says who is connected and which models are loaded.
``serve`` listens for HTTP, for as long as this connection lasts. ``stop`` ends the daemon.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lsprotocol.types import ErrorCodes

from completion.errors import CompletionError
from completion.types import (
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    Suggestion,
    TriggerKind,
)
from lsp_server.api import Wishes, build_request
from lsp_server.config_files import find_project, read_project_file, read_user_file
from lsp_server.daemon.hello import Hello
from lsp_server.errors import BadInputError, BadSettingError, FimbleError
from lsp_server.explanation import question_of
from lsp_server.explanations import LATEST
from lsp_server.framing import BrokenFrame
from lsp_server.host import Lease, ModelProgress
from lsp_server.logs import request_scope
from lsp_server.messages import (
    UnreadableMessageError,
    encode,
    error_response,
    notification,
    read_message,
    result_response,
)
from lsp_server.metrics import Door
from lsp_server.options import Options, from_environment, from_flags, resolve
from lsp_server.process_status import process_status
from lsp_server.report import as_json, as_sentence, insertion
from lsp_server.settings import Settings
from lsp_server.transport import FrameSource, StreamOutput
from lsp_server.trust import TrustStore
from models.errors import ModelError, UnknownModelError

if TYPE_CHECKING:
    from lsp_server.daemon.server import Daemon
    from lsp_server.http.listener import HttpListener

logger = logging.getLogger(__name__)

SCRIPT_OWNER = "cli"
FAILED = -32000

Params = Mapping[str, Any]
MsgId = int | str
_WISHES = frozenset(Wishes.__annotations__)


class ControlConnection:
    """One caller; what it opened ends with it."""

    def __init__(self, daemon: Daemon, hello: Hello, output: StreamOutput) -> None:
        self._daemon, self._hello, self._output = daemon, hello, output
        self._running: dict[MsgId, asyncio.Task[None]] = {}
        self._leases: list[Lease] = []
        self._listeners: list[HttpListener] = []
        self._methods: dict[str, Callable[[MsgId, Params], Awaitable[object]]] = {
            "complete": self._complete,
            "status": self._status,
            "why": self._why,
            "dashboard": self._dashboard,
            "serve": self._serve,
            "stop": self._stop,
        }

    async def serve(self, frames: FrameSource) -> None:
        """Answer requests until the caller hangs up."""
        try:
            while (frame := await frames.next()) is not None:
                self._take(frame)
        finally:
            for task in list(self._running.values()):
                task.cancel()
            for listener in self._listeners:
                await listener.close()
                self._daemon.urls.remove(listener.url)
            for lease in self._leases:
                lease.close()

    def _take(self, frame: bytes | BrokenFrame) -> None:
        if isinstance(frame, BrokenFrame):
            self._send(error_response(None, ErrorCodes.ParseError, frame.reason))
            return
        try:
            message = read_message(frame)
        except UnreadableMessageError as error:
            self._send(error_response(None, error.code, error.reason))
            return
        method, msg_id = message.get("method"), message.get("id")
        params = message.get("params", {})
        if method == "cancel" and isinstance(params, Mapping):
            self._cancel(params.get("id"))
        elif method is not None and msg_id is not None:
            self._begin(method, msg_id, params)

    def _begin(self, method: str, msg_id: MsgId, params: object) -> None:
        work = self._methods.get(method)
        if work is None:
            reason = f"{method}: unknown method; there are {', '.join(self._methods)}"
            self._send(error_response(msg_id, ErrorCodes.MethodNotFound, reason))
        elif not isinstance(params, Mapping):
            reason = "params have to be an object"
            self._send(error_response(msg_id, ErrorCodes.InvalidParams, reason))
        elif msg_id in self._running:
            reason = f"id {msg_id} is in use"
            self._send(error_response(None, ErrorCodes.InvalidRequest, reason))
        else:
            task = asyncio.create_task(self._answer(work(msg_id, params), msg_id))
            self._running[msg_id] = task

    def _cancel(self, msg_id: object) -> None:
        task = self._running.get(msg_id) if isinstance(msg_id, int | str) else None
        if task is not None:
            task.cancel()

    async def _answer(self, work: Awaitable[object], msg_id: MsgId) -> None:
        try:
            response = result_response(msg_id, await work)
        except asyncio.CancelledError:
            response = error_response(msg_id, -32800, "cancelled")
        except (BadInputError, UnknownModelError) as error:
            response = error_response(msg_id, ErrorCodes.InvalidParams, str(error))
        except (FimbleError, CompletionError, ModelError, OSError) as error:
            response = error_response(msg_id, FAILED, str(error))
        except Exception as error:
            logger.exception("a request failed; this is a mistake in fimble")
            response = error_response(msg_id, FAILED, f"{type(error).__name__}; see the log")
        finally:
            self._running.pop(msg_id, None)
        self._send(response)

    def _send(self, message: dict[str, Any]) -> None:
        body = encode(message)
        self._output.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _complete(self, msg_id: MsgId, params: Params) -> object:
        document = self._document(params.get("document"))
        settings = self._settings(document.path)
        request = _request(document, params, settings)
        if request.use_retrieval:
            self._daemon.host.workspaces.find(request.document.workspace)  # opens beside the model
        lease = self._lease(settings)
        stop = lease.on_progress(self._progress_sender(msg_id))
        try:
            service = await lease.settled()
        finally:
            stop()
        if service is None:
            raise lease.error or FimbleError("the daemon is ending")
        with request_scope(request.request_id):
            host, work = self._daemon.host, functools.partial(service.complete, request)
            counted = host.metrics.counted(lease.run(work), Door.CONTROL, request.request_id)
            question = question_of(request, Door.CONTROL, SCRIPT_OWNER)
            outcome = await host.explanations.follow(counted, question, request)
        return _report(outcome, request)

    def _progress_sender(self, msg_id: MsgId) -> Callable[[ModelProgress], None]:
        loop = asyncio.get_running_loop()

        def send(progress: ModelProgress) -> None:  # in the loader's thread
            fields = {"id": msg_id, "stage": progress.stage, "fraction": progress.fraction}
            loop.call_soon_threadsafe(self._send, notification("progress", fields))

        return send

    def _lease(self, settings: Settings) -> Lease:
        for lease in self._leases:
            if lease.settings == settings and lease.error is None:
                return lease
        self._leases.append(self._daemon.host.lease(settings))
        return self._leases[-1]

    def _settings(self, path: str | None = None) -> Settings:
        """Return the caller's settings: its file, its variables and its flags.

        The file of the project that the document at ``path`` lies in counts too. What is wrong with
        files the caller has told its user already.

        Raises:
            BadSettingError: A variable or flag has an impossible value.
        """
        hello = self._hello
        folder = Path(hello.directory)
        given = resolve(
            from_environment(hello.environment).anchored(folder),
            from_flags(hello.flags).anchored(folder),
        )
        bad_values = [problem.message for problem in given.problems if problem.is_value]
        if bad_values:
            raise BadSettingError("; ".join(bad_values))
        user = read_user_file(hello.environment, hello.directory)
        project = None if path is None else find_project(folder / path)
        file = None if project is None else read_project_file(project, TrustStore())
        own = Options({}) if file is None else file.options
        return resolve(user, own, Options(given.values)).settings

    def _document(self, sent: object) -> DocumentSnapshot:
        """Return the document of a request.

        Raises:
            BadInputError: Something is missing, or is no text.
        """
        if not isinstance(sent, Mapping):
            raise BadInputError("document has to be an object")
        path = sent.get("path")
        fields = [sent.get(name) for name in ("uri", "language_id", "text")]
        if not all(isinstance(value, str) for value in fields) or not isinstance(path, str | None):
            raise BadInputError("a document has uri, language_id and text, all of them text")
        uri, language_id, text = cast(list[str], fields)
        return self._daemon.scripts.take(uri, path, language_id, text)

    async def _status(self, _msg_id: MsgId, _params: Params) -> object:
        daemon = self._daemon
        now = time.monotonic()
        return {
            **process_status(daemon.host),
            "uptime_s": round(now - daemon.started_at, 1),
            "clients": [
                {
                    "role": client.hello.role,
                    "client": client.hello.client,
                    "name": client.name,
                    "num_documents": client.num_documents,
                    "since_s": round(now - client.since, 1),
                }
                for client in daemon.clients
            ],
            "http": daemon.urls,
        }

    async def _why(self, _msg_id: MsgId, params: Params) -> object:
        request_id, explanations = params.get("id", LATEST), self._daemon.host.explanations
        if not isinstance(request_id, str):
            raise BadInputError("id has to be text")
        found = explanations.find(request_id)
        return {"explanation": None if found is None else explanations.as_json(found)}

    async def _dashboard(self, _msg_id: MsgId, _params: Params) -> object:
        return {"url": await self._daemon.host.dashboard.url(self._settings())}

    async def _serve(self, _msg_id: MsgId, params: Params) -> object:
        from lsp_server.http.access import Access  # heavy, and wanted by few
        from lsp_server.http.listener import open_listener

        host, port, token = (params.get(name) for name in ("host", "port", "token"))
        if not isinstance(host, str) or not isinstance(port, int) or isinstance(port, bool):
            raise BadInputError("serve needs host, a text, and port, a number")
        if not isinstance(token, str | None):
            raise BadInputError("token has to be text")
        models = self._daemon.host
        access = Access(host, token or "")
        listener = await open_listener(models, self._settings(), access, port)
        self._listeners.append(listener)
        self._daemon.urls.append(listener.url)
        return {"url": listener.url}

    async def _stop(self, _msg_id: MsgId, _params: Params) -> object:
        # Behind the answer, which would be lost otherwise.
        asyncio.get_running_loop().call_soon(self._daemon.stop)
        return {}


def _request(document: DocumentSnapshot, params: Params, settings: Settings) -> CompletionRequest:
    """Return the request that ``params`` describe.

    Raises:
        BadInputError: The offset or a wish cannot be used.
    """
    offset, wishes = params.get("offset"), params.get("wishes", {})
    if not isinstance(offset, int) or not 0 <= offset <= len(document.text):
        raise BadInputError(f"offset {offset!r} lies outside the text of {len(document.text)}")
    if not isinstance(wishes, Mapping) or not wishes.keys() <= _WISHES:
        raise BadInputError(f"wishes are an object with some of {', '.join(sorted(_WISHES))}")
    known = dict(wishes)
    try:
        if "trigger" in known:
            known["trigger"] = TriggerKind(known["trigger"])
        if "stop" in known:
            known["stop"] = tuple(str(stop) for stop in known["stop"])
        return build_request(document, offset, settings, cast(Wishes, known))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"a wish cannot be used: {error}") from error


def _report(outcome: CompletionOutcome, request: CompletionRequest) -> dict[str, object]:
    """Return the object for ``--json``, with what people read beside it."""
    report = as_json(outcome, request)
    if isinstance(outcome, Suggestion):
        return {**report, "insertion": insertion(outcome, request), "sentence": ""}
    if isinstance(outcome, Cancelled):
        return {**report, "insertion": "", "sentence": "cancelled"}
    return {**report, "insertion": "", "sentence": as_sentence(outcome)}
