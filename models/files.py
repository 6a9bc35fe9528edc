"""Files that appear whole or not at all, and a lock that keeps two processes from one job."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from models.errors import DiskFullError
from models.progress import Progress, ProgressCallback

# EFBIG is a limit on file size, of the file system or of the user: to us the same as a full disk.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_BLOCK_BYTES = 1 << 22


@contextmanager
def disk_full_as_error(folder: Path) -> Iterator[None]:
    """Turn every way of running out of room under ``folder`` into DiskFullError."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if _errno_of(error) not in _NO_ROOM:
            raise
        raise DiskFullError(
            f"no room left for model files under {folder} ({error}); free some space or choose "
            "another cache folder, then run the same again: what was complete is kept"
        ) from error


@contextmanager
def exclusive(path: Path, progress: ProgressCallback) -> Iterator[None]:
    """Hold ``path`` as a lock between processes; a crash of the holder frees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Progress("waiting for another fimble that prepares this model", 0, None))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sha256_of_file(path: Path) -> str:
    """Return the hexadecimal sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_to_disk(path: Path) -> None:
    """Make a file, or the list of names in a folder, survive a loss of power."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and journals their changes itself
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_blocks(blocks: Iterator[bytes], path: Path) -> str:
    """Write ``blocks`` to ``path`` and return the sha256 of what was written."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def blocks_of_file(path: Path) -> Iterator[bytes]:
    """Yield a file's content in pieces of a few MiB."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _errno_of(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found.group(1)) if found else None
