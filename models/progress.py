"""How long work on weights tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of one stage.

    ``stage`` is a phrase for people, ``done`` and ``total`` count ``unit``; a ``total`` of None means
    that the end is not known. A stage ends with ``done == total``.
    """

    stage: str
    done: int
    total: int | None
    unit: str = "bytes"


ProgressCallback = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Tell nobody."""
