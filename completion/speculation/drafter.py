"""All that one model drafts with: sources that last, sources of one request, and what they learn.

prompt ──▶ sources of the request: forced text, earlier suggestions, text to copy from
           sources that last: successors of tokens, other networks
              └─▶ planner ──▶ tree ──▶ one pass ──▶ which drafts were right ──▶ estimates, sources
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from completion.speculation.copied import CopiedText
from completion.speculation.costs import PassCosts
from completion.speculation.early_exit import EarlyExit
from completion.speculation.estimates import AcceptanceEstimates
from completion.speculation.expected import FORCED, OLDER, SUGGESTED, ExpectedText
from completion.speculation.lasting import LastingSources
from completion.speculation.source import (
    MAX_NUM_TAIL_TOKENS,
    DraftCache,
    DraftPlace,
    DraftSource,
    VerifiedPass,
)
from completion.speculation.tree import DraftPlanner, DraftTree
from models.likeliest import likeliest
from models.slots import SlotTable

_NUM_LIKELIEST = 8  # tokens behind each row that sources learn from


@dataclass(frozen=True, slots=True)
class DraftMaterial:
    """What a request has to draft from, in tokens.

    ``forced`` is what the output must begin with. ``suggested`` are outputs that were expected at
    this place before, the newest first; they begin with what is forced. ``copied`` are texts of
    which parts may come again, the most relevant first, beside the prompt itself. ``workspace`` is
    the folder whose texts have been learnt from.
    """

    forced: Sequence[int] = ()
    suggested: Sequence[Sequence[int]] = ()
    copied: Sequence[Sequence[int]] = ()
    workspace: str = ""


@dataclass(frozen=True, slots=True)
class DraftLimits:
    """Where a text ends: at ``is_last`` tokens, and behind ``max_num_tokens``."""

    is_last: Callable[[int], bool]
    max_num_tokens: int


@dataclass(slots=True)
class DraftCounts:
    """Drafts verified and accepted so far; ``by_source`` has the accepted ones of each source."""

    num_drafted: int = 0
    num_accepted: int = 0
    by_source: dict[str, int] = field(default_factory=dict)


class Drafter:
    """Drafts for every request of one model. Engine thread only."""

    def __init__(self, costs: PassCosts, lasting: LastingSources) -> None:
        """Draft with the ``lasting`` sources, and those of each request that they enable."""
        self._costs, self.lasting = costs, lasting
        self._estimates = AcceptanceEstimates()
        self.early_exit: EarlyExit | None = None  # there once it is loaded

    def begin(
        self, cache: DraftCache, material: DraftMaterial, limits: DraftLimits
    ) -> RequestDrafter:
        """Return what drafts behind the prompt of ``cache``."""
        outputs = [(material.forced, FORCED)] if material.forced else []
        for rank, suggested in enumerate(material.suggested):
            outputs.append((suggested, OLDER if rank else SUGGESTED))
        expected = ExpectedText(outputs)
        own = [expected, CopiedText([*material.copied, cache.prompt_ids])]
        lasting = self.lasting
        enabled = [each for each in own if lasting.is_enabled(each.name)]
        sources = [*enabled, *lasting.of(material.workspace)]
        planner = DraftPlanner(sources, self._estimates, self._costs)
        return RequestDrafter(planner, sources, expected, self._estimates, cache, limits)


class RequestDrafter:
    """Drafts of one request. Engine thread only."""

    def __init__(
        self,
        planner: DraftPlanner,
        sources: Sequence[DraftSource],
        expected: ExpectedText,
        estimates: AcceptanceEstimates,
        cache: DraftCache,
        limits: DraftLimits,
        counts: DraftCounts | None = None,
    ) -> None:
        self._planner, self._sources, self._estimates = planner, sources, estimates
        self._expected = expected
        self._tail = tuple(cache.prompt_ids[-MAX_NUM_TAIL_TOKENS:])
        self._cache = cache
        self._limits = limits
        self.counts = DraftCounts() if counts is None else counts

    def plan(
        self, output: Sequence[int], state: Tensor | None, num_rows: int, num_texts: int = 1
    ) -> DraftTree:
        """Return what to verify behind ``output``.

        Args:
            output: What follows the prompt.
            state: From which its last token was chosen, None if unknown.
            num_rows: How many rows the pass has anyway.
            num_texts: How many texts it takes a step of.
        """
        self._cache.state = state
        for source in self._sources:  # other requests may have run since the last pass
            source.attach(self._cache)
        tail = (*self._tail, *output)[-MAX_NUM_TAIL_TOKENS:]
        left = self._limits.max_num_tokens - len(output) - 1
        place = DraftPlace(tuple(tail), tuple(output))
        num_context = len(self._cache.prompt_ids) + len(output)
        is_last = self._limits.is_last
        tree = self._planner.plan(place, left, is_last, num_rows, num_context, num_texts)
        self.counts.num_drafted += len(tree)
        return tree

    def beside(self, table: SlotTable) -> RequestDrafter:
        """Return what drafts for another text of the request, which is computed into ``table``."""
        cache = DraftCache(table, self._cache.prompt_ids)
        return RequestDrafter(
            self._planner,
            self._sources,
            self._expected,
            self._estimates,
            cache,
            self._limits,
            self.counts,
        )

    def expect(self, output: Sequence[int]) -> None:
        """Draft with ``output`` as well, while the text follows it."""
        self._expected.add(output)

    def note_choice(
        self, tree: DraftTree, draft: int, token_id: int, *, was_drafted: bool
    ) -> str | None:
        """Take in that ``token_id`` was chosen behind ``draft`` of ``tree``, -1 for its place.

        Returns the first source that drafted it, None if it was not drafted.
        """
        proposals = tree.proposals.get(draft, {})
        self._estimates.note(proposals, token_id, was_drafted=was_drafted)
        self.counts.num_accepted += was_drafted
        if not was_drafted or token_id not in proposals:
            return None
        name = proposals[token_id][0][0]
        self.counts.by_source[name] = self.counts.by_source.get(name, 0) + 1
        return name

    def learn(self, text: Sequence[int], tree: DraftTree, logits: Tensor) -> None:
        """Take in the ``logits`` of a pass, [1 + num_drafts, vocab_size].

        They stand behind ``text``, of which the last two tokens will do, and behind each draft.
        """
        sources = [source for source in self._sources if source.learns]
        if not sources:
            return
        token_ids = [text[-1], *tree.token_ids]
        contexts = [
            text[-2] if len(text) > 1 else None,
            *(token_ids[at + 1] for at in tree.parents),
        ]
        found = likeliest(logits, _NUM_LIKELIEST)[1].cpu().numpy()
        verified = VerifiedPass(token_ids, contexts, found)
        for source in sources:
            source.learn(verified)
