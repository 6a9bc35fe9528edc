"""How good a trained exit head is, on files of packages that it has not learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from completion.training.corpus import held_out_files
from completion.training.fim_windows import FimWindows
from completion.training.hidden_states import WINDOW, HiddenStates, load_shard
from models.exit_head import EXIT, ExitHead, ExitWeights, normalised
from models.loader import LoadedModel
from models.progress import ProgressCallback
from models.trained import read_trained

_NUM_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class ExitQuality:
    """Shares of rows where a head says what the full network says.

    ``first`` is for its likeliest token, ``first_two`` for one of two; ``told`` is ``first`` where
    the head is told the final state of the row before. ``covered`` rows have a token that the cut
    vocabulary has.
    """

    num_rows: int
    first: float
    first_two: float
    told: float
    covered: float


def judge_exit(
    model: LoadedModel,
    path: Path,
    folder: Path,
    progress: ProgressCallback,
    seed: int = 0,
    num_shards: int = 2,
) -> ExitQuality:
    """Return how good the exit head in the file ``path`` is; states are kept in ``folder``.

    Raises:
        ModelError: The file is damaged or another model's.
    """
    weights = ExitWeights.from_file(read_trained(path, EXIT, model.fingerprint))
    head = ExitHead(model.decoder, weights)
    windows = FimWindows(model.tokenizer, held_out_files(seed), WINDOW, seed)
    states = HiddenStates(model, windows, folder / f"held-out-{seed}", (head.layer,))
    shards = states.collect("computing states", num_shards, progress, with_likeliest=True)
    return judge_shards(head, shards)


def judge_shards(head: ExitHead, shards: list[Path]) -> ExitQuality:
    """Return how good ``head`` is on ``shards`` that hold the ``likeliest`` tokens."""
    token_ids = head.vocabulary
    num_rows, first, first_two, told, covered = 0, 0, 0, 0, 0
    for path in shards:
        shard = load_shard(path)
        before = normalised(shard["final"].float()).roll(1, 0)
        columns = (shard[f"exit.{head.layer}"].float(), before, shard["likeliest"].long())
        blocks = (torch.split(column, _NUM_BLOCK_ROWS) for column in columns)
        for hidden, known, likeliest in zip(*blocks, strict=True):
            two = token_ids[head.logits(head.state(hidden, None)).topk(2).indices]
            one = token_ids[head.logits(head.state(hidden, known)).argmax(-1)]
            num_rows += len(likeliest)
            first += int((two[:, 0] == likeliest).sum())
            first_two += int((two == likeliest[:, None]).sum())
            told += int((one == likeliest).sum())
            covered += int(torch.isin(likeliest, token_ids).sum())
    counts = (first, first_two, told, covered)
    return ExitQuality(num_rows, *(count / num_rows for count in counts))
