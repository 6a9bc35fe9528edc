"""What every source of weights offers, whatever its files look like."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from torch import Tensor

from models.config import ModelConfig

_SAMPLE_BYTES = 1 << 20


class WeightSource(Protocol):
    """Float weights under Hugging Face names, with the config and vocabulary that belong to them.

    ``fingerprint`` is cheap and changes when the files do. ``is_float`` says that the weights are
    stored unquantised, so that a float precision needs no converted copy.
    """

    @property
    def name(self) -> str:
        """What people call the model."""
        ...

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that identify the files' content."""
        ...

    @property
    def is_float(self) -> bool:
        """Whether float precisions can be read straight from the source."""
        ...

    def prepare(self) -> None:
        """Have the files on this machine and whole, fetching them if need be.

        Called before a conversion only. Raises DownloadError, DiskFullError.
        """
        ...

    def config(self) -> ModelConfig:
        """Return the network's shape; raises UnsupportedModelError, CorruptWeightsError."""
        ...

    def tokenizer_json(self) -> str:
        """Return the text of a tokenizer.json; raises TokenizerError."""
        ...

    def tensor(self, name: str) -> Tensor:
        """Return a float tensor by its Hugging Face name; raises KeyError if there is none."""
        ...


def fingerprint_of_files(paths: Iterable[Path]) -> str:
    """Return sixteen hex digits from names, sizes, times and both ends of ``paths``.

    Hashing whole weight files would cost a second at every start; a file that is replaced changes
    its time, and one that is moved keeps it.
    """
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name}:{status.st_size}:{status.st_mtime_ns};".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, status.st_size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
