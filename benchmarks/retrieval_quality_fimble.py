"""fimble's own retrieval as one of the methods that are compared."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.retrieval_tasks import RetrievalTask
from retrieval.assembly import Moment
from retrieval.context import ContextFinder, Place
from retrieval.dense.source import EmbedderSource
from retrieval.fusion import DEFAULT_RULES, FusionRules
from retrieval.languages import language_for
from retrieval.open_text import OpenText
from retrieval.query import query_of
from retrieval.snippet import Snippet
from retrieval.workspace import WorkspaceIndex
from retrieval.workspaces import IndexOptions

_OWNER = "benchmark"


class FimbleRetrieval:
    """Indexes the repository of a task as a workspace, and asks as a completion would.

    One workspace at a time: tasks come sorted by package.
    """

    def __init__(
        self, rules: FusionRules = DEFAULT_RULES, source: EmbedderSource | None = None
    ) -> None:
        """Rank by ``rules``, and embed with what ``source`` gives, if there is one."""
        self._rules = rules
        self._source = source
        self._package = ""
        self._index: WorkspaceIndex | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __call__(self, task: RetrievalTask, num_wanted: int) -> list[Snippet]:
        """Return the ranking of ``task``, best first, before it is packed into a budget."""
        return self.ranked(task, num_wanted, self._rules)

    def ranked(self, task: RetrievalTask, num_wanted: int, rules: FusionRules) -> list[Snippet]:
        """Return the ranking of ``task`` by other rules."""
        index = self.index_of(task)
        index.note(OpenText(str(index.folder), task.path, _OWNER, task.language_id, 1, task.text))
        try:
            index.prepare_symbols(task.path)
            place = place_of(task)
            language = language_for(task.language_id, task.path)
            query = query_of(task.text, task.offset, language)
            moment = Moment(place.window(), place.line, query)
            finder = ContextFinder(index, fusion=rules)
            found = finder.ranked(place, moment, finder.at_cursor(place))
            return [candidate.snippet for candidate in found[:num_wanted]]
        finally:
            index.drop(task.path, _OWNER)

    def index_of(self, task: RetrievalTask) -> WorkspaceIndex:
        """Return the index of the task's repository."""
        if self._index is None or task.package != self._package:
            self.close()
            self._folder = tempfile.TemporaryDirectory(prefix="fimble-tasks-")
            root = Path(self._folder.name)
            workspace, store = root / task.package.replace("/", "-"), root / "index"
            for path, text in task.files.items():
                file = workspace / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
            self._index = WorkspaceIndex(workspace, IndexOptions(store))
            if self._source is not None:
                self._index.use_embedder(self._source)
            self._index.refresh(lambda _: None, lambda: None)
            self._package = task.package
        return self._index

    def close(self) -> None:
        """Drop the workspace."""
        if self._index is not None:
            self._index.close()
            self._index = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def place_of(task: RetrievalTask) -> Place:
    """Return the cursor of a task in a prompt that shows all of its file."""
    return Place(
        path=task.path,
        language_id=task.language_id,
        text=task.text,
        offset=task.offset,
        visible=(0, len(task.text)),
    )
