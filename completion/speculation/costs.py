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
_CONTEXTS = (512, 2048)  # tokens in front of the rows, each of which every row attends to
_NUM_ROUNDS = 5
# Before anything was measured: a processor that computes a few rows for little more than one.
_ASSUMED = {
    512: {1: 1.0, 2: 1.07, 4: 1.13, 8: 1.3, 16: 1.67, 32: 2.6},
    2048: {1: 1.0, 2: 1.1, 4: 1.2, 8: 1.5, 16: 2.1, 32: 3.7},
}

Costs = Mapping[int, Mapping[int, float]]  # by tokens in front, then by rows
_Table = tuple[list[int], list[float]]


class PassCosts:
    """Relative costs of passes; that over one row is 1. Any thread may read."""

    def __init__(self, costs: Costs | None = None) -> None:
        """Take the costs by number of tokens in front and of rows; assumed ones if None."""
        self.replace(_ASSUMED if costs is None else costs)

    def replace(self, costs: Costs) -> None:
        """Take other costs, of at least one context and two sizes of each."""
        self._tables = [(context, _table(costs[context])) for context in sorted(costs)]

    def of(self, num_rows: int, num_context: int = 0) -> float:
        """Return the cost of a pass over ``num_rows`` rows behind ``num_context`` tokens.

        Straight lines between what is known; contexts below the shortest cost what that does.
        """
        tables = self._tables
        at = next((at for at, (size, _) in enumerate(tables) if size >= num_context), len(tables))
        at = min(at, len(tables) - 1)
        cost = _cost(tables[at][1], num_rows)
        if at == 0:
            return cost
        (low, table), high = tables[at - 1], tables[at][0]
        below = _cost(table, num_rows)
        return max(1.0, below + (cost - below) * (num_context - low) / (high - low))


def _table(costs: Mapping[int, float]) -> _Table:
    sizes = sorted(costs)
    values: list[float] = []
    for size in sizes:  # a larger pass is never cheaper; where it was, that was noise
        values.append(max([costs[size] / costs[sizes[0]], *values[-1:]]))
    return sizes, values


def _cost(table: _Table, num_rows: int) -> float:
    sizes, values = table
    at = min(max(bisect_left(sizes, num_rows), 1), len(sizes) - 1)
    share = (num_rows - sizes[at - 1]) / (sizes[at] - sizes[at - 1])
    return values[at - 1] + share * (values[at] - values[at - 1])


@torch.inference_mode()
def measure_costs(decoder: Decoder, checkpoint: Checkpoint) -> dict[int, dict[int, float]]:
    """Return the seconds of passes by number of tokens in front and of rows.

    They are the quickest of a few: others add only noise.
    """
    room = decoder.config.max_positions - max(_SIZES)
    contexts = [size for size in _CONTEXTS if size <= room] or [max(1, room)]
    capacity = contexts[-1] + max(_SIZES)
    pool = decoder.new_pool(capacity + 1)  # its own, so that no document has to make room
    table = SlotTable(pool, capacity)
    found: dict[int, dict[int, float]] = {}
    for context in contexts:
        decoder.forward(table.stage([1] * (context - len(table))), pool, checkpoint=checkpoint)
        table.commit()
        seconds: dict[int, list[float]] = {size: [] for size in _SIZES}
        for _ in range(_NUM_ROUNDS):
            for size, times in seconds.items():
                times.append(_seconds(decoder, pool, table, size, checkpoint))
        found[context] = {size: min(times) for size, times in seconds.items()}
    return found


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

    def read(self) -> dict[int, dict[int, float]] | None:
        """Return what was measured with this version of torch, None if nothing was."""
        try:
            stored = json.loads(self._path.read_text())
            if stored["torch"] != self._torch:
                return None
            costs = {
                int(context): {int(size): float(seconds) for size, seconds in table.items()}
                for context, table in stored["seconds"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # absent or not ours: it is measured anew
        is_usable = all(len(table) > 1 and min(table.values()) > 0 for table in costs.values())
        return costs if costs and is_usable else None

    def write(self, costs: Costs) -> None:
        """Keep ``costs``; a folder that cannot be written costs a measurement at the next start."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            written = self._path.with_suffix(f".{os.getpid()}")
            written.write_text(json.dumps({"torch": self._torch, "seconds": costs}))
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
