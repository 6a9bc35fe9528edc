"""Completions for Python scripts, with the abilities of the command line.

    from lsp_server.api import Completer

    with Completer() as completer:
        outcome = completer.complete("src/app.py", line=12, column=8)
        print(outcome)

Importing this module is cheap; the model is loaded by the first request, or by ``load``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from completion.types import (
    CancellationToken,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    TriggerKind,
)
from kvedit.policy import PatchMode
from lsp_server.building import index_options
from lsp_server.documents import offset_at, read_document, text_document
from lsp_server.errors import BadSettingError
from lsp_server.options import from_flags
from lsp_server.requests import SCRIPT_DEADLINE_MS, new_request
from lsp_server.settings import Settings, all_specs
from lsp_server.workspace_root import in_workspace
from models.progress import ProgressCallback, ignore_progress
from retrieval.workspaces import Workspaces

if TYPE_CHECKING:
    from completion.service import CompletionService

_SEED_LIMIT = 2**63
_OPENING_TIMEOUT_S = 10.0  # of an index that is there; a million lines take half a second


class Wishes(TypedDict, total=False):
    """What one request may ask for; whatever is left out follows the settings.

    ``deadline_ms`` counts from the call; what is ready by then is the answer. ``temperature`` 0
    takes the likeliest token. ``stop`` ends the text before any of these strings.
    ``patching="exact"`` computes what stands behind an edit again instead of patching the cache;
    the other modes are those of the setting ``engine.patching``.
    """

    num_candidates: int
    max_new_tokens: int
    deadline_ms: float
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: tuple[str, ...]
    trigger: TriggerKind
    use_retrieval: bool
    use_speculation: bool
    patching: PatchMode


class Completer:
    """One model, ready to complete; may be used from several threads."""

    def __init__(
        self,
        model: str | None = None,
        *,
        settings: Settings | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        """Remember what to load.

        Args:
            model: A registry name, a hub id, a folder or a GGUF file; outranks ``settings``.
            settings: The resolved tree; all defaults if left out.
            progress: Told how far fetching and converting weights is, where that is needed.
        """
        settings = settings or Settings()
        if model is not None:
            settings = replace(settings, model=replace(settings.model, name=model))
        self._settings = settings
        self._progress = progress
        index = settings.index
        # A script does not wait for an index to be made: it uses what there is.
        options = index_options(index, kept_fresh=False) if index.enabled else None
        self._workspaces = Workspaces(options)
        self._lock = Lock()
        self._service: CompletionService | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def load(self) -> CompletionService:
        """Load the model unless that was done, and return the service behind this object.

        Raises:
            models.errors.ModelError: The model is unknown, broken, or does not fit.
        """
        with self._lock:
            if self._service is None:
                from lsp_server.app import build_service

                self._service = build_service(self._settings, self._progress, self._workspaces)
            return self._service

    def complete(
        self,
        path: str | Path,
        line: int,
        column: int,
        *,
        on_text: Callable[[str], None] | None = None,
        cancel: CancellationToken | None = None,
        **wishes: Unpack[Wishes],
    ) -> CompletionOutcome:
        """Complete a file at a cursor.

        Args:
            path: A file in UTF-8.
            line: The cursor's line, from 1.
            column: The cursor's column in characters, from 1: the number of the character behind
                the cursor.
            on_text: Called from another thread with the text so far, each time it has grown, before it
                is trimmed.
            cancel: Cancelling it from any thread makes the outcome ``Cancelled``.
            wishes: See ``Wishes``.

        Raises:
            lsp_server.errors.BadInputError: The file cannot be read, has no such place, or a wish
                is out of range.
            models.errors.ModelError: The model is unknown, broken, or does not fit.
        """
        document = read_document(Path(path))
        offset = offset_at(document.text, line, column)
        return self.ask(document, offset, on_text=on_text, cancel=cancel, **wishes)

    def complete_text(
        self,
        prefix: str,
        suffix: str = "",
        *,
        language_id: str = "",
        path: str | Path | None = None,
        on_text: Callable[[str], None] | None = None,
        cancel: CancellationToken | None = None,
        **wishes: Unpack[Wishes],
    ) -> CompletionOutcome:
        """Complete between two texts; ``path`` names the language if no id does, and is not read.

        The other arguments and the errors are those of ``complete``.
        """
        document = text_document(
            prefix + suffix, language_id=language_id, path=Path(path) if path else None
        )
        return self.ask(document, len(prefix), on_text=on_text, cancel=cancel, **wishes)

    def ask(
        self,
        document: DocumentSnapshot,
        offset: int,
        *,
        on_text: Callable[[str], None] | None = None,
        cancel: CancellationToken | None = None,
        **wishes: Unpack[Wishes],
    ) -> CompletionOutcome:
        """Complete ``document`` at ``offset``; arguments and errors are those of ``complete``."""
        request = build_request(document, offset, self._settings, wishes)
        return self.answer(request, cancel or CancellationToken(), on_text)

    def answer(
        self,
        request: CompletionRequest,
        cancel: CancellationToken,
        on_text: Callable[[str], None] | None = None,
    ) -> CompletionOutcome:
        """Answer a request of ``build_request``; for the other arguments and errors see ``complete``.

        The index opens while the model loads; unlike an editor, a script has no second request that
        would find it open.
        """
        folder = request.document.workspace if request.use_retrieval else ""
        self._workspaces.find(folder)
        service = self.load()
        self._workspaces.wait_for(folder, _OPENING_TIMEOUT_S)
        return service.complete(request, cancel, on_text)

    def close(self) -> None:
        """End the engine and give back the model's memory; a later request loads it again."""
        with self._lock:
            service, self._service = self._service, None
        if service is not None:
            service.close()
        self._workspaces.close_unused(0.0)


def build_request(
    document: DocumentSnapshot, offset: int, settings: Settings, wishes: Wishes
) -> CompletionRequest:
    """Return the request of a script: the user asked for it, so no trigger rule holds it back.

    Raises:
        BadSettingError: A wish is out of range.
    """
    _check(wishes)
    asked: Wishes = {"deadline_ms": SCRIPT_DEADLINE_MS, "trigger": TriggerKind.INVOKED, **wishes}
    # A wish outranks engine.retrieval, but without indexes there is nothing to show.
    wants_context = wishes.get("use_retrieval", settings.engine.retrieval)
    asked["use_retrieval"] = wants_context and settings.index.enabled
    return new_request(in_workspace(document), offset, settings, is_interactive=False, **asked)


def _check(wishes: Wishes) -> None:
    """Hold the numbers to the ranges of the settings of the same name."""
    settable = all_specs()
    sections = {"patching": "engine"}
    given = {f"{sections.get(name, 'completion')}.{name}": value for name, value in wishes.items()}
    given = {key: value for key, value in given.items() if key in settable}
    problems = [problem.message for problem in from_flags(given, "request").problems]
    seed = wishes.get("seed")
    if seed is not None and not -_SEED_LIMIT <= seed < _SEED_LIMIT:
        problems.append(f"seed is {seed}; it must be from -2**63 to 2**63 - 1")
    stop: object = wishes.get("stop", ())
    if not isinstance(stop, tuple) or "" in stop:
        problems.append(f"stop is {stop!r}; it must be a tuple of texts, none of them empty")
    if problems:
        raise BadSettingError("; ".join(problems))
