"""Why a file is not in the index."""

from __future__ import annotations

from enum import StrEnum


class Exclusion(StrEnum):
    """One reason, where several apply."""

    IGNORED = "ignored"  # by an ignore file, or in a folder of dependencies, caches or history
    LINK = "link"  # what lies behind it is found where it lies, or lies outside
    SECRET_FILE = "secret file"  # made to hold keys or passwords
    BINARY = "binary"
    GENERATED = "generated"  # or minified, or a lock file
    TOO_LARGE = "too large"
    UNREADABLE = "unreadable"  # or gone, or no regular file, or a name that is not UTF-8
