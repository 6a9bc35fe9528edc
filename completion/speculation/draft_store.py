"""What drafts are learnt from, on disk: one file for each model and workspace.

A file holds tokens of source code, so folder and files are this user's alone, and the workspace is
part of a name as a digest. Nothing here fails for what is on the disk: without a file, or with one that
is damaged, of another format or somebody else's, drafting starts with nothing learnt.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
"""Raised with every change of what the arrays of a source mean."""

_SUFFIX = ".drafts"
_FOLDER_MODE = 0o700
_DIGEST_BYTES = 16
_MAX_FILE_BYTES = 8 << 20  # what sources hold is bounded to half of this
_MAX_BYTES = 64 << 20  # of all files together: a few dozen workspaces

Arrays = Mapping[str, npt.NDArray[np.generic]]


class StoredSource(Protocol):
    """A source that outlives the process."""

    name: str

    def arrays(self) -> Arrays:
        """Return what was learnt."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Know ``arrays``; raises KeyError or ValueError, changing nothing, where that cannot be."""
        ...


class DraftStore:
    """Where the sources of one model and workspace are kept. One thread at a time.

    Other processes may use the folder, too: of two that save the same workspace, the later one counts.
    """

    def __init__(
        self, folder: Path, fingerprint: str, workspace: Path, max_bytes: int = _MAX_BYTES
    ) -> None:
        """Use ``folder``, where the oldest files go that make it larger than ``max_bytes``."""
        self._folder, self._max_bytes = folder, max_bytes
        place = hashlib.blake2b(os.fsencode(workspace.absolute()), digest_size=12).hexdigest()
        self._path = folder / f"{fingerprint}-{place}{_SUFFIX}"

    def save(self, sources: Iterable[StoredSource]) -> None:
        """Keep what ``sources`` have learnt, in place of what was kept before.

        Takes some milliseconds; a folder that cannot be written costs what was learnt.
        """
        body = save(
            {
                f"{source.name}.{name}": np.ascontiguousarray(array)
                for source in sources
                for name, array in source.arrays().items()
            }
        )
        try:
            self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._replace(self._digest(body) + body)
            self._bound()
        except OSError as error:
            logger.warning(
                "what drafts are learnt from is not saved in %s: %s", self._folder, error
            )

    def load(self, sources: Iterable[StoredSource]) -> None:
        """Give ``sources`` what was kept of them; those it does not fit stay as they are."""
        kept = self._read()
        for source in sources:
            prefix = f"{source.name}."
            own = {
                name.removeprefix(prefix): kept[name] for name in kept if name.startswith(prefix)
            }
            with suppress(KeyError, ValueError):
                source.restore(own)

    def _read(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all arrays of the file, none if it cannot be used."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
            body = content[_DIGEST_BYTES:]
            if len(content) > _MAX_FILE_BYTES or content[:_DIGEST_BYTES] != self._digest(body):
                return {}
            return dict(load(body))
        except (OSError, SafetensorError, ValueError, LookupError, TypeError):
            return {}

    def _digest(self, body: bytes) -> bytes:
        """Return what the file begins with: it tells damage, and a file of something else."""
        digest = hashlib.blake2b(
            f"{FORMAT_VERSION} {self._path.name} ".encode(), digest_size=_DIGEST_BYTES
        )
        digest.update(body)
        return digest.digest()

    def _replace(self, content: bytes) -> None:
        """Write the file whole or not at all, readable by this user alone.

        It is not flushed to the disk: what a loss of power leaves does not match its digest.
        """
        handle, draft = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=_SUFFIX)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(draft, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise

    def _bound(self) -> None:
        """Delete the oldest files while all are too large; abandoned drafts are among them."""
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another process keeps the bound, too
                status = path.stat()
                if stat.S_ISREG(status.st_mode) and path != self._path:
                    found.append((status.st_mtime_ns, status.st_size, path))
        num_bytes = sum(size for _, size, _ in found) + self._path.stat().st_size
        for _, size, path in sorted(found):
            if num_bytes <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            num_bytes -= size
