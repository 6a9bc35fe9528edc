"""The tree that is verified is the one that promises the least time per token."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from completion.speculation.costs import PassCosts
from completion.speculation.estimates import AcceptanceEstimates
from completion.speculation.source import DraftPlace, DraftSource, Proposal
from completion.speculation.tree import MAX_NUM_DRAFTS, DraftPlanner, DraftTree

HERE = DraftPlace((1, 2, 3), ())
SHARES = (0.9, 0.6, 0.3, 0.1)


class Table(DraftSource):
    """Proposes (token, grade) pairs by the output so far, and the same ones everywhere else."""

    grades = SHARES

    def __init__(
        self,
        by_output: dict[tuple[int, ...], list[tuple[int, int]]],
        otherwise: list[tuple[int, int]] | None = None,
        name: str = "table",
        cost: float = 0.0,
    ) -> None:
        self._by_output, self._otherwise = by_output, otherwise or []
        self.name, self.cost = name, cost
        self.num_asked = 0

    def propose(self, place: DraftPlace) -> list[Proposal]:
        self.num_asked += 1
        found = self._by_output.get(place.output, self._otherwise)
        return [Proposal(token_id, grade) for token_id, grade in found]


def plan(
    *sources: DraftSource,
    costs: PassCosts | None = None,
    max_depth: int = 8,
    last: frozenset[int] = frozenset(),
    num_rows: int = 1,
    num_texts: int = 1,
) -> DraftTree:
    planner = DraftPlanner(sources, AcceptanceEstimates(), costs or PassCosts())
    return planner.plan(HERE, max_depth, last.__contains__, num_rows, num_texts=num_texts)


def paths(tree: DraftTree) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for token_id, parent in zip(tree.token_ids, tree.parents, strict=True):
        found.append((*(found[parent] if parent >= 0 else ()), token_id))
    return found


def test_a_likely_chain_is_drafted_until_its_rows_do_not_pay() -> None:
    tree = plan(Table({}, [(7, 0)]))
    assert paths(tree) == [(7,) * length for length in range(1, len(tree) + 1)]
    assert tree.probabilities[2] == pytest.approx(0.9**3)
    assert len(tree) > 3


def test_nothing_is_drafted_where_nothing_pays() -> None:
    dear = PassCosts({512: {1: 1.0, 2: 2.0, 32: 32.0}})
    assert len(plan(Table({}, [(7, 3)]), costs=dear)) == 0
    assert len(plan(Table({}, [(7, 0)]), costs=dear)) == 0  # 1.9 tokens for twice the time


def test_no_source_is_asked_behind_drafts_that_cannot_pay() -> None:
    source = Table({}, [(7, 0)])
    plan(source, costs=PassCosts({512: {1: 1.0, 2: 2.0, 32: 32.0}}))
    assert source.num_asked == 1
    source = Table({}, [(7, 1)])
    tree = plan(source, costs=PassCosts({512: {1: 1.0, 2: 1.2, 32: 7.2}}))
    assert len(tree) == 2
    assert source.num_asked == 3  # here, and behind each draft


def test_behind_a_long_prompt_drafts_have_to_pay_as_well() -> None:
    costs = PassCosts({512: {1: 1.0, 2: 1.2, 64: 13.6}})  # each row a fifth
    unlikely = Table({}, [(7, 3)])
    planner = DraftPlanner([unlikely], AcceptanceEstimates(), costs)
    assert len(planner.plan(HERE, 8, lambda _: False, num_rows=30)) == 0


def test_nothing_is_drafted_behind_the_last_token_that_may_come() -> None:
    assert paths(plan(Table({}, [(7, 0)]), max_depth=2)) == [(7,), (7, 7)]
    assert len(plan(Table({}, [(7, 0)]), max_depth=0)) == 0


def test_a_token_that_ends_the_text_is_no_draft() -> None:
    tree = plan(Table({(): [(7, 0)]}, [(8, 0)]), last=frozenset({8}))
    assert paths(tree) == [(7,)]


def test_sources_that_agree_make_one_draft_that_both_are_judged_by() -> None:
    tree = plan(Table({}, [(7, 1)], "one"), Table({}, [(7, 0)], "other"))
    assert paths(tree)[0] == (7,)
    assert tree.probabilities[0] == pytest.approx(0.9)
    assert tree.proposals[-1][7] == [("one", 1), ("other", 0)]


def test_probabilities_of_one_place_never_add_up_to_more_than_one() -> None:
    tree = plan(Table({(): [(7, 0)]}, name="one"), Table({(): [(8, 0)]}, name="other"))
    assert sum(tree.probabilities) == pytest.approx(1.0)


def test_of_sources_that_disagree_the_better_one_keeps_its_word_and_the_others_get_the_rest() -> (
    None
):
    tree = plan(Table({(): [(7, 1)]}, name="one"), Table({(): [(8, 0)]}, name="other"))
    assert paths(tree)[0] == (8,)
    assert tree.probabilities == pytest.approx([0.9, 0.1])


def test_a_source_that_costs_more_than_it_brings_is_not_asked() -> None:
    dear, cheap = Table({}, [(7, 0)], "dear", cost=0.9), Table({}, [(7, 0)], "cheap", cost=0.01)
    plan(dear)
    plan(cheap)
    assert dear.num_asked == 0
    assert cheap.num_asked > 2


def test_what_was_right_is_expected_again() -> None:
    estimates = AcceptanceEstimates()
    source = Table({}, [(7, 3)])
    estimates.add(source)
    for _ in range(50):
        estimates.note({7: [("table", 3)]}, 7, was_drafted=True)
    assert estimates.probability([("table", 3)]) > 0.8
    assert estimates.hit_rate(source) > 0.9
    for _ in range(300):
        estimates.note({7: [("table", 3)]}, 8, was_drafted=False)
    assert estimates.probability([("table", 3)]) < 0.2  # newer evidence counts more
    assert estimates.hit_rate(source) < 0.2


def test_a_source_that_stopped_to_pay_is_tried_again_after_a_while() -> None:
    estimates = AcceptanceEstimates()
    source = Table({}, [(7, 0)], "exit", cost=0.2)
    planner = DraftPlanner([source], estimates, PassCosts())
    num_places = 4000
    for _ in range(num_places):
        num_asked = source.num_asked
        planner.plan(HERE, 1, lambda _: False)
        if source.num_asked > num_asked:
            estimates.note({7: [("exit", 0)]}, 8, was_drafted=False)
    assert 50 < source.num_asked < num_places / 5  # exploring must not cost what drafts save


def test_a_source_whose_right_proposals_were_too_unlikely_to_draft_saves_nothing() -> None:
    estimates = AcceptanceEstimates()
    source = Table({}, [(7, 0)], "exit", cost=0.2)
    estimates.add(source)
    for _ in range(200):
        estimates.note({7: [("exit", 0)]}, 7, was_drafted=False)
    assert estimates.hit_rate(source) < 0.1
    assert estimates.probability([("exit", 0)]) > 0.8  # and the next one is likely enough


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_other_tree_of_any_size_promises_less_time_per_token(data: st.DataObject) -> None:
    grades = st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 3)), max_size=2, unique_by=lambda p: p[0]
    )
    by_output = {
        output: data.draw(grades)
        for length in range(3)
        for output in itertools.product((1, 2, 3), repeat=length)
    }
    steps = data.draw(
        st.lists(st.floats(0.01, 0.5), min_size=MAX_NUM_DRAFTS, max_size=MAX_NUM_DRAFTS)
    )
    costs = PassCosts({512: dict(enumerate(itertools.accumulate(steps, initial=1.0), start=1))})
    num_texts = data.draw(st.integers(1, 3))
    num_rows = data.draw(st.integers(num_texts, 6))
    shared = costs.of(num_rows) - 1 / num_texts  # what the other texts pay
    tree = plan(Table(by_output), costs=costs, max_depth=3, num_rows=num_rows, num_texts=num_texts)
    everything = plan(Table(by_output), costs=PassCosts({512: {1: 1.0, 64: 1.0}}), max_depth=3)
    best = min(
        (costs.of(num_rows + size) - shared)
        / (1 + sum(sorted(everything.probabilities, reverse=True)[:size]))
        for size in range(len(everything) + 1)
    )
    chosen = (costs.of(num_rows + len(tree)) - shared) / (1 + sum(tree.probabilities))
    assert chosen == pytest.approx(best)
