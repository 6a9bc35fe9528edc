"""Runs taken from other tables: text that was computed elsewhere, and would be computed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kvedit.plan import MIN_MOVED_RUN, NUM_SINKS, PatchPlan, find_runs
from models.runs import Donor, KeptRun


def donated(plan: PatchPlan, donor: Donor, new_ids: Sequence[int]) -> PatchPlan:
    """Return ``plan`` with runs of ``donor`` in place of long stretches that it would compute.

    Args:
        plan: What the table itself can keep.
        donor: Where else to look; its first tokens, which are sinks there, are not taken.
        new_ids: The text that the plan leads to.
    """
    for part in plan.computed:
        if len(part) < MIN_MOVED_RUN:
            continue
        for run in find_runs(donor.token_ids, new_ids[part.start : part.stop]):
            skipped = max(0, NUM_SINKS - run.old_start)
            if run.length - skipped >= MIN_MOVED_RUN:
                start, length = part.start + run.new_start + skipped, run.length - skipped
                plan = with_run(plan, KeptRun(run.old_start + skipped, start, length, donor))
    return plan


def with_run(plan: PatchPlan, run: KeptRun) -> PatchPlan:
    """Return ``plan`` with ``run`` in place of whatever it had there."""
    there = range(run.new_start, run.new_stop)
    without = plan.computing(there)
    kept = sorted([*without.kept, run], key=lambda kept: kept.new_start)
    computed = {at for part in without.computed for at in part} - set(there)
    return replace(plan, kept=tuple(kept), computed=()).computing(computed)


def num_computed_in(plan: PatchPlan, part: range) -> int:
    """Return how many tokens of ``part`` the plan computes."""
    return sum(
        max(0, min(other.stop, part.stop) - max(other.start, part.start)) for other in plan.computed
    )
