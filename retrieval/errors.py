"""The tree of ``RetrievalError``: what the author of a caller can act on."""

from __future__ import annotations


class RetrievalError(Exception):
    """Base of everything that retrieval raises on purpose."""
