"""What can go wrong with an index on disk.

RetrievalError
└── IndexFolderError     base of the four
    ├── IndexDamagedError    its files contradict each other: build it anew
    ├── IndexSchemaError     another version of fimble wrote it: build it anew
    ├── IndexLockedError     another process is its writer
    └── IndexWriteError      no room, or no permission: what was there is unchanged

Messages say what, the value, and the remedy; they end without a full stop.
"""

from __future__ import annotations

from retrieval.errors import RetrievalError


class IndexFolderError(RetrievalError):
    """An index on disk cannot be used as asked."""


class IndexDamagedError(IndexFolderError):
    """Files are missing, cut short or not what the manifest says."""


class IndexSchemaError(IndexFolderError):
    """The layout is of another version."""


class IndexLockedError(IndexFolderError):
    """Somebody else holds the write lock."""


class IndexWriteError(IndexFolderError):
    """The operating system refused a write. The index is in the state it was in before."""
