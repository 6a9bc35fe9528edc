"""How much of a cache is trusted after an edit: a ladder with one setting.

Loads no torch: settings, command lines and metrics name these things.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class PatchMode(StrEnum):
    """What happens to the cache behind an edit; each rung of the ladder adds to the one before.

    The last four are no rungs. They are what others do, kept for comparison on equal terms.
    """

    EXACT = "exact"  # nothing is patched: what stands behind an edit is computed again
    ROTATE = "rotate"  # keys move to their new positions, nothing else (published PIE)
    SENTINELS = "sentinels"  # + what stands directly behind an edit, and every sentinel
    WINDOW = "window"  # + a contiguous stretch behind each edit, to the end of its statement
    IDENTIFIERS = "identifiers"  # + later uses of the names in an edited stretch
    HEAL = "heal"  # + everything else, from left to right, when nothing else is to do
    FULL = "full"  # nothing is kept at all
    STALE = "stale"  # kept where it was, not rotated
    CACHE_REUSE = "cache-reuse"  # what llama.cpp does with that flag: deletions by shifting


_LADDER = (
    PatchMode.ROTATE,
    PatchMode.SENTINELS,
    PatchMode.WINDOW,
    PatchMode.IDENTIFIERS,
    PatchMode.HEAL,
)


@dataclass(frozen=True, slots=True)
class PatchPolicy:
    """A rung of the ladder and its measures, all in tokens.

    ``window`` tokens behind each edit are computed, to the end of the statement if that comes
    within twice as many. All windows of one patch share ``max_num_window``, all uses of
    identifiers ``max_num_uses``.
    """

    mode: PatchMode = PatchMode.HEAL
    window: int = 8
    max_num_window: int = 16
    max_num_uses: int = 8

    def __post_init__(self) -> None:
        if min(self.window, self.max_num_window, self.max_num_uses) < 0:
            raise ValueError("windows of a repair cannot be negative")

    def at(self, mode: PatchMode) -> PatchPolicy:
        """Return the same measures on another rung."""
        return replace(self, mode=mode)

    @property
    def patches(self) -> bool:
        """Whether anything behind an edit is kept."""
        return self.mode not in (PatchMode.EXACT, PatchMode.FULL)

    @property
    def rotates(self) -> bool:
        """Whether kept keys move to their new positions."""
        return self.mode is not PatchMode.STALE

    @property
    def heals(self) -> bool:
        """Whether idle time is spent on making the cache exact."""
        return self.mode is PatchMode.HEAL

    def includes(self, rung: PatchMode) -> bool:
        """Whether the mode is ``rung`` or stands above it."""
        return self.mode in _LADDER and _LADDER.index(self.mode) >= _LADDER.index(rung)


@dataclass(frozen=True, slots=True)
class DriftStats:
    """Comparisons of patched caches with exact ones so far: KL(exact || patched) in nats.

    ``window_factor`` is by how much repairs are widened for them.
    """

    num_probes: int = 0
    num_same_top: int = 0
    sum_kl: float = 0.0
    window_factor: int = 1


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What was computed into the caches of one model so far, in tokens of prompts.

    ``num_computed`` for requests and ahead of them, ``num_healed`` to make patched caches exact.
    ``num_used_slots`` of ``num_slots`` hold the keys and values of some text now.
    """

    num_computed: int = 0
    num_healed: int = 0
    drift: DriftStats = field(default_factory=DriftStats)
    num_slots: int = 0
    num_used_slots: int = 0
