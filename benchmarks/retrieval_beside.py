"""Completions of the default model, with and without an index being made in the background."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, ratio_figure, timing_figure
from benchmarks.retrieval_trees import AskedPlace, places_in
from completion.config import CompletionConfig
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionRequest,
    DocumentSnapshot,
    Suggestion,
    TriggerKind,
)
from models.loader import load_model
from retrieval.workspace import IndexState, WorkspaceIndex
from retrieval.workspaces import IndexOptions

MODEL = "default"
NUM_PLACES = 3
NUM_TOKENS = 48
_MAX_WAIT_S = 300.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Spent:
    """Means over some completions, in milliseconds: a token, the prompt, and all of it."""

    token_ms: float
    prefill_ms: float
    total_ms: float


def beside_figures(tree: Path, num_rounds: int) -> list[Figure]:
    """Return the figures ``completion_*`` of rounds with and without an index being made of ``tree``.

    A round has both, the one that comes first in turn. The prompts are the same in all.
    """
    places = places_in(tree, NUM_PLACES, seed=1)
    service = CompletionService(load_model(MODEL), CompletionConfig())
    quiet, beside = [], []
    try:
        _completed(service, places)  # warms up
        for number in range(num_rounds):
            for is_beside in (False, True) if number % 2 else (True, False):
                if is_beside:
                    with indexing(tree, lambda: service.is_idle):
                        beside.append(_completed(service, places))
                else:
                    quiet.append(_completed(service, places))
    finally:
        service.close()
    return _figures(quiet, beside)


def _figures(quiet: Sequence[Spent], beside: Sequence[Spent]) -> list[Figure]:
    figures = []
    for name in ("token_ms", "prefill_ms", "total_ms"):
        alone = [getattr(spent, name) for spent in quiet]
        slowed = [getattr(spent, name) for spent in beside]
        stem = name.removesuffix("_ms")
        figures += [
            timing_figure(f"completion_{stem}_quiet_ms", alone),
            timing_figure(f"completion_{stem}_beside_indexing_ms", slowed),
            ratio_figure(f"completion_{stem}_slowed", slowed, alone),
        ]
    return figures


@contextmanager
def indexing(tree: Path, is_idle: Callable[[], bool]) -> Iterator[WorkspaceIndex]:
    """Give an index of ``tree`` that is being made, from the first segment until the block ends.

    It gives way while not ``is_idle``.

    Raises:
        TimeoutError: It did not get to a first segment.
        RuntimeError: It was finished before the block was.
    """
    with tempfile.TemporaryDirectory(prefix="fimble-index-") as indexes:
        index = WorkspaceIndex(tree, IndexOptions(Path(indexes)))
        try:
            index.give_way(is_idle)
            index.start()
            _wait_for_segment(index)
            yield index
            if (state := index.status().state) is not IndexState.INDEXING:
                raise RuntimeError(f"the index is {state} already; take a larger tree")
        finally:
            index.close()


def _wait_for_segment(index: WorkspaceIndex) -> None:
    give_up_at = time.monotonic() + _MAX_WAIT_S
    while index.status().num_chunks == 0:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"no segment after {_MAX_WAIT_S:.0f} s: {index.status().detail}")
        time.sleep(_LOOK_EVERY_S)


def _completed(service: CompletionService, places: Sequence[AskedPlace]) -> Spent:
    """Return what completions at ``places`` took, none of which finds anything in a cache."""
    spent = [_complete(service, place) for place in places]
    return Spent(
        *(
            statistics.fmean(getattr(each, name) for each in spent)
            for name in ("token_ms", "prefill_ms", "total_ms")
        )
    )


def _complete(service: CompletionService, place: AskedPlace) -> Spent:
    document = DocumentSnapshot(place.path, 1, place.language_id, place.text, place.path)
    request = CompletionRequest(
        request_id=place.path,
        document=document,
        offset=place.offset,
        trigger=TriggerKind.INVOKED,
        max_new_tokens=NUM_TOKENS,
        use_retrieval=False,
        verbatim=True,
    )
    outcome = service.complete(request, CancellationToken())
    service.forget(document.key)
    if not isinstance(outcome, Suggestion):
        raise RuntimeError(f"no completion in {place.path}: {outcome}")
    timings = outcome.trace.timings_ms
    return Spent(timings.decode / outcome.candidates[0].num_tokens, timings.prefill, timings.total)
