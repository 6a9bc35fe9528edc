"""Context from the index of the workspace that a document lies in."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from completion.context import ContextRoom
from completion.types import CompletionRequest, ContextChunk
from retrieval.assembly import DEFAULT_RULES, AssemblyRules
from retrieval.context import ContextFinder, Place
from retrieval.fusion import DEFAULT_RULES as DEFAULT_FUSION
from retrieval.fusion import FusionRules
from retrieval.snippet import Snippet
from retrieval.workspaces import Workspaces

_MAX_NUM_DOCUMENTS = 256
_RESTING_S = 0.5  # longer than between two keys of somebody who types


@dataclass(slots=True)
class _Document:
    """What is kept of one document between requests."""

    finder: ContextFinder
    draft: str = ""
    asked_at: float = field(default_factory=time.monotonic)


class RepositoryContext:
    """Finds context in the indexes of ``workspaces``; see ``ContextProvider``."""

    def __init__(
        self,
        workspaces: Workspaces,
        rules: AssemblyRules = DEFAULT_RULES,
        fusion: FusionRules = DEFAULT_FUSION,
    ) -> None:
        self._workspaces = workspaces
        self._rules, self._fusion = rules, fusion
        self._lock = threading.Lock()
        self._documents: OrderedDict[str, _Document] = OrderedDict()

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        """Return lines to show beside the document; none while its index is being opened."""
        shown = request.document
        index = self._workspaces.find(shown.workspace) if shown.workspace else None
        if index is None or shown.path is None or room.max_num_tokens <= 0:
            return ()
        now = time.monotonic()
        with self._lock:
            document = self._documents.get(shown.key)
            if document is None or document.finder.index is not index:
                finder = ContextFinder(index, self._rules, self._fusion)
                document = self._documents[shown.key] = _Document(finder)
            self._documents.move_to_end(shown.key)
            while len(self._documents) > _MAX_NUM_DOCUMENTS:
                self._documents.popitem(last=False)
        place = Place(
            path=shown.path,
            language_id=shown.language_id,
            text=shown.text,
            offset=request.offset,
            visible=room.visible,
            draft=document.draft,
            has_rested=now - document.asked_at > _RESTING_S,
            time_s=now,
            clipboard=self._workspaces.clipboards.text(shown.owner),
            may_wait=not request.is_interactive,
        )
        document.asked_at = now
        snippets = document.finder.find(
            place, room.max_num_tokens, lambda snippet: room.count_tokens(_chunk(snippet))
        )
        return [_chunk(snippet) for snippet in snippets]

    def note_draft(self, request: CompletionRequest, text: str) -> None:
        """Search with ``text`` too from now on: the next lines are likely to be about the same."""
        with self._lock:
            document = self._documents.get(request.document.key)
            if document is not None:
                document.draft = text

    def forget(self, key: str) -> None:
        """Drop what is kept for the document ``key``."""
        with self._lock:
            self._documents.pop(key, None)


def _chunk(snippet: Snippet) -> ContextChunk:
    """Return ``snippet`` in the words of completion: lines from 1, the last one included."""
    return ContextChunk(
        path=snippet.path or "clipboard",
        start_line=snippet.start_line + 1,
        end_line=max(snippet.start_line + 1, snippet.end_line),
        text=snippet.text,
        score=snippet.score,
        source=snippet.source,
        reason=snippet.reason,
    )
