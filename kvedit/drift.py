"""How far patched caches are from exact ones, as measured on what was really asked.

Healing makes a cache exact anyway. Where a prompt was answered before that, its logits are kept, and
compared with those of the healed cache: a sample of the true error that costs one row.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kvedit.policy import DriftStats, PatchPolicy

NUM_RECENT = 32  # comparisons that decide
_MIN_DECIDING = 8
_LOW, _HIGH = 0.9, 0.98  # agreement below which windows grow, and from which they may shrink
_MAX_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Drift:
    """One comparison: KL(exact || patched) in nats, and whether the likeliest token is the same."""

    kl: float
    is_same_top: bool


def compare(exact: Tensor, patched: Tensor) -> Drift:
    """Return how far ``patched`` logits are from ``exact`` ones, each [vocab_size]."""
    wanted, actual = exact.float().log_softmax(-1), patched.float().log_softmax(-1)
    kl = torch.sum(wanted.exp() * (wanted - actual)).item()
    return Drift(max(0.0, kl), bool(wanted.argmax() == actual.argmax()))


class DriftMonitor:
    """Counts comparisons, and widens repairs while they come out badly. One thread."""

    def __init__(self) -> None:
        self._recent: deque[Drift] = deque(maxlen=NUM_RECENT)
        self._stats = DriftStats()

    @property
    def stats(self) -> DriftStats:
        """What was seen so far; safe to read from any thread."""
        return self._stats

    def record(self, drift: Drift) -> None:
        """Take in one comparison."""
        self._recent.append(drift)
        old = self._stats
        self._stats = DriftStats(
            num_probes=old.num_probes + 1,
            num_same_top=old.num_same_top + drift.is_same_top,
            sum_kl=old.sum_kl + drift.kl,
            window_factor=self._factor(old.window_factor),
        )

    def tightened(self, policy: PatchPolicy) -> PatchPolicy:
        """Return ``policy`` with windows as wide as recent comparisons ask for."""
        factor = self._stats.window_factor
        if factor == 1:
            return policy
        return replace(
            policy, window=policy.window * factor, max_num_window=policy.max_num_window * factor
        )

    def _factor(self, factor: int) -> int:
        if len(self._recent) < _MIN_DECIDING:
            return factor
        share = sum(drift.is_same_top for drift in self._recent) / len(self._recent)
        changed = factor
        if share < _LOW:
            changed = min(factor * 2, _MAX_FACTOR)
        elif share >= _HIGH and len(self._recent) == NUM_RECENT:
            changed = max(factor // 2, 1)
        if changed != factor:
            self._recent.clear()  # what the other width did says nothing about this one
        return changed
