r"""The cache of one prompt moves along a continuation of it; one pass may take several steps.

    chosen t        pass over t and the drafts behind it         then u, v are chosen: no pass
    ... a b | t     ... a b | t - u - v                          ... a b t u v
                              \- w

Whoever decodes chooses each token from the logits behind the tokens before it, whether those took a
pass of their own or were drafted. So drafts cannot change a text, neither a greedy one nor one that
is drawn: a token is drawn from the model's own distribution, and is accepted if it is among the
drafts. For drafts that are not drawn themselves that is what rejection sampling without replacement
(Jeon et al., arXiv 2402.14160) comes down to, sibling by sibling, with the same rate of acceptance;
and with a seed the draws are those of decoding without drafts.

Continuations that branch off are forks: each has a table of its own, and one pass takes steps of all.

Only those who ask for it get an early exit that is not verified: where the first layers are sure, the
next token is chosen from what they say, and the rows of such tokens wait for the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from completion.decoding import Branch
from completion.differences import num_common
from completion.scheduler import Checkpoint
from completion.speculation.drafter import RequestDrafter
from completion.speculation.early_exit import EarlyExit
from completion.speculation.tree import DraftTree
from kvedit.patch import TokenRows
from models.decoder import Decoder
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.token_batch import PASS_SIZES, TokenBatch, join

# From an output, and the state of which its first uncomputed token was chosen, to logits or None.
EarlyChoice = Callable[[Sequence[int], Tensor | None], Tensor | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Prompt:
    """A prompt's length, and what the pass over its last row has shown: a row of states, logits."""

    num_tokens: int
    states: Tensor
    logits: Tensor


class DecodingSteps:
    """Logits behind one continuation of a prompt. Engine thread only.

    The rows of a pass stay staged until the next one: only then is it known which of them belong to
    the text. ``settle`` makes those tokens of the table.
    """

    def __init__(
        self,
        decoder: Decoder,
        pool: SlotPool,
        table: SlotTable,
        checkpoint: Checkpoint,
        drafter: RequestDrafter | None = None,
        early: EarlyChoice | None = None,
    ) -> None:
        """Continue ``table``; without a ``drafter`` every step takes a pass.

        ``early`` says what follows an output without a pass, if it is sure.
        """
        self._decoder, self._pool, self._table = decoder, pool, table
        self._checkpoint, self._drafter, self._early = checkpoint, drafter, early
        self._prompt = _Prompt(len(table), torch.empty(0), torch.empty(0))
        self.output: list[int] = []  # all tokens of the text
        self._waiting: list[int] = []  # the last tokens of the output that no pass has computed
        self._befores: Sequence[int] | None = None  # where they belong, None for the end
        self._num_certain = 0  # rows of the staged pass that belong to the text in any case
        self._tree = self._planned = DraftTree()
        self._state: Tensor | None = None  # from which the first waiting token was chosen
        self._path: list[int] = []  # drafts of the tree that were chosen since
        self._states = torch.empty(0)  # behind the last certain row, then behind each draft
        self._logits = torch.empty(0)  # of the same
        self.origins: list[str | None] = []  # whose draft each token of the text was

    @property
    def num_waiting(self) -> int:
        """How many tokens of the text wait for a pass."""
        return len(self._waiting)

    @property
    def prompt_logits(self) -> Tensor:
        """Behind the prompt, [vocab_size], once it has started."""
        return self._prompt.logits

    @property
    def num_free(self) -> int:
        """How many more tokens the table and its forks have room for."""
        return self._table.num_free

    def start(self, rows: TokenRows) -> Tensor:
        """Compute what the prompt lacks, its last token at least; return the logits behind it."""
        num_tokens = len(self._table) + len(rows)
        self._waiting, self._befores = list(rows.token_ids), rows.befores
        logits = run_pass(self._decoder, self._pool, [self], self._checkpoint)[0]
        self._prompt = _Prompt(num_tokens, self._states, logits)
        return logits

    def offer(self, token_id: int, *, may_exit: bool = False) -> Tensor | None:
        """Append one token; return the logits behind it, [vocab_size], None if that takes a pass.

        With ``may_exit`` they may be those of the first layers, if there is an early exit.
        """
        self.output.append(token_id)
        origin = EarlyExit.name if self._waiting else None
        if not self._waiting:
            at = self._path[-1] if self._path else -1
            self._state = self._states[1 + at]
            draft = self._tree.child(at, token_id)
            if self._drafter is not None:
                was_drafted = draft is not None
                origin = self._drafter.note_choice(
                    self._tree, at, token_id, was_drafted=was_drafted
                )
            if draft is not None:
                self.origins.append(origin)
                self._path.append(draft)
                return self._logits[1 + draft]
            self.settle()
        self.origins.append(origin)
        self._waiting.append(token_id)
        return self._early(self.output, self._state) if may_exit and self._early else None

    def stage(self, num_beside: int = 0, num_texts: int = 1) -> TokenBatch:
        """Return the rows that wait, and drafts behind them.

        Args:
            num_beside: How many other rows the pass has.
            num_texts: Of how many texts.
        """
        num_certain = len(self._waiting)
        self._planned = tree = self._plan(num_certain + num_beside, num_texts)
        rows, parents = [*self._waiting, *tree.token_ids], None
        if len(tree):  # certain rows are a chain, and the drafts hang on its end
            parents = [*range(-1, num_certain - 1), *(num_certain + at for at in tree.parents)]
        befores = self._befores
        if befores is not None:
            befores = [*befores, *[len(self._table)] * len(tree)]
        return self._table.stage(rows, parents=parents, befores=befores)

    def take(self, states: Tensor, logits: Tensor) -> Tensor:
        """Take in what a pass over the staged rows has shown; return the logits behind the text.

        Args:
            states: Behind the last certain row and the drafts, [1 + num_drafts, hidden_size].
            logits: Of the same, [1 + num_drafts, vocab_size].
        """
        rows, self._waiting, self._befores = self._waiting, [], None
        self._num_certain, self._tree = len(rows), self._planned
        self._states, self._logits = states, logits
        if self._drafter is not None:
            text = [*self._table.token_ids[-1:], *rows]
            self._drafter.learn(text[-2:], self._tree, logits)
        return logits[0]

    def settle(self) -> None:
        """Make the staged rows that were chosen tokens of the table; free the others."""
        if self._num_certain:
            drafts = [self._num_certain + draft for draft in self._path]
            self._table.commit([*range(self._num_certain), *drafts])
        self._num_certain, self._path, self._tree = 0, [], DraftTree()

    def fork(self, branch: Branch) -> DecodingSteps:
        """Return the steps of another continuation, which begins with ``branch``.

        It shares what this one's table holds of it. This one waits for a pass, or has ended; whoever
        has the fork closes it. It has no early exit.
        """
        self.settle()
        token_ids = list(branch.token_ids)
        num_prompt = self._prompt.num_tokens
        num_kept = num_common(self._table.token_ids[num_prompt:], token_ids[:-1])
        table = self._table.fork(num_prompt + num_kept)
        drafter = None if self._drafter is None else self._drafter.beside(table)
        if drafter is not None and token_ids:  # where one token differs, the rest often stays
            drafter.expect([*token_ids, *self.output[len(token_ids) :]])
        forked = DecodingSteps(self._decoder, self._pool, table, self._checkpoint, drafter)
        forked._go_on_from(self._prompt, token_ids, num_kept)
        return forked

    def rewind(self) -> None:
        """Drop the continuation from the table, so that forks have its room."""
        self.settle()
        self._table.truncate(self._prompt.num_tokens)

    def close(self) -> None:
        """Give back the slots of a fork."""
        self._table.close()

    def _go_on_from(self, prompt: _Prompt, output: list[int], num_cached: int) -> None:
        """Stand behind ``output``, of which the table has the first ``num_cached`` tokens."""
        self._prompt, self._states = prompt, prompt.states
        self.output, self._waiting = output, output[num_cached:]
        self.origins = [None] * len(output)

    def _plan(self, num_rows: int, num_texts: int) -> DraftTree:
        if self._drafter is None:
            return DraftTree()
        tree = self._drafter.plan(self.output, self._state, num_rows, num_texts)
        tree.cut(max(0, self._table.num_free - len(self._waiting)))
        return tree


def run_pass(
    decoder: Decoder, pool: SlotPool, texts: Sequence[DecodingSteps], checkpoint: Checkpoint
) -> list[Tensor]:
    """Compute the tokens of ``texts`` that wait; return the logits behind each text, [vocab_size].

    One pass over all: the weights are read once, and what the texts have in common is, too.
    """
    num_rows = sum(text.num_waiting for text in texts)
    batches: list[TokenBatch] = []
    read: list[tuple[int, int]] = []  # rows of each text whose logits are wanted
    first = 0
    for text in texts:
        batch = text.stage(num_rows - text.num_waiting, len(texts))
        read.append((first + text.num_waiting - 1, first + batch.num_rows))
        first += batch.num_rows
        num_rows += batch.num_rows - text.num_waiting
        batches.append(batch)
    hidden = decoder.forward(
        join(batches, _pass_size(decoder, num_rows)), pool, checkpoint=checkpoint
    )
    states = torch.cat([hidden[start:stop] for start, stop in read])
    sizes = [stop - start for start, stop in read]
    logits = torch.split(decoder.logits(states), sizes)
    parts = zip(torch.split(states, sizes), logits, strict=True)
    return [text.take(*part) for text, part in zip(texts, parts, strict=True)]


def _pass_size(decoder: Decoder, num_rows: int) -> int | None:
    """Return to how many rows a pass is filled up, where passes of a few sizes are recorded."""
    if decoder.device.type != "cuda":
        return None
    return next((size for size in PASS_SIZES if size >= num_rows), None)
