"""The folder on disk that one index is kept in: whose it is, and how large."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.sparse.corpus import LiveSegment
from retrieval.sparse.errors import IndexDamagedError, IndexLockedError, IndexSchemaError
from retrieval.sparse.store import IndexStore

logger = logging.getLogger(__name__)


def open_store(folder: Path, *, for_writing: bool) -> tuple[IndexStore, list[LiveSegment]]:
    """Return access to an index, and its segments; one that is damaged begins anew.

    Where another process is the writer, or ``for_writing`` is false, the access is a reader's.
    """
    store = IndexStore.for_reading(folder)
    if for_writing:
        try:
            store = IndexStore.for_writing(folder)
        except IndexLockedError as error:
            logger.info("%s", error)
    try:
        try:
            return store, list(store.load())
        except (IndexDamagedError, IndexSchemaError) as error:
            logger.warning("%s", error)
        if store.is_writer:
            store.clear()
        return store, []
    except BaseException:
        store.close()
        raise


def may_be_written(folder: Path) -> bool:
    """Whether nobody keeps an index up to date, so that whoever opens it anew could."""
    try:
        IndexStore.for_writing(folder).close()
    except RetrievalError:
        return False
    return True


def num_bytes_below(folder: Path) -> int:
    """Return the size of the files below ``folder``, which come and go meanwhile."""
    num_bytes = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                num_bytes += os.lstat(os.path.join(at, name)).st_size
    return num_bytes
