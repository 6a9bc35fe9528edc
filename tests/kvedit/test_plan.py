"""Plans against what they promise: every token once, kept ones equal, the head in place."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvedit.plan import MIN_MOVED_RUN, NUM_SINKS, PatchPlan, plan_cache_reuse, plan_patch

TOKENS = st.lists(st.integers(0, 5) | st.integers(0, 150_000), max_size=120)
CHANGE = st.tuples(
    st.sampled_from(["insert", "delete", "replace", "move"]),
    st.integers(0, 200),
    st.integers(0, 60),
    st.lists(st.integers(0, 150_000), max_size=40),
)


def check(old: Sequence[int], new: Sequence[int], plan: PatchPlan, num_fixed: int = 0) -> None:
    covered: list[int] = []
    taken: list[int] = []
    for run in plan.kept:
        assert list(old[run.old_start : run.old_stop]) == list(new[run.new_start : run.new_stop])
        assert run.length > 0
        if run.old_start != run.new_start:
            assert min(run.old_start, run.new_start) >= num_fixed
        covered += range(run.new_start, run.new_stop)
        taken += range(run.old_start, run.old_stop)
    assert len(set(taken)) == len(taken)
    for part in plan.computed:
        assert part
        covered += part
    assert sorted(covered) == list(range(len(new))) == list(range(plan.num_tokens))
    assert [run.new_start for run in plan.kept] == sorted(run.new_start for run in plan.kept)


def changed(tokens: Sequence[int], changes: Sequence[tuple[str, int, int, list[int]]]) -> list[int]:
    result = list(tokens)
    for kind, start, length, inserted in changes:
        start = min(start, len(result))
        block = result[start : start + length]
        if kind != "insert":
            del result[start : start + length]
        if kind in ("insert", "replace"):
            result[start:start] = inserted
        if kind == "move":
            at = (start * 7) % (len(result) + 1)
            result[at:at] = block
    return result


@settings(deadline=None, max_examples=300)
@given(TOKENS, TOKENS)
def test_a_plan_covers_every_token_once(old: list[int], new: list[int]) -> None:
    check(old, new, plan_patch(old, new), NUM_SINKS)


@settings(deadline=None, max_examples=200)
@given(TOKENS, st.lists(CHANGE, max_size=5), st.integers(0, 40))
def test_edits_of_all_kinds_are_planned(
    old: list[int], changes: list[tuple[str, int, int, list[int]]], num_fixed: int
) -> None:
    new = changed(old, changes)
    check(old, new, plan_patch(old, new, num_fixed=num_fixed), num_fixed)


def distinct(length: int, first: int = 0) -> list[int]:
    tokens = list(range(first, first + length))
    random.Random(3).shuffle(tokens)
    return tokens


@pytest.mark.parametrize("length", [300, 5000])
def test_only_what_is_new_is_computed(length: int) -> None:
    old = distinct(length)
    new = [*old[:50], 900_001, 900_002, *old[50:180], *old[190:250], 900_003, *old[251:]]
    plan = plan_patch(old, new)
    check(old, new, plan)
    assert plan.num_computed == 3
    assert plan.num_same == 50


def test_a_moved_run_is_kept() -> None:
    old = distinct(4000)
    block = old[1000:1200]
    new = [*old[:1000], *old[1200:3000], *block, *old[3000:]]
    plan = plan_patch(old, new)
    check(old, new, plan)
    assert plan.num_computed == 0


def test_a_run_just_long_enough_is_found_wherever_it_went() -> None:
    old = distinct(600)
    for start in range(100, 140):
        block = old[start : start + MIN_MOVED_RUN]
        rest = [*old[:start], *old[start + MIN_MOVED_RUN :]]
        new = [*rest[:400], *block, *rest[400:]]
        plan = plan_patch(old, new)
        check(old, new, plan)
        assert plan.num_computed == 0


def test_the_head_never_moves() -> None:
    old = distinct(200)
    new = [900_001, *old]
    plan = plan_patch(old, new, num_fixed=10)
    check(old, new, plan, 10)
    assert plan.num_computed == 11  # the new token, and the head, which stood elsewhere


def test_equal_texts_cost_nothing() -> None:
    old = distinct(100)
    plan = plan_patch(old, old)
    assert (plan.num_computed, plan.num_same) == (0, 100)
    assert plan_patch([], old).num_computed == 100
    assert plan_patch(old, []).num_computed == 0


def test_more_can_be_computed_than_the_diff_asks_for() -> None:
    old = distinct(100)
    new = [*old[:20], 900_001, *old[20:]]
    plan = plan_patch(old, new).computing([21, 22, 50, 100])
    check(old, new, plan)
    assert plan.computed == (range(20, 23), range(50, 51), range(100, 101))


def test_cache_reuse_keeps_long_runs_behind_deletions_only() -> None:
    old = distinct(1000)
    deleted = [*old[:100], *old[130:]]
    plan = plan_cache_reuse(old, deleted, min_run=256)
    check(old, deleted, plan)
    assert plan.num_computed == 0
    inserted = [*old[:100], 900_001, *old[100:]]
    plan = plan_cache_reuse(old, inserted, min_run=256)
    check(old, inserted, plan)
    assert plan.num_computed == 901
    short = [*old[:100], *old[130:300]]
    assert plan_cache_reuse(old, short, min_run=256).num_computed == 170
