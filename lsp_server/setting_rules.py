"""What can be said of any setting: its meaning, its range, and whom its choice concerns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reach(StrEnum):
    """Whom the choice of a setting concerns.

    ``document``: one request, so folders of a workspace may differ. ``project``: the model that a
    client gets. ``machine``: files, programs, the network or this user's other projects.
    """

    DOCUMENT = "document"
    PROJECT = "project"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting means and which values it may take, bounds included.

    An ``optional`` setting may be empty, which its ``meaning`` explains. What reaches the machine
    counts from a project's file only where the user trusts that file, except for ``free`` values;
    a new setting does so unless it says otherwise. Text that ``may_be_path`` is relative to where
    it is written. A ``secret`` is never shown.
    """

    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False
    reach: Reach = Reach.MACHINE
    free: frozenset[object] = frozenset()
    may_be_path: bool = False
    secret: bool = False

    def needs_trust(self, value: object) -> bool:
        """Whether a project's file may set ``value`` only if the user trusts it."""
        return self.reach is Reach.MACHINE and value not in self.free
