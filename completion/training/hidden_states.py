"""What a network computes on windows of code, kept in shards on disk for what learns from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from completion.training.fim_windows import FimWindows
from models.decoder import Decoder
from models.loader import LoadedModel
from models.progress import Progress, ProgressCallback
from models.slot_pool import SlotPool
from models.slots import SlotTable

WINDOW = 512
NUM_WINDOWS = 16  # of a shard: what an interruption costs at most
_NUM_HEAD_ROWS = 64  # logits that are computed at once; 40 MB for a vocabulary of 150,000


class HiddenStates:
    """Shards of states behind some layers, made once.

    A shard holds ``exit.<layer>`` and ``final`` (before the last norm), float16 [num_rows,
    hidden_size], ``token_ids`` (of the rows) and, where asked for, ``likeliest``: the model's next
    token. The first row of each window is left out: its state is an outlier that no other resembles.
    """

    def __init__(
        self, model: LoadedModel, windows: FimWindows, folder: Path, layers: Sequence[int]
    ) -> None:
        """Keep shards in ``folder``; ``layers`` are counts of layers, rising."""
        self._model, self._windows, self._folder = model, windows, folder
        self._layers = layers

    def collect(
        self, stage: str, num_shards: int, progress: ProgressCallback, *, with_likeliest: bool
    ) -> list[Path]:
        """Return the shards, making those that are not there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        decoder = self._model.decoder
        pool = decoder.new_pool(WINDOW + 2)
        paths = [self._folder / f"{at:04d}.safetensors" for at in range(num_shards)]
        for at, path in enumerate(paths):
            progress(Progress(stage, at, num_shards, "shards"))
            if path.exists():
                continue
            indices = range(at * NUM_WINDOWS, (at + 1) * NUM_WINDOWS)
            rows = [self._window(decoder, pool, self._windows[index]) for index in indices]
            shard = {name: torch.cat([each[name] for each in rows]) for name in rows[0]}
            if with_likeliest:
                shard["likeliest"] = likeliest(decoder.logits, shard["final"])
            unfinished = path.with_suffix(".unfinished")
            save_file(shard, unfinished)
            unfinished.replace(path)
        progress(Progress(stage, num_shards, num_shards, "shards"))
        return paths

    def _window(
        self, decoder: Decoder, pool: SlotPool, token_ids: Sequence[int]
    ) -> dict[str, Tensor]:
        table = SlotTable(pool, len(token_ids))
        try:
            batch, found, done = table.stage(token_ids), {}, 0
            hidden: Tensor | None = None
            for layer in self._layers:
                hidden = decoder.forward(batch, pool, layers=range(done, layer), hidden=hidden)
                found[f"exit.{layer}"], done = hidden[1:].half(), layer
            rest = range(done, decoder.config.num_layers)
            final = decoder.forward(batch, pool, layers=rest, hidden=hidden)
            return {
                **found,
                "final": final[1:].half(),
                "token_ids": torch.tensor(token_ids[1:], dtype=torch.int32),
            }
        finally:
            table.close()


def likeliest(logits: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
    """Return the likeliest token behind each row of ``hidden``, int32 [num_rows]."""
    blocks = torch.split(hidden.float(), _NUM_HEAD_ROWS)
    return torch.cat([logits(block).argmax(-1).to(torch.int32) for block in blocks])


def load_shard(path: Path) -> dict[str, Tensor]:
    """Return what ``collect`` wrote."""
    return load_file(path)
