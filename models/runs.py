"""Runs of tokens that an old text and a new one have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Donor(Protocol):
    """A text that was computed elsewhere, in tokens."""

    token_ids: list[int]

    def num_exact(self) -> int:
        """Return how many leading tokens are exact."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class KeptRun:
    """``length`` tokens of a table from ``old_start`` on, which a new text has from ``new_start`` on.

    They are the table's own, or those of a ``donor``, another table or a store, which keeps them.
    """

    old_start: int
    new_start: int
    length: int
    donor: Donor | None = None

    @property
    def old_stop(self) -> int:
        """Behind the last token, in the old order."""
        return self.old_start + self.length

    @property
    def new_stop(self) -> int:
        """Behind the last token, in the new text."""
        return self.new_start + self.length


def num_unmoved(runs: Sequence[KeptRun]) -> int:
    """Return how many leading tokens of a table ``runs``, in the new order, leave in place."""
    if not runs or runs[0].donor is not None or runs[0].old_start or runs[0].new_start:
        return 0
    return runs[0].length


def num_in_place(runs: Sequence[KeptRun], token_ids: Sequence[int]) -> int:
    """Return how many leading tokens stay what they are.

    Own ones do in place, and donated ones that were computed behind the same tokens.
    """
    at = num_unmoved(runs)
    for run in runs:
        donor = run.donor
        if donor is None:
            continue
        is_here = run.old_start == run.new_start == at and donor.num_exact() >= run.old_stop
        if not is_here or donor.token_ids[:at] != list(token_ids[:at]):
            break
        at = run.new_stop
    return at
