"""Which drafts one pass verifies: the tree that promises the least time per token.

    time per token  =  cost of a pass over 1 + n rows  /  (1 + the sum of the n nodes' probabilities)

Of a pass that takes steps of several texts, each text pays its share, and its own rows.

A node's probability is that of its whole path, so it never exceeds its parent's: taken best first,
any number of nodes is a tree, and the best one of its size (DySpec, arXiv 2410.11744). The cost of a
pass is measured on the machine, the probabilities are estimated from what was accepted before. Where
no draft pays for its row, none is taken. Sources are asked behind a draft only while a larger tree
could still be better, if all that is left were as likely as the next draft.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from completion.speculation.costs import PassCosts
from completion.speculation.estimates import AcceptanceEstimates, Evidence
from completion.speculation.source import DraftPlace, DraftSource

MAX_NUM_DRAFTS = 31  # with the token that is already certain: the largest pass that is measured
_MIN_PROBABILITY = 0.04  # of a path: below, asking the sources costs more than it can bring

Proposals = dict[int, list[Evidence]]  # by token
_Entry = tuple[float, int, int, int]  # the path's probability, order, parent, token


@dataclass(slots=True)
class DraftTree:
    """Drafts behind one place, parents first.

    ``parents`` are indices of drafts, -1 for the place itself. ``probabilities`` are those of the
    paths. ``proposals`` has all that was proposed behind a draft, key -1 for the place itself, also
    what did not become a draft, but for tokens that would end the text.
    """

    token_ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    proposals: dict[int, Proposals] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.token_ids)

    def child(self, draft: int, token_id: int) -> int | None:
        """Return the draft of ``token_id`` behind ``draft``, None if there is none."""
        for at, (parent, drafted) in enumerate(zip(self.parents, self.token_ids, strict=True)):
            if parent == draft and drafted == token_id:
                return at
        return None

    def cut(self, num_drafts: int) -> None:
        """Keep the first ``num_drafts``."""
        for column in (self.token_ids, self.parents, self.probabilities):
            del column[num_drafts:]
        self.proposals = {
            draft: found for draft, found in self.proposals.items() if draft < num_drafts
        }


class _StepTimes:
    """Time per token of a step, as its drafts are taken one by one, the likeliest first."""

    def __init__(self, costs: Sequence[float]) -> None:
        """``costs`` are those of the step, by the number of its drafts."""
        self._costs = costs
        self._size, self._num_tokens = 0, 1.0
        self.best_size, self._best = 0, costs[0]

    def add(self, probability: float) -> None:
        """Take in one more draft."""
        self._size += 1
        self._num_tokens += probability
        time = self._costs[self._size] / self._num_tokens
        if time < self._best:
            self.best_size, self._best = self._size, time

    def may_fall(self, probability: float) -> bool:
        """Whether any number of drafts more, all of this ``probability``, would be the best so far."""
        num_tokens = self._num_tokens
        for cost in self._costs[self._size + 1 :]:
            num_tokens += probability
            if cost < self._best * num_tokens:
                return True
        return False


class DraftPlanner:
    """Grows trees from the proposals of all sources. Engine thread only."""

    def __init__(
        self, sources: Sequence[DraftSource], estimates: AcceptanceEstimates, costs: PassCosts
    ) -> None:
        """Ask ``sources``; those that cost nothing first."""
        self._sources = sorted(sources, key=lambda source: source.cost)
        self._estimates, self._costs = estimates, costs
        self._order = itertools.count()  # of equals, the earlier found comes first
        self._share = 1.0  # of a pass that a text has to pay, and that a token more saves it
        for source in sources:
            estimates.add(source)

    def plan(
        self,
        place: DraftPlace,
        max_depth: int,
        is_last: Callable[[int], bool],
        num_rows: int = 1,
        num_context: int = 0,
        num_texts: int = 1,
    ) -> DraftTree:
        """Return the drafts behind ``place`` that pay for their rows.

        Args:
            place: Behind the rows that the pass computes anyway.
            max_depth: How many tokens may follow at most.
            is_last: Whether a token ends the text: nothing behind it is needed, so it is no draft.
            num_rows: How many rows the pass has without drafts.
            num_context: How many tokens stand in front of them.
            num_texts: How many texts the pass takes a step of.
        """
        self._share = 1 / num_texts
        tree = DraftTree()
        if max_depth <= 0:
            return tree
        heap: list[_Entry] = []
        places = {-1: place}
        depths = {-1: 0}
        self._expand(tree, -1, 1.0, place, heap, is_last)
        times = _StepTimes(self._step_costs(num_rows, num_context) if heap else [self._share])
        while heap and times.may_fall(-heap[0][0]):
            negative, _, parent, token_id = heapq.heappop(heap)
            draft = len(tree)
            tree.token_ids.append(token_id)
            tree.parents.append(parent)
            tree.probabilities.append(-negative)
            times.add(-negative)
            depths[draft] = depths[parent] + 1
            places[draft] = places[parent].behind(token_id)
            if depths[draft] < max_depth:
                self._expand(tree, draft, -negative, places[draft], heap, is_last)
        tree.cut(times.best_size)
        return tree

    def _step_costs(self, num_rows: int, num_context: int) -> list[float]:
        """Return what a text pays for a step, by the number of its drafts."""
        # Rows that are computed anyway cost the drafts nothing: counted as the one row of a step,
        # else a long prompt would make drafts look cheap.
        spent = self._costs.of(num_rows, num_context) - self._share
        sizes = range(num_rows, num_rows + MAX_NUM_DRAFTS + 1)
        return [self._costs.of(size, num_context) - spent for size in sizes]

    def _expand(
        self,
        tree: DraftTree,
        draft: int,
        probability: float,
        place: DraftPlace,
        heap: list[_Entry],
        is_last: Callable[[int], bool],
    ) -> None:
        proposed = self._proposals(place, probability)
        # A source that foresees the end is right and saves nothing: its drafts would seem likelier
        # than they are where the text ends.
        found = {token_id: by for token_id, by in proposed.items() if not is_last(token_id)}
        tree.proposals[draft] = found
        # Sources overlap, so what they say of one place may add up to more than is possible. The
        # best evidence keeps its word: shared out in proportion, guesses would shorten long copies.
        shares = [(self._estimates.probability(by), token_id) for token_id, by in found.items()]
        left = 1.0
        for share, token_id in sorted(shares, key=itemgetter(0), reverse=True):
            share_left = min(share, left)
            left -= share_left
            if probability * share_left >= _MIN_PROBABILITY:
                entry = (-probability * share_left, next(self._order), draft, token_id)
                heapq.heappush(heap, entry)

    def _proposals(self, place: DraftPlace, probability: float) -> Proposals:
        found: Proposals = {}
        for source in self._sources:
            if source.cost and not self._pays(source, probability, found):
                continue
            for proposal in source.propose(place):
                evidence = (source.name, proposal.grade)
                found.setdefault(proposal.token_id, []).append(evidence)
        return found

    def _pays(self, source: DraftSource, probability: float, found: Proposals) -> bool:
        """Whether asking ``source`` promises more tokens than the same time spent on passes."""
        known = max(map(self._estimates.probability, found.values()), default=0.0)
        gain = self._share * probability * (self._estimates.hit_rate(source) - known)
        pays = gain > source.cost + self._costs.of(2) - self._costs.of(1)
        if not pays:
            self._estimates.note_unasked(source)
        return pays
