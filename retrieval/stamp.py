"""By what a version of a file is recognised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file was when it was read: the first two tell quickly, the hash with certainty.

    ``content_hash`` are 64 bits of a hash of its bytes, unsigned; 0 if nobody has read it.
    """

    mtime_ns: int
    size_bytes: int
    content_hash: int
