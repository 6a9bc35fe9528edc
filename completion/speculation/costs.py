"""What a pass over several rows costs on this machine, beside one over a single row."""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from models.decoder import Checkpoint, Decoder
from models.slot_pool import SlotPool
from models.slots import SlotTable

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 17, 24, 32)
_NUM_ROUNDS = 5
_NUM_CONTEXT = 512  # tokens in front of the rows
# Before anything was measured: a processor that computes a few rows for little more than one.
_ASSUMED = {1: 1.0, 2: 1.08, 4: 1.15, 8: 1.35, 16: 1.8, 32: 2.8}


class PassCosts:
    """Relative costs of passes; that over one row is 1. Any thread may read."""

    def __init__(self, costs: Mapping[int, float] | None = None) -> None:
        """Take the costs by number of rows; assumed ones if None."""
        self.replace(_ASSUMED if costs is None else costs)

    def replace(self, costs: Mapping[int, float]) -> None:
        """Take other costs, at least those of two sizes."""
        sizes = sorted(costs)
        values: list[float] = []
        for size in sizes:  # a larger pass is never cheaper; where it was, that was noise
            values.append(max([costs[size] / costs[sizes[0]], *values[-1:]]))
        self._table = (sizes, values)

    def of(self, num_rows: int) -> float:
        """Return the cost of a pass over ``num_rows`` rows, straight lines between what is known."""
        sizes, values = self._table
        at = min(max(bisect_left(sizes, num_rows), 1), len(sizes) - 1)
        share = (num_rows - sizes[at - 1]) / (sizes[at] - sizes[at - 1])
        return values[at - 1] + share * (values[at] - values[at - 1])


@torch.inference_mode()
def measure_costs(decoder: Decoder, checkpoint: Checkpoint) -> dict[int, float]:
    """Return the seconds of passes by number of rows, the quickest of a few: others add only noise."""
    capacity = _NUM_CONTEXT + max(_SIZES)
    pool = decoder.new_pool(capacity + 1)  # its own, so that no document has to make room
    table = SlotTable(pool, capacity)
    decoder.forward(table.stage([1] * _NUM_CONTEXT), pool, checkpoint=checkpoint)
    table.commit()
    seconds: dict[int, list[float]] = {size: [] for size in _SIZES}
    for _ in range(_NUM_ROUNDS):
        for size, found in seconds.items():
            found.append(_seconds(decoder, pool, table, size, checkpoint))
    return {size: min(found) for size, found in seconds.items()}


def _seconds(
    decoder: Decoder, pool: SlotPool, table: SlotTable, num_rows: int, checkpoint: Checkpoint
) -> float:
    batch = table.stage([1] * num_rows, parents=[-1] * num_rows)
    started = time.perf_counter()
    decoder.logits(decoder.forward(batch, pool, checkpoint=checkpoint)).argmax(-1).tolist()
    seconds = time.perf_counter() - started
    table.discard()
    return seconds


class CostStore:
    """Measured costs on disk: one small file per model, device and number of threads."""

    def __init__(self, folder: Path, fingerprint: str, device: str, num_threads: int) -> None:
        name = f"{fingerprint}-{device.replace(':', '')}-{num_threads}.json"
        self._path = folder / name
        self._torch = torch.__version__

    def read(self) -> dict[int, float] | None:
        """Return what was measured with this version of torch, None if nothing was."""
        try:
            stored = json.loads(self._path.read_text())
            if stored["torch"] != self._torch:
                return None
            costs = {int(size): float(seconds) for size, seconds in stored["seconds"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # absent or not ours: it is measured anew
        return costs if len(costs) > 1 and min(costs.values()) > 0 else None

    def write(self, costs: Mapping[int, float]) -> None:
        """Keep ``costs``; a folder that cannot be written costs a measurement at the next start."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            written = self._path.with_suffix(f".{os.getpid()}")
            written.write_text(json.dumps({"torch": self._torch, "seconds": dict(costs)}))
            written.replace(self._path)
        except OSError:
            return


def calibrate(costs: PassCosts, store: CostStore, decoder: Decoder) -> Callable[[Checkpoint], None]:
    """Return the work that measures ``costs``, for when nothing else is to do."""

    def work(checkpoint: Checkpoint) -> None:
        found = measure_costs(decoder, checkpoint)
        costs.replace(found)
        store.write(found)

    return work
