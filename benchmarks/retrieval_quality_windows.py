"""Windows of lines over a repository and two scores for them: BM25, and the overlap of word sets.

Sources: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond";
RepoCoder (Zhang et al. 2023) for windows of 20 lines, 10 apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.traces.hunks import lines_of

K1, B = 1.5, 0.75  # of BM25: the usual ones

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Lines ``[start_line, end_line)`` of the file at ``path``."""

    path: str
    start_line: int
    end_line: int
    text: str

    def overlaps(self, other: Window) -> bool:
        """Whether both show one line."""
        return (
            self.path == other.path
            and self.start_line < other.end_line
            and other.start_line < self.end_line
        )


def windows_of(path: str, text: str, num_lines: int, step: int) -> Iterator[Window]:
    """Yield a window at every ``step``th line; the last one ends with the file."""
    lines = lines_of(text)
    for start in range(0, max(1, len(lines) - num_lines + step), step):
        end = min(start + num_lines, len(lines))
        yield Window(path, start, end, "".join(lines[start:end]))


class WindowIndex:
    """The terms of all windows of a repository, in the order of paths and lines.

    Postings are sorted by term: those of term ``t`` are ``[starts[t], starts[t + 1])``.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        terms: Callable[[str], Iterable[str]],
        *,
        num_lines: int,
        step: int,
    ) -> None:
        self.windows = [
            window
            for path, text in sorted(files.items())
            for window in windows_of(path, text, num_lines, step)
        ]
        self._terms = terms
        self._ids: dict[str, int] = {}
        rows = [self._term_ids(window.text) for window in self.windows]
        self.lengths = np.array([len(row) for row in rows], np.float64)
        window_idx = np.repeat(np.arange(len(rows)), self.lengths.astype(np.int64))
        flat = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        keys, counts = np.unique(flat * max(1, len(rows)) + window_idx, return_counts=True)
        self._counts = counts.astype(np.float64)
        self._window_idx: Ints = keys % max(1, len(rows))
        self._starts = np.searchsorted(keys // max(1, len(rows)), np.arange(len(self._ids) + 1))
        self._num_different = np.bincount(self._window_idx, minlength=len(rows))

    def bm25(self, query: Mapping[str, float]) -> Floats:
        """Return the score of each window for the weighted terms of ``query``."""
        scores = np.zeros(len(self.windows))
        norms = 1 - B + B * self.lengths / max(1.0, float(self.lengths.mean()))
        for term, weight in query.items():
            found, counts = self._postings(term)
            gain = counts * (K1 + 1) / (counts + K1 * norms[found])
            scores[found] += weight * self.idf(term) * gain
        return scores

    def jaccard(self, query: frozenset[str]) -> Floats:
        """Return the share of common terms among all terms of the query and each window."""
        shared = np.zeros(len(self.windows))
        for term in query:
            shared[self._postings(term)[0]] += 1
        scores: Floats = shared / np.maximum(1, len(query) + self._num_different - shared)
        return scores

    def idf(self, term: str) -> float:
        """Return how telling ``term`` is."""
        num_found = len(self._postings(term)[0])
        return float(np.log1p((len(self.windows) - num_found + 0.5) / (num_found + 0.5)))

    def bm25_of_text(self, query: Mapping[str, float], text: str) -> float:
        """Return the score of a text that is no window, were it of average length."""
        counts: dict[str, int] = {}
        for term in self._terms(text):
            counts[term] = counts.get(term, 0) + 1
        return sum(
            weight * self.idf(term) * counts[term] * (K1 + 1) / (counts[term] + K1)
            for term, weight in query.items()
            if term in counts
        )

    def _term_ids(self, text: str) -> Ints:
        ids = self._ids
        return np.array([ids.setdefault(term, len(ids)) for term in self._terms(text)], np.int64)

    def _postings(self, term: str) -> tuple[Ints, Floats]:
        term_id = self._ids.get(term)
        if term_id is None:
            return np.zeros(0, np.int64), np.zeros(0)
        found = slice(self._starts[term_id], self._starts[term_id + 1])
        return self._window_idx[found], self._counts[found]
