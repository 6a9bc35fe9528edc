"""What can go wrong at the doors.

FimbleError
├── BadInputError        the caller asked for something impossible; exit 2
│   ├── NotReadableError     the file is missing, a directory, or not UTF-8
│   ├── BadPositionError     the cursor lies outside the file
│   └── BadSettingError      a setting has an impossible value
├── UnknownDocumentError     a client speaks of a document it has not opened
├── RuntimeFolderError       the daemon's folder is not private, or cannot be
├── TrustStoreError      the record of trusted projects cannot be read or written
├── DaemonStartError         no daemon can be had
└── BadHelloError            the other end of a socket does not speak as fimble does

Messages say what, the value, and the remedy; they end without a full stop.
"""

from __future__ import annotations

from pathlib import Path


class FimbleError(Exception):
    """Base of everything the doors raise themselves."""


class BadInputError(FimbleError):
    """The caller can put this right by asking differently."""


class NotReadableError(BadInputError):
    """The file cannot be read as text."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class BadPositionError(BadInputError):
    """The cursor lies outside the file."""


class BadSettingError(BadInputError):
    """A setting's name or value is not among the allowed ones."""


class TrustStoreError(FimbleError):
    """The record of trusted projects cannot be read, is damaged, or cannot be written."""


class UnknownDocumentError(FimbleError):
    """A client changed or asked about a document that it has not opened."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} is not open; send textDocument/didOpen first")
        self.uri = uri


class RuntimeFolderError(FimbleError):
    """The folder of the daemon's socket cannot be used; another setting can help."""


class BadHelloError(FimbleError):
    """What came first on a connection is no hello and no welcome."""


class DaemonStartError(FimbleError):
    """No daemon can be had; ``--standalone`` does without."""
