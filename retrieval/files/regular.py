"""Reading small files that somebody else may have put there."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def open_regular_file(path: Path) -> int | None:
    """Return a descriptor for reading ``path``, ``None`` unless it is a regular file and no link.

    Never waits: opening a pipe that nobody writes to would, for ever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def read_regular_file(path: Path, max_num_bytes: int) -> bytes | None:
    """Return the content of ``path``, one byte more than ``max_num_bytes`` if it is longer.

    ``None`` if it cannot be read or is no regular file.
    """
    descriptor = open_regular_file(path)
    if descriptor is None:
        return None
    try:
        with os.fdopen(descriptor, "rb") as file:
            return file.read(max_num_bytes + 1)
    except OSError:
        return None
