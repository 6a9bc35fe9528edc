"""How far the model is, told to the editor while it loads.

Two ways, each only for clients that say they understand it: the protocol's own progress
(``window.workDoneProgress``), which editors show by themselves, and the notification
``fimble/status`` for plugins that have a place of their own for it
(``experimental.fimble.status``).

The protocol's progress has no percentage, which may only rise: loading has several stages, each
counted from the start. The percentage is part of the message instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.host import Lease, ModelProgress

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

STATUS = "fimble/status"
_DOWNLOADS = ("fetching", "checking the download")


class StatusState(StrEnum):
    """What the model is doing, as plugins read it."""

    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    ERROR = "error"


class LoadingProgress:
    """Tells one client; lives on the event loop."""

    def __init__(self, server: FimbleLanguageServer) -> None:
        """Tell the client of ``server``, which has been initialized."""
        capabilities = server.protocol.client_capabilities
        self._server = server
        self._last_text = "starting"
        self._token: str | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._is_shown = self._has_ended = False
        window = capabilities.window
        self._has_progress = window is not None and window.work_done_progress is True
        self._wants_status = _wants_status(capabilities.experimental)

    def follow(self, lease: Lease) -> None:
        """Tell how far ``lease`` is, from now until ``end``, ``give_up`` or ``stop``."""
        if lease.is_settled:
            return
        self._begin()
        loop = asyncio.get_running_loop()

        def hand_over(progress: ModelProgress) -> None:  # in the loader's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.note, progress)

        self._unsubscribe = lease.on_progress(hand_over)
        if lease.progress is not None:
            self.note(lease.progress)

    def stop(self) -> None:
        """Tell nothing more; for a client that is gone."""
        self._has_ended = True
        self._unsubscribe()

    def give_up(self) -> None:
        """Tell that this service is not waited for any longer."""
        self._end("given up")

    def note(self, progress: ModelProgress) -> None:
        """Tell how far loading is, unless that would look as it did before."""
        if self._has_ended or self._last_text == progress.text:
            return
        self._last_text = progress.text
        is_download = progress.stage.startswith(_DOWNLOADS)
        state = StatusState.DOWNLOADING if is_download else StatusState.LOADING
        self._tell(state, progress.stage, progress.fraction)
        if self._is_shown:
            self._send(types.WorkDoneProgressReport(message=progress.text))

    def end(self, error: BaseException | None) -> None:
        """Tell that loading has ended, and how; a client that has given it up is not told."""
        if self._has_ended:
            return
        if error is None:
            self._tell(StatusState.READY, "ready", None)
            self._end("ready")
        else:
            self._tell(StatusState.ERROR, str(error), None)
            self._end("the model could not be loaded")

    def _begin(self) -> None:
        self._tell(StatusState.STARTING, "starting", None)
        if self._has_progress:
            self._token = f"fimble/{uuid.uuid4().hex}"
            params = types.WorkDoneProgressCreateParams(self._token)
            created: Future[Any] = self._server.protocol.send_request(
                types.WINDOW_WORK_DONE_PROGRESS_CREATE, params
            )
            created.add_done_callback(self._show)

    def _end(self, message: str) -> None:
        self.stop()
        if self._is_shown:
            self._is_shown = False
            self._send(types.WorkDoneProgressEnd(message=message))

    def _show(self, created: Future[Any]) -> None:
        """Begin to show progress, now that the client has agreed to; it may also refuse."""
        if self._has_ended or created.cancelled() or created.exception() is not None:
            return
        self._is_shown = True
        self._send(types.WorkDoneProgressBegin(title="fimble", message=self._last_text))

    def _send(self, value: object) -> None:
        assert self._token is not None
        params = types.ProgressParams(token=self._token, value=value)
        self._server.protocol.notify(types.PROGRESS, params)

    def _tell(self, state: StatusState, message: str, fraction: float | None) -> None:
        if self._wants_status:
            params = {"state": state.value, "message": message, "fraction": fraction}
            self._server.protocol.notify(STATUS, params)


def _wants_status(experimental: Any) -> bool:
    """Whether the client's ``experimental`` capabilities hold ``fimble.status``."""
    ours = experimental.get("fimble") if isinstance(experimental, dict) else None
    return isinstance(ours, dict) and ours.get("status") is True
