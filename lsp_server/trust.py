"""Which projects' files the user trusts, by folder and content.

A file that changed since has to be trusted anew: the next version may come from somebody else.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import filelock
import platformdirs

from lsp_server.errors import TrustStoreError

_FILE_NAME = "trusted.json"
_MAX_NUM_BYTES = 1_000_000
_LOCK_TIMEOUT_S = 10.0


def default_folder() -> Path:
    """Return the user's folder for what programs remember; it may not exist yet."""
    return platformdirs.user_state_path("fimble", appauthor=False)


class TrustStore:
    """The record on disk; reads it at each question, so that every process sees the newest."""

    def __init__(self, folder: Path | None = None) -> None:
        """Keep the record in ``folder``, the user's own if left out."""
        self._folder = default_folder() if folder is None else folder

    @property
    def path(self) -> Path:
        """The file of the record."""
        return self._folder / _FILE_NAME

    def trusts(self, project: Path, content: bytes) -> bool:
        """Whether the user trusts the file of ``project`` with exactly this ``content``.

        Raises:
            TrustStoreError: The record cannot be read or is damaged.
        """
        return self._read().get(_key(project)) == _digest(content)

    def trust(self, project: Path, content: bytes) -> None:
        """Trust the file of ``project`` as long as it has this ``content``; raises TrustStoreError."""
        self._change(project, _digest(content))

    def untrust(self, project: Path) -> bool:
        """Trust the file of ``project`` no longer; returns whether it was; raises TrustStoreError."""
        return self._change(project, None)

    def _change(self, project: Path, digest: str | None) -> bool:
        """Record ``digest``, or nothing, for ``project``; returns whether there was one before."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with filelock.FileLock(self._folder / f"{_FILE_NAME}.lock", timeout=_LOCK_TIMEOUT_S):
                digests = dict(self._read())
                former = digests.pop(_key(project), None)
                if digest is not None:
                    digests[_key(project)] = digest
                _replace(self.path, json.dumps({"schema": 1, "projects": digests}, indent=1))
        except (OSError, filelock.Timeout) as error:
            raise TrustStoreError(f"{self.path} cannot be written: {error}") from error
        return former is not None

    def _read(self) -> Mapping[str, object]:
        try:
            with self.path.open("rb") as file:
                content = file.read(_MAX_NUM_BYTES + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TrustStoreError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            projects = json.loads(content)["projects"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise TrustStoreError(_damaged(self.path)) from error
        if len(content) > _MAX_NUM_BYTES or not isinstance(projects, dict):
            raise TrustStoreError(_damaged(self.path))
        return projects


def _damaged(path: Path) -> str:
    return f"{path} is damaged; remove it, then trust your projects anew"


def _key(project: Path) -> str:
    return os.path.realpath(project)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all, readable by this user alone; raises OSError."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise
