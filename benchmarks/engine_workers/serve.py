"""The conversation between ``benchmarks.engine`` and an engine's process: JSON lines.

Standard library only: a rival's interpreter imports it too.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

NUM_REPEATS = 8  # timed passes of each size behind one prefill
PASS_WIDTHS = (1, 8)


class Engine(Protocol):
    """What every engine under comparison can do. A call returns when its logits are readable."""

    def prefill(self, token_ids: list[int]) -> None:
        """Forget everything, then compute ``token_ids`` and the logits behind the last one."""
        ...

    def extend(self, token_ids: list[int]) -> None:
        """Compute ``token_ids`` behind the prefilled ones, with logits for each."""
        ...

    def rewind(self, num_tokens: int) -> None:
        """Keep only the first ``num_tokens`` computed tokens."""
        ...


def measure(engine: Engine, context: list[int], following: list[int]) -> dict[str, list[float]]:
    """Return milliseconds of the prefill of ``context`` and of passes over what follows it.

    Keys are ``prefill`` and ``pass_N`` for N of ``PASS_WIDTHS``; each pass is rewound, so all see
    the same context. The first pass of a width is not timed.
    """
    timings = {"prefill": [_timed(functools.partial(engine.prefill, context))]}
    for width in PASS_WIDTHS:
        rows = following[:width]
        samples = []
        for _ in range(NUM_REPEATS + 1):
            samples.append(_timed(functools.partial(engine.extend, rows)))
            engine.rewind(len(context))
        timings[f"pass_{width}"] = samples[1:]
    return timings


def serve(load: Callable[[], Engine]) -> None:
    """Answer requests on stdin until it closes.

    A request is ``{"context": [...], "following": [...]}``; the answer is what ``measure``
    returns. The first line written is ``{"ready": true}``, once ``load`` has returned.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    engine = load()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        timings = measure(engine, request["context"], request["following"])
        print(json.dumps(timings), file=answers, flush=True)


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
