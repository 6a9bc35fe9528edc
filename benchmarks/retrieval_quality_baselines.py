"""What others retrieve, built without anything of ``retrieval`` but the type of a snippet.

All of them look at other files than the one at the cursor only, and rank what they find.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from benchmarks.retrieval_quality_definitions import Definition, ImportedDefinitions
from benchmarks.retrieval_quality_identifiers import is_keyword, terms, words
from benchmarks.retrieval_quality_windows import Floats, Window, WindowIndex
from benchmarks.retrieval_tasks import RetrievalTask
from benchmarks.traces.hunks import lines_of
from benchmarks.traces.recordings import language_id_of
from retrieval.snippet import Snippet, SnippetSource

Retrieve = Callable[[RetrievalTask, int], Sequence[Snippet]]
"""Returns up to so many snippets for a task, the best first."""

Embed = Callable[[Sequence[str]], Floats]
"""Returns a row of length 1 for each text."""

NUM_LINES, STEP = 20, 10  # RepoCoder's windows
COPILOT_NUM_LINES, COPILOT_NUM_SNIPPETS = 60, 4
COPILOT_STEP = 10  # Copilot moves by one line: ten times the cost, for nearly the same windows
NUM_LINES_ABOVE = 16
NUM_LINES_WITH_DECAY, DECAY = 30, 0.9
NUM_LINES_BELOW = 10
NUM_SIMILAR_PER_DEFINITION = 4


class RepositoryIndex:
    """What the baselines know of one repository, computed when it is first asked for."""

    def __init__(self, task: RetrievalTask) -> None:
        self.package = task.package
        self.files = task.files
        self.windows = WindowIndex(task.files, terms, num_lines=NUM_LINES, step=STEP)
        self._wide: WindowIndex | None = None
        self._vectors: Floats | None = None

    @property
    def wide_windows(self) -> WindowIndex:
        """Copilot's windows, by whole words."""
        if self._wide is None:
            sizes = {"num_lines": COPILOT_NUM_LINES, "step": COPILOT_STEP}
            self._wide = WindowIndex(self.files, words, **sizes)
        return self._wide

    def vectors(self, embed: Embed) -> Floats:
        """Return the vector of each window."""
        if self._vectors is None:
            self._vectors = embed([window.text for window in self.windows.windows])
        return self._vectors


class Baselines:
    """All baselines; they share the index of the package that was asked for last."""

    def __init__(self, embed: Embed | None = None) -> None:
        self._embed = embed
        self._index: RepositoryIndex | None = None

    def methods(self) -> dict[str, Retrieve]:
        """Return the baselines by name; ``dense`` only if there is something to embed with."""
        dense = {} if self._embed is None else {"dense": self.dense}
        return {
            "random": self.random,
            "jaccard_60": self.jaccard,
            "bm25_16": self.bm25,
            "bm25_decay": self.bm25_decay,
            "imports": self.imports,
            "bm25_imports": self.bm25_imports,
            "bm25_oracle": self.bm25_oracle,
            **dense,
        }

    def random(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return windows drawn by lot."""
        windows = self._of(task).windows.windows
        rng = random.Random(task.task_id)
        order = rng.sample(range(len(windows)), len(windows))
        return _snippets(task, windows, order, np.zeros(len(windows)), num_snippets)

    def jaccard(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return Copilot's similar files: of each, the best window by its words; four in all."""
        index = self._of(task).wide_windows
        above = "".join(_lines_above(task)[-COPILOT_NUM_LINES:])
        query = frozenset(each for each in words(above) if not is_keyword(each, task.language_id))
        scores = index.jaccard(query)
        of_language = (
            idx
            for idx in np.argsort(-scores, kind="stable")
            if language_id_of(index.windows[idx].path) == task.language_id and scores[idx] > 0
        )
        order = _first_of_each(of_language, lambda idx: index.windows[idx].path)
        wanted = min(num_snippets, COPILOT_NUM_SNIPPETS)
        return _snippets(task, index.windows, order, scores, wanted)

    def bm25(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return windows by BM25 for the terms of the last lines above the cursor."""
        query = dict.fromkeys(terms("".join(_lines_above(task)[-NUM_LINES_ABOVE:])), 1.0)
        return self._best(task, self._of(task).windows.bm25(query), num_snippets)

    def bm25_decay(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return windows by BM25 for the terms of lines on both sides, the nearest the most."""
        return self._best(task, self._of(task).windows.bm25(_decayed(task)), num_snippets)

    def bm25_oracle(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return windows by BM25 for the lines around and the truth: what a query can reach."""
        query = {**_decayed(task), **dict.fromkeys(terms(task.truth), 1.0)}
        return self._best(task, self._of(task).windows.bm25(query), num_snippets)

    def imports(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return the definitions of what the file imports, by BM25 for the lines around."""
        index, query = self._of(task), _decayed(task)
        definitions = dict.fromkeys(_imported(index, task).values())
        found = [_definition_window(index.files, each) for each in definitions]
        scores = np.array([index.windows.bm25_of_text(query, window.text) for window in found])
        order = np.argsort(-scores, kind="stable")
        return _snippets(task, found, order, scores, num_snippets, SnippetSource.DEFINITION)

    def bm25_imports(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return four similar windows, then one definition, and so on."""
        similar = iter(self.bm25_decay(task, num_snippets))
        defined = iter(self.imports(task, num_snippets))
        found: list[Snippet] = []
        while len(found) < num_snippets:
            four = [
                each for each, _ in zip(similar, range(NUM_SIMILAR_PER_DEFINITION), strict=False)
            ]
            one = [each for each, _ in zip(defined, range(1), strict=False)]
            if not four and not one:
                break
            found += four + one
        return found[:num_snippets]

    def dense(self, task: RetrievalTask, num_snippets: int) -> list[Snippet]:
        """Return windows by the cosine of their vector and that of the last lines above."""
        assert self._embed is not None
        above = "".join(_lines_above(task)[-NUM_LINES_ABOVE:])
        scores: Floats = self._of(task).vectors(self._embed) @ self._embed([above])[0]
        return self._best(task, scores, num_snippets)

    def _best(self, task: RetrievalTask, scores: Floats, num_snippets: int) -> list[Snippet]:
        order = np.argsort(-scores, kind="stable")
        return _snippets(task, self._of(task).windows.windows, order, scores, num_snippets)

    def _of(self, task: RetrievalTask) -> RepositoryIndex:
        if self._index is None or self._index.package != task.package:
            self._index = RepositoryIndex(task)
        return self._index


def _lines_above(task: RetrievalTask) -> list[str]:
    return lines_of(task.text[: task.offset])


def _decayed(task: RetrievalTask) -> dict[str, float]:
    """Return the terms around the cursor, each with the weight of its nearest line."""
    above = reversed(_lines_above(task)[-NUM_LINES_WITH_DECAY:])
    below = lines_of(task.text[task.offset :])[:NUM_LINES_BELOW]
    query: dict[str, float] = {}
    for lines in (above, below):
        for distance, line in enumerate(lines):
            for term in terms(line):
                query[term] = max(query.get(term, 0.0), DECAY**distance)
    return query


def _imported(index: RepositoryIndex, task: RetrievalTask) -> Mapping[str, Definition]:
    """Return the imported definitions by the text of the open document, not that of the file."""
    return ImportedDefinitions(task.package, {**task.files, task.path: task.text}).of_file(
        task.path
    )


def _definition_window(files: Mapping[str, str], definition: Definition) -> Window:
    lines = lines_of(files[definition.path])
    start = definition.lines[-1]
    end = min(start + NUM_LINES, len(lines))
    return Window(definition.path, start, end, "".join(lines[start:end]))


def _first_of_each(order: Iterable[int], group_of: Callable[[int], str]) -> Iterator[int]:
    seen: set[str] = set()
    for idx in order:
        group = group_of(idx)
        if group not in seen:
            seen.add(group)
            yield idx


def _snippets(
    task: RetrievalTask,
    windows: Sequence[Window],
    order: Iterable[int],
    scores: Floats,
    num_snippets: int,
    source: SnippetSource = SnippetSource.SIMILAR,
) -> list[Snippet]:
    """Return the first windows that are of another file and show none of each other's lines."""
    taken: list[Window] = []
    found: list[Snippet] = []
    for idx in order:
        if len(found) == num_snippets:
            break
        window = windows[idx]
        if window.path != task.path and not any(window.overlaps(other) for other in taken):
            taken.append(window)
            snippet = Snippet(
                window.path,
                window.start_line,
                window.end_line,
                window.text,
                float(scores[idx]),
                source,
            )
            found.append(snippet)
    return found
