"""BM25 over gathered postings, in bounded time.

    score(chunk) = sum over terms of  weight * idf * count * (k1 + 1) / (count + norm(chunk))
    idf  = log((N + 1) / df)
    norm = k1 * (1 - b + b * length / average length)

This is BM25+ with a delta of zero, whose idf cannot become negative (Lv and Zhai, 2011, "Lower-
bounding term frequency normalization"). A chunk whose norm is infinite scores zero.

Terms that may contribute most are scanned in full until a budget of postings is spent. The other
terms, common and of little weight, are only looked up in the chunks that lead by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrieval.sparse.tables import Float64s, Int64s, Uint8s, Uint32s

_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Bm25:
    """How fast repetition saturates, how much length counts, and how much work a query may be.

    ``max_num_scanned`` bounds the postings read in order, ``max_num_probed`` the chunks in which
    the remaining terms are looked up. A query that needs fewer postings is exact.
    """

    k1: float = 1.5
    b: float = 0.75
    max_num_scanned: int = 60_000
    max_num_probed: int = 150

    def norms(self, lengths: npt.ArrayLike, average_length: float) -> Float64s:
        """Return the norm of chunks of these lengths."""
        relative = np.asarray(lengths, np.float64) / max(average_length, 1.0)
        return self.k1 * (1.0 - self.b + self.b * relative)

    def gains(self, weights: Float64s, document_counts: Int64s, num_chunks: int) -> Float64s:
        """Return what each term contributes at most; zero for a term that occurs nowhere."""
        bounds = weights * idf(document_counts, num_chunks) * (self.k1 + 1)
        return np.where(document_counts > 0, bounds, 0.0)


def idf(document_counts: Int64s, num_chunks: int) -> Float64s:
    """Return how much each term tells; one that occurs nowhere as much as if it occurred once."""
    informative: Float64s = np.log((num_chunks + 1.0) / np.maximum(document_counts, 1))
    return informative


def split_terms(gains: Float64s, num_postings: Int64s, budget: int) -> tuple[Int64s, Int64s]:
    """Return which terms to scan and which to look up, both in the order of their gains."""
    order = np.argsort(-gains, kind="stable")
    order = order[gains[order] > 0]
    is_scanned = np.cumsum(num_postings[order]) <= budget
    return order[is_scanned], order[~is_scanned]


def scanned(
    chunks: npt.NDArray[np.intp],
    counts: Uint8s,
    gains: Float64s,
    norms: Float64s,
) -> Float64s:
    """Return the scores of all chunks from postings laid end to end, each with its term's gain."""
    parts = counts / (counts + norms[chunks])
    parts *= gains
    # Sums of floats are floats already; NumPy's annotations say integers.
    return np.bincount(chunks, parts, minlength=len(norms)).astype(np.float64, copy=False)


def add_probed(
    scores: Float64s,
    chunks: Uint32s,
    norms: Float64s,
    postings: Sequence[tuple[Uint32s, Uint8s, float]],
) -> None:
    """Add to the ``scores`` of ``chunks``, ascending, what further terms contribute.

    ``norms`` belong to ``chunks``; ``postings`` are (chunks, counts, gain), one for each term.
    """
    for listed, counts, gain in postings:
        at = np.searchsorted(listed, chunks)
        at[at == len(listed)] = 0
        hit = np.flatnonzero(listed[at] == chunks)
        count = counts[at[hit]]
        scores[hit] += gain * (count / (count + norms[hit]))


def leading(scores: Float64s, num_wanted: int) -> npt.NDArray[np.intp]:
    """Return, ascending, the indices of the ``num_wanted`` highest scores, zero ones left out.

    All that equal the lowest of them are returned too, so that a tie is for the caller to break.
    """
    bound = _lower_bound(scores, num_wanted)
    found = np.flatnonzero(scores >= bound) if bound > 0 else np.flatnonzero(scores)
    if len(found) <= num_wanted:
        return found
    values = scores[found]
    lowest = float(np.partition(values, -num_wanted)[-num_wanted])
    return found[values >= lowest]


def _lower_bound(scores: Float64s, num_wanted: int) -> float:
    """Return a number that at least ``num_wanted`` scores reach, close below the last of them.

    The maxima of blocks are as many different scores: their n-th is no higher than the n-th of all.
    It takes one pass at the speed of memory, and a partition of everything takes ten times as long.
    """
    num_blocks = len(scores) // _BLOCK
    if num_blocks < num_wanted:
        return 0.0
    maxima = scores[: num_blocks * _BLOCK].reshape(_BLOCK, num_blocks).max(axis=0)
    return float(np.partition(maxima, -num_wanted)[-num_wanted])
