from __future__ import annotations

import math

import torch

from kvedit.drift import NUM_RECENT, Drift, DriftMonitor, compare
from kvedit.policy import PatchPolicy


def test_equal_logits_do_not_drift() -> None:
    logits = torch.randn(100)
    assert (
        compare(logits, logits + 3.0) == Drift(0.0, True) or compare(logits, logits + 3.0).kl < 1e-6
    )


def test_divergence_is_that_of_the_distributions() -> None:
    exact = torch.tensor([0.5, 0.5]).log()
    patched = torch.tensor([0.25, 0.75]).log()
    found = compare(exact, patched)
    assert math.isclose(found.kl, 0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs_tol=1e-6)
    assert not compare(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 2.0])).is_same_top


def feed(monitor: DriftMonitor, num_same: int, num_other: int) -> None:
    for is_same in [True] * num_same + [False] * num_other:
        monitor.record(Drift(0.1, is_same))


def test_windows_widen_while_answers_differ_and_shrink_again() -> None:
    monitor, policy = DriftMonitor(), PatchPolicy(window=10, max_num_window=30)
    assert monitor.tightened(policy) == policy
    feed(monitor, 4, 4)
    assert monitor.tightened(policy).window == 20
    feed(monitor, 0, 8)
    assert monitor.tightened(policy).max_num_window == 120
    feed(monitor, 0, 50)
    assert monitor.stats.window_factor == 4  # no further
    feed(monitor, 2 * NUM_RECENT, 0)
    feed(monitor, 2 * NUM_RECENT, 0)
    assert monitor.tightened(policy) == policy


def test_a_few_comparisons_decide_nothing() -> None:
    monitor = DriftMonitor()
    feed(monitor, 0, 7)
    assert monitor.stats.window_factor == 1
    assert (monitor.stats.num_probes, monitor.stats.num_same_top) == (7, 0)
    assert math.isclose(monitor.stats.sum_kl, 0.7)
