"""Trains what drafts by early exit: `train_exit` makes the file that ``models.exit_head`` reads.

files ─▶ windows ─▶ states of all layers, in shards ─▶ targets ─▶ training ─▶ file
                          (most of the time)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from completion.training.corpus import training_files
from completion.training.exit_network import ExitNetwork, ExitTargets, LinearStart, exit_loss
from completion.training.fim_windows import FimWindows
from completion.training.hidden_states import WINDOW, HiddenStates, load_shard
from models.exit_head import EXIT, ExitWeights, normalised, output_rows
from models.loader import LoadedModel
from models.progress import Progress, ProgressCallback
from models.tokenizer import Tokenizer
from models.trained import trained_path, write_trained

_NUM_TARGETS = 8  # likeliest tokens of the full network that a row aims at
_NUM_BLOCK_ROWS = 512
_NUM_START_ROWS = 40_000  # that the linear map is found from
_KNOWN_SHARE = 0.5  # of rows that are given the final state of the row before


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """How an exit head is trained.

    Behind 2 and 4 layers, heads were right on held-out files in 26 and 28 % of rows, or in 39 and
    39 % where they were told the state of the row before. Two more layers cost 6 % of a pass.
    """

    layer: int = 2
    num_tokens: int = 16_384  # of the cut vocabulary
    inner_size: int = 768
    num_shards: int = 24  # of 8,000 tokens each
    num_counted_files: int = 300
    num_epochs: int = 5
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.02


def frequent_token_ids(tokenizer: Tokenizer, files: Sequence[Path], num_tokens: int) -> Tensor:
    """Return the most frequent tokens of ``files``, the commonest first; no control tokens.

    Where too few occur, those follow that the vocabulary learnt earliest, which are the commonest
    of the text that it was made from.
    """
    counts: Counter[int] = Counter()
    for path in files:
        counts.update(tokenizer.encode(path.read_text(encoding="utf-8", errors="replace")))
    ranked = sorted(range(tokenizer.vocab_size), key=lambda token_id: -counts[token_id])
    plain = (token_id for token_id in ranked if tokenizer.token_bytes(token_id))
    return torch.tensor([token_id for token_id, _ in zip(plain, range(num_tokens), strict=False)])


def train_exit(
    model: LoadedModel,
    folder: Path,
    progress: ProgressCallback,
    seed: int = 0,
    plan: ExitPlan | None = None,
) -> Path:
    """Train the exit head of ``model`` on this machine's code and return its file in ``folder``.

    Takes five minutes on two idle CPU cores. What is interrupted goes on from the last shard that
    ``folder`` holds; the same seed, files and plan give the same shards.
    """
    plan = plan or ExitPlan()
    files = training_files(seed)
    counted = files[: plan.num_counted_files]
    token_ids = frequent_token_ids(model.tokenizer, counted, plan.num_tokens)
    shards = HiddenStates(
        model,
        FimWindows(model.tokenizer, files, WINDOW, seed),
        folder / f"states-{seed}",
        (plan.layer,),
    ).collect("computing states", plan.num_shards, progress, with_likeliest=False)
    rows = output_rows(model.decoder, token_ids).to(torch.bfloat16)
    examples = ExitExamples(shards, plan.layer, rows)
    network = fit(examples, rows, plan, progress, seed)
    weights = ExitWeights.encode(plan.layer, token_ids, network.weights())
    path = trained_path(folder, model.fingerprint, EXIT)
    write_trained(path, EXIT, model.fingerprint, weights.to_file())
    return path


class ExitExamples:
    """All rows of some shards, in memory: 4 bytes per number of a state.

    ``hidden`` are states behind the exit layer, ``before`` normalised final states of the rows before
    them (of another window at the start of one: one row in 500), ``final`` those of the rows.
    """

    def __init__(self, shards: Sequence[Path], layer: int, output_rows: Tensor) -> None:
        """Read ``shards``, and compute what the full network says there."""
        hidden, final, columns, shares = [], [], [], []
        for path in shards:
            shard = load_shard(path)
            hidden.append(shard[f"exit.{layer}"])
            final.append(normalised(shard["final"].float()).half())
            for block in torch.split(final[-1], _NUM_BLOCK_ROWS):
                logits = block.to(output_rows.dtype) @ output_rows.t()
                found = torch.softmax(logits.float(), -1).topk(_NUM_TARGETS)
                columns.append(found.indices)
                shares.append(found.values / found.values.sum(-1, keepdim=True))
        self.hidden, self.final = torch.cat(hidden), torch.cat(final)
        self.before = self.final.roll(1, 0)
        self.targets = ExitTargets(torch.cat(columns), torch.cat(shares))

    def __len__(self) -> int:
        return len(self.hidden)

    def inputs(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return ``hidden`` and ``before`` of some rows, the latter forgotten for half of them."""
        is_known = torch.rand(len(rows), 1, generator=generator) < _KNOWN_SHARE
        return self.hidden[rows].float(), self.before[rows].float() * is_known

    def linear_start(self, generator: torch.Generator) -> LinearStart:
        """Return the linear map that a network begins with."""
        rows = torch.randperm(len(self), generator=generator)[:_NUM_START_ROWS]
        hidden, before = self.inputs(rows, generator)
        inputs = torch.cat([normalised(hidden), before], dim=-1)
        return LinearStart.solve(inputs, self.final[rows].float())


def fit(
    examples: ExitExamples,
    output_rows: Tensor,
    plan: ExitPlan,
    progress: ProgressCallback,
    seed: int,
    seen: Callable[[float], None] = lambda _: None,
) -> ExitNetwork:
    """Return a network trained on ``examples``; ``seen`` is told the loss of each batch."""
    generator = torch.Generator().manual_seed(seed)
    network = ExitNetwork(examples.linear_start(generator), plan.inner_size, generator)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    num_batches = plan.num_epochs * math.ceil(len(examples) / plan.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.learning_rate, total_steps=num_batches + 1, pct_start=0.1
    )
    for done, batch in enumerate(_batches(len(examples), plan, generator)):
        progress(Progress("training", done, num_batches, "batches"))
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast
            states = network(*examples.inputs(batch, generator))
        loss = exit_loss(states, output_rows, examples.targets.of(batch))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        seen(loss.item())
    progress(Progress("training", num_batches, num_batches, "batches"))
    return network


def _batches(num_rows: int, plan: ExitPlan, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(plan.num_epochs):
        order = torch.randperm(num_rows, generator=generator)
        yield from torch.split(order, plan.batch_size)
