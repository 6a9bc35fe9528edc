"""The language server: what a connection owns, and the features it offers.

Handlers in ``features`` run on the event loop, which owns the session. Only immutable values go to
other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sys

from cattrs import Converter
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams, PyglsError
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from lsp_server import version
from lsp_server.features import (
    ahead,
    clipboard,
    commands,
    configuration,
    dashboard,
    feedback,
    inline_completion,
    notebook_sync,
    text_sync,
    why,
    workspace,
)
from lsp_server.features.indexing import IndexFeed
from lsp_server.features.loading_progress import LoadingProgress
from lsp_server.host import Lease, ModelHost, service_key
from lsp_server.learning.follower import Follower
from lsp_server.options import Options, Problem, resolve
from lsp_server.pace import Pace
from lsp_server.projects import Projects
from lsp_server.protocol import FimbleProtocol
from lsp_server.session import OpenDocument, Session
from lsp_server.settings import Settings
from lsp_server.trust import TrustStore

logger = logging.getLogger(__name__)

_NOTHING = Options({})

# The completion list is not among them: it is for some clients only.
_FEATURES = (
    configuration, text_sync, notebook_sync, workspace, inline_completion, commands, why, ahead,
    clipboard, feedback, dashboard,
)  # fmt: skip


@functools.cache
def _converter() -> Converter:
    """Return what reads and writes messages, one for all connections.

    Making one takes 40 ms of the event loop and 3 MB.
    """
    converter: Converter = default_converter()  # type: ignore[no-untyped-call]
    return converter


class FimbleLanguageServer(LanguageServer):
    """One client's connection.

    ``environment`` and ``flags`` outrank whatever the client sends, which outranks the files:
    that of the ``user`` and those of the open folders. ``owner`` tells this client's
    documents from those of others with the same name.
    """

    protocol: FimbleProtocol

    def __init__(
        self,
        host: ModelHost,
        environment: Options,
        flags: Options,
        owner: str = "",
        *,
        user: Options = _NOTHING,
    ) -> None:
        super().__init__(
            "fimble",
            version.current(),
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            protocol_cls=FimbleProtocol,
            converter_factory=_converter,
            notebook_document_sync=notebook_sync.SYNC_OPTIONS,
        )
        self.session = Session(owner)
        self.client_name = ""
        self.metrics = host.metrics
        self.explanations = host.explanations
        self.workspaces = host.workspaces
        self.dashboard = host.dashboard
        self.index_feed = IndexFeed(host.workspaces, self.session)
        self.feedback = host.feedback
        self.follower = Follower(host.feedback, self._text_of)
        self.session.on_change = self._note_change
        self._host = host
        self._lease: Lease | None = None
        self._progress: LoadingProgress | None = None
        self.pace = Pace()
        self.initialization = Options({})
        self.configuration = Options({})
        self.projects = Projects(TrustStore())
        self._user, self._environment, self._flags = user, environment, flags
        self._settings_by_folder: dict[str | None, Settings] = {}
        self._told: list[Problem] = []
        self.settings = self._resolve(None)
        for feature in _FEATURES:
            feature.register(self)

    def take_over_settings(self) -> None:
        """Use what client and files say now, with another model if they name one.

        What is wrong there is told once.
        """
        for problem in self._resolve_all():
            logger.warning("%s", problem.message)
            self.show_warning(f"fimble: {problem.message}")
        # Not before the client's options are known, which may switch the index off.
        is_on = self.settings.index.enabled
        self.index_feed.follow(self.session.folders.paths if is_on else ())
        self.start_loading()

    def _resolve_all(self) -> tuple[Problem, ...]:
        self._settings_by_folder.clear()
        self.settings = self._resolve(self.projects.first)
        sources = (self._user, self.initialization, self.configuration)
        problems = [problem for source in sources for problem in source.problems]
        new = [problem for problem in problems if problem not in self._told]
        self._told = problems
        return (*new, *self.projects.take_problems())

    def settings_for(self, path: str | None) -> Settings:
        """Return the settings of the document at ``path``; one without a path has the client's."""
        if path is None:
            return self.settings
        folder = self.projects.folder_of(path)
        if folder not in self._settings_by_folder:
            self._settings_by_folder[folder] = self._resolve(folder)
        return self._settings_by_folder[folder]

    def _resolve(self, folder: str | None) -> Settings:
        sent = (self.initialization, self.configuration, self._environment, self._flags)
        return resolve(self._user, self.projects.layer(folder), *sent).settings

    @property
    def background(self) -> Lease:
        """The service of this client, which its first use begins to build."""
        if self._lease is None:
            self._lease = self._take_lease()
        return self._lease

    def start_loading(self) -> None:
        """Use the service that the settings ask for; it may have to be built first.

        Requests meanwhile are answered with nothing, or wait.
        """
        former = self._lease
        if former is not None and service_key(former.settings) == service_key(self.settings):
            return
        self._lease = self._take_lease()
        if former is not None:
            former.close(drop=True)

    def disconnect(self) -> None:
        """End what runs for this client and let go of what was kept for it."""
        self.protocol.cancel_running_requests()
        self.index_feed.close()
        self.workspaces.clipboards.forget(self.session.owner)
        self.follower.close()
        if self._lease is None:
            return
        if self._progress is not None:
            self._progress.stop()
        service = self._lease.ready
        for key in self.session.close_all():
            if service is not None:
                service.forget(key)
        self._lease.close()

    def _take_lease(self) -> Lease:
        """Return a lease for the settings, whose loading the client is told of."""
        if self._progress is not None:
            self._progress.give_up()
        lease = self._host.lease(self.settings)
        self._progress = progress = LoadingProgress(self)
        progress.follow(lease)
        loop = asyncio.get_running_loop()

        def report() -> None:  # in the loader's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._report_loading, lease, progress)

        lease.add_done_callback(report)
        return lease

    def _report_loading(self, lease: Lease, progress: LoadingProgress) -> None:
        progress.end(lease.error)
        if lease is not self._lease:
            return  # the client has chosen another model meanwhile
        if lease.error is None:
            logger.info("the model is ready")
            return
        logger.error("the model could not be loaded", exc_info=lease.error)
        self.show_error(f"fimble offers no suggestions: {lease.error}")

    def _text_of(self, uri: str) -> str | None:
        document = self.session.find(uri)
        return None if document is None or self.session.is_lost(uri) else document.snapshot.text

    def _note_change(self, before: OpenDocument, after: OpenDocument | None) -> None:
        uri = before.snapshot.uri
        if after is None:
            self.follower.closed(uri)
        else:
            edits = after.snapshot.edits if after.snapshot.base_version is not None else ()
            self.follower.changed(uri, before.snapshot.text, after.snapshot.text, edits)

    def show_error(self, message: str) -> None:
        """Let the user read ``message``."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Error, message))

    def show_warning(self, message: str) -> None:
        """Let the user read ``message``, which does not stop anything."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))

    def report_server_error(
        self, error: Exception, source: type[PyglsError] | type[JsonRpcException]
    ) -> None:
        """Log a failed handler with its traceback; a failed request has been answered by pygls.

        pygls' own form shows each such error to the user, who can do nothing about it.
        """
        # pygls calls this while it handles the handler's own exception, which has the traceback.
        cause = sys.exc_info()[1] or error
        if isinstance(cause, JsonRpcInvalidParams):  # the client's mistake, and answered as one
            logger.warning("refused: %s", cause)
            return
        logger.error("%s: %s", source.__name__, error, exc_info=cause)
