"""Caches on disk: what was computed for a document survives the process.

One safetensors file for each document, in a folder that several processes may use. A file holds the
tokens of source code, so folder and files are this user's alone, and names are digests.

Nothing here fails for what is on the disk: a file that is damaged, cut short, or of another model or
format is deleted, and the document's cache is computed as if there had been none. What a loaded cache
was computed from is not asked: it is a table like any other, whose tokens are compared with the
text that is wanted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from models.decoder import Checkpoint
from models.slot_pool import SlotPool
from models.slots import SlotTable

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
"""Raised with every change of what the tensors of a file mean."""

_SUFFIX = ".safetensors"
_DTYPES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
}
_FOLDER_MODE = 0o700
# What reading bytes that mean something else may raise; a lost bit can be anywhere.
_UNUSABLE = (OSError, SafetensorError, ValueError, LookupError, TypeError, RecursionError)
_BLOCK_BYTES = 1 << 22  # between two looks at what else is to do: a few milliseconds
_RESTORED_ROWS = 256  # at a time: what a table is told of them grows with their square


def _go_on() -> None:
    """Let the work go on."""


@dataclass(frozen=True, slots=True, eq=False)
class TableCopy:
    """Tokens of a table, in their order and on the host, with their keys and values.

    ``token_ids``, ``positions`` (RoPE) and ``ages`` are [num_tokens]; the rest is as
    ``SlotPool.contents`` returns it.
    """

    token_ids: Tensor
    positions: Tensor
    ages: Tensor
    keys: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.token_ids)

    def restore(self, table: SlotTable, pool: SlotPool) -> None:
        """Make an empty table of ``pool`` hold the tokens, or as many of them as it has room for."""
        num_tokens = min(len(self), table.num_free)
        token_ids = self.token_ids[:num_tokens].tolist()
        try:
            for first in range(0, num_tokens, _RESTORED_ROWS):
                rows = slice(first, min(first + _RESTORED_ROWS, num_tokens))
                batch = table.stage(token_ids[rows])
                pool.fill(batch.slots.tolist(), self.keys[:, :, rows], self.values[:, :, rows])
                table.commit()
        except BaseException:
            table.truncate(0)
            raise
        # To the table they are new; what was patched before is no more exact for that.
        pool.ages[table.slots] = self.ages[:num_tokens].numpy()

    def check_fits(self, pool: SlotPool) -> None:
        """Raise ValueError if ``pool`` cannot hold the tokens."""
        num_layers, num_kv_heads, _, head_dim = pool.values.shape
        shape = (num_layers, num_kv_heads, len(self), head_dim)
        for tensor in (self.keys, self.values):
            if (tensor.shape, tensor.dtype) != (shape, pool.values.dtype):
                raise ValueError(f"it holds {tensor.dtype} {tuple(tensor.shape)}, not {shape}")
        if not len(self) or self.positions.tolist() != list(range(len(self))):
            raise ValueError("it is empty, or its keys are not where they belong")
        if self.ages.shape != self.token_ids.shape:
            raise ValueError(f"{len(self)} tokens have ages {tuple(self.ages.shape)}")

    def digest(self, checkpoint: Checkpoint = _go_on) -> str:
        """Return the sha256 of everything; ``checkpoint`` is called between blocks."""
        found = hashlib.sha256(self.header())
        for block in self.blocks():
            found.update(block)
            checkpoint()
        return found.hexdigest()

    def header(self, **metadata: str) -> bytes:
        """Return what a safetensors file of the tensors begins with; ``blocks`` is the rest.

        The library would write all of it in one go, which is too long for a request to wait.
        """
        described: dict[str, object] = {"__metadata__": metadata}
        start = 0
        for name, tensor in self._tensors():
            stop = start + tensor.nbytes
            described[name] = {
                "dtype": _DTYPES[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [start, stop],
            }
            start = stop
        text = json.dumps(described).encode()
        padded = text.ljust(-(-len(text) // 8) * 8)
        return len(padded).to_bytes(8, "little") + padded

    def blocks(self) -> Iterator[memoryview]:
        """Yield the content of all tensors in pieces of up to ``_BLOCK_BYTES``."""
        for _, tensor in self._tensors():
            content = tensor.reshape(-1).view(torch.uint8).numpy().data
            for start in range(0, len(content), _BLOCK_BYTES):
                yield content[start : start + _BLOCK_BYTES]

    def _tensors(self) -> list[tuple[str, Tensor]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


def copy_of(table: SlotTable, pool: SlotPool, num_tokens: int) -> TableCopy | None:
    """Return the first ``num_tokens`` tokens of ``table``.

    None if there are none, and where keys stand elsewhere than their tokens, which only a comparison
    leaves behind.
    """
    slots = table.slots[:num_tokens]
    positions = pool.positions[slots]
    if not slots or not np.array_equal(positions, np.arange(len(slots))):
        return None
    keys, values = pool.contents(slots)
    return TableCopy(
        token_ids=torch.from_numpy(pool.token_ids[slots]),
        positions=torch.from_numpy(positions),
        ages=torch.from_numpy(pool.ages[slots]),
        keys=keys,
        values=values,
    )


class SnapshotStore:
    """The files of one model, at most ``max_bytes`` of them, those written first going first."""

    def __init__(self, folder: Path, model_fingerprint: str, max_bytes: int) -> None:
        """Use ``folder``, which is made when it is needed."""
        self._folder, self._fingerprint, self._max_bytes = folder, model_fingerprint, max_bytes

    def save(self, key: str, table: SlotTable, pool: SlotPool, num_tokens: int) -> None:
        """Keep the first ``num_tokens`` of ``table`` for the document ``key``."""
        copied = copy_of(table, pool, num_tokens)
        if copied is not None:
            self.write(key, copied)

    def load(self, key: str, table: SlotTable, pool: SlotPool) -> bool:
        """Fill an empty ``table`` with what was kept for ``key``; returns whether anything was."""
        copied = self.read(key, pool)
        if copied is not None:
            copied.restore(table, pool)
        return copied is not None

    def write(self, key: str, copied: TableCopy, checkpoint: Checkpoint = _go_on) -> None:
        """Keep ``copied`` for ``key``, in place of what was kept before; a full disk is logged.

        Whatever ``checkpoint`` raises ends the work and leaves what was kept before.
        """
        digest = copied.digest(checkpoint)
        header = copied.header(version=str(FORMAT_VERSION), model=self._fingerprint, digest=digest)
        try:
            self._make_private()
            _replace(self._path(key), chain([header], copied.blocks()), checkpoint)
            self._bound()
        except OSError as error:
            logger.warning("a document's cache could not be kept on disk: %s", error)

    def read(self, key: str, pool: SlotPool) -> TableCopy | None:
        """Return what was kept for ``key`` and fits ``pool``; None if that is nothing."""
        path = self._path(key)
        try:
            return self._checked(path.read_bytes(), pool)
        except FileNotFoundError:
            return None
        except _UNUSABLE as error:
            logger.warning("deleting %s, a kept cache that cannot be used: %s", path.name, error)
            with suppress(OSError):
                path.unlink()
            return None

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{self._fingerprint} {key}".encode("utf-8", "replace")).hexdigest()
        return self._folder / f"{name}{_SUFFIX}"

    def _checked(self, content: bytes, pool: SlotPool) -> TableCopy:
        """Return what a file holds; whatever is wrong with it raises one of many errors."""
        metadata = _metadata(content)
        made_by = (metadata["version"], metadata["model"])
        if made_by != (str(FORMAT_VERSION), self._fingerprint):
            raise ValueError(f"it is of format and model {made_by}")
        copied = TableCopy(**safetensors.torch.load(content))
        copied.check_fits(pool)
        if copied.digest() != metadata["digest"]:
            raise ValueError("its content has changed")
        return copied

    def _make_private(self) -> None:
        """Have a folder that nobody else can read; raises OSError if it is somebody else's."""
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if stat.S_IMODE(self._folder.stat().st_mode) != _FOLDER_MODE:
            self._folder.chmod(_FOLDER_MODE)

    def _bound(self) -> None:
        """Delete the oldest files while all together are too large; abandoned drafts are among them."""
        found = sorted(self._files())
        num_bytes = sum(size_bytes for _, size_bytes, _ in found)
        for _, size_bytes, path in found:
            if num_bytes <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            num_bytes -= size_bytes

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield when each file was written, in ns, its size and path."""
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another process keeps the bound, too
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    yield found.st_mtime_ns, found.st_size, path


def _metadata(content: bytes) -> dict[str, str]:
    """Return what the header of a safetensors file says besides its tensors."""
    num_bytes = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + num_bytes])
    return cast(dict[str, str], header["__metadata__"])


def _replace(path: Path, blocks: Iterable[bytes | memoryview], checkpoint: Checkpoint) -> None:
    """Write ``path`` whole or not at all, readable by this user alone; raises OSError.

    It is not flushed to the disk: what a loss of power leaves does not match its digest.
    """
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            for block in blocks:
                file.write(block)
                checkpoint()
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
