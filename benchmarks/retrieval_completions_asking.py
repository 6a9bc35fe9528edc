"""Asks the real pipeline: a task's repository is the workspace, its text the open document."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.left_to_right_policies import edit_similarity, is_match
from benchmarks.retrieval_completions_rows import Measured
from benchmarks.retrieval_completions_variants import Variant
from benchmarks.retrieval_quality_fimble import FimbleRetrieval, place_of
from benchmarks.retrieval_quality_identifiers import identifiers
from benchmarks.retrieval_tasks import RetrievalTask
from benchmarks.traces.case import rest_of_line
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.context import ContextRoom
from completion.repository_context import RepositoryContext
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    ContextChunk,
    DocumentSnapshot,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    TriggerKind,
)
from kvedit.policy import PatchMode
from models.loader import LoadedModel
from retrieval.assembly import Moment
from retrieval.context import ContextFinder, Place
from retrieval.languages import language_for
from retrieval.open_text import OpenText
from retrieval.query import query_of
from retrieval.workspace import WorkspaceIndex
from retrieval.workspaces import Workspaces

MAX_NUM_NEW_TOKENS = 256  # the product's default
_EDITOR = "editor"


class OneWorkspace(Workspaces):
    """Has the one index that it was given; nothing is opened or scanned in the background."""

    def __init__(self) -> None:
        super().__init__()
        self.index: WorkspaceIndex | None = None

    def find(self, folder: str) -> WorkspaceIndex | None:
        """Return the index if it is that of ``folder``."""
        is_it = self.index is not None and str(self.index.folder) == folder
        return self.index if is_it else None


class VariantContexts:
    """Answers by the rules of the variant that owns the document; see ``ContextProvider``.

    ``room`` is what the last request had room for.
    """

    def __init__(self, workspaces: Workspaces, variants: Sequence[Variant]) -> None:
        self._contexts = {
            each.name: RepositoryContext(workspaces, each.assembly, each.fusion)
            for each in variants
        }
        self.room: ContextRoom | None = None

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        """Return lines to show beside the document."""
        self.room = room
        return self._contexts[request.document.owner].chunks(request, room)

    def note_draft(self, request: CompletionRequest, text: str) -> None:
        """Do nothing: each document is asked about once."""

    def forget(self, key: str) -> None:
        """Drop what is kept for the document ``key``."""
        for context in self._contexts.values():
            context.forget(key)


class CompletionBench:
    """A model, ready to complete any task under any of its variants. One thread at a time.

    Every request meets an empty cache, so that no variant gains by what another left there.
    """

    def __init__(
        self, model: LoadedModel, variants: Sequence[Variant], max_num_prompt_tokens: int
    ) -> None:
        model.decoder.pack()
        self._model, self._max_num_prompt_tokens = model, max_num_prompt_tokens
        self._repositories = FimbleRetrieval()
        self._workspaces = OneWorkspace()
        self._contexts = VariantContexts(self._workspaces, variants)
        self._share = -1.0
        self._service: CompletionService | None = None

    def measure(self, task: RetrievalTask, variant: Variant) -> Measured:
        """Return what is suggested for ``task`` as an editor would ask for it.

        Raises:
            RuntimeError: The engine failed.
        """
        index = self._workspaces.index = self._repositories.index_of(task)
        service = self._service_with(variant.context_share)
        request = _request(task, variant, str(index.folder))
        shown = request.document
        index.note(OpenText(shown.workspace, task.path, _EDITOR, task.language_id, 1, task.text))
        try:
            index.prepare_symbols(task.path)  # which happens while nobody waits
            outcome = service.complete(request, CancellationToken())
            return self._measured(index, task, variant, outcome)
        finally:
            service.forget(shown.key)
            index.drop(task.path, _EDITOR)
            index.open_files.forget(task.path)  # or the next task would find it was open

    def close(self) -> None:
        """End the engine and drop the workspace."""
        if self._service is not None:
            self._service.close()
        self._repositories.close()

    def _service_with(self, context_share: float) -> CompletionService:
        """Return a service with that much room for context, which is a setting of all of it.

        Only one lives at a time: a service takes the kernels of its model for its own.
        """
        if self._service is not None and self._share != context_share:
            self._service.close()
            self._service = None
        if self._service is None:
            self._share = context_share
            config = _config(self._max_num_prompt_tokens, context_share)
            self._service = CompletionService(self._model, config, self._contexts)
        return self._service

    def _measured(
        self,
        index: WorkspaceIndex,
        task: RetrievalTask,
        variant: Variant,
        outcome: CompletionOutcome,
    ) -> Measured:
        line, end, trace = line_of(task, outcome), end_of(outcome), outcome.trace
        best, num_context_tokens, room = 0.0, 0, self._contexts.room
        if variant.uses_context and room is not None:
            best = best_similarity(index, replace(place_of(task), visible=room.visible), variant)
            num_context_tokens = sum(map(room.count_tokens, trace.context))
        return Measured(
            task_id=task.task_id,
            kind=task.kind,
            package=task.package,
            language_id=task.language_id,
            variant=variant.name,
            max_num_prompt_tokens=self._max_num_prompt_tokens,
            truth=task.truth,
            num_unseen=len(task.unseen),
            line=line,
            end=end,
            is_match=is_match(line, task.truth),
            edit_similarity=edit_similarity(line, task.truth),
            identifier_f1=identifier_f1(line, task.truth, task.language_id),
            best_similarity=best,
            sources=[chunk.source for chunk in trace.context],
            num_context_tokens=num_context_tokens,
            num_prompt_tokens=trace.prompt.num_tokens,
            retrieval_ms=trace.timings_ms.retrieval,
            prefill_ms=trace.timings_ms.prefill,
            decode_ms=trace.timings_ms.decode,
            total_ms=trace.timings_ms.total,
        )


def best_similarity(index: WorkspaceIndex, place: Place, variant: Variant) -> float:
    """Return what the best candidate for ``place`` has of the similarity that a threshold asks for."""
    language = language_for(place.language_id, place.path)
    query = query_of(place.text, place.offset, language)
    finder = ContextFinder(index, variant.assembly, variant.fusion)
    moment = Moment(place.window(), place.line, query)
    ranked = finder.ranked(place, moment, finder.at_cursor(place))
    return max((each.similarity for each in ranked), default=0.0)


def line_of(task: RetrievalTask, outcome: CompletionOutcome) -> str:
    """Return what stands right of the cursor, in its line, once the suggestion is accepted."""
    if not isinstance(outcome, Suggestion):
        return ""
    before, after = task.text[: outcome.replace_start], task.text[outcome.replace_end :]
    return rest_of_line(before + outcome.text + after, task.offset)


def end_of(outcome: CompletionOutcome) -> str:
    """Return why the suggestion ended, or why there is none.

    Raises:
        RuntimeError: Because of the engine, so that nothing was measured.
    """
    match outcome:
        case Suggestion():
            return outcome.finish_reason
        case NoSuggestion(reason=NoSuggestionReason.ENGINE_ERROR) | Cancelled():
            raise RuntimeError(f"nothing was measured: {outcome}")
        case NoSuggestion():
            return outcome.reason


def identifier_f1(line: str, truth: str, language_id: str) -> float | None:
    """Return how alike the identifiers of two lines are, 0 to 100, however they are arranged.

    ``None`` if the truth has none.
    """
    found, wanted = (
        Counter(each.name for each in identifiers(text, language_id)) for text in (line, truth)
    )
    if not wanted:
        return None
    return 200 * (found & wanted).total() / (found.total() + wanted.total())


def _request(task: RetrievalTask, variant: Variant, workspace: str) -> CompletionRequest:
    document = DocumentSnapshot(
        uri=f"file://{workspace}/{task.path}",
        version=1,
        language_id=task.language_id,
        text=task.text,
        path=task.path,
        owner=variant.name,
        workspace=workspace,
    )
    return CompletionRequest(
        uuid.uuid4().hex,
        document,
        task.offset,
        TriggerKind.INVOKED,
        max_new_tokens=MAX_NUM_NEW_TOKENS,
        use_retrieval=variant.uses_context,
        patching=PatchMode.EXACT,
        is_interactive=False,
    )


def _config(max_num_prompt_tokens: int, context_share: float) -> CompletionConfig:
    """Return settings under which nothing is kept of a document, or computed ahead."""
    return CompletionConfig(
        prompt=PromptConfig(max_num_tokens=max_num_prompt_tokens, context_share=context_share),
        engine=EngineConfig(
            cache_mb=1,  # one document
            max_new_tokens=MAX_NUM_NEW_TOKENS,
            chunk_tokens=0,
            around_tokens=0,
            prefetch_after_acceptance=False,
        ),
    )
