r"""The cache of one prompt moves along its continuations; one pass may take several steps.

    chosen t        pass over t and the drafts behind it         then u, v are chosen: no pass
    ... a b | t     ... a b | t - u - v                          ... a b t u v
                              \- w

Whoever decodes chooses each token from the logits behind the tokens before it, whether those took a
pass of their own or were drafted. So drafts cannot change a text, neither a greedy one nor one that
is drawn: a token is drawn from the model's own distribution, and is accepted if it is among the
drafts. For drafts that are not drawn themselves that is what rejection sampling without replacement
(Jeon et al., arXiv 2402.14160) comes down to, sibling by sibling, with the same rate of acceptance;
and with a seed the draws are those of decoding without drafts.

Only those who ask for it get an early exit that is not verified: where the first layers are sure, the
next token is chosen from what they say, and the rows of such tokens wait for the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from models.token_batch import PASS_SIZES, TokenBatch

# From an output, and the state of which its first uncomputed token was chosen, to logits or None.
EarlyChoice = Callable[[Sequence[int], Tensor | None], Tensor | None]


class DecodingSteps:
    """Logits behind any continuation of a prompt. Engine thread only.

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
        self._num_prompt_tokens = len(table)
        self._output: list[int] = []
        self._waiting: list[int] = []  # the last tokens of the output that no pass has computed
        self._num_certain = 0  # rows of the staged pass that belong to the text in any case
        self._tree = DraftTree()
        self._state: Tensor | None = None  # from which the first waiting token was chosen
        self._path: list[int] = []  # its drafts that were chosen since
        self._states = torch.empty(0)  # behind the last certain row, then behind each draft
        self._logits = torch.empty(0)  # of the same
        self._prompt_states = self._prompt_logits = torch.empty(0)
        self.num_passes = 0
        self.origins: list[str | None] = []  # whose draft each token of the text was

    def start(self, rows: TokenRows) -> Tensor:
        """Compute what the prompt lacks, its last token at least; return the logits behind it."""
        self._num_prompt_tokens = len(self._table) + len(rows)
        self._prompt_logits = self._run(rows.token_ids, rows.befores)
        self._prompt_states = self._states
        return self._prompt_logits

    def go_to(self, branch: Branch) -> Tensor:
        """Return the logits behind the prompt and ``branch``, [vocab_size]."""
        self.origins = [None] * len(branch.token_ids)
        if not branch.token_ids and not self._output:
            return self._prompt_logits
        self.settle()
        self._state, self._waiting = None, []
        last, self._output = self._output, list(branch.token_ids)
        if not branch.token_ids:
            self._table.truncate(self._num_prompt_tokens)
            self._states = self._prompt_states
            return self._prompt_logits
        if self._drafter is not None:  # where one token differs, the rest often stays
            self._drafter.expect([*branch.token_ids, *last[len(branch.token_ids) :]])
        cached = self._table.token_ids[self._num_prompt_tokens :]
        num_kept = num_common(cached, self._output[:-1])
        self._table.truncate(self._num_prompt_tokens + num_kept)
        return self._run(self._output[num_kept:])

    def append(self, token_id: int, *, may_exit: bool = False) -> Tensor:
        """Append one token and return the logits behind it, [vocab_size].

        With ``may_exit`` they may be those of the first layers, if there is an early exit.
        """
        self._output.append(token_id)
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
        logits = self._early(self._output, self._state) if may_exit and self._early else None
        if logits is not None:
            return logits
        rows, self._waiting = self._waiting, []
        return self._run(rows)

    def settle(self) -> None:
        """Make the staged rows that were chosen tokens of the table; free the others."""
        if self._num_certain:
            drafts = [self._num_certain + draft for draft in self._path]
            self._table.commit([*range(self._num_certain), *drafts])
        self._num_certain, self._path, self._tree = 0, [], DraftTree()

    def _run(self, token_ids: Sequence[int], befores: Sequence[int] | None = None) -> Tensor:
        """Compute ``token_ids`` and drafts behind them; return the logits behind the last of them.

        ``befores`` are where they belong into the table, None behind all of its tokens.
        """
        tree = self._plan(len(token_ids))
        batch = self._stage(token_ids, befores, tree)
        hidden = self._decoder.forward(batch, self._pool, checkpoint=self._checkpoint)
        self._num_certain, self._tree = len(token_ids), tree
        self.num_passes += 1
        self._states = hidden[len(token_ids) - 1 : batch.num_rows]
        self._logits = self._decoder.logits(self._states)
        if self._drafter is not None:
            text = [*self._table.token_ids[-1:], *token_ids]
            self._drafter.learn(text[-2:], tree, self._logits)
        return self._logits[0]

    def _plan(self, num_certain: int) -> DraftTree:
        if self._drafter is None:
            return DraftTree()
        tree = self._drafter.plan(self._output, num_certain, self._state)
        tree.cut(max(0, self._table.num_free - num_certain))
        return tree

    def _stage(
        self, token_ids: Sequence[int], befores: Sequence[int] | None, tree: DraftTree
    ) -> TokenBatch:
        num_certain, num_rows = len(token_ids), len(token_ids) + len(tree)
        rows, parents = [*token_ids, *tree.token_ids], None
        if len(tree):  # certain rows are a chain, and the drafts hang on its end
            parents = [*range(-1, num_certain - 1), *(num_certain + at for at in tree.parents)]
        if befores is not None:
            befores = [*befores, *[len(self._table)] * len(tree)]
        pad_to = self._pass_size(num_rows)
        return self._table.stage(rows, parents=parents, befores=befores, pad_to=pad_to)

    def _pass_size(self, num_rows: int) -> int | None:
        """Return to how many rows a pass is filled up, where passes of a few sizes are recorded."""
        if self._decoder.device.type != "cuda":
            return None
        return next((size for size in PASS_SIZES if size >= num_rows), None)
